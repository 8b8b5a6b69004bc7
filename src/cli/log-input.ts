// Flags that say how event logs are to be read, shared by replay and query.
import { KestrelError, type ReplayOptions } from "#core";
import { parseTimestamp, type TimestampUnit } from "#event";
import type { Backend } from "#schema";
import type { Arguments, FlagKind } from "./arguments.ts";

/** Flags of {@link logOptionsOf} and {@link rangeOf}. */
export const LOG_FLAGS: Readonly<Record<string, FlagKind>> = {
  timestamp: "text",
  "time-unit": "text",
  category: "text",
  tiebreaker: "text",
  from: "text",
  to: "text",
  schema: "text",
};

const DEFAULT_TIEBREAKER = "event.sequence";
const UNITS: readonly TimestampUnit[] = ["auto", "s", "ms", "us", "100ns", "ns"];

/** How to read event logs. */
export function logOptionsOf(args: Arguments): ReplayOptions["decoder"] {
  const timestampField = args.text("timestamp");
  const categoryField = args.text("category");
  const tiebreakerField = args.text("tiebreaker");
  return {
    timestampUnit: unitOf(args),
    ...(timestampField === undefined ? {} : { timestampField }),
    ...(categoryField === undefined ? {} : { categoryField }),
    // A copy of the field that orders events anyway would make the record, and so the alert's id, another than the sensors' own.
    ...(tiebreakerField === undefined || tiebreakerField === DEFAULT_TIEBREAKER ? {} : { tiebreakerField }),
  };
}

/** The times of `--from` and `--to`, read as events' times are. */
export function rangeOf(args: Arguments): NonNullable<ReplayOptions["range"]> {
  const fromNs = timeOf(args, "from");
  const toNs = timeOf(args, "to");
  if (fromNs !== undefined && toNs !== undefined && fromNs >= toNs)
    throw new KestrelError("usage", `Flag "--to" needs a time after "--from": "${args.text("to")}" is not after "${args.text("from")}"`);
  return { fromNs, toNs };
}

function timeOf(args: Arguments, flag: "from" | "to"): bigint | undefined {
  const text = args.text(flag);
  if (text === undefined) return undefined;
  const ns = parseTimestamp(text, unitOf(args));
  if (ns !== undefined) return ns;
  throw new KestrelError("usage", `Flag "--${flag}" needs a date such as 2026-03-02T08:00:00Z, or a number of --time-unit, not "${text}"`);
}

function unitOf(args: Arguments): TimestampUnit {
  const unit = args.text("time-unit") ?? "auto";
  if (UNITS.includes(unit as TimestampUnit)) return unit as TimestampUnit;
  throw new KestrelError("usage", `Flag "--time-unit" needs one of ${UNITS.join(", ")}, not "${unit}"`);
}

/** The back end of `--backend`. */
export function backendOf(args: Arguments): Backend {
  const name = args.text("backend") ?? "wasm";
  if (name !== "wasm" && name !== "lua") throw new KestrelError("usage", `Flag "--backend" needs wasm or lua, not "${name}"`);
  return name;
}
