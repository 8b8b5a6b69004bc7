// Handlers of the rule routes. Changes run one at a time, so the check of If-Match and the change it guards are one step.
import { createHash } from "node:crypto";
import type { Diagnostic } from "#schema";
import type { Handlers } from "./bind.ts";
import type { Contract } from "./contract.ts";
import type { AgentPort, RuleCheck, RuleDetail, RuleSummary } from "./ports.ts";
import { problem } from "./problem.ts";
import type { WireDiagnostic, WireRule, WireRuleDetail } from "./wire.ts";

/** Most diagnostics in one answer; a text of nothing but errors has tens of thousands. */
const DIAGNOSTICS_MAX = 200;

/** Handlers over the agent. */
export function ruleHandlers(agent: AgentPort): Handlers<Contract["rules"]> {
  const inTurn = turnTaker();
  return {
    list: () => ({ status: 200, body: { rules: agent.rules().map(toWireRule).sort(byId) } }),

    get: ({ params }, { headers }) => {
      const rule = agent.rule(params.id);
      if (rule === undefined) return unknownRule(params.id);
      headers.set("etag", etagOf(rule));
      return { status: 200, body: toWireRuleDetail(rule) };
    },

    put: ({ params, headers: conditions, body }, { headers }) =>
      inTurn(async () => {
        const before = agent.rule(params.id);
        if (before !== undefined && before.origin !== "api") return notOurs(before);
        if (!matches(conditions["if-match"], before) || (conditions["if-none-match"] === "*" && before !== undefined))
          return changed(params.id, before);
        const check = await agent.validateRule(body);
        if (check.ok && check.id !== params.id) {
          const own = check.id === undefined ? "no id" : `the id ${JSON.stringify(check.id)}`;
          return problem(422, "id-mismatch", `The rule text has ${own}, but the address says ${JSON.stringify(params.id)}`);
        }
        if (!check.ok) return notCompiled(check);
        const saved = await agent.putRule(params.id, body);
        if (!saved.ok) return notCompiled(saved);
        const after = agent.rule(params.id);
        if (after === undefined) throw new Error(`Rule "${params.id}" was saved but is not listed`);
        headers.set("etag", etagOf(after));
        headers.set("location", `/v1/rules/${params.id}`);
        return { status: before === undefined ? 201 : 200, body: toWireRuleDetail(after) };
      }),

    change: ({ params, body }, { headers }) =>
      inTurn(async () => {
        const before = agent.rule(params.id);
        if (before === undefined) return unknownRule(params.id);
        if (before.action === "alert")
          return problem(409, "no-action", `Rule ${JSON.stringify(params.id)} only alerts: there is nothing to monitor or enforce`);
        agent.setMode(params.id, body.mode ?? undefined);
        const after = agent.rule(params.id) ?? before;
        headers.set("etag", etagOf(after));
        return { status: 200, body: toWireRuleDetail(after) };
      }),

    delete: ({ params, headers: conditions }) =>
      inTurn(async () => {
        const before = agent.rule(params.id);
        if (before === undefined) return unknownRule(params.id);
        if (before.origin !== "api") return notOurs(before);
        if (!matches(conditions["if-match"], before)) return changed(params.id, before);
        await agent.deleteRule(params.id);
        return { status: 204, body: undefined };
      }),

    validate: async ({ body }) => {
      const check = await agent.validateRule(body);
      return { status: 200, body: { ok: check.ok, id: check.id ?? null, diagnostics: toWireDiagnostics(check.diagnostics) } };
    },
  };
}

/** Runs tasks one after another. A failed task does not stop the next. */
function turnTaker(): <Result>(task: () => Promise<Result>) => Promise<Result> {
  let last: Promise<unknown> = Promise.resolve();
  return (task) => {
    const turn = last.then(task);
    last = turn.catch(() => undefined);
    return turn;
  };
}

/** Strong validator over what a client edits: form and text. */
function etagOf(rule: RuleDetail): string {
  return `"${createHash("sha256").update(`${rule.format}\n${rule.text}`).digest("hex").slice(0, 32)}"`;
}

/** RFC 9110, 13.1.1: `*` or a list of entity tags, compared strongly. */
function matches(ifMatch: string | undefined, rule: RuleDetail | undefined): boolean {
  if (ifMatch === undefined) return true;
  if (rule === undefined) return false;
  if (ifMatch.trim() === "*") return true;
  return ifMatch
    .split(",")
    .map((tag) => tag.trim())
    .includes(etagOf(rule));
}

function unknownRule(id: string): ReturnType<typeof problem<404>> {
  return problem(404, "unknown-rule", `There is no rule ${JSON.stringify(id)}`);
}

function notOurs(rule: RuleDetail): ReturnType<typeof problem<409>> {
  const from = rule.origin === "file" ? "a rule file; change the file" : "the agent itself; make a rule with another id";
  return problem(409, "read-only-rule", `Rule ${JSON.stringify(rule.id)} comes from ${from} instead`);
}

function changed(id: string, rule: RuleDetail | undefined): ReturnType<typeof problem<412>> {
  if (rule === undefined) return problem(412, "rule-changed", `Rule ${JSON.stringify(id)} does not exist any more`);
  return problem(412, "rule-changed", `Rule ${JSON.stringify(id)} is not the version you name; read it again`, { etag: etagOf(rule) });
}

function notCompiled(check: RuleCheck): ReturnType<typeof problem<422>> {
  const first = check.diagnostics.find((diagnostic) => diagnostic.severity === "error");
  const what = first === undefined ? "it does not compile" : `line ${first.span.line}: ${first.message}`;
  return problem(422, "invalid-rule", `The rule was not saved: ${what}`, { diagnostics: toWireDiagnostics(check.diagnostics) });
}

function byId(a: WireRule, b: WireRule): number {
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}

function toWireRule(rule: RuleSummary): WireRule {
  return {
    id: rule.id,
    name: rule.name,
    description: rule.description,
    severity: rule.severity,
    tags: rule.tags,
    references: rule.references,
    state: rule.state,
    stateReason: rule.stateReason,
    origin: rule.origin,
    action: rule.action,
    scope: rule.scope,
    mode: rule.mode,
    modeOfText: rule.modeOfText,
    alertCount: rule.alertCount,
  };
}

function toWireRuleDetail(rule: RuleDetail): WireRuleDetail {
  return { ...toWireRule(rule), format: rule.format, text: rule.text, diagnostics: toWireDiagnostics(rule.diagnostics) };
}

function toWireDiagnostics(diagnostics: readonly Diagnostic[]): readonly WireDiagnostic[] {
  return diagnostics.slice(0, DIAGNOSTICS_MAX).map(({ severity, code, message, span }) => ({
    severity,
    code,
    message,
    line: span.line,
    column: span.column,
  }));
}
