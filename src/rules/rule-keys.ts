// The keys of a rule, in the order they are printed.

/** Every key a rule may have. */
export const RULE_KEYS = [
  "id",
  "name",
  "description",
  "severity",
  "tags",
  "references",
  "enabled",
  "query",
  "lua",
  "wasm",
  "wasm_base64",
  "dialect",
  "match",
  "capture",
  "exceptions",
  "action",
  "scope",
  "mode",
  "throttle",
  "tests",
] as const;

/** A key of a rule. */
export type RuleKey = (typeof RULE_KEYS)[number];
