-- Lua patterns (find, match, gmatch, gsub) as a matcher of our own that pays a tick for each step: LuaJIT's backtracks without a bound.
-- A pattern is compiled once to parallel arrays of items; there is no alternation, so every full match passes every item in order.
local budget = ...
local charge, room = budget.charge, budget.room
local byte, sub, lower, native_find, concat = string.byte, string.sub, string.lower, string.find, table.concat
local type, error, floor, tostring = type, error, math.floor, tostring

local END, SET, OPEN, CLOSE, POSITION, BALANCE, FRONTIER, BACK, TAIL = 1, 2, 3, 4, 5, 6, 7, 8, 9
local ONE, MANY, PLUS, FEW, MAYBE = 1, 2, 3, 4, 5
local PATTERN_BYTES_MAX = 1024
local CAPTURES_MAX = 32
local CACHE_ITEMS_MAX = 512

local CLASSES = {
  a = "AZaz", d = "09", l = "az", u = "AZ", w = "AZaz09", x = "09AFaf", s = "\9\13  ", c = "\0\31\127\127", p = "!/:@[`{~",
}

local function new_set(pairs_of_bytes, negate)
  local set = {}
  for i = 0, 255 do
    set[i] = negate
  end
  for i = 1, #pairs_of_bytes, 2 do
    for c = byte(pairs_of_bytes, i), byte(pairs_of_bytes, i + 1) do
      set[c] = not negate
    end
  end
  return set
end

-- Made when first asked for: a set is 2 KB, and most rules ask for few.
local class_sets, char_sets, any_set = {}, {}, nil

local function class_set(name)
  local ranges = CLASSES[lower(name)]
  if ranges and not class_sets[name] then
    class_sets[name] = new_set(ranges, not CLASSES[name])
  end
  return class_sets[name]
end

local function char_set(char)
  if not char_sets[char] then
    char_sets[char] = new_set(char .. char, false)
  end
  return char_sets[char]
end

local function dot_set()
  any_set = any_set or new_set("\0\255", false)
  return any_set
end

local function malformed(what)
  error("malformed pattern (" .. what .. ")", 0)
end

local function escaped_set(char)
  if char == "" then
    malformed("ends with '%'")
  end
  return class_set(char) or char_set(char)
end

-- A [set] that starts behind its bracket; returns the set and the position behind the closing bracket.
local function bracket_set(p, at)
  local negate = sub(p, at, at) == "^"
  if negate then
    at = at + 1
  end
  local set = new_set("", negate)
  local start = at
  while true do
    local char = sub(p, at, at)
    if char == "" then
      malformed("missing ']'")
    elseif char == "]" and at > start then
      return set, at + 1
    end
    if char == "%" then
      local members = escaped_set(sub(p, at + 1, at + 1))
      for c = 0, 255 do
        if members[c] then
          set[c] = not negate
        end
      end
      at = at + 2
    else
      local last, stop = byte(char), at + 1
      if sub(p, stop, stop) == "-" and sub(p, at + 2, at + 2) ~= "]" and sub(p, at + 2, at + 2) ~= "" then
        last, stop = byte(p, at + 2), at + 3
      end
      for c = byte(char), last do
        set[c] = not negate
      end
      at = stop
    end
  end
end

local function add(c, op, arg, extra)
  local n = c.count + 1
  c.count = n
  c.ops[n], c.args[n], c.extras[n] = op, arg, extra
end

local QUANTIFIERS = { ["*"] = MANY, ["+"] = PLUS, ["-"] = FEW, ["?"] = MAYBE }

local function add_set(c, p, set, at)
  local quantifier = QUANTIFIERS[sub(p, at, at)]
  add(c, SET, set, quantifier or ONE)
  return quantifier and at + 1 or at
end

