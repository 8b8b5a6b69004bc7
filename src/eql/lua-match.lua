-- Matching in Lua: wildcard patterns, automata, address blocks. Called with the prelude `k` and the support table `S`, to which it adds makers
-- of tests: functions from a text to a boolean.
local k, S = ...
local string, bit = k.string, k.bit
local byte, find, sub = string.byte, string.find, string.sub
local band, bxor, rshift = bit.band, bit.bxor, bit.rshift

-- Stands for `?` inside a piece; UTF-8 never has this byte.
local ANY_ONE = 255

local function width_of(lead)
  return lead < 0x80 and 1 or lead < 0xe0 and 2 or lead < 0xf0 and 3 or 4
end

-- Position after the piece matched at `at`, or nil. A piece is { text, code points, has `?` }.
local function match_at(text, at, stop, piece)
  local part = piece[1]
  if not piece[3] then
    local behind = at + #part
    return behind <= stop and sub(text, at, behind - 1) == part and behind or nil
  end
  for i = 1, #part do
    if at >= stop then
      return nil
    end
    local wanted = byte(part, i)
    if wanted == ANY_ONE then
      at = at + width_of(byte(text, at))
    elseif byte(text, at) == wanted then
      at = at + 1
    else
      return nil
    end
  end
  return at
end

-- Position after the first place from `at` on where the piece matches, or nil.
local function search(text, at, stop, piece)
  if not piece[3] then
    local _, last = find(text, piece[1], at, true)
    return last and last + 1 <= stop and last + 1 or nil
  end
  while at <= stop do
    local behind = match_at(text, at, stop, piece)
    if behind then
      return behind
    elseif at == stop then
      return nil
    end
    at = at + width_of(byte(text, at))
  end
  return nil
end

-- Position `count` code points before `stop`, or nil when there are fewer from `at` on.
local function skip_back(text, at, stop, count)
  for _ = 1, count do
    if stop <= at then
      return nil
    end
    stop = stop - 1
    while stop > at and band(byte(text, stop), 0xc0) == 0x80 do
      stop = stop - 1
    end
  end
  return stop
end

-- A test for a pattern: pieces between stars, and whether the first and last are bound to the ends of the text.
function S.pattern(pieces, from_start, to_end)
  return function(text)
    local at, stop, first, last = 1, #text + 1, 1, #pieces
    if from_start then
      at = match_at(text, at, stop, pieces[1])
      if not at then
        return false
      elseif last == 1 then
        return not to_end or at == stop
      end
      first = 2
    end
    if to_end then
      local start = skip_back(text, at, stop, pieces[last][2])
      if not start or match_at(text, start, stop, pieces[last]) ~= stop then
        return false
      end
      stop, last = start, last - 1
    end
    for i = first, last do
      at = search(text, at, stop, pieces[i])
      if not at then
        return false
      end
    end
    return true
  end
end

function S.any_text()
  return true
end

-- A test that any of some tests is true.
function S.any_of(tests)
  if #tests == 1 then
    return tests[1]
  end
  return function(text)
    for i = 1, #tests do
      if tests[i](text) then
        return true
      end
    end
    return false
  end
end

local function numbers(text)
  local list, size = {}, 0
  for digits in string.gmatch(text, "%d+") do
    list[size] = tonumber(digits)
    size = size + 1
  end
  return list, size
end

-- A test for an automaton; its tables come as decimal numbers in text.
function S.automaton(start, class_count, ascii_text, starts_text, classes_text, transitions_text, states_text)
  local ascii, transitions, states = numbers(ascii_text), numbers(transitions_text), numbers(states_text)
  local starts, range_count = numbers(starts_text)
  local classes = numbers(classes_text)
  local function class_of(c)
    local low, high = 0, range_count
    while high - low > 1 do
      local middle = rshift(low + high, 1)
      if c < starts[middle] then
        high = middle
      else
        low = middle
      end
    end
    return classes[low]
  end
  return function(text)
    local state, at, size = start, 1, #text
    while at <= size and states[state] < 2 do
      local lead, symbol = byte(text, at), nil
      if lead < 0x80 then
        symbol = ascii[lead]
        at = at + 1
      else
        local width = width_of(lead)
        local c = width == 2 and lead - 0xc0 or width == 3 and lead - 0xe0 or lead - 0xf0
        for i = at + 1, at + width - 1 do
          c = c * 64 + byte(text, i) - 0x80
        end
        symbol = class_of(c)
        at = at + width
      end
      state = transitions[state * class_count + symbol]
    end
    return states[state] % 2 == 1
  end
end

local function parse_v4(text)
  local a, b, c, d = string.match(text, "^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
  if not a then
    return nil
  end
  local bytes = { a, b, c, d }
  for i = 1, 4 do
    local digits = bytes[i]
    if #digits > 3 or (#digits > 1 and byte(digits) == 48) or tonumber(digits) > 255 then
      return nil
    end
    bytes[i] = tonumber(digits)
  end
  return bytes
end

-- Bytes of `:`-separated groups; the last may be an IPv4 address.
local function parse_groups(text, last_half)
  local bytes = {}
  if text == "" then
    return bytes
  end
  local from = 1
  while from do
    local colon = find(text, ":", from, true)
    local group = sub(text, from, colon and colon - 1 or #text)
    local v4 = not colon and last_half and parse_v4(group)
    if v4 then
      for i = 1, 4 do
        bytes[#bytes + 1] = v4[i]
      end
    elseif #group <= 4 and find(group, "^%x+$") then
      local value = tonumber(group, 16)
      bytes[#bytes + 1] = rshift(value, 8)
      bytes[#bytes + 1] = band(value, 255)
    else
      return nil
    end
    from = colon and colon + 1
  end
  return #bytes <= 16 and bytes or nil
end

local function parse_v6(text)
  local gap = find(text, "::", 1, true)
  local head = parse_groups(gap and sub(text, 1, gap - 1) or text, not gap)
  local tail = parse_groups(gap and sub(text, gap + 2) or "", true)
  if not head or not tail or (gap and #head + #tail > 14) or (not gap and #head ~= 16) then
    return nil
  end
  local bytes = {}
  for i = 1, 16 do
    bytes[i] = i <= #head and head[i] or 0
  end
  for i = 1, #tail do
    bytes[16 - #tail + i] = tail[i]
  end
  return bytes
end

-- 4 or 16 bytes of an address, an IPv4 address inside IPv6 as IPv4; nil for what is not one.
local function parse(text)
  if not find(text, ":", 1, true) then
    return parse_v4(text)
  end
  local bytes = parse_v6(text)
  if not bytes then
    return nil
  end
  for i = 1, 12 do
    if bytes[i] ~= (i <= 10 and 0 or 255) then
      return bytes
    end
  end
  return { bytes[13], bytes[14], bytes[15], bytes[16] }
end

local function in_block(bytes, block)
  local prefix, bits = block[1], block[2]
  if #bytes ~= #prefix then
    return false
  end
  for i = 1, rshift(bits, 3) do
    if bytes[i] ~= prefix[i] then
      return false
    end
  end
  local rest = band(bits, 7)
  if rest == 0 then
    return true
  end
  local i = rshift(bits, 3) + 1
  return band(bxor(bytes[i], prefix[i]), band(rshift(0xff00, rest), 0xff)) == 0
end

-- A test for being an address inside one of the blocks { bytes, prefix bits }.
function S.cidr(blocks)
  return function(text)
    local bytes = parse(text)
    if not bytes then
      return false
    end
    for i = 1, #blocks do
      if in_block(bytes, blocks[i]) then
        return true
      end
    end
    return false
  end
end
