// The agent's own log: one line an entry on a writer that cli chooses. Values are quoted, so a watched process cannot forge lines.

/** Levels, least first. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** Writes log entries. */
export interface Log {
  write(level: LogLevel, message: string, values?: Readonly<Record<string, string | number | boolean>>): void;
}

const ORDER: readonly LogLevel[] = ["debug", "info", "warn", "error"];

/** A log that formats lines and passes those of at least `level` to `writeLine`. */
export function createLog(level: LogLevel, writeLine: (line: string) => void): Log {
  const least = ORDER.indexOf(level);
  return {
    write(entryLevel, message, values = {}) {
      if (ORDER.indexOf(entryLevel) < least) return;
      const pairs = Object.entries(values).map(([key, value]) => ` ${key}=${JSON.stringify(value)}`);
      writeLine(`kestrel: ${entryLevel === "info" ? "" : `${entryLevel}: `}${message}${pairs.join("")}`);
    },
  };
}
