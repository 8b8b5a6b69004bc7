// The EQL compiler as the judge of queries.
import { createReferencePredicate } from "#eql";
import type { QueryCheck } from "./rule-check.ts";

/** Findings of the EQL compiler. */
export const defaultQueryCheck: QueryCheck = (query, registry) => createReferencePredicate(query, registry).diagnostics;
