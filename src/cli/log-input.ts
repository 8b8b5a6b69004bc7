// Flags that say how event logs are to be read, shared by replay and query.
import { KestrelError, type ReplayOptions } from "#core";
import type { TimestampUnit } from "#event";
import type { Backend } from "#schema";
import type { Arguments, FlagKind } from "./arguments.ts";

/** Flags of {@link logOptionsOf} and {@link backendOf}. */
export const LOG_FLAGS: Readonly<Record<string, FlagKind>> = {
  timestamp: "text",
  "time-unit": "text",
  category: "text",
  tiebreaker: "text",
  schema: "text",
};

const DEFAULT_TIEBREAKER = "event.sequence";
const UNITS: readonly TimestampUnit[] = ["auto", "s", "ms", "us", "100ns", "ns"];

/** How to read event logs. */
export function logOptionsOf(args: Arguments): ReplayOptions["decoder"] {
  const unit = args.text("time-unit") ?? "auto";
  if (!UNITS.includes(unit as TimestampUnit)) {
    throw new KestrelError("usage", `Flag "--time-unit" needs one of ${UNITS.join(", ")}, not "${unit}"`);
  }
  const timestampField = args.text("timestamp");
  const categoryField = args.text("category");
  const tiebreakerField = args.text("tiebreaker");
  return {
    timestampUnit: unit as TimestampUnit,
    ...(timestampField === undefined ? {} : { timestampField }),
    ...(categoryField === undefined ? {} : { categoryField }),
    // A copy of the field that orders events anyway would make the record, and so the alert's id, another than the sensors' own.
    ...(tiebreakerField === undefined || tiebreakerField === DEFAULT_TIEBREAKER ? {} : { tiebreakerField }),
  };
}

/** The back end of `--backend`. */
export function backendOf(args: Arguments): Backend {
  const name = args.text("backend") ?? "wasm";
  if (name !== "wasm" && name !== "lua") throw new KestrelError("usage", `Flag "--backend" needs wasm or lua, not "${name}"`);
  return name;
}
