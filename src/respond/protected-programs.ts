// The protect list: programs that keep a machine reachable and running, and whose processes of them count. A name that is built in counts for what the
// system runs, root and the account that distributions run the program as: a user's own process of it, with whatever library he put into it,
// protects nobody. What an operator names counts for everybody: he knows who runs it, and often it is no account of the system.
import { readFileSync } from "node:fs";
import { lineBehind } from "#core";

/** Who runs a process, as exec(2) left it. The effective user is not asked: sshd takes that of whoever logs in to read his keys. */
export interface Runner {
  readonly real: number;
  readonly saved: number;
}

/** Whose processes count: everybody's, or those of root and of some users. */
export type Runners = "anybody" | readonly number[];

/** See the head of this file. */
export interface ProtectedProgram {
  /** File name of a system program, or a whole path. */
  readonly name: string;
  readonly runners: Runners;
}

/** Programs with their accounts beside root. */
const BUILT_IN: readonly (readonly [name: string, ...accounts: readonly string[]])[] = [
  ["init"],
  ["systemd"],
  ["systemd-journald"],
  ["systemd-logind"],
  ["systemd-networkd", "systemd-network"],
  ["systemd-resolved", "systemd-resolve"],
  ["systemd-udevd"],
  // Until somebody is let in the child that serves him runs as this account; since OpenSSH 10 it is a program of its own.
  ["sshd", "sshd"],
  ["sshd-session", "sshd"],
  ["sshd-auth", "sshd"],
  ["agetty"],
  ["login"],
  // Debian, SUSE, Alpine and Gentoo; Fedora, Arch and Void.
  ["dbus-daemon", "messagebus", "dbus"],
  ["dbus-broker", "messagebus", "dbus"],
  ["NetworkManager"],
  ["containerd"],
  ["dockerd"],
  ["crio"],
  ["kubelet"],
];

/** The list of a machine with this user database, and with what an operator names. An account that is not there counts for nobody. */
export function protectedPrograms(named: readonly string[], passwd: string = readPasswd()): readonly ProtectedProgram[] {
  const builtIn = BUILT_IN.map(([name, ...accounts]) => ({ name, runners: accounts.flatMap((account) => uidOf(account, passwd) ?? []) }));
  return [...builtIn, ...named.map((name) => ({ name, runners: "anybody" as const }))];
}

/** Whether a process of this runner counts. */
export function countsFor(runners: Runners, { real, saved }: Runner): boolean {
  if (runners === "anybody") return true;
  return [real, saved].every((uid) => uid === 0 || runners.includes(uid));
}

/** Whom at least one of two rows counts for. */
export function eitherOf(one: Runners, other: Runners): Runners {
  return one === "anybody" || other === "anybody" ? "anybody" : [...new Set([...one, ...other])];
}

function uidOf(account: string, passwd: string): number | undefined {
  const uid = lineBehind(passwd, `${account}:`)?.split(":")[1] ?? "";
  return /^\d+$/.test(uid) ? Number(uid) : undefined;
}

// No lookup leaves the machine.
function readPasswd(): string {
  try {
    return readFileSync("/etc/passwd", "utf8");
  } catch {
    return "";
  }
}
