// Linear-time matching for users' rules, with the EQL compiler's own automata. Compiled patterns are kept, bounded, per rule.
import { KestrelError } from "#core";
import { compileRegex, globMatch, type RegexResult, regexBudget, regexMatches, TOO_MANY_REGEXES, withinBudget } from "#eql";
import type { Matchers } from "#runtime-wasm";

/** Most patterns one rule keeps compiled; the oldest is dropped first. */
const PATTERNS_MAX = 256;

/** Compiles the patterns of one rule, within the limit of all of them. */
export function userRegexCompiler(): (pattern: string) => RegexResult {
  const budget = regexBudget();
  return (pattern) => {
    const tooMany = { kind: "failed", error: { message: TOO_MANY_REGEXES, from: 0, to: pattern.length }, statesMade: 0 } as const;
    return withinBudget(budget, () => compileUserRegex(pattern)) ?? tooMany;
  };
}

/** Compiles a pattern as EQL's `regex` reads it. */
function compileUserRegex(pattern: string): RegexResult {
  return compileRegex(pattern, { folded: false, flavour: "lucene" });
}

/** Matchers of one rule. A pattern that does not compile throws KestrelError `bad-pattern`. */
export function createMatchers(): Matchers {
  const compiled = new Map<string, RegexResult>();
  return {
    glob: (pattern, text) => globMatch(pattern, text),
    regex(pattern, text) {
      let result = compiled.get(pattern);
      if (result === undefined) {
        result = compileUserRegex(pattern);
        if (compiled.size >= PATTERNS_MAX) compiled.delete(compiled.keys().next().value as string);
        compiled.set(pattern, result);
      }
      if (result.kind === "failed") throw new KestrelError("bad-pattern", `Pattern ${JSON.stringify(pattern)}: ${result.error.message}`);
      return regexMatches(result.table, text);
    },
  };
}
