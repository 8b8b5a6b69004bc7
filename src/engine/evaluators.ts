// Makes evaluators: of compiled rule sets on either back end, and of users' Lua and Wasm rules. One Wasm engine per thread and cache folder.
import { type Evaluator, KestrelError, messageOf } from "#core";
import type { Rule } from "#rules";
import { createModuleEvaluator, createRuleSetEvaluator, WasmRuntime } from "#runtime-wasm";
import type { Backend, Diagnostic, RuleSetProgram, SchemaRegistry } from "#schema";
import type { RuleSetEvaluatorFactory } from "./partition.ts";

const runtimes = new Map<string, WasmRuntime>();

function runtimeOf(cacheDirectory: string | undefined): WasmRuntime {
  const key = cacheDirectory ?? "";
  let runtime = runtimes.get(key);
  if (runtime === undefined) {
    runtime = new WasmRuntime(cacheDirectory === undefined ? {} : { cacheDirectory });
    runtimes.set(key, runtime);
  }
  return runtime;
}

/** Factory of evaluators of compiled rule sets. */
export function ruleSetFactory(backend: Backend, cacheDirectory: string | undefined): RuleSetEvaluatorFactory {
  if (backend === "lua") return async (program) => (await import("#runtime-lua")).createLuaRuleSetEvaluator(program);
  return async (program) => createRuleSetEvaluator(program, { runtime: runtimeOf(cacheDirectory) });
}

/** Evaluator of one compiled program, for a caller that needs no engine. */
export function createRuleSetEvaluatorFor(backend: Backend, program: RuleSetProgram): Promise<Evaluator> {
  return ruleSetFactory(backend, undefined)(program);
}

/** Evaluator of a user's rule, or what is wrong with it. */
export interface UserRuleResult {
  readonly evaluator: Evaluator | undefined;
  readonly diagnostics: readonly Diagnostic[];
}

/** Loads the body of a Lua or Wasm rule. What only such rules need, LuaJIT and the regex compiler, is loaded with the first of them. */
export async function createUserRule(
  rule: Pick<Rule, "id" | "body">,
  registry: SchemaRegistry,
  cacheDirectory: string | undefined,
): Promise<UserRuleResult> {
  const { body } = rule;
  switch (body.kind) {
    case "lua": {
      const { createLuaRuleEvaluator } = await import("#runtime-lua");
      const matching = body.source.includes("re_match") ? { compileRegex: (await import("./matchers.ts")).userRegexCompiler() } : {};
      return createLuaRuleEvaluator(body.source, registry, matching);
    }
    case "wasm": {
      const { createMatchers } = await import("./matchers.ts");
      try {
        const options = { runtime: runtimeOf(cacheDirectory), matchers: createMatchers() };
        return { evaluator: createModuleEvaluator(body.bytes, registry, options), diagnostics: [] };
      } catch (error) {
        if (!(error instanceof KestrelError)) throw error;
        return { evaluator: undefined, diagnostics: [moduleFinding(error)] };
      }
    }
    case "eql":
      throw new KestrelError("not-a-user-rule", `Rule "${rule.id}" is an EQL rule`);
  }
}

function moduleFinding(error: KestrelError): Diagnostic {
  return { severity: "error", code: error.code, message: messageOf(error), span: { from: 0, to: 0, line: 1, column: 1 } };
}
