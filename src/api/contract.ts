// The HTTP contract: a value that says every route, its inputs and every status it answers with. Handlers are typed from it, OpenAPI is made from it.
import { type ContractNoBodyType, initContract } from "@ts-rest/core";
import { z } from "zod";
import { isolation, isolationRequest, type WireIsolation, type WireIsolationRequest } from "./isolation.ts";
import {
  type AlertQuery,
  alert,
  alertIdParams,
  alertPage,
  alertQuery,
  type ErrorBody,
  errorBody,
  RULE_MEDIA_TYPES,
  ruleChange,
  ruleCheck,
  ruleDetail,
  ruleIdParams,
  ruleList,
  ruleText,
  status,
  type WireAlert,
  type WireAlertPage,
  type WireRule,
  type WireRuleChange,
  type WireRuleCheck,
  type WireRuleDetail,
  type WireRuleText,
  type WireStatus,
} from "./wire.ts";

/** Statuses that the server itself answers with on every route, whatever the handler does. */
type CommonStatus = 400 | 401 | 403 | 405 | 500 | 503;
type Errors<Status extends number = never> = Readonly<Record<Status | CommonStatus, z.ZodType<ErrorBody>>>;
type IdParams = z.ZodType<{ readonly id: string }>;

/** Media types whose body is not JSON but a text, each with the `format` of that text. */
export interface TextBodies {
  readonly textBodies: Readonly<Record<string, string>>;
}

interface Described {
  readonly summary: string;
  readonly description: string;
  readonly strictStatusCodes: true;
}

/** Request header fields by lower-case name. */
type HeaderSchemas<Name extends string> = Readonly<Record<Name, z.ZodType<string | undefined>>>;

/** The contract's type, written out: declarations of the project stand for themselves. */
export type Contract = {
  readonly rules: {
    readonly list: Described & {
      readonly method: "GET";
      readonly path: "/v1/rules";
      readonly responses: { readonly 200: z.ZodType<{ readonly rules: readonly WireRule[] }> } & Errors;
    };
    readonly get: Described & {
      readonly method: "GET";
      readonly path: "/v1/rules/:id";
      readonly pathParams: IdParams;
      readonly responses: { readonly 200: z.ZodType<WireRuleDetail> } & Errors<404>;
    };
    readonly put: Described & {
      readonly method: "PUT";
      readonly path: "/v1/rules/:id";
      readonly pathParams: IdParams;
      readonly headers: HeaderSchemas<"if-match" | "if-none-match">;
      readonly body: z.ZodType<WireRuleText>;
      readonly metadata: TextBodies;
      readonly responses: { readonly 200: z.ZodType<WireRuleDetail>; readonly 201: z.ZodType<WireRuleDetail> } & Errors<
        409 | 412 | 413 | 415 | 422
      >;
    };
    readonly change: Described & {
      readonly method: "PATCH";
      readonly path: "/v1/rules/:id";
      readonly pathParams: IdParams;
      readonly body: z.ZodType<WireRuleChange>;
      readonly responses: { readonly 200: z.ZodType<WireRuleDetail> } & Errors<404 | 409 | 413 | 415>;
    };
    readonly delete: Described & {
      readonly method: "DELETE";
      readonly path: "/v1/rules/:id";
      readonly pathParams: IdParams;
      readonly headers: HeaderSchemas<"if-match">;
      readonly responses: { readonly 204: ContractNoBodyType } & Errors<404 | 409 | 412>;
    };
    readonly validate: Described & {
      readonly method: "POST";
      readonly path: "/v1/rules/validate";
      readonly body: z.ZodType<WireRuleText>;
      readonly metadata: TextBodies;
      readonly responses: { readonly 200: z.ZodType<WireRuleCheck> } & Errors<413 | 415>;
    };
  };
  readonly alerts: {
    readonly list: Described & {
      readonly method: "GET";
      readonly path: "/v1/alerts";
      readonly query: z.ZodType<AlertQuery>;
      readonly responses: { readonly 200: z.ZodType<WireAlertPage> } & Errors;
    };
    readonly get: Described & {
      readonly method: "GET";
      readonly path: "/v1/alerts/:id";
      readonly pathParams: IdParams;
      readonly responses: { readonly 200: z.ZodType<WireAlert> } & Errors<404>;
    };
  };
  readonly isolation: {
    readonly get: Described & {
      readonly method: "GET";
      readonly path: "/v1/isolation";
      readonly responses: { readonly 200: z.ZodType<WireIsolation> } & Errors;
    };
    readonly put: Described & {
      readonly method: "PUT";
      readonly path: "/v1/isolation";
      readonly body: z.ZodType<WireIsolationRequest>;
      readonly responses: { readonly 200: z.ZodType<WireIsolation> } & Errors<409 | 413 | 415 | 422>;
    };
    readonly lift: Described & {
      readonly method: "DELETE";
      readonly path: "/v1/isolation";
      readonly responses: { readonly 200: z.ZodType<WireIsolation> } & Errors;
    };
  };
  readonly status: Described & {
    readonly method: "GET";
    readonly path: "/v1/status";
    readonly responses: { readonly 200: z.ZodType<WireStatus> } & Errors;
  };
};

const c = initContract();

