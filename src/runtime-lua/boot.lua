-- Builds the sandbox of one user's rule inside a fresh state: takes the texts of the trusted chunks and the limits, returns the host's functions.
local prelude, budget_text, pattern_text, library_text, event_text, event_ticks, load_ticks, memory_kib, captures_max, messages_max, text_bytes_max =
  ...
local function chunk(text, name)
  return assert(loadstring(text, "=kestrel-" .. name))
end
local k = chunk(prelude, "prelude")()
local budget = chunk(budget_text, "budget")(memory_kib)
local pattern = chunk(pattern_text, "pattern")(budget)
local base = chunk(library_text, "library")(budget, pattern)
local config = {
  event_ticks = event_ticks,
  load_ticks = load_ticks,
  captures_max = captures_max,
  messages_max = messages_max,
  text_bytes_max = text_bytes_max,
}
return chunk(event_text, "event")(k, budget, base, config)
