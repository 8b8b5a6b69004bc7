// The tricks by which a program is run, against the exec gate: a rule denies `evil` by its path, and it is tried all the same.

/** One try. */
export interface GateTrick {
  /** Name of the trick's act, without its first word. */
  readonly name: string;
  /** Shell line in an empty folder; $M is the folder that is held, with `evil` in it, $E the program of tricks. */
  readonly command: string;
  /** Whether `evil` must not run. */
  readonly stopped: boolean;
}

/** All of them. */
export const GATE_TRICKS: readonly GateTrick[] = [
  { name: "symlink-exec", command: "ln -s $M/evil innocent; ./innocent", stopped: true },
  { name: "descriptor-exec", command: "$E descriptor-exec $M/evil", stopped: true },
  { name: "execveat", command: "$E execveat $M/evil", stopped: true },
  { name: "bind-mount-exec", command: "mkdir $M/bound; mount --bind $M $M/bound; $M/bound/evil; umount -l $M/bound", stopped: false },
  { name: "detached-mount-exec", command: "$E detached-exec $M evil", stopped: false },
  { name: "hard-link", command: "ln $M/evil $M/linked; $M/linked", stopped: false },
  { name: "renamed", command: "cp $M/evil $M/before; mv $M/before $M/after; $M/after", stopped: false },
  { name: "memfd", command: "$E memory-exec $M/evil", stopped: false },
  { name: "loader", command: "/lib64/ld-linux-x86-64.so.2 $M/evil", stopped: false },
  { name: "32-bit", command: "$M/evil32", stopped: true },
  { name: "argv0", command: "bash -c \"exec -a '[kworker/0:1]' $M/evil\"", stopped: true },
  { name: "thread", command: "$E thread-exec $M/evil", stopped: true },
  { name: "double-fork", command: "$E double-fork $M/evil", stopped: true },
  { name: "long-arguments", command: "$E long-exec $M/evil", stopped: true },
];
