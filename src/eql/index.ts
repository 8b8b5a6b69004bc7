// Door of the EQL room: text in, programs and diagnostics out. Knows fields and categories through the schema's registry only.
export type { Dialect } from "./ast.ts";
export { type CompiledQuery, checkQuery, compileRuleSet } from "./compile.ts";
export { type Conjunct, type FieldRead, queryConjuncts } from "./conjuncts.ts";
export { type ConstantResult, evaluateConstant } from "./constant.ts";
export {
  type ConditionDescription,
  describeQuery,
  type LineageDescription,
  printExpression,
  type QueryDescription,
  type StepDescription,
} from "./describe.ts";
export { formatDiagnostic } from "./diagnostics.ts";
export { compileExpression, EvaluationLimitError, type ExpressionEvaluator, type ExpressionScope } from "./expression.ts";
export { categoriesOf, type FieldUsage, fieldsOf, type NamedField } from "./fields.ts";
export { globMatch } from "./glob.ts";
export { kernelConditionOf } from "./kernel-condition.ts";
export { type CodeListing, listCode } from "./listing.ts";
export { type RegexBudget, regexBudget, TOO_MANY_REGEXES, withinBudget } from "./lower-context.ts";
export type { Pipes } from "./lower-pipes.ts";
export {
  compileMatchFilter,
  createPipeline,
  PIPE_KEPT_MAX,
  type PipeKey,
  PipeLimitError,
  type Pipeline,
  type PipeOutput,
} from "./pipeline.ts";
export type { QuerySource } from "./query.ts";
export { createReferencePlan, createReferencePredicate, type ReferencePredicate } from "./reference-predicate.ts";
export { compileRegex, type RegexResult, type RegexTable, regexMatches } from "./regex.ts";
export type { RegexFlavour, RegexIssue, RegexOptions } from "./regex-parse.ts";
