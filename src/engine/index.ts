// Door of the engine room: arms rules, evaluates records, raises alerts, tests rules. Knows no sensor and no socket.
export { SUBJECT_FIELDS } from "./alert-builder.ts";
export { type CheckedRule, type CheckOptions, checkRules, checkUserRule, type Finding } from "./check-rules.ts";
export { type CompiledRules, compileHere, compileInWorker, type RuleCompiler } from "./compile.ts";
export type { DemandListener } from "./demanding.ts";
export { type ArmResult, Engine, type EngineOptions, type RuleProblem } from "./engine.ts";
export { createRuleSetEvaluatorFor } from "./evaluators.ts";
export { createExecJudge, type ExecJudgeOptions, type RuleJudge } from "./exec-judge.ts";
export { ANY_KERNEL, type KernelAbilities, type Rung, type RungName } from "./ladder.ts";
export { createPlanEvaluator } from "./plan-evaluator.ts";
export type { CompilableRule } from "./query-source.ts";
export { actsAfterAlert, type RuleReach, shortfallOf } from "./reach.ts";
export type { RuleState } from "./rule-state.ts";
export { type RuleTestReport, type RuleTestResult, runRuleTests } from "./rule-tests.ts";
