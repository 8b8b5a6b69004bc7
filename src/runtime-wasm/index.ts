// Door of the Wasm runtime room: runs compiled rule sets and users' own modules inside libwasmtime, with fuel and memory limits. Knows no
// rule language. Native failures leave as KestrelError, a rule's own failures as RuleFault.
export { EMITTED_BYTES_MAX, HostStatus, type Matchers } from "./host-api.ts";
export { InstancePool } from "./instance-pool.ts";
export { createModuleEvaluator, type ModuleOptions } from "./module-evaluator.ts";
export { createRuleSetEvaluator } from "./rule-set-evaluator.ts";
export { WasmRuntime } from "./runtime.ts";
