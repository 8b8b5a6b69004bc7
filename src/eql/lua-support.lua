-- What compiled predicates call: the meaning of EQL values in Lua. Called with the prelude `k` and the folding rows; returns the table `S`.
-- A value is a list of elements; the empty list is null. Elements: string, boolean, int64_t cdata (int), number (float); of type `number` an
-- int64_t, an uint64_t from 2^63 on, or a float. Truth is true, false or nil. Text is UTF-8; positions count code points.
local k, folding_rows = ...
local ffi, bit, string, table, math = k.ffi, k.bit, k.string, k.table, k.math
local byte, char, find, sub, gsub, format, lower = string.byte, string.char, string.find, string.sub, string.gsub, string.format, string.lower
local band, rshift, floor = bit.band, bit.rshift, math.floor
local istype, cast = ffi.istype, ffi.cast
local I64, U64 = ffi.typeof("int64_t"), ffi.typeof("uint64_t")
local I64_MIN, ZERO = cast(I64, 0x8000000000000000ULL), cast(I64, 0)
local TWO_63 = 9223372036854775808

local S = {}
local EMPTY = {}
S.empty = EMPTY

-- A 64-bit constant.
function S.i64(bits)
  return cast(I64, bits)
end

-- Fields ---------------------------------------------------------------------------------------------------------------------------------

local READ = { [0] = k.str, k.i64, nil, k.f64, k.bool, k.str, k.i64 }
READ[2] = function(slot)
  local value = k.u64(slot)
  return k.hi(slot) < 0 and value or cast(I64, value)
end

local epoch = 0
local lists, stamps = {}, {}

-- Begins a record: everything remembered for the last one is stale.
function S.begin()
  epoch = epoch + 1
end

-- A condition that several predicates ask for: computed once for a record.
function S.remembered(compute)
  local stamp, truth = -1, nil
  return function()
    if stamp ~= epoch then
      truth = compute()
      stamp = epoch
    end
    return truth
  end
end

-- All elements of a field; the empty list when it is missing or its entry has another type than declared.
function S.field(id, entry_type)
  if stamps[id] == epoch then
    return lists[id]
  end
  local list, entry = EMPTY, k.find(id)
  if entry ~= 0 and k.type(entry) == entry_type then
    local read, count = READ[entry_type], k.count(entry)
    list = {}
    for i = 1, count do
      list[i] = read(k.slot(entry, i - 1))
    end
  end
  lists[id], stamps[id] = list, epoch
  return list
end

function S.element(list, index)
  local value = list[index + 1]
  if value == nil then
    return EMPTY
  end
  return { value }
end

-- Whether the event is of a category: by its header, or, where that names none, by the elements of the category field.
function S.category(id, field_id, name)
  local own = k.category()
  if own == id and id ~= 1 then
    return true
  end
  if own ~= 1 and own ~= 2 then
    return false
  end
  for _, element in ipairs(S.field(field_id, 0)) do
    if element == name then
      return true
    end
  end
  return false
end

-- Text -----------------------------------------------------------------------------------------------------------------------------------

local CODE_POINT = "[%z\1-\127\194-\244][\128-\191]*"

local function encode(c)
  if c < 0x80 then
    return char(c)
  elseif c < 0x800 then
    return char(0xc0 + floor(c / 64), 0x80 + c % 64)
  elseif c < 0x10000 then
    return char(0xe0 + floor(c / 4096), 0x80 + floor(c / 64) % 64, 0x80 + c % 64)
  end
  return char(0xf0 + floor(c / 262144), 0x80 + floor(c / 4096) % 64, 0x80 + floor(c / 64) % 64, 0x80 + c % 64)
end

local folded_of = {}
for i = 1, #folding_rows, 4 do
  for c = folding_rows[i], folding_rows[i + 1], folding_rows[i + 2] do
    folded_of[encode(c)] = encode(c + folding_rows[i + 3])
  end
end

