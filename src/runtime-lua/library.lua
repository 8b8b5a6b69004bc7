-- The libraries a user's rule sees. Each function is deterministic, pays for the bytes it touches, and bounds what it makes. What is not here
-- (io, os, ffi, require, load, debug, jit, coroutine, collectgarbage, random, time) does not exist for a rule.
local budget, pattern = ...
local charge, room, frozen, check_write = budget.charge, budget.room, budget.frozen, budget.check_write
local ARGUMENTS_MAX = budget.ARGUMENTS_MAX
local type, error, tostring, tonumber, select, next = type, error, tostring, tonumber, select, next
local rawget, rawset, setmetatable, getmetatable, pcall, unpack = rawget, rawset, setmetatable, getmetatable, pcall, unpack
local floor, sqrt, frexp, concat = math.floor, math.sqrt, math.frexp, table.concat
local byte, sub, rep, format, lower, upper, reverse = string.byte, string.sub, string.rep, string.format, string.lower, string.upper, string.reverse
local char, find = string.char, string.find
local bitlib = require("bit")

local function bad(index, name, expected, value)
  error("bad argument #" .. index .. " to '" .. name .. "' (" .. expected .. " expected, got " .. type(value) .. ")", 0)
end

local function text(value, index, name)
  if type(value) == "string" then
    return value
  elseif type(value) == "number" then
    return tostring(value)
  end
  bad(index, name, "string", value)
end

local function number(value, index, name)
  local converted = type(value) == "string" and #value < 64 and tonumber(value) or value
  if type(converted) ~= "number" then
    bad(index, name, "number", value)
  end
  return converted
end

-- A whole number for a C function: what C does with a double outside its integers differs between machines.
local INDEX_MAX = 2147483647
local function index(value, at, name)
  value = number(value, at, name)
  if value ~= value then
    return 0
  end
  value = floor(value)
  return value > INDEX_MAX and INDEX_MAX or value < -INDEX_MAX and -INDEX_MAX or value
end

-- A number that has the same bits on every machine: bit operations and %d leave larger ones open.
local BITS_MAX = 2251799813685248 -- 2^51
local function integer(value, at, name)
  value = number(value, at, name)
  if not (value >= -BITS_MAX and value <= BITS_MAX) then
    error("bad argument #" .. at .. " to '" .. name .. "' (number from -2^51 to 2^51 expected)", 0)
  end
  return value
end

local function tbl(value, index, name)
  if type(value) ~= "table" then
    bad(index, name, "table", value)
  end
  return value
end

-- tostring without addresses.
local function plain_text(value)
  local kind = type(value)
  if kind == "string" or kind == "number" or kind == "boolean" or kind == "nil" then
    return tostring(value)
  end
  local meta = kind == "table" and getmetatable(value)
  local convert = type(meta) == "table" and rawget(meta, "__tostring")
  if convert then
    local result = convert(value)
    if type(result) ~= "string" then
      error("'tostring' must return a string", 0)
    end
    return result
  end
  return kind
end

-- Stable merge sort of list[1…count]; `less` is any order, consistent or not.
local function merge_sort(list, count, less)
  local source, target, width = list, {}, 1
  while width < count do
    for low = 1, count, 2 * width do
      local middle, high = low + width, low + 2 * width
      middle = middle < count + 1 and middle or count + 1
      high = high < count + 1 and high or count + 1
      local i, j = low, middle
      for at = low, high - 1 do
        charge(2)
        if i < middle and (j >= high or not less(source[j], source[i])) then
          target[at] = source[i]
          i = i + 1
        else
          target[at] = source[j]
          j = j + 1
        end
      end
    end
    source, target = target, source
    width = 2 * width
  end
  if source ~= list then
    for i = 1, count do
      list[i] = source[i]
    end
  end
end

-- Lists first, then other numbers, strings and booleans, each ascending: the order of a hash table differs between runs.
local RANK = { number = 1, string = 2, boolean = 3 }
local function key_less(a, b)
  local x, y = RANK[type(a)], RANK[type(b)]
  if x ~= y then
    return x < y
  elseif x == 3 then
    return a == false and b == true
  end
  return a < b
end

local function list_step(t, i)
  i = i + 1
  local value = rawget(t, i)
  if value ~= nil then
    return i, value
  end
end

