// Door of the Wasm runtime room: runs compiled rule sets and users' own modules inside libwasmtime, with fuel and memory limits. Knows no
// rule language. Native failures leave as KestrelError, a rule's own failures as RuleFault.
export { CAPTURES_MAX, EMITTED_BYTES_MAX, HOST_MODULE, HostStatus, type Matchers, MESSAGES_MAX } from "./host-api.ts";
export { InstancePool, type PoolOptions } from "./instance-pool.ts";
export type { CacheCounts, CacheState } from "./module-cache.ts";
export { createModuleEvaluator, type ModuleOptions } from "./module-evaluator.ts";
export { createRuleSetEvaluator, type RuleSetOptions } from "./rule-set-evaluator.ts";
export { type ModuleLease, WasmRuntime, type WasmRuntimeOptions } from "./runtime.ts";
