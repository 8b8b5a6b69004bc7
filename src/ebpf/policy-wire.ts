// Byte offsets and numbers of bpf/policy.h, little endian. A test compares every number with what the C compiler says.

/** struct policy_key. */
export const enum PolicyKey {
  Bits = 0,
  Generation = 4,
  Dimension = 5,
  Value = 8,
  Size = 256,
}

/** struct policy_table: one act in one generation. */
export const enum PolicyTable {
  Clauses = 0,
  Enforced = 8,
  Denying = 16,
  Dimensions = 24,
  Defaults = 32,
  Size = 288,
}

/** struct policy_default: one for each dimension. */
export const enum PolicyDefault {
  Unmatched = 0,
  Free = 8,
  Size = 16,
}

/** struct policy_state. */
export const enum PolicyState {
  Generation = 0,
  Deniers = 4,
  Size = 8,
}

/** struct policy_file. */
export const enum PolicyFile {
  Inode = 0,
  Device = 8,
  Size = 16,
}

/** struct policy_runners. */
export const enum PolicyRunners {
  Anybody = 0,
  Users = 4,
  Size = 20,
}

/** struct policy_note: the end of a record with Flag.Policy. */
export const enum Note {
  Matched = 0,
  Acted = 8,
  LatencyNs = 16,
  Act = 20,
  Generation = 21,
  Means = 22,
  Spared = 23,
  Size = 24,
}

/** enum policy_means. */
export const enum Means {
  None = 0,
  Lsm = 1,
  Cgroup = 2,
  Signal = 3,
}

/** Rows of the counter map. */
export const enum PolicyCount {
  Acted = 0,
  Monitored = 1,
  Spared = 2,
  Undecided = 3,
  Busy = 4,
  Unreported = 5,
  Rows = 8,
}

/** Bits of a key before those of its value. */
export const POLICY_KEY_BITS = 32;
/** Most files of protected programs, and processes that are never touched. */
export const POLICY_PROTECTED_MAX = 1024;
export const POLICY_SPARED_MAX = 64;
/** Most users beside root in whose processes one counts. */
export const POLICY_RUNNERS_MAX = 4;
/** Beside the tick of one: its children that run the same program file are not touched either. */
export const SPARED_HELPERS: bigint = 1n << 63n;
