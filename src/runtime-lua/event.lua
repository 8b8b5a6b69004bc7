-- What a user's rule sees of the host: the event, patterns, captures and messages. Also the runner that gives the rule a batch of records, and
-- the freeze that makes everything the rule built while it loaded read-only. The event object is one table without fields, whatever the record.
local k, budget, base, config = ...
local charge, room, frozen = budget.charge, budget.room, budget.frozen
local type, error, tostring, tonumber, pairs, next, rawget = type, error, tostring, tonumber, pairs, next, rawget
local getmetatable, setmetatable, setfenv, getfenv = getmetatable, setmetatable, setfenv, getfenv
-- Never as methods: those of strings are the rule's own, which pay ticks.
local byte, sub, match, concat = string.byte, string.sub, string.match, table.concat
local getupvalue, getinfo = debug.getupvalue, debug.getinfo
local ffi, band, rshift = k.ffi, k.bit.band, k.bit.rshift

local EVENT_TICKS, LOAD_TICKS = config.event_ticks, config.load_ticks
local CAPTURES_MAX, MESSAGES_MAX, TEXT_BYTES_MAX = config.captures_max, config.messages_max, config.text_bytes_max
local EXACT = 9007199254740992 -- 2^53

-- Field name → { id, whether its declared type is a list }; category id → name.
local fields, categories = {}, {}
local find, count_of, slot_of, type_of = k.find, k.count, k.slot, k.type

local NANOS_PER_MILLI = 1000000
local readers = {}
local function text_reader(slot)
  local _, length = k.span(slot)
  room(length)
  return k.str(slot)
end

-- 64-bit integers are numbers while a number holds them exactly, else their decimal digits: nothing of LuaJIT's ffi may reach the rule.
local function integer(value)
  if value >= -EXACT and value <= EXACT then
    return tonumber(value)
  end
  return (match(tostring(value), "^%-?%d+"))
end

readers[T_KEYWORD], readers[T_IP] = text_reader, text_reader
readers[T_I64] = function(slot)
  return integer(k.i64(slot))
end
readers[T_U64] = function(slot)
  local value = k.u64(slot)
  if value <= 9007199254740992ULL then
    return tonumber(value)
  end
  return (match(tostring(value), "^%d+"))
end
readers[T_F64] = function(slot)
  return k.f64(slot)
end
readers[T_BOOL] = function(slot)
  return k.bool(slot)
end
-- Milliseconds since 1970, with a fraction.
readers[T_DATE] = function(slot)
  local value = k.i64(slot)
  local millis = value / NANOS_PER_MILLI
  return tonumber(millis) + tonumber(value - millis * NANOS_PER_MILLI) / NANOS_PER_MILLI
end

local running = false

local function entry_of(name)
  if not running then
    error("There is no event while the rule loads", 0)
  end
  local field = fields[name]
  if not field then
    local shown = type(name) == "string" and sub(name, 1, 60) or type(name)
    error("Unknown field '" .. shown .. "' (field names must be written as text in the rule)", 0)
  end
  charge(4)
  return find(field.id), field
end

local function values(entry)
  local list = {}
  if entry ~= 0 then
    local count, read = count_of(entry), readers[type_of(entry)]
    charge(2 * count)
    for i = 0, count - 1 do
      list[i + 1] = read(slot_of(entry, i))
    end
  end
  return list
end

-- A list for a field declared as one, else its (first) value; nil when missing.
local function value_of(name)
  local entry, field = entry_of(name)
  if entry == 0 then
    return nil
  elseif field.list then
    return values(entry)
  end
  return readers[type_of(entry)](slot_of(entry, 0))
end

local methods = {
  get = function(_, name)
    return value_of(name)
  end,
  all = function(_, name)
    return values((entry_of(name)))
  end,
  has = function(_, name)
    return entry_of(name) ~= 0
  end,
  category = function()
    charge(2)
    return running and categories[k.category()] or nil
  end,
}

local event = setmetatable({}, {
  __index = function(_, name)
    return methods[name] or value_of(name)
  end,
  __metatable = false,
})
frozen[event] = true

-- The names Wasm modules import, for authors who know them: the first value of the field when it has that type, else nil.
local function typed(...)
  local wanted = { ... }
  return function(name)
    local entry = entry_of(name)
    if entry ~= 0 then
      local actual = type_of(entry)
      for i = 1, #wanted do
        if wanted[i] == actual then
          return readers[actual](slot_of(entry, 0))
        end
      end
    end
  end
end
base.event_get_str = typed(T_KEYWORD, T_IP)
base.event_get_i64 = typed(T_I64, T_DATE)
base.event_get_u64 = typed(T_U64)
base.event_get_f64 = typed(T_F64)
base.event_get_bool = typed(T_BOOL)

local function string_argument(value, name)
  if type(value) ~= "string" then
    error("bad argument to '" .. name .. "' (string expected, got " .. type(value) .. ")", 0)
  end
  return value
