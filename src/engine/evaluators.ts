// Makes evaluators: of compiled rule sets on either back end, and of users' Lua and Wasm rules. One Wasm engine per thread and cache folder.
import { type Evaluator, KestrelError, messageOf } from "#core";
import type { Rule } from "#rules";
import { createLuaRuleEvaluator, createLuaRuleSetEvaluator } from "#runtime-lua";
import { createModuleEvaluator, createRuleSetEvaluator, WasmRuntime } from "#runtime-wasm";
import type { Diagnostic, RuleSetProgram, SchemaRegistry } from "#schema";
import { compileUserRegex, createMatchers } from "./matchers.ts";
import type { RuleSetEvaluatorFactory } from "./partition.ts";

/** Which back end runs compiled rule sets; both give the same hits. */
export type Backend = "wasm" | "lua";

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
  if (backend === "lua") return (program) => createLuaRuleSetEvaluator(program);
  return (program) => createRuleSetEvaluator(program, { runtime: runtimeOf(cacheDirectory) });
}

/** Evaluator of one compiled program, for a caller that needs no engine. */
export function createRuleSetEvaluatorFor(backend: Backend, program: RuleSetProgram): Evaluator {
  return ruleSetFactory(backend, undefined)(program);
}

/** Evaluator of a user's rule, or what is wrong with it. */
export interface UserRuleResult {
  readonly evaluator: Evaluator | undefined;
  readonly diagnostics: readonly Diagnostic[];
}

/** Loads the body of a Lua or Wasm rule. */
export function createUserRule(rule: Rule, registry: SchemaRegistry): UserRuleResult {
  const { body } = rule;
  switch (body.kind) {
    case "lua":
      return createLuaRuleEvaluator(body.source, registry, { compileRegex: compileUserRegex });
    case "wasm":
      try {
        return {
          evaluator: createModuleEvaluator(body.bytes, registry, { runtime: runtimeOf(undefined), matchers: createMatchers() }),
          diagnostics: [],
        };
      } catch (error) {
        if (!(error instanceof KestrelError)) throw error;
        return { evaluator: undefined, diagnostics: [moduleFinding(error)] };
      }
    case "eql":
      throw new KestrelError("not-a-user-rule", `Rule "${rule.id}" is an EQL rule`);
  }
}

function moduleFinding(error: KestrelError): Diagnostic {
  return { severity: "error", code: error.code, message: messageOf(error), span: { from: 0, to: 0, line: 1, column: 1 } };
}
