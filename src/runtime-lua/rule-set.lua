-- Makes the evaluator of a compiled rule set: takes the prelude's text and the program's, returns an error handler and the program's function.
local prelude, program = ...
-- A rule set branches hundreds of ways an event. With room for 1,000 traces and 512 KiB of code LuaJIT throws all of it away again and
-- again: 335 rules took 1.8 ms an event, with this 0.1 ms. A side exit that does not compile at once is not worth another try.
jit.opt.start("maxtrace=20000", "maxmcode=32768", "sizemcode=4096", "tryside=1")
local k = assert(loadstring(prelude, "=kestrel-prelude"))()
local run = assert(loadstring(program, "=program"))(k)
assert(type(run) == "function", "The program did not return a function")

-- "predicate\ntext": whose code ran, and what happened.
local function describe(raised)
  return k.current[0] .. "\n" .. (type(raised) == "string" and raised or "error value is a " .. type(raised))
end

return describe, run
