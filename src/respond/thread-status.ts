// Who a thread is, from /proc/TID/status: one read; of one that waits at the gate while it cannot go on. Data of the kernel's own, read as text.
import { readFileSync } from "node:fs";
import { lineBehind } from "#core";

/** See the head of this file. */
export interface ThreadStatus {
  /** Its process. */
  readonly pid: number;
  readonly ppid: number;
  readonly uid: number;
  readonly euid: number;
  readonly suid: number;
  readonly gid: number;
  readonly egid: number;
  /** Set-user-id bits mean nothing to it. */
  readonly noNewPrivileges: boolean;
}

/** `undefined`: it is gone, or belongs to a pid namespace that cannot be seen. */
export function readThreadStatus(tid: number): ThreadStatus | undefined {
  try {
    return parseThreadStatus(readFileSync(`/proc/${tid}/status`, "latin1"));
  } catch {
    return undefined;
  }
}

/** The text of the file as a value. */
export function parseThreadStatus(text: string): ThreadStatus | undefined {
  const numbers = (name: string): readonly number[] => (lineBehind(text, `${name}:`) ?? "").split(/\s+/).filter(Boolean).map(Number);
  const [pid] = numbers("Tgid");
  const [ppid] = numbers("PPid");
  const [uid, euid, suid] = numbers("Uid");
  const [gid, egid] = numbers("Gid");
  if (pid === undefined || ppid === undefined) return undefined;
  if (uid === undefined || euid === undefined || suid === undefined || gid === undefined || egid === undefined) return undefined;
  return { pid, ppid, uid, euid, suid, gid, egid, noNewPrivileges: numbers("NoNewPrivs")[0] === 1 };
}
