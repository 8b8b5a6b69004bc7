// A rule as the compiler takes it.
import type { Rule } from "#rules";

/** What a compiler needs of a rule. */
export type CompilableRule = Pick<Rule, "id" | "body" | "exceptions" | "action" | "mode" | "scope">;

/** A rule's condition as the compiler takes it. */
export function querySource({
  id,
  body,
  exceptions,
}: Pick<CompilableRule, "id" | "body" | "exceptions">): Parameters<typeof import("#eql").compileRuleSet>[0][number] {
  const eql = body.kind === "eql" ? { text: body.query, dialect: body.dialect } : { text: "any where true", dialect: "default" as const };
  return { id, ...eql, exceptions, lenientFields: false };
}
