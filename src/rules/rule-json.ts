// A rule back as text or JSON with the keys it was read from; reading that again gives the same rule.
import { stringify } from "yaml";
import type { EventJson, Rule } from "./rule.ts";
import { printDuration } from "./throttle-reader.ts";

/** The rule as a JSON object with the keys of a rule file. A Wasm module is printed as `wasm_base64`; empty tests and no throttle are left out. */
export function ruleToJson(rule: Rule): { readonly [key: string]: EventJson } {
  const { tests, throttle } = rule;
  return {
    id: rule.id,
    name: rule.name,
    description: rule.description,
    severity: rule.severity,
    tags: rule.tags,
    references: rule.references,
    enabled: rule.enabled,
    ...bodyKeys(rule),
    capture: rule.capture,
    exceptions: rule.exceptions,
    action: rule.action,
    scope: rule.scope,
    mode: rule.mode,
    ...(throttle !== null && { throttle: { by: throttle.by, limit: throttle.limit, window: printDuration(throttle.windowMs) } }),
    ...(tests.match.length + tests.noMatch.length > 0 && { tests: { match: tests.match, no_match: tests.noMatch } }),
  };
}

/** The rule as a YAML rule file. */
export function ruleToYaml(rule: Rule): string {
  return stringify(ruleToJson(rule), { lineWidth: 0, aliasDuplicateObjects: false });
}

function bodyKeys({ body, match }: Pick<Rule, "body" | "match">): { readonly [key: string]: EventJson } {
  switch (body.kind) {
    case "eql":
      return { query: body.query, dialect: body.dialect, match };
    case "lua":
      return { lua: body.source };
    case "wasm":
      return { wasm_base64: Buffer.from(body.bytes).toString("base64") };
  }
}