local function fold(text)
  if not find(text, "[\128-\255]") then
    return lower(text)
  end
  return (gsub(text, CODE_POINT, folded_of))
end
S.fold = fold

-- Byte position of the code point with this index (from 0), or one behind the end.
local function place_of(text, index)
  local at, size = 1, #text
  while index > 0 and at <= size do
    local lead = byte(text, at)
    at = at + (lead < 0x80 and 1 or lead < 0xe0 and 2 or lead < 0xf0 and 3 or 4)
    index = index - 1
  end
  return at
end

local function count_code_points(text, from, to)
  local count = 0
  for at = from, to do
    if band(byte(text, at), 0xc0) ~= 0x80 then
      count = count + 1
    end
  end
  return count
end

function S.length(text)
  return cast(I64, count_code_points(text, 1, #text))
end

function S.index_of(text, part, start)
  local from = 1
  if start > ZERO then
    if start > S.length(text) then
      return nil
    end
    from = place_of(text, tonumber(start))
  end
  local place = find(text, part, from, true)
  return place and cast(I64, count_code_points(text, 1, place - 1))
end

local function clamp(position, count)
  if position < ZERO then
    position = position + count
  end
  return position < ZERO and ZERO or position > count and count or position
end

function S.substring(text, first, last)
  local count = S.length(text)
  first, last = clamp(first, count), clamp(last, count)
  if last <= first then
    return ""
  end
  local from = place_of(text, tonumber(first))
  return sub(text, from, place_of(text, tonumber(last)) - 1)
end

local function find_last(text, part, from)
  for at = #text - #part + 1, from, -1 do
    if sub(text, at, at + #part - 1) == part then
      return at
    end
  end
  return nil
end

-- Searched in `searched`, which is the text or the folded text; cut from the text.
local function between(text, searched, left, right, greedy)
  local place = find(searched, left, 1, true)
  if not place then
    return nil
  end
  local from = place + #left
  local to = greedy and find_last(searched, right, from) or not greedy and find(searched, right, from, true)
  if not to then
    return nil
  end
  if searched == text then
    return sub(text, from, to - 1)
  end
  local first = place_of(text, count_code_points(searched, 1, from - 1))
  local last = place_of(text, count_code_points(searched, 1, to - 1))
  return sub(text, first, last - 1)
end

function S.between_or_null(text, left, right, greedy)
  return between(text, text, left, right, greedy)
end

function S.between(text, left, right, greedy)
  return between(text, text, left, right, greedy) or ""
end

function S.between_or_null_folded(text, left, right, greedy)
  return between(text, fold(text), fold(left), fold(right), greedy)
end

function S.between_folded(text, left, right, greedy)
  return between(text, fold(text), fold(left), fold(right), greedy) or ""
end

function S.index_of_folded(text, part, start)
  return S.index_of(fold(text), fold(part), start)
end

function S.concat(a, b)
  return a .. b
end

-- Numbers --------------------------------------------------------------------------------------------------------------------------------

local function finite(value)
  if value ~= value or value == math.huge or value == -math.huge then
    return nil
  end
  return value
end

local int, float = {}, {}
S.int, S.float, S.number = int, float, {}

function int.add(a, b)
  local sum = a + b
  if (a < ZERO) == (b < ZERO) and (sum < ZERO) ~= (a < ZERO) then
    return nil
  end
  return sum
end

function int.subtract(a, b)
  local difference = a - b
  if (a < ZERO) ~= (b < ZERO) and (difference < ZERO) ~= (a < ZERO) then
    return nil
  end
  return difference
end

function int.multiply(a, b)
  local product = a * b
  if a == -1 then
    return b ~= I64_MIN and product or nil
  elseif a ~= ZERO and product / a ~= b then
    return nil
  end
  return product
end

local function quotient_and_rest(a, b)
  if b == ZERO then
    return nil, nil
  elseif b == -1 then
    return a ~= I64_MIN and -a or nil, ZERO
  end
  local quotient = a / b
  return quotient, a - quotient * b
end

function int.divide(a, b)
  local quotient = quotient_and_rest(a, b)
  return quotient
end

function int.modulo(a, b)
  local _, rest = quotient_and_rest(a, b)
  return rest
end

function int.floorDivide(a, b)
  local quotient, rest = quotient_and_rest(a, b)
  if rest and rest ~= ZERO and (rest < ZERO) ~= (b < ZERO) then
    return quotient - 1
  end
  return quotient
end

function int.floorModulo(a, b)
  local _, rest = quotient_and_rest(a, b)
  if rest and rest ~= ZERO and (rest < ZERO) ~= (b < ZERO) then
    return rest + b
  end
  return rest
end

function float.add(a, b)
  return finite(a + b)
end

function float.subtract(a, b)
  return finite(a - b)
end

function float.multiply(a, b)
  return finite(a * b)
end

function float.divide(a, b)
  return finite(a / b)
end
float.floorDivide = float.divide

function float.modulo(a, b)
  return b ~= 0 and finite(math.fmod(a, b)) or nil
end

function float.floorModulo(a, b)
  local rest = float.modulo(a, b)
  if rest and rest ~= 0 and (rest < 0) ~= (b < 0) then
    return finite(rest + b)
  end
  return rest
end

local function is_float(value)
  return type(value) == "number"
end

for name, of_ints in pairs(int) do
  local of_floats = float[name]
  S.number[name] = function(a, b)
    if istype(U64, a) or istype(U64, b) then
      return nil
    elseif is_float(a) or is_float(b) then
      return of_floats(tonumber(a), tonumber(b))
    end
    return of_ints(a, b)
  end
end

local function less(a, b)
  if is_float(a) or is_float(b) then
    return tonumber(a) < tonumber(b)
  elseif istype(U64, a) then
    return istype(U64, b) and a < b
  end
  return istype(U64, b) or a < b
end

local function same(a, b)
  if is_float(a) or is_float(b) then
    return tonumber(a) == tonumber(b)
  end
  return istype(U64, a) == istype(U64, b) and a == b
end

-- Comparisons by type. Strings, ints and floats have Lua's own order; a float that is not a number compares false with everything.
local plain = {
  eq = function(a, b) return a == b end,
  lt = function(a, b) return a < b end,
  le = function(a, b) return a <= b end,
  gt = function(a, b) return a > b end,
  ge = function(a, b) return a >= b end,
}
S.compare = {
  string = plain,
  int = plain,
  float = plain,
  number = {
    eq = same,
    lt = less,
    le = function(a, b) return less(a, b) or same(a, b) end,
    gt = function(a, b) return less(b, a) end,
    ge = function(a, b) return less(b, a) or same(a, b) end,
  },
  bool = {
    eq = plain.eq,
    lt = function(a, b) return not a and b end,
    le = function(a, b) return not a or b end,
    gt = function(a, b) return a and not b end,
    ge = function(a, b) return a or not b end,
  },
}

function S.intToFloat(value)
  return tonumber(value)
end

local function itself(value)
  return value
end
S.intToNumber, S.floatToNumber = itself, itself

function S.numberToInt(value)
  if is_float(value) then
    return value == floor(value) and value >= -TWO_63 and value < TWO_63 and cast(I64, value) or nil
  end
  return not istype(U64, value) and value or nil
end

function S.intToString(value)
  return sub(tostring(value), 1, -3)
end

function S.boolToString(value)
  return tostring(value)
end

-- The last digit of a decimal in scientific form, one more.
local function next_decimal(text)
  local digits, exponent = string.match(text, "^([%d.]+)(e.*)$")
  local at = #digits
  while at > 0 do
    local digit = byte(digits, at)
    if digit == 57 then
      digits = sub(digits, 1, at - 1) .. "0" .. sub(digits, at + 1)
    elseif digit ~= 46 then
      return sub(digits, 1, at - 1) .. char(digit + 1) .. sub(digits, at + 1) .. exponent
    end
    at = at - 1
  end
  return nil
end

-- LuaJIT rounds a decimal that lies halfway away from zero; JavaScript takes the even digit. `text` has `digits` digits behind the point.
local function even_on_tie(text, digits, value)
  local whole, fraction = string.match(format("%.40e", value), "^(%d)%.(%d+)e")
  local place = digits == 0 and 1 or digits + 2
  local last = byte(text, place)
  if last % 2 == 1 and find(sub(whole .. fraction, digits + 2), "^50*$") then
    local even = sub(text, 1, place - 1) .. char(last - 1) .. sub(text, place + 1)
    return tonumber(even) == value and even or text
  end
  return text
end

-- The shortest decimal in scientific form that reads back as the value. Just above a power of two the gap downwards is half the gap upwards, so
-- the shortest may be one above the nearest.
local function shortest(value)
  for digits = value < 1e-300 and 0 or 14, 16 do
    local text = format("%." .. digits .. "e", value)
    if tonumber(text) == value then
      return even_on_tie(text, digits, value)
    end
    local above = digits < 16 and next_decimal(text)
    if above and tonumber(above) == value then
      return above
    end
  end
end

function S.floatToString(value)
  if value ~= value then
    return "NaN"
  elseif value == math.huge or value == -math.huge then
    return value > 0 and "Infinity" or "-Infinity"
  elseif value == 0 then
    return "0.0"
  end
  local sign = value < 0 and "-" or ""
  local whole, fraction, exponent = string.match(shortest(math.abs(value)), "^(%d)%.?(%d*)e([+-]%d+)$")
  local digits = gsub(whole .. fraction, "0+$", "")
  local count, point = #digits, tonumber(exponent) + 1
  if count <= point and point <= 21 then
    return sign .. digits .. string.rep("0", point - count) .. ".0"
  elseif 0 < point and point <= 21 then
    return sign .. sub(digits, 1, point) .. "." .. sub(digits, point + 1)
  elseif -6 < point and point <= 0 then
    return sign .. "0." .. string.rep("0", -point) .. digits
  end
  local mantissa = count > 1 and sub(digits, 1, 1) .. "." .. sub(digits, 2) or digits
  return sign .. mantissa .. "e" .. (point > 0 and "+" or "-") .. math.abs(point - 1)
end

function S.numberToString(value)
  if is_float(value) then
    return S.floatToString(value)
  end
  return (gsub(tostring(value), "U?LL$", ""))
end

local function digit_of(code)
  if code >= 48 and code <= 57 then
    return code - 48
  elseif code >= 97 and code <= 122 then
    return code - 87
  elseif code >= 65 and code <= 90 then
    return code - 55
  end
  return 99
end

local function integer_in(text, base, negative)
  local limit = negative and 0x8000000000000000ULL or 0x7fffffffffffffffULL
  local value = 0ULL
  if text == "" then
    return nil
  end
  for at = 1, #text do
    local digit = digit_of(byte(text, at))
    if digit >= base or value > (limit - digit) / base then
      return nil
    end
    value = value * base + digit
  end
  return cast(I64, negative and -value or value)
end

-- Text to a number, see `parseNumber` in ir.ts.
function S.parse_number(text, base)
  base = tonumber(base)
  if base ~= 0 and (base < 2 or base > 36) then
    return nil
  end
  local sign, body = string.match(text, "^([+-]?)(.*)$")
  if not sign then
    return nil
  end
  local negative = sign == "-"
  local hexadecimal = string.match(body, "^0[xX](.+)$")
  if hexadecimal and (base == 0 or base == 16) then
    return integer_in(hexadecimal, 16, negative)
  elseif base ~= 0 and base ~= 10 then
    return integer_in(body, base, negative)
  elseif find(body, "^%d+$") then
    return integer_in(body, 10, negative) or finite(tonumber(text))
  end
  local mantissa, exponent = string.match(body, "^([%d.]+)(.*)$")
  if not mantissa or not (find(mantissa, "^%d+%.?%d*$") or find(mantissa, "^%.%d+$")) then
    return nil
  elseif exponent ~= "" and not find(exponent, "^[eE][+-]?%d+$") then
    return nil
  end
  local value = tonumber(body)
  return value and finite(negative and -value or value)
end

-- Lists ----------------------------------------------------------------------------------------------------------------------------------

function S.map1(apply, a)
  local result, size = {}, 0
  for i = 1, #a do
    local value = apply(a[i])
    if value ~= nil then
      size = size + 1
      result[size] = value
    end
  end
  return result
end

function S.map2(apply, a, b)
  local result, size = {}, 0
  for i = 1, #a do
    for j = 1, #b do
      local value = apply(a[i], b[j])
      if value ~= nil then
        size = size + 1
        result[size] = value
      end
    end
  end
  return result
end

function S.map3(apply, a, b, c)
  local result = {}
  for i = 1, #c do
    local last = c[i]
    for _, value in ipairs(S.map2(function(x, y) return apply(x, y, last) end, a, b)) do
      result[#result + 1] = value
    end
  end
  return result
end

function S.map4(apply, a, b, c, d)
  local result = {}
  for i = 1, #d do
    local last = d[i]
    for _, value in ipairs(S.map3(function(x, y, z) return apply(x, y, z, last) end, a, b, c)) do
      result[#result + 1] = value
    end
  end
  return result
end

function S.default(list, fallback)
  if list[1] == nil then
    return fallback()
  end
  return list
end

function S.truth_value(truth)
  if truth == nil then
    return EMPTY
  end
  return { truth }
end

function S.is_null(list)
  return list[1] == nil
end

-- Conditions -----------------------------------------------------------------------------------------------------------------------------

-- true if the test is true for any element, else false if there is one, else nil.
function S.any1(test, a)
  for i = 1, #a do
    if test(a[i]) then
      return true
    end
  end
  if #a == 0 then
    return nil
  end
  return false
end

function S.any2(test, a, b)
  local any = nil
  for i = 1, #a do
    for j = 1, #b do
      if test(a[i], b[j]) then
        return true
      end
      any = false
    end
  end
  return any
end

function S.negate(truth)
  if truth == nil then
    return nil
  end
  return not truth
end

local variables = {}
S.variables = variables

function S.array_search(list, index, body)
  local outer, any = variables[index], nil
  for i = 1, #list do
    variables[index] = list[i]
    local truth = body()
    if truth then
      variables[index] = outer
      return true
    elseif truth == false then
      any = false
    end
  end
  variables[index] = outer
  return any
end

function S.array_count(list, index, body)
  if #list == 0 then
    return EMPTY
  end
  local outer, count = variables[index], 0
  for i = 1, #list do
    variables[index] = list[i]
    if body() then
      count = count + 1
    end
  end
  variables[index] = outer
  return { cast(I64, count) }
end

-- A test for being one of a set's keys.
function S.member(set, list)
  for i = 1, #list do
    if set[list[i]] then
      return true
    end
  end
  if #list == 0 then
    return nil
  end
  return false
end

-- Text with its case folded.
function S.folded(list)
  local result = {}
  for i = 1, #list do
    result[i] = fold(list[i])
  end
  return result
end

-- A field's text with its case folded, remembered for the record.
local folded_lists, folded_stamps = {}, {}
function S.field_folded(id, entry_type)
  if folded_stamps[id] ~= epoch then
    folded_lists[id], folded_stamps[id] = S.folded(S.field(id, entry_type)), epoch
  end
  return folded_lists[id]
end

S.text_test = {
  startsWith = function(text, part) return sub(text, 1, #part) == part end,
  endsWith = function(text, part) return #part <= #text and sub(text, #text - #part + 1) == part end,
  contains = function(text, part) return part ~= "" and find(text, part, 1, true) ~= nil end,
  containsOrEmpty = function(text, part) return find(text, part, 1, true) ~= nil end,
}

return S
