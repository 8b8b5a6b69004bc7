// What the agent and its reader of program files tell each other, over the two pipes of the child.
import type { Silence } from "./file-reader.ts";
import type { FileContent, ProgramFile, Unreadable } from "./program-file.ts";

/** A {@link ProgramFile} without numbers that JSON cannot say. */
export type WireFile = Omit<ProgramFile, "inode" | "changeNs"> & { readonly inode: string; readonly changeNs: string };

/** To the reader. */
export type ToReader =
  /** First: who is not to be asked. */
  | { readonly kind: "silent"; readonly places: readonly string[] }
  | { readonly kind: "read"; readonly id: number; readonly file: WireFile }
  | { readonly kind: "stands"; readonly id: number; readonly path: string; readonly file: WireFile };

/** From the reader. */
export type FromReader =
  /** True: the file stands at the path. */
  | { readonly kind: "answer"; readonly id: number; readonly answer: FileContent | Unreadable | boolean }
  /** After the answers: for their sake the reader is to be ended. */
  | { readonly kind: "silence"; readonly silences: readonly Silence[] };

/** For the pipe. */
export function toWire(file: ProgramFile): WireFile {
  return { ...file, inode: String(file.inode), changeNs: String(file.changeNs) };
}

/** As the reader wants it. */
export function fromWire(file: WireFile): ProgramFile {
  return { ...file, inode: BigInt(file.inode), changeNs: BigInt(file.changeNs) };
}
