// Door of the rules room: rule files and texts in, validated rules out. The only room beside cli that reads files.

export { type LoadedRules, loadRules, type RuleFileInfo } from "./load.ts";
export { type ParsedRules, parseRuleText, type RuleReadOptions, type RuleTextOptions, ruleFormatOf } from "./parse.ts";
export {
  type Dialect,
  type EventJson,
  RULE_FILE_BYTES_MAX,
  RULE_WASM_BYTES_MAX,
  type Rule,
  type RuleAction,
  type RuleBody,
  type RuleEntry,
  type RuleEvent,
  type RuleFormat,
  type RuleMode,
  type RuleProblem,
  type RuleSource,
  type RuleTests,
  type SequenceMatching,
  type Throttle,
} from "./rule.ts";
export type { QueryCheck } from "./rule-check.ts";
export { ruleFilePaths } from "./rule-files.ts";
export { ruleToJson, ruleToYaml } from "./rule-json.ts";
export { RULE_KEYS, type RuleKey } from "./rule-keys.ts";
export { type RuleTestCase, ruleTestCases } from "./test-reader.ts";