local function sorted_keys(t, count)
  local keys, others = {}, 0
  for key in next, t do
    charge(1)
    local kind = type(key)
    if not RANK[kind] then
      error("pairs over a table with a " .. kind .. " as a key has no order; use strings or numbers as keys", 0)
    end
    if kind ~= "number" or key < 1 or key > count or key ~= floor(key) then
      others = others + 1
      keys[others] = key
    end
  end
  merge_sort(keys, others, key_less)
  return keys, others
end

-- How many of 1, 2, 3… are there without a gap.
local function list_length(t)
  local count = 0
  while rawget(t, count + 1) ~= nil do
    charge(1)
    count = count + 1
  end
  return count
end

local base = {}

function base.pairs(t)
  tbl(t, 1, "pairs")
  local count = list_length(t)
  local keys, others = sorted_keys(t, count)
  if others == 0 then
    return list_step, t, 0
  end
  local at = 0
  return function()
    while at < count + others do
      charge(1)
      at = at + 1
      local key = at <= count and at or keys[at - count]
      local value = rawget(t, key)
      if value ~= nil then
        return key, value
      end
    end
  end
end

function base.next(t, key)
  tbl(t, 1, "next")
  if key ~= nil then
    error("next with a key is not available: use pairs, which has an order", 0)
  end
  local count = list_length(t)
  if count > 0 then
    return 1, rawget(t, 1)
  end
  local keys, others = sorted_keys(t, 0)
  if others > 0 then
    return keys[1], rawget(t, keys[1])
  end
end

local PCALL_DEPTH_MAX = 32
local depth = 0

-- An exhausted budget, and a lack of memory, cannot be caught.
local function after_pcall(outer, ok, ...)
  depth = outer
  if not ok then
    local kind, reason = budget.fault()
    if kind then
      error(reason, 0)
    elseif ... == "not enough memory" then
      budget.fail("memory", "not enough memory")
    end
    -- Unwinding takes some microseconds.
    charge(100)
  end
  return ok, ...
end

local function protected(f, ...)
  charge(4)
  if depth == PCALL_DEPTH_MAX then
    error("pcall inside pcall more than " .. PCALL_DEPTH_MAX .. " deep", 0)
  end
  depth = depth + 1
  return after_pcall(depth - 1, pcall(f, ...))
end
base.pcall = protected

local function after_xpcall(handler, ok, ...)
  if ok then
    return true, ...
  end
  return false, handler(...)
end

function base.xpcall(f, handler, ...)
  return after_xpcall(handler, protected(f, ...))
end

function base.tostring(value)
  charge(2)
  return plain_text(value)
end

