-- Numbers in Lua: arithmetic with null (nil), comparisons by type, numbers to text and back. Called with the prelude `k` and the support table `S`,
-- to which it adds. An int is an int64_t cdata, a float a Lua number; of type `number` a value is either, or an uint64_t from 2^63 on.
local k, S = ...
local ffi, string, math = k.ffi, k.string, k.math
local byte, char, find, sub, gsub, format = string.byte, string.char, string.find, string.sub, string.gsub, string.format
local istype, cast, floor = ffi.istype, ffi.cast, math.floor
local I64, U64 = ffi.typeof("int64_t"), ffi.typeof("uint64_t")
local I64_MIN, ZERO = cast(I64, 0x8000000000000000ULL), cast(I64, 0)
local TWO_63 = 9223372036854775808

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

local function is_space(code)
  return code == 32 or code >= 9 and code <= 13
end

-- Without the spaces around it. A pattern anchored at the end would try every place: quadratic.
local function trimmed(text)
  local from, to = 1, #text
  while from <= to and is_space(byte(text, from)) do
    from = from + 1
  end
  while to >= from and is_space(byte(text, to)) do
    to = to - 1
  end
  return sub(text, from, to)
end

-- Text to a number, see `parseNumber` in ir.ts.
function S.parse_number(text, base)
  base = tonumber(base)
  if base ~= 0 and (base < 2 or base > 36) then
    return nil
  end
  text = trimmed(text)
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
