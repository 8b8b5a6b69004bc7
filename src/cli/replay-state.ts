// `kestrel replay --state FILE`: alerts, pending sequences and how far each log was read, in one database, so that a later run goes on where
// this one stopped, also when it was killed. Invariant: after a commit that failed there is no other, so what the file holds is one moment's.
import { resolve } from "node:path";
import { type Alert, type Kept, KestrelError, type ReplayPosition, type SavedState, type Sink } from "#core";
import { Store } from "#store";

/** How far a run came. */
interface Progress {
  /** Events of all runs: the next one's number. */
  readonly seq: number;
  /** By absolute paths: another run may stand in another folder. */
  readonly files: readonly ReplayPosition[];
}

/** Standard input has no path. */
const pathOf = (file: string): string => (file === "-" ? file : resolve(file));

/** See the head of this file. Close it when the run has ended. */
export class ReplayState implements Sink {
  readonly name = "state";
  readonly keepsState = true;
  readonly #store: Store;
  readonly #next: Sink;
  readonly #progress: Progress;
  /** Pending sequences of the run before. */
  readonly saved: SavedState;
  /** What was wrong with the file; empty when nothing was. */
  readonly problems: readonly string[];
  #failure: KestrelError | undefined;
  readonly #onFailure: () => void;

  /** Opens or makes the file. `next` gets the alerts that no earlier run raised; `onFailure` is told when the file cannot be written. */
  constructor(path: string, next: Sink, onFailure: () => void) {
    this.#onFailure = onFailure;
    const { store, setAside } = Store.open(path, { refuseOtherFiles: true });
    this.#store = store;
    this.#next = next;
    const problems = setAside === undefined ? [] : [`The state was damaged and set aside as "${setAside}"`];
    const state = store.loadState();
    if (state?.kind === "damaged")
      problems.push(`The state in "${path}" was damaged and set aside as table ${state.setAside}: ${state.reason}`);
    this.saved = state?.kind === "saved" ? state.rows : [];
    this.#progress = state?.kind === "saved" ? readProgress(path, state.position) : { seq: 0, files: [] };
    this.problems = problems;
  }

  /** Number of the first event of this run. */
  get firstSeq(): number {
    return this.#progress.seq;
  }

  /** Why the file could not be written. Nothing that came later is in it: the next run begins before that. */
  get failure(): KestrelError | undefined {
    return this.#failure;
  }

  /** Where to go on in each of these logs; of one that is named twice as often. */
  resume(files: readonly string[]): readonly ReplayPosition[] {
    const left = [...this.#progress.files];
    return files.flatMap((file) => {
      const index = left.findIndex((position) => position.file === pathOf(file));
      return index === -1 ? [] : left.splice(index, 1).map((position) => ({ ...position, file }));
    });
  }

  /** Text for {@link Kept.position} after so many events of this run. Logs of earlier runs that this one does not read keep their place. */
  position(records: number, files: readonly ReplayPosition[]): string {
    const read = files.map((position) => ({ ...position, file: pathOf(position.file) }));
    const names = new Set(read.map(({ file }) => file));
    const others = this.#progress.files.filter(({ file }) => !names.has(file));
    const progress: Progress = { seq: this.#progress.seq + records, files: [...others, ...read] };
    return JSON.stringify(progress);
  }

  // Shown before they are kept: after a kill between the two they are raised and shown again, with the same ids, but never lost.
  take(alerts: readonly Alert[], kept?: Kept): void {
    if (this.#failure !== undefined) return;
    try {
      const fresh = alerts.filter((alert) => !this.#store.has(alert));
      if (fresh.length > 0) this.#next.take(fresh);
      this.#store.commit(alerts, kept?.checkpoint, kept?.position);
    } catch (error) {
      // Going on would leave alerts out of the file that its position covers.
      if (!(error instanceof KestrelError)) throw error;
      this.#failure = error;
      this.#onFailure();
    }
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.#store.close();
  }
}

function readProgress(path: string, position: string | undefined): Progress {
  try {
    const { seq, files } = JSON.parse(position ?? "") as Progress;
    if (Number.isSafeInteger(seq) && Array.isArray(files)) return { seq, files };
  } catch {
    // Told below: the text is none of ours.
  }
  throw new KestrelError("usage", `"${path}" does not say how far a replay came: it belongs to another command, choose another file`);
}
