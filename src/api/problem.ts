// The one error body, as a value a handler returns and as an exception the room's own plumbing throws and its error handler catches.
import { printJson } from "./json-text.ts";
import type { ErrorBody } from "./wire.ts";

/** An answer that is not a success. */
export interface ProblemAnswer<Status extends number> {
  readonly status: Status;
  readonly body: ErrorBody;
}

/** An error answer, for handlers: the contract checks the status. */
export function problem<const Status extends number>(
  status: Status,
  code: string,
  message: string,
  details?: unknown,
): ProblemAnswer<Status> {
  return { status, body: details === undefined ? { code, message } : { code, message, details } };
}

/** Ends the request with an error answer. Never leaves the room. */
export class Problem extends Error {
  override readonly name = "Problem";
  readonly answer: ProblemAnswer<number>;
  constructor(status: number, code: string, message: string, details?: unknown) {
    super(message);
    this.answer = problem(status, code, message, details);
  }
}

/** The response for an error answer. */
export function problemResponse(answer: ProblemAnswer<number>, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(printJson(answer.body), { status: answer.status, headers: { ...headers, "content-type": "application/json" } });
}
