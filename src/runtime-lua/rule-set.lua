-- Makes the evaluator of a compiled rule set: takes the prelude's text and the program's, returns an error handler and the program's function.
local prelude, program = ...
local k = assert(loadstring(prelude, "=kestrel-prelude"))()
local run = assert(loadstring(program, "=program"))(k)
assert(type(run) == "function", "The program did not return a function")

-- "predicate\ntext": whose code ran, and what happened.
local function describe(raised)
  return k.current[0] .. "\n" .. (type(raised) == "string" and raised or "error value is a " .. type(raised))
end

return describe, run