end

-- Code points of UTF-8 text; a byte that begins no whole sequence counts as one code point, so that any bytes have a reading.
local function decode(text, at)
  local first = byte(text, at)
  if first < 0xc2 or first > 0xf4 then
    return first, at + 1
  end
  local size = first < 0xe0 and 2 or first < 0xf0 and 3 or 4
  local code = first % (size == 2 and 32 or size == 3 and 16 or 8)
  for i = at + 1, at + size - 1 do
    local continuation = byte(text, i)
    if not continuation or continuation < 0x80 or continuation > 0xbf then
      return first, at + 1
    end
    code = code * 64 + continuation - 0x80
  end
  return code, at + size
end

local STAR, QUESTION = 42, 63

-- `*` any text, `?` one code point, everything else itself; the whole text must match. Only the last star is ever retried.
function base.glob_match(pattern, text)
  string_argument(pattern, "glob_match")
  string_argument(text, "glob_match")
  charge(4)
  local i, j, star, retry = 1, 1, nil, nil
  while j <= #text do
    charge(1)
    local want = byte(pattern, i)
    if want == STAR then
      star, retry = i, j
      i = i + 1
    elseif want == QUESTION then
      local _, behind = decode(text, j)
      i, j = i + 1, behind
    elseif want == byte(text, j) then
      i, j = i + 1, j + 1
    elseif star then
      local _, behind = decode(text, retry)
      retry = behind
      i, j = star + 1, retry
    else
      return false
    end
  end
  while byte(pattern, i) == STAR do
    i = i + 1
  end
  return i > #pattern
end

-- Regular expressions compiled to state tables while the rule was loaded, by pattern. State 0 has no way out.
local expressions = {}
local ACCEPTS, FINAL = 1, 2

local function class_of(machine, code)
  if code < 128 then
    return machine.ascii[code]
  end
  local starts, low, high = machine.starts, 0, machine.range_count
  while high - low > 1 do
    local middle = rshift(low + high, 1)
    if code < starts[middle] then
      high = middle
    else
      low = middle
    end
  end
  return machine.classes[low]
end

function base.re_match(pattern, text)
  string_argument(pattern, "re_match")
  string_argument(text, "re_match")
  local machine = expressions[pattern]
  if not machine then
    error("re_match needs a pattern written as text in its call: '" .. sub(pattern, 1, 60) .. "' was not compiled with the rule", 0)
  end
  local state, at, transitions, states, count = machine.start, 1, machine.transitions, machine.states, machine.class_count
  while at <= #text and band(states[state], FINAL) == 0 do
    charge(2)
    local code
    code, at = decode(text, at)
    state = transitions[state * count + class_of(machine, code)]
  end
  return band(states[state], ACCEPTS) ~= 0
end

-- What the rule said about the current record, and about those of the batch that matched.
local captures, capture_count, messages, message_count = {}, 0, {}, 0
local said = {}

-- At most `limit` bytes, cut between code points.
local function cut(text, limit)
  if #text <= limit then
    return text
  end
  local stop = limit
  while stop > 0 and byte(text, stop + 1) >= 0x80 and byte(text, stop + 1) < 0xc0 do
    stop = stop - 1
  end
  return sub(text, 1, stop)
end

local function printed(value)
  if type(value) ~= "table" or getmetatable(value) then
    return base.tostring(value)
  end
  local parts = {}
  for i = 1, #value do
    parts[i] = base.tostring(value[i])
  end
  return base.table.concat(parts, " ")
end

-- False when the event has no room for more; longer texts are cut.
function base.capture_field(name, value)
  if not running then
    error("There is no event while the rule loads", 0)
  end
  charge(8)
  string_argument(name, "capture_field")
  if capture_count == CAPTURES_MAX then
    return false
  end
  local text = cut(printed(value), TEXT_BYTES_MAX)
  captures[2 * capture_count + 1] = cut(name, TEXT_BYTES_MAX)
  captures[2 * capture_count + 2] = text
  capture_count = capture_count + 1
  return true
end

function base.alert_emit(text)
  if not running then
    error("There is no event while the rule loads", 0)
  end
  charge(8)
  if message_count == MESSAGES_MAX then
    return false
  end
  local kept = cut(printed(text), TEXT_BYTES_MAX)
  message_count = message_count + 1
  messages[message_count] = kept
  return true
end

-- Marks every table the rule can still reach as older than the events. The list is ours, so depth is no matter.
local function freeze(root)
  local seen, list, count = {}, { root }, 1
  local function visit(value)
    if (type(value) == "table" or type(value) == "function") and not seen[value] then
      seen[value] = true
      count = count + 1
      list[count] = value
    end
  end
  local at = 1
  while at <= count do
    local value = list[at]
    at = at + 1
    if type(value) == "table" then
      frozen[value] = true
      for key, item in next, value do
        visit(key)
        visit(item)
      end
      visit(debug.getmetatable(value))
    elseif getinfo(value, "S").source == "=rule" then
      local index = 1
      while true do
        local name, item = getupvalue(value, index)
        if not name then
          break
        end
        if sub(name, 1, 10) ~= "__kestrel_" then
          visit(item)
        end
        index = index + 1
      end
    end
  end
