// Door of the API room: the HTTP server with its contract, live stream and page. Knows the agent and the store only through the ports below.
export { type Api, createApi } from "./app.ts";
export { type Contract, contract } from "./contract.ts";
export { isLoopback, parseListen } from "./listen.ts";
export type {
  AgentPort,
  AgentStatus,
  AlertFilter,
  AlertReader,
  IsolationPort,
  IsolationRequest,
  IsolationStatus,
  RuleCheck,
  RuleDetail,
  RuleOrigin,
  RuleState,
  RuleSummary,
  RuleText,
  SensorStatus,
  StoredAlert,
} from "./ports.ts";
export { type RunningServer, type ServerOptions, startServer } from "./server.ts";
export { loadOrCreateToken } from "./token-file.ts";
