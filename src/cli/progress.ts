// The line that shows how far a replay has come: only on a terminal, redrawn a few times a second, gone at the end.
import type { ReplaySource } from "#core";

/** What the line says. */
export interface ProgressFacts {
  /** Bytes of the files read, as they stand there. */
  readonly bytesRead: number;
  /** Unknown for standard input and pipes. */
  readonly bytesTotal: number | undefined;
  readonly events: number;
  readonly found: number;
  /** What is found: `alerts`, `matches`. */
  readonly foundName: string;
  readonly tookMs: number;
  /** Width of the terminal. */
  readonly columns: number;
}

const REDRAW_MS = 200;
const BAR_CELLS = 20;
const COLUMNS_UNKNOWN = 80;
const CLEAR_LINE = "\r\u001b[K";

/** The line's text, shorter than the terminal is wide: a line that wraps could not be cleared. */
export function progressLine({ bytesRead, bytesTotal, events, found, foundName, tookMs, columns }: ProgressFacts): string {
  const parts: string[] = [];
  const part = bytesTotal === undefined ? undefined : bytesTotal === 0 ? 1 : Math.min(1, bytesRead / bytesTotal);
  if (part !== undefined) {
    const cells = Math.floor(part * BAR_CELLS);
    parts.push(`[${"#".repeat(cells)}${".".repeat(BAR_CELLS - cells)}] ${String(Math.floor(part * 100)).padStart(3)} %`);
  }
  parts.push(bytesTotal === undefined ? bytesText(bytesRead) : `${bytesText(bytesRead)} of ${bytesText(bytesTotal)}`);
  parts.push(`${countText(events)} events`);
  if (tookMs > 0) parts.push(`${countText(Math.round((events * 1000) / tookMs))}/s`);
  parts.push(`${countText(found)} ${foundName}`);
  if (part !== undefined && part > 0) parts.push(`eta ${durationText((tookMs * (1 - part)) / part)}`);
  return parts.join("  ").slice(0, Math.max(0, columns - 1));
}

function countText(count: number): string {
  return count.toLocaleString("en-US");
}

function bytesText(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  // Where rounding would print four digits the next unit is due.
  while (value >= (unit === 0 ? 1000 : 999.95) && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

function durationText(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  const pad = (value: number): string => String(value).padStart(2, "0");
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}:${pad(seconds % 60)}`;
  return `${Math.floor(minutes / 60)}:${pad(minutes % 60)}:${pad(seconds % 60)}`;
}

/** What a {@link ProgressBar} watches. */
export interface ProgressOptions {
  /** False: nothing is ever drawn. */
  readonly show: boolean;
  readonly source: ReplaySource;
  readonly foundName: string;
  readonly found: () => number;
}

/** Draws the line on standard error from `start` to dispose. Whoever else writes to the terminal calls `clear` first. */
export class ProgressBar implements Disposable {
  #timer: ReturnType<typeof setInterval> | undefined;
  #drawn = false;

  /** Draws at once, and then again and again. */
  start({ show, source, foundName, found }: ProgressOptions): void {
    if (!show || process.stderr.isTTY !== true) return;
    const startMs = performance.now();
    const draw = (): void => {
      const { read, total } = source.fileBytes;
      const line = progressLine({
        bytesRead: read,
        bytesTotal: total,
        events: source.records + source.outside,
        found: found(),
        foundName,
        tookMs: performance.now() - startMs,
        columns: process.stderr.columns || COLUMNS_UNKNOWN,
      });
      process.stderr.write(`${CLEAR_LINE}${line}`);
      this.#drawn = true;
    };
    this.#timer = setInterval(draw, REDRAW_MS);
    draw();
  }

  /** Takes the line away until it is drawn again. */
  clear(): void {
    if (!this.#drawn) return;
    this.#drawn = false;
    process.stderr.write(CLEAR_LINE);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.clear();
  }
}
