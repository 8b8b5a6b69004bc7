-- Budgets and the operators a user's rule is rewritten to. `cells[1]` counts down ticks; code of the rule subtracts from it in place and
-- calls `slow` below zero. Exhaustion sticks: until the next `begin`, every tick and every pcall raises it again.
-- The count is a function of the rule and the event alone, never of time, of the JIT or of the machine.
local memory_kib_max = ...
local type, error, floor, sqrt, collectgarbage = type, error, math.floor, math.sqrt, collectgarbage
local getmetatable, rawget, next, select, concat = getmetatable, rawget, next, select, table.concat

local SLICE = 16384 -- ticks between two looks at the memory
local COLLECTIONS_MAX = 4 -- full collections one event may cause by staying near its memory budget
local STRING_BYTES_MAX = 1048576
local ARGUMENTS_MAX = 250

local cells = { 0, 0 } -- ticks left of the slice; 0 while the rule loads, 1 while it sees events
local left, total, collections = 0, 0, 0
local fault_kind, fault_text

-- Tables that live longer than an event. Nothing a rule keeps may change while it sees events, or the result would depend on which
-- partition saw which event.
local frozen = {}

local budget = { cells = cells, frozen = frozen, STRING_BYTES_MAX = STRING_BYTES_MAX, ARGUMENTS_MAX = ARGUMENTS_MAX }

local function fail(kind, text)
  fault_kind, fault_text = kind, text
  cells[1] = -1
  error(text, 0)
end
budget.fail = fail

function budget.begin(ticks, epoch)
  fault_kind, fault_text, collections = nil, nil, 0
  total = ticks
  local slice = ticks < SLICE and ticks or SLICE
  left = ticks - slice
  cells[1] = slice
  cells[2] = epoch
end

-- Kind and text of the exhausted budget, nil while there is one left.
function budget.fault()
  return fault_kind, fault_text
end

local function check_memory()
  if collectgarbage("count") <= memory_kib_max then
    return
  end
  collections = collections + 1
  collectgarbage("collect")
  if collections > COLLECTIONS_MAX or collectgarbage("count") > memory_kib_max then
    fail("memory", "The rule uses more than " .. memory_kib_max .. " KiB of memory")
  end
end

local function slow()
  if fault_kind then
    error(fault_text, 0)
  end
  left = left + cells[1]
  if left < 0 then
    fail("fuel", "The rule used up its " .. total .. " ticks")
  end
  check_memory()
  local slice = left < SLICE and left or SLICE
  left = left - slice
  cells[1] = slice
end
budget.slow = slow

local function charge(ticks)
  local now = cells[1] - ticks
  cells[1] = now
  if now < 0 then
    slow()
  end
end
budget.charge = charge

-- Every string a rule makes passes here first: bounded length, ticks for its bytes.
local function room(bytes)
  if bytes > STRING_BYTES_MAX then
    fail("memory", "A string of " .. bytes .. " bytes is longer than " .. STRING_BYTES_MAX)
  end
  charge(floor(bytes / 16))
end
budget.room = room

-- Bytes a value takes in a concatenation; a number prints as at most 24. False for what only a metamethod can concatenate.
local function width(value)
  local kind = type(value)
  if kind == "string" then
    return #value
  end
  return kind == "number" and 24
end

local function concat_other(a, b)
  local culprit = width(b) and a or b
  local meta = getmetatable(type(a) == "table" and a or b)
  if type(culprit) ~= "table" or type(meta) ~= "table" then
    error("attempt to concatenate a " .. type(culprit) .. " value", 0)
  end
  return a .. b
end

function budget.cat(a, b)
  local x, y = width(a), width(b)
  if x and y then
    room(x + y)
    return a .. b
  end
  return concat_other(a, b)
end

-- A chain of three or more: one pass when all are plain, else from the right as the operator does.
function budget.cats(parts, count)
  local bytes = 0
  for i = 1, count do
    local x = width(parts[i])
    if not x then
      local result = parts[count]
      for j = count - 1, 1, -1 do
        result = budget.cat(parts[j], result)
      end
      return result
    end
    bytes = bytes + x
  end
  room(bytes)
  return concat(parts, "", 1, count)
end

-- An operand of arithmetic or of an order: a string in its place is read to its end, so its bytes are charged.
function budget.operand(value)
  if type(value) == "string" then
    charge(1 + floor(#value / 16))
  end
  return value
end

-- The C library's pow differs between machines by a last bit; multiplication and sqrt do not.
local function power(a, b)
  if b < 0 then
    return 1 / power(a, -b)
  end
  local result, factor = 1, a
  while b > 0 do
    if b % 2 == 1 then
      result = result * factor
    end
    factor = factor * factor
    b = floor(b / 2)
  end
  return result
end

function budget.pow(a, b)
  if type(a) ~= "number" or type(b) ~= "number" then
    error("attempt to perform arithmetic on a " .. type(type(a) ~= "number" and a or b) .. " value", 0)
  end
  if b == 0.5 then
    return sqrt(a)
  end
  if b ~= floor(b) or b > 1024 or b < -1024 then
    error("Exponent " .. b .. " is not 0.5 or a whole number from -1024 to 1024: other powers differ between machines", 0)
  end
  return power(a, b)
end

-- Why a table cannot be written, or nothing.
function budget.check_write(t, key)
  if frozen[t] then
    error(
      "Cannot change a table that was made while the rule loaded: rules keep nothing between events (make the table inside pred_eval)",
      0
    )
  end
  if key == "__mode" then
    error("Weak tables are not available: what they hold depends on the garbage collector", 0)
  end
end

-- A full hash part is rebuilt when a new key finds no free place, and a removed key leaves none: removing one key and adding another, again
-- and again, costs the whole table each time. So removing pays for the whole table; taking the end off a list does not cause it.
local function charge_removal(t, key)
  if key == nil or key == #t or rawget(t, key) == nil then
    return
  end
  local count = 16
  for _ in next, t do
    count = count + 1
  end
  charge(count)
end
budget.charge_removal = charge_removal

function budget.set(t, key, value)
  if type(t) ~= "table" then
    error("attempt to index a " .. type(t) .. " value", 0)
  end
  if frozen[t] or key == "__mode" then
    budget.check_write(t, key)
  end
  if value == nil then
    charge_removal(t, key)
  end
  t[key] = value
end

-- Before an inner function assigns a variable of an outer one: the variable must not be older than the event.
function budget.outer(epoch, name)
  if epoch ~= cells[2] then
    error("Cannot assign '" .. name .. "', which was made while the rule loaded: rules keep nothing between events", 0)
  end
end

function budget.arguments(...)
  if select("#", ...) > ARGUMENTS_MAX then
    error("More than " .. ARGUMENTS_MAX .. " arguments", 0)
  end
end

return budget
