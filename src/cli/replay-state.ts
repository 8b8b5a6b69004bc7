// `kestrel replay --state FILE`: alerts, pending sequences and how far each log was read, in one database, so that a later run goes on where
// this one stopped, also when it was killed.
import { type Alert, type Kept, KestrelError, type ReplayPosition, type SavedState, type Sink } from "#core";
import { Store } from "#store";

/** How far a run came. */
interface Progress {
  /** Events of all runs: the next one's number. */
  readonly seq: number;
  readonly files: readonly ReplayPosition[];
}

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

  /** Opens or makes the file. `next` gets the alerts that no earlier run raised. */
  constructor(path: string, next: Sink) {
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

  /** Where to go on in each log. */
  get resume(): readonly ReplayPosition[] {
    return this.#progress.files;
  }

  /** Text for {@link Kept.position} after so many events of this run. Logs of earlier runs that this one does not read keep their place. */
  position(records: number, files: readonly ReplayPosition[]): string {
    const read = new Set(files.map(({ file }) => file));
    const others = this.#progress.files.filter(({ file }) => !read.has(file));
    const progress: Progress = { seq: this.#progress.seq + records, files: [...others, ...files] };
    return JSON.stringify(progress);
  }

  // Shown before they are kept: after a kill between the two they are raised and shown again, with the same ids, but never lost.
  take(alerts: readonly Alert[], kept?: Kept): void {
    const fresh = alerts.filter((alert) => this.#store.get(alert.id) === undefined);
    if (fresh.length > 0) this.#next.take(fresh);
    this.#store.commit(alerts, kept?.checkpoint, kept?.position);
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
