// The automaton library, loaded when the first pattern is compiled: it brings Unicode's tables as 50,000 objects (6 MB), and a running agent,
// whose rules were compiled elsewhere, seldom compiles one.

/** The library. Synchronous, as compiling is; once loaded it stays. */
export function automata(): typeof import("refa") {
  return require("refa");
}