end

local host = {}

-- One field the rule's text names.
function host.field(name, id, list)
  fields[name] = { id = id, list = list }
end

function host.category(id, name)
  categories[id] = name
end

local function array(kind, bytes, size)
  local made = ffi.new(kind, #bytes / size)
  ffi.copy(made, bytes, #bytes)
  return made
end

-- A compiled expression: numbers, and tables as the bytes of u8, u16 or u32 arrays.
function host.expression(pattern, start, class_count, ascii, starts, classes, transitions, states)
  expressions[pattern] = {
    start = start,
    class_count = class_count,
    range_count = #classes,
    ascii = array("uint8_t[?]", ascii, 1),
    starts = array("uint32_t[?]", starts, 4),
    classes = array("uint8_t[?]", classes, 1),
    transitions = array("uint16_t[?]", transitions, 2),
    states = array("uint8_t[?]", states, 1),
  }
end

-- Names of everything a rule may use, one a line.
function host.names()
  local names = {}
  for name in pairs(base) do
    names[#names + 1] = name
  end
  return concat(names, "\n")
end

-- Turns what was raised into "kind\nline\nrecord\ntext". Runs as the error handler, so the frames of the rule are still there to be asked.
local index = -1
local function describe(raised)
  local text = type(raised) == "string" and raised or "error value is a " .. type(raised)
  local line = 0
  for level = 2, 40 do
    local frame = getinfo(level, "Sl")
    if not frame then
      break
    elseif frame.source == "=rule" then
      line = frame.currentline
      break
    end
  end
  local written, rest = match(text, "^rule:(%d+): (.*)$")
  if written then
    line, text = tonumber(written), rest
  else
    text = match(text, "^kestrel[%w-]*:%d+: (.*)$") or text
  end
  local kind = budget.fault() or (text == "not enough memory" and "memory") or "error"
  return kind .. "\n" .. line .. "\n" .. index .. "\n" .. text
end
host.describe = describe

local pred_eval, pred_capture

-- Runs the chunk and pred_init, then freezes. `wrapped` takes the operators and returns the author's chunk. With `short` the chunk itself is
-- what runs for every event.
function host.load(wrapped, short)
  budget.begin(LOAD_TICKS, 0)
  local env = {}
  for name, value in pairs(base) do
    env[name] = value
  end
  setfenv(wrapped, env)
  local author = wrapped(budget, env)
  if short then
    pred_eval = author
  else
    author()
    local init = rawget(env, "pred_init")
    if init then
      init()
    end
    pred_eval, pred_capture = rawget(env, "pred_eval"), rawget(env, "pred_capture")
    if type(pred_eval) ~= "function" then
      error("The rule does not define function pred_eval(event)", 0)
    end
    if pred_capture ~= nil and type(pred_capture) ~= "function" then
      error("pred_capture is a " .. type(pred_capture) .. ", not a function", 0)
    end
  end
  freeze(env)
  freeze(author)
end

local function keep_words(at)
  local kept = { captures = {}, messages = {} }
  for i = 1, 2 * capture_count do
    kept.captures[i] = captures[i]
  end
  for i = 1, message_count do
    kept.messages[i] = messages[i]
  end
  said[at] = kept
end

function host.run(batch, count, out)
  local hits, at = 0, 0
  if next(said) then
    said = {}
  end
  k.open(batch)
  k.clear(out, count)
  running = true
  for i = 0, count - 1 do
    index = i
    at = k.record(at)
    budget.begin(EVENT_TICKS, 1)
    capture_count, message_count = 0, 0
    if pred_eval(event) then
      if pred_capture then
        pred_capture(event)
      end
      k.hit(i, 0)
      hits = hits + 1
      if capture_count > 0 or message_count > 0 then
        keep_words(i)
      end
    end
  end
  index = -1
  running = false
  return hits
end

-- Lengths and bytes of what was said about a record: "captures messages\n", then for each text its length, a newline and its bytes.
function host.said(at)
  local kept = said[at]
  if not kept then
    return nil
  end
  local parts = { #kept.captures .. " " .. #kept.messages .. "\n" }
  for _, list in ipairs({ kept.captures, kept.messages }) do
    for i = 1, #list do
      parts[#parts + 1] = #list[i] .. "\n" .. list[i]
    end
  end
  return concat(parts)
end

-- Index of the record at hand: where a run failed whose error could not be described (no memory, an error in the error handler).
function host.at()
  return index
end

-- Whether the JIT compiler is on in this state.
function host.jit_status()
  return (jit.status())
end

return host.describe, host.load, host.run, host.at, host.said, host.field, host.category, host.expression, host.names, host.jit_status
