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
/** What a tiebreaker named on the command line is copied to. */
const TIEBREAKER_FIELD = "kestrel.tiebreaker";
const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const DURATION_MS_MAX: number = 366 * UNIT_MS.d;
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

/** Field that alone orders events of one time, when the user named one. */
export function tiebreakerOf(args: Arguments): string | undefined {
  const field = args.text("tiebreaker");
  return field === undefined || field === DEFAULT_TIEBREAKER ? field : TIEBREAKER_FIELD;
}

/** A length of time in nanoseconds: `500ms`, `10s`, `5m`, `1h`, `2d`. */
export function durationOf(args: Arguments, flag: string, fallbackNs: bigint): bigint {
  const text = args.text(flag);
  if (text === undefined) return fallbackNs;
  const [, number, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text) ?? [];
  const ms = Number(number) * (UNIT_MS[unit as keyof typeof UNIT_MS] ?? Number.NaN);
  if (!(ms <= DURATION_MS_MAX))
    throw new KestrelError("usage", `Flag "--${flag}" needs a length of time such as 500ms, 10s or 5m, not "${text}"`);
  return BigInt(Math.round(ms * 1e6));
}
