// Dates in query texts: ISO 8601 in UTC or with an offset, to the nanosecond.

const ISO = /^(\d{4})-(\d{2})-(\d{2})(?:[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?(Z|z|[+-]\d{2}:?\d{2})?)?$/;
const I64_MAX = (1n << 63n) - 1n;

/** Nanoseconds since 1970 of an ISO date; no offset means UTC. `undefined` when the text is not a date. */
export function parseDate(text: string): bigint | undefined {
  const found = ISO.exec(text);
  if (found === null) return undefined;
  const [, year, month, day, hour = "0", minute = "0", second = "0", fraction = "", zone = "Z"] = found;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  if (date.getUTCMonth() !== Number(month) - 1 || date.getUTCDate() !== Number(day)) return undefined;
  date.setUTCHours(Number(hour), Number(minute), Number(second));
  const nanoseconds = BigInt(date.getTime() / 1000) * 1_000_000_000n + BigInt(fraction.padEnd(9, "0")) - offsetNs(zone);
  return nanoseconds <= I64_MAX && nanoseconds >= -I64_MAX ? nanoseconds : undefined;
}

/** Nanoseconds since 1970 of epoch milliseconds, as events have them in a date field. `undefined` when they are out of range. */
export function dateOfMs(milliseconds: bigint): bigint | undefined {
  const nanoseconds = milliseconds * 1_000_000n;
  return nanoseconds <= I64_MAX && nanoseconds >= -I64_MAX ? nanoseconds : undefined;
}

function offsetNs(zone: string): bigint {
  if (zone === "Z" || zone === "z") return 0n;
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(-2));
  return BigInt(zone.startsWith("-") ? -minutes : minutes) * 60_000_000_000n;
}