function errors<Status extends number>(...statuses: readonly Status[]): Readonly<Record<Status, z.ZodType<ErrorBody>>> {
  return Object.fromEntries(statuses.map((code) => [code, errorBody])) as Record<Status, z.ZodType<ErrorBody>>;
}

const common: Errors = errors(400, 401, 403, 405, 500, 503);
const ifMatch = z.string().max(1000).optional().meta({
  description: "ETag of the rule as last read, or *. When the rule has changed since, nothing is done and the answer is 412.",
});
const ifNoneMatch = z.literal("*").optional().meta({ description: "*: only make a new rule; an existing one is not replaced (412)." });

/** The contract. */
export const contract: Contract = c.router({
  rules: {
    list: {
      method: "GET",
      path: "/v1/rules",
      summary: "List rules",
      description: "Every rule the agent knows, sorted by id, armed or not.",
      strictStatusCodes: true,
      responses: { 200: ruleList, ...common },
    },
    get: {
      method: "GET",
      path: "/v1/rules/:id",
      summary: "Read one rule",
      description: "The rule with its text. The ETag header names this version of it.",
      strictStatusCodes: true,
      pathParams: ruleIdParams,
      responses: { 200: ruleDetail, ...errors(404), ...common },
    },
    put: {
      method: "PUT",
      path: "/v1/rules/:id",
      summary: "Make or replace a rule",
      description:
        "Compiles, saves and arms the rule. The text may also be sent as it is, with Content-Type application/yaml, application/toml or text/x-eql. " +
        "A rule that does not compile is refused with its diagnostics in details (422). A rule that came from a file cannot be replaced here (409).",
      strictStatusCodes: true,
      pathParams: ruleIdParams,
      headers: { "if-match": ifMatch, "if-none-match": ifNoneMatch },
      body: ruleText,
      metadata: { textBodies: RULE_MEDIA_TYPES },
      responses: { 200: ruleDetail, 201: ruleDetail, ...errors(409, 412, 413, 415, 422), ...common },
    },
    change: {
      method: "PATCH",
      path: "/v1/rules/:id",
      summary: "Switch a rule's mode",
      description:
        "Switches between monitor and enforce, at once and over restarts, for a rule of any origin; the rule's text stays as it is, and a new text " +
        "sent here ends it. A rule whose action is alert has nothing to switch (409).",
      strictStatusCodes: true,
      pathParams: ruleIdParams,
      body: ruleChange,
      responses: { 200: ruleDetail, ...errors(404, 409, 413, 415), ...common },
    },
    delete: {
      method: "DELETE",
      path: "/v1/rules/:id",
      summary: "Remove a rule",
      description: "Disarms and removes a rule that was made here. A rule that came from a file cannot be removed here (409).",
      strictStatusCodes: true,
      pathParams: ruleIdParams,
      headers: { "if-match": ifMatch },
      responses: { 204: c.noBody(), ...errors(404, 409, 412), ...common },
    },
    validate: {
      method: "POST",
      path: "/v1/rules/validate",
      summary: "Check a rule without saving it",
      description: "Compiles the text and answers with its diagnostics. Takes the same bodies as making a rule.",
      strictStatusCodes: true,
      body: ruleText,
      metadata: { textBodies: RULE_MEDIA_TYPES },
      responses: { 200: ruleCheck, ...errors(413, 415), ...common },
    },
  },
  alerts: {
    list: {
      method: "GET",
      path: "/v1/alerts",
      summary: "List alerts",
      description: "Stored alerts, newest first.",
      strictStatusCodes: true,
      query: alertQuery,
      responses: { 200: alertPage, ...common },
    },
    get: {
      method: "GET",
      path: "/v1/alerts/:id",
      summary: "Read one alert",
      description: "The alert with its events.",
      strictStatusCodes: true,
      pathParams: alertIdParams,
      responses: { 200: alert, ...errors(404), ...common },
    },
  },
  isolation: {
    get: {
      method: "GET",
      path: "/v1/isolation",
      summary: "Is the machine isolated",
      description: "The network isolation in force, what it lets through, and what it dropped so far.",
      strictStatusCodes: true,
      responses: { 200: isolation, ...common },
    },
    put: {
      method: "PUT",
      path: "/v1/isolation",
      summary: "Isolate the machine",
      description:
        "Drops every packet but those of the loopback, of the networks named, and what keeps the machine on its link; open connections are cut too. " +
        "Replaces an isolation in force. Holds over restarts of the agent. A network that cannot be read is refused (422); so is what would cut the " +
        "client that asks, and clients of an API that listens on loopback only (409).",
      strictStatusCodes: true,
      body: isolationRequest,
      responses: { 200: isolation, ...errors(409, 413, 415, 422), ...common },
    },
    lift: {
      method: "DELETE",
      path: "/v1/isolation",
      summary: "Lift the isolation",
      description: "Lets everything through again, also when there was no isolation.",
      strictStatusCodes: true,
      responses: { 200: isolation, ...common },
    },
  },
  status: {
    method: "GET",
    path: "/v1/status",
    summary: "The agent's state",
    description:
      "Rules, sensors and counters since the agent started. Every lost event is in events.dropped, every one that no rule can match and that was left out in events.filtered.",
    strictStatusCodes: true,
    responses: { 200: status, ...common },
  },
});