function base.tonumber(value, radix)
  if type(value) == "string" then
    charge(floor(#value / 8) + 2)
  elseif type(value) ~= "number" then
    return nil
  end
  if radix == nil then
    return tonumber(value)
  end
  return tonumber(value, index(radix, 2, "tonumber"))
end

function base.select(n, ...)
  charge(4 + floor(select("#", ...) / 4))
  return select(n == "#" and n or index(n, 1, "select"), ...)
end

function base.unpack(t, first, last)
  tbl(t, 1, "unpack")
  first, last = index(first or 1, 2, "unpack"), index(last or #t, 3, "unpack")
  if not (last - first < ARGUMENTS_MAX) then
    error("unpack of more than " .. ARGUMENTS_MAX .. " values", 0)
  end
  charge(2 + (last > first and last - first or 0))
  return unpack(t, first, last)
end

function base.rawset(t, key, value)
  check_write(tbl(t, 1, "rawset"), key)
  charge(2)
  if value == nil then
    budget.charge_removal(t, key)
  end
  return rawset(t, key, value)
end

function base.rawget(t, key)
  return rawget(tbl(t, 1, "rawget"), key)
end

function base.setmetatable(t, meta)
  check_write(tbl(t, 1, "setmetatable"), nil)
  if meta ~= nil then
    tbl(meta, 2, "setmetatable")
    check_write(t, rawget(meta, "__mode") ~= nil and "__mode" or nil)
  end
  charge(2)
  return setmetatable(t, meta)
end

function base.getmetatable(t)
  if type(t) == "table" then
    return getmetatable(t)
  end
end

function base.error(message, level)
  level = level == nil and 1 or number(level, 2, "error")
  error(message, level > 0 and level + 1 or 0)
end

base.assert, base.ipairs, base.rawequal, base.type = assert, ipairs, rawequal, type

local str = { find = pattern.find, match = pattern.match, gmatch = pattern.gmatch, gsub = pattern.gsub }

function str.len(s)
  return #text(s, 1, "len")
end

function str.sub(s, first, last)
  s = text(s, 1, "sub")
  first, last = index(first or 1, 2, "sub"), index(last or -1, 3, "sub")
  local from, to = first < 0 and first + #s + 1 or first, last < 0 and last + #s + 1 or last
  from, to = from < 1 and 1 or from, to > #s and #s or to
  if to > from then
    room(to - from)
  end
  return sub(s, from, to)
end

function str.byte(s, first, last)
  s = text(s, 1, "byte")
  first = index(first or 1, 2, "byte")
  if last == nil then
    return byte(s, first)
  end
  last = index(last, 3, "byte")
  local from, to = first < 0 and first + #s + 1 or first, last < 0 and last + #s + 1 or last
  from, to = from < 1 and 1 or from, to > #s and #s or to
  if to - from >= ARGUMENTS_MAX then
    error("byte of more than " .. ARGUMENTS_MAX .. " bytes", 0)
  end
  return byte(s, first, last)
end

function str.char(...)
  local codes, count = { ... }, select("#", ...)
  charge(2 + count)
  for i = 1, count do
    codes[i] = index(codes[i], i, "char")
  end
  return char(unpack(codes, 1, count))
end

function str.rep(s, count, separator)
  s, count = text(s, 1, "rep"), index(count, 2, "rep")
  local gap = separator == nil and "" or text(separator, 3, "rep")
  if count >= 1 then
    room(count * (#s + #gap))
    charge(floor(count / 8))
  end
  return rep(s, count, gap)
end

function str.lower(s)
  s = text(s, 1, "lower")
  room(#s)
  return lower(s)
end

function str.upper(s)
  s = text(s, 1, "upper")
  room(#s)
  return upper(s)
end

function str.reverse(s)
  s = text(s, 1, "reverse")
  room(#s)
  return reverse(s)
end

-- A conversion prints at most 99 digits behind the point of a number of at most 309.
local CONVERSION_BYTES = 512
function str.format(template, ...)
  template = text(template, 1, "format")
  charge(floor(#template / 8) + 8)
  local count, args, bytes = select("#", ...), { ... }, #template
  local at, given = 1, 0
  while true do
    at = find(template, "%", at, true)
    if not at then
      break
    end
    local _, stop, conversion = find(template, "^[-+ #0]*%d*%.?%d*(.?)", at + 1)
    if conversion ~= "%" then
      if not find(conversion, "^[diouxXcsqeEfgGaA]") then
        error("invalid option '%" .. conversion .. "' to 'format'", 0)
      end
      given = given + 1
      if given > count then
        bad(given + 1, "format", "value", nil)
      end
      if conversion == "s" or conversion == "q" then
        args[given] = plain_text(args[given])
        bytes = bytes + 4 * #args[given]
      else
        local check = find(conversion, "[eEfgGaA]") and number or integer
        args[given] = check(args[given], given + 1, "format")
      end
      bytes = bytes + CONVERSION_BYTES
      charge(4)
    end
    at = stop + 1
  end
  if bytes > budget.STRING_BYTES_MAX then
    room(bytes)
  end
  charge(floor(bytes / 64))
  return format(template, unpack(args, 1, count))
end

local tab = {}

function tab.insert(t, ...)
  check_write(tbl(t, 1, "insert"), nil)
  local length, count = #t, select("#", ...)
  if count == 1 then
    charge(2)
    rawset(t, length + 1, (...))
    return
  end
  local at, value = ...
  at = index(at, 2, "insert")
  if count ~= 2 or at < 1 or at > length + 1 then
    error("bad argument #2 to 'insert' (position " .. plain_text(at) .. " is not from 1 to " .. length + 1 .. ")", 0)
  end
  charge(2 + length - at)
  for i = length, at, -1 do
    t[i + 1] = t[i]
  end
  t[at] = value
end

function tab.remove(t, at)
  check_write(tbl(t, 1, "remove"), nil)
  local length = #t
  if length == 0 then
    return nil
  end
  at = at == nil and length or index(at, 2, "remove")
  if at < 1 or at > length then
    return nil
  end
  charge(2 + length - at)
  local value = t[at]
  for i = at, length - 1 do
    t[i] = t[i + 1]
  end
  t[length] = nil
  return value
end

function tab.concat(t, separator, first, last)
  tbl(t, 1, "concat")
  local gap = separator == nil and "" or text(separator, 2, "concat")
  first, last = index(first or 1, 3, "concat"), index(last or #t, 4, "concat")
  local bytes = 0
  for i = first, last do
    charge(1)
    local value = t[i]
    if type(value) ~= "string" and type(value) ~= "number" then
      error("invalid value (a " .. type(value) .. ") at index " .. i .. " in table for 'concat'", 0)
    end
    bytes = bytes + (type(value) == "string" and #value or 24) + #gap
    if bytes > budget.STRING_BYTES_MAX then
      room(bytes)
    end
  end
  room(bytes)
  return concat(t, gap, first, last)
end

local function natural_less(a, b)
  if type(a) == "string" and type(b) == "string" then
    charge(floor(#a / 64))
  end
  return a < b
end

function tab.sort(t, less)
  check_write(tbl(t, 1, "sort"), nil)
  if less ~= nil and type(less) ~= "function" then
    bad(2, "sort", "function", less)
  end
  merge_sort(t, #t, less or natural_less)
end

local num = { huge = math.huge, pi = math.pi }

-- Functions of one number.
for _, name in ipairs({ "abs", "ceil", "floor", "modf", "sqrt" }) do
  local native = math[name]
  num[name] = function(x)
    return native(number(x, 1, name))
  end
end

function num.fmod(a, b)
  return math.fmod(number(a, 1, "fmod"), number(b, 2, "fmod"))
end

-- One of two numbers at a time, so that no argument is converted unseen.
for _, name in ipairs({ "max", "min" }) do
  local native = math[name]
  local function fold(a, b, ...)
    if b == nil then
      return number(a, 1, name)
    end
    charge(1)
    return fold(native(number(a, 1, name), number(b, 2, name)), ...)
  end
  num[name] = fold
end

-- Natural logarithm by the series of 2·atanh((m-1)/(m+1)), m in [√½, √2): additions, multiplications and divisions only, so the same bits
-- on every machine, which the C library does not promise.
local LN2, ROOT_HALF = 0.6931471805599453, 0.7071067811865476
local function ln(x)
  if x ~= x or x < 0 then
    return 0 / 0
  elseif x == 0 then
    return -math.huge
  elseif x == math.huge then
    return x
  end
  local m, exponent = frexp(x)
  if m < ROOT_HALF then
    m, exponent = 2 * m, exponent - 1
  end
  local s = (m - 1) / (m + 1)
  local square, sum = s * s, 0
  for i = 23, 1, -2 do
    sum = sum * square + 1 / i
  end
  return 2 * s * sum + exponent * LN2
end

function num.log(x, radix)
  charge(16)
  x = number(x, 1, "log")
  if radix == nil then
    return ln(x)
  elseif radix == 2 then
    local m, exponent = frexp(x)
    if m == 0.5 then
      return exponent - 1
    end
  end
  return ln(x) / ln(number(radix, 2, "log"))
end

local bits = {}
for _, name in ipairs({ "band", "bor", "bxor" }) do
  local native = bitlib[name]
  local function fold(a, b, ...)
    if b == nil then
      return native(integer(a, 1, name))
    end
    charge(1)
    return fold(native(integer(a, 1, name), integer(b, 2, name)), ...)
  end
  bits[name] = fold
end
for _, name in ipairs({ "lshift", "rshift", "arshift", "rol", "ror" }) do
  local native = bitlib[name]
  bits[name] = function(a, b)
    return native(integer(a, 1, name), integer(b, 2, name))
  end
end
for _, name in ipairs({ "bnot", "tobit", "bswap" }) do
  local native = bitlib[name]
  bits[name] = function(a)
    return native(integer(a, 1, name))
  end
end
function bits.tohex(a, digits)
  return bitlib.tohex(integer(a, 1, "tohex"), index(digits or 8, 2, "tohex"))
end

base.string, base.table, base.math, base.bit = str, tab, num, bits
frozen[str], frozen[tab], frozen[num], frozen[bits] = true, true, true, true

-- Methods of strings: from here on `("x"):rep(n)` is the bounded one, for every chunk of this state.
getmetatable("").__index = str
return base
