// What a live source can be told at its beginning.
import type { Clock } from "#core";
import type { SchemaRegistry } from "#schema";
import type { SecretTest } from "./redactor.ts";
import type { SensorName } from "./sensors.ts";

/** Settings of an EbpfSource; every one has a default. */
export interface EbpfOptions {
  readonly registry: SchemaRegistry;
  /** Timers only; events carry the kernel's time. */
  readonly clock?: Clock;
  /** Ring of processes and rare acts: a power of two of at least 4096 bytes. */
  readonly processRingBytes?: number;
  /** Ring of files and connections. */
  readonly activityRingBytes?: number;
  /** Report the agent's own files and connections too. */
  readonly includeOwn?: boolean;
  /** Told what of the policies the kernel cannot have, and why sensors do not follow what is wanted, a line each. */
  readonly onProblem?: (problem: string) => void;
  /** Names of environment variables to keep with an exec, beside the usual ones. */
  readonly variables?: readonly string[];
  /** Whether secrets are taken out of arguments and variables; true unless said otherwise. */
  readonly redact?: boolean;
  /** Whether the files of programs are read, for their hash and what else is in them; true unless said otherwise. */
  readonly inspect?: boolean;
  /** Command that starts a reader of these files; without it they are read in this process, which a filesystem that does not answer may hold. */
  readonly readerCommand?: readonly string[];
  /** Longest wait of an exec for what is in its file, ms; HOLD_NS_MAX without it. */
  readonly holdMs?: number;
  /** Sensors that stay off whatever is wanted of them; none of those that are required. */
  readonly without?: ReadonlySet<SensorName>;
  /** What is to be taken out beside the usual: arguments and values for which it says true. */
  readonly isSecret?: SecretTest;
}
