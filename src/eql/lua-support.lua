-- What compiled predicates call: the meaning of EQL values in Lua. Called with the prelude `k` and the folding rows; returns the table `S`.
-- A value is a list of elements; the empty list is null. Elements: string, boolean, int64_t cdata (int), number (float); of type `number` an
-- int64_t, an uint64_t from 2^63 on, or a float. Truth is true, false or nil. Text is UTF-8; positions count code points.
local k, folding_rows = ...
local ffi, bit, string, math = k.ffi, k.bit, k.string, k.math
local byte, char, find, sub, gsub, lower = string.byte, string.char, string.find, string.sub, string.gsub, string.lower
local band, floor, cast = bit.band, math.floor, ffi.cast
local I64 = ffi.typeof("int64_t")
local ZERO = cast(I64, 0)

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