local function add_escape(c, p, at)
  local char = sub(p, at + 1, at + 1)
  if char == "b" then
    if #p < at + 3 then
      malformed("missing arguments to '%b'")
    end
    add(c, BALANCE, byte(p, at + 2), byte(p, at + 3))
    return at + 4
  elseif char == "f" then
    if sub(p, at + 2, at + 2) ~= "[" then
      malformed("missing '[' after '%f'")
    end
    local set, stop = bracket_set(p, at + 3)
    add(c, FRONTIER, set)
    return stop
  elseif native_find(char, "^%d") then
    local index = byte(char) - 48
    if index == 0 or index > c.captures or not c.closed[index] then
      error("invalid capture index %" .. char .. " in pattern", 0)
    end
    add(c, BACK, index)
    return at + 2
  end
  return add_set(c, p, escaped_set(char), at + 2)
end

local function add_open(c, p, at)
  if c.captures == CAPTURES_MAX then
    error("too many captures in pattern", 0)
  end
  c.captures = c.captures + 1
  if sub(p, at + 1, at + 1) == ")" then
    add(c, POSITION, c.captures)
    c.closed[c.captures] = true
    return at + 2
  end
  add(c, OPEN, c.captures)
  c.open[#c.open + 1] = c.captures
  return at + 1
end

local function add_close(c, at)
  local index = c.open[#c.open]
  if not index then
    malformed("')' without '('")
  end
  c.open[#c.open] = nil
  c.closed[index] = true
  add(c, CLOSE, index)
  return at + 1
end

local function compile(p)
  if #p > PATTERN_BYTES_MAX then
    error("A pattern of " .. #p .. " bytes is longer than " .. PATTERN_BYTES_MAX, 0)
  end
  local c = { ops = {}, args = {}, extras = {}, count = 0, captures = 0, open = {}, closed = {}, starts = {}, stops = {} }
  local at = 1
  c.anchored = sub(p, 1, 1) == "^"
  if c.anchored then
    at = 2
  end
  while at <= #p do
    local char = sub(p, at, at)
    if char == "(" then
      at = add_open(c, p, at)
    elseif char == ")" then
      at = add_close(c, at)
    elseif char == "%" then
      at = add_escape(c, p, at)
    elseif char == "[" then
      local set, stop = bracket_set(p, at + 1)
      at = add_set(c, p, set, stop)
    elseif char == "$" and at == #p then
      add(c, TAIL)
      at = at + 1
    else
      at = add_set(c, p, char == "." and dot_set() or char_set(char), at + 1)
    end
  end
  if #c.open > 0 then
    malformed("'(' without ')'")
  end
  add(c, END)
  return c
end

local cache, cached = {}, 0

-- Compiling is charged whether or not the cache has the pattern: ticks must not depend on what ran before.
local function compiled(p)
  charge(8 * #p + 1)
  local c = cache[p]
  if not c then
    c = compile(p)
    cached = cached + c.count
    if cached > CACHE_ITEMS_MAX then
      cache, cached = {}, c.count
    end
    cache[p] = c
  end
  return c
end

local function balance(s, i, open, close)
  if byte(s, i) ~= open then
    return nil
  end
  local depth = 1
  for j = i + 1, #s do
    charge(1)
    local char = byte(s, j)
    if char == close then
      depth = depth - 1
      if depth == 0 then
        return j + 1
      end
    elseif char == open then
      depth = depth + 1
    end
  end
  return nil
end

local function same_text(c, s, index, i)
  local start, stop = c.starts[index], c.stops[index]
  if not stop then
    -- A position has no text that could come again.
    return nil
  end
  local length = stop - start
  charge(floor(length / 16))
  if sub(s, start, stop - 1) == sub(s, i, i + length - 1) then
    return i + length
  end
  return nil
end

local function at_frontier(set, s, i)
  local before, after = i > 1 and byte(s, i - 1) or 0, i <= #s and byte(s, i) or 0
  return not set[before] and set[after]
end

-- The items that are not a set: position behind what they match at `i`, or nil.
local function special(c, s, i, p)
  local op, arg = c.ops[p], c.args[p]
  if op == OPEN then
    c.starts[arg] = i
    return i
  elseif op == CLOSE then
    c.stops[arg] = i
    return i
  elseif op == POSITION then
    c.starts[arg], c.stops[arg] = i, false
    return i
  elseif op == TAIL then
    return i > #s and i or nil
  elseif op == FRONTIER then
    return at_frontier(arg, s, i) and i or nil
  elseif op == BALANCE then
    return balance(s, i, arg, c.extras[p])
  end
  return same_text(c, s, arg, i)
end

-- Places to come back to: the item, the position it stands at, and the least position it may give back to. An item is in the list once at
-- most, so the list is as long as the pattern. Loops instead of recursion: LuaJIT compiles them.
local back_item, back_at, back_least = {}, {}, {}

-- The next way to go from the last place: item and position, or nil when there is none.
local function retry(c, s, top)
  while top > 0 do
    local p, i = back_item[top], back_at[top]
    local quantifier = c.extras[p]
    if quantifier == FEW then
      if i <= #s and c.args[p][byte(s, i)] then
        back_at[top] = i + 1
        return top, p + 1, i + 1
      end
    elseif i > back_least[top] then
      back_at[top] = i - 1
      return top, p + 1, i - 1
    end
    top = top - 1
  end
  return 0, nil, nil
end

-- How far the set of item `p` goes from `i`.
local function span(c, s, i, p)
  local set, j, n = c.args[p], i, #s
  if c.extras[p] == MAYBE then
    n = i < n and i or n
  end
  while j <= n and set[byte(s, j)] do
    j = j + 1
  end
  charge(j - i)
  return j
end

-- Matches the whole pattern at position `i`; returns the position behind the match.
local function step(c, s, i)
  local ops, n, p, top = c.ops, #s, 1, 0
  while true do
    -- Some 70 ns of work.
    charge(4)
    local op, matched = ops[p], nil
    if op == SET then
      local quantifier = c.extras[p]
      if quantifier == ONE then
        matched = i <= n and c.args[p][byte(s, i)] and i + 1 or nil
      else
        local stop = quantifier == FEW and i or span(c, s, i, p)
        local least = quantifier == PLUS and i + 1 or i
        if stop >= least then
          top = top + 1
          back_item[top], back_at[top], back_least[top] = p, stop, least
          matched = stop
        end
      end
    elseif op == END then
      return i
    else
      matched = special(c, s, i, p)
    end
    if matched then
      i, p = matched, p + 1
    else
      top, p, i = retry(c, s, top)
      if not p then
        return nil
      end
    end
  end
end

-- First match at or behind `from`: its first position and the position behind it.
local function search(c, s, from)
  local last = c.anchored and from or #s + 1
  for i = from, last do
    local stop = step(c, s, i)
    if stop then
      return i, stop
    end
  end
  return nil
end

local function capture(c, s, index)
  local start, stop = c.starts[index], c.stops[index]
  if not stop then
    return start
  end
  room(stop - start)
  return sub(s, start, stop - 1)
end

local function captures_from(c, s, index)
  if index > c.captures then
    return
  end
  return capture(c, s, index), captures_from(c, s, index + 1)
end

-- The captures, or the whole match when the pattern has none.
local function results(c, s, start, stop)
  if c.captures > 0 then
    return captures_from(c, s, 1)
  end
  room(stop - start)
  return sub(s, start, stop - 1)
end

local function text(value, name)
  if type(value) == "string" then
    return value
  elseif type(value) == "number" then
    return tostring(value)
  end
  error("bad argument to '" .. name .. "' (string expected, got " .. type(value) .. ")", 0)
end

local function position(init, length)
  init = init or 1
  if type(init) ~= "number" then
    error("bad argument #3 (number expected, got " .. type(init) .. ")", 0)
  end
  init = floor(init)
  if init < 0 then
    init = init + length + 1
  end
  -- As in Lua 5.1: behind the text is its end.
  return init < 1 and 1 or init > length and length + 1 or init
end

local library = {}

function library.find(s, p, init, plain)
  s, p = text(s, "find"), text(p, "find")
  init = position(init, #s)
  if plain or not native_find(p, "[%^%$%*%+%?%.%(%)%[%]%%%-]") then
    -- The library compares the whole needle at each place it may start.
    charge(1 + floor((#s + #p) / 16) + floor(#s * #p / 512))
    return native_find(s, p, init, true)
  end
  local c = compiled(p)
  local start, stop = search(c, s, init)
  if not start then
    return nil
  end
  return start, stop - 1, captures_from(c, s, 1)
end

function library.match(s, p, init)
  s, p = text(s, "match"), text(p, "match")
  init = position(init, #s)
  local c = compiled(p)
  local start, stop = search(c, s, init)
  if not start then
    return nil
  end
  return results(c, s, start, stop)
end

-- As in Lua 5.1 a '^' has no meaning of its own here: it would stop the iteration.
function library.gmatch(s, p)
  s, p = text(s, "gmatch"), text(p, "gmatch")
  local at = 1
  return function()
    if at > #s + 1 then
      return nil
    end
    local c = compiled(p)
    local start, stop = search(c, s, at)
    if not start then
      at = #s + 2
      return nil
    end
    at = stop > start and stop or stop + 1
    return results(c, s, start, stop)
  end
end

-- Replacement text with %0…%9, as a list of pieces: strings, and numbers that stand for captures.
local function template(replacement)
  local pieces, from = {}, 1
  while true do
    local at = native_find(replacement, "%", from, true)
    if not at then
      pieces[#pieces + 1] = sub(replacement, from)
      return pieces
    end
    charge(1)
    pieces[#pieces + 1] = sub(replacement, from, at - 1)
    local char = sub(replacement, at + 1, at + 1)
    if native_find(char, "^%d") then
      pieces[#pieces + 1] = byte(char) - 48
    elseif char == "" then
      error("invalid use of '%' in replacement string", 0)
    else
      pieces[#pieces + 1] = char
    end
    from = at + 2
  end
end

local function expand(pieces, c, s, start, stop)
  local out = {}
  for i = 1, #pieces do
    charge(1)
    local piece = pieces[i]
    if piece == 0 or (piece == 1 and c.captures == 0) then
      piece = sub(s, start, stop - 1)
    elseif type(piece) == "number" then
      if piece > c.captures then
        error("invalid capture index %" .. piece .. " in replacement string", 0)
      end
      piece = capture(c, s, piece)
    end
    room(type(piece) == "string" and #piece or 24)
    out[i] = piece
  end
  return concat(out)
end

local function replacer(replacement)
  local kind = type(replacement)
  if kind == "number" or kind == "string" then
    local pieces = template(tostring(replacement))
    return function(c, s, start, stop)
      return expand(pieces, c, s, start, stop)
    end
  elseif kind == "table" then
    return function(c, s, start, stop)
      return replacement[(results(c, s, start, stop))]
    end
  elseif kind == "function" then
    return function(c, s, start, stop)
      return (replacement(results(c, s, start, stop)))
    end
  end
  error("bad argument #3 to 'gsub' (string/function/table expected, got " .. kind .. ")", 0)
end

function library.gsub(s, p, replacement, limit)
  s, p = text(s, "gsub"), text(p, "gsub")
  local replace = replacer(replacement)
  limit = type(limit) == "number" and limit or #s + 1
  local c = compiled(p)
  local out, count, at, bytes = {}, 0, 1, 0
  local function put(piece)
    bytes = bytes + #piece
    room(bytes > budget.STRING_BYTES_MAX and bytes or #piece)
    out[#out + 1] = piece
  end
  while count < limit do
    local start, stop = search(c, s, at)
    if not start then
      break
    end
    count = count + 1
    put(sub(s, at, start - 1))
    local value = replace(c, s, start, stop)
    if not value then
      value = sub(s, start, stop - 1)
    elseif type(value) ~= "string" and type(value) ~= "number" then
      error("invalid replacement value (a " .. type(value) .. ")", 0)
    end
    put(tostring(value))
    at = stop
    if stop == start then
      put(sub(s, at, at))
      at = at + 1
    end
    if at > #s + 1 or c.anchored then
      break
    end
  end
  put(sub(s, at))
  return concat(out), count
end

return library
