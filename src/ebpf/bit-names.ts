// Names of the bits in words of the kernel: capabilities of linux/capability.h, namespaces of linux/sched.h, taints of linux/panic.h; and of
// the operations of keyctl.

import { type PackedKeywords, packKeywords } from "#event";
import { Way } from "./wire.ts";

/** Name and bit, ascending. */
export type BitNames = readonly (readonly [name: string, bit: bigint])[];

/** Capabilities under the names rules use. A list in the order of their numbers. */
export const CAPABILITY_BITS: BitNames = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_DAC_READ_SEARCH",
  "CAP_FOWNER",
  "CAP_FSETID",
  "CAP_KILL",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETPCAP",
  "CAP_LINUX_IMMUTABLE",
  "CAP_NET_BIND_SERVICE",
  "CAP_NET_BROADCAST",
  "CAP_NET_ADMIN",
  "CAP_NET_RAW",
  "CAP_IPC_LOCK",
  "CAP_IPC_OWNER",
  "CAP_SYS_MODULE",
  "CAP_SYS_RAWIO",
  "CAP_SYS_CHROOT",
  "CAP_SYS_PTRACE",
  "CAP_SYS_PACCT",
  "CAP_SYS_ADMIN",
  "CAP_SYS_BOOT",
  "CAP_SYS_NICE",
  "CAP_SYS_RESOURCE",
  "CAP_SYS_TIME",
  "CAP_SYS_TTY_CONFIG",
  "CAP_MKNOD",
  "CAP_LEASE",
  "CAP_AUDIT_WRITE",
  "CAP_AUDIT_CONTROL",
  "CAP_SETFCAP",
  "CAP_MAC_OVERRIDE",
  "CAP_MAC_ADMIN",
  "CAP_SYSLOG",
  "CAP_WAKE_ALARM",
  "CAP_BLOCK_SUSPEND",
  "CAP_AUDIT_READ",
  "CAP_PERFMON",
  "CAP_BPF",
  "CAP_CHECKPOINT_RESTORE",
].map((name, bit) => [name, 1n << BigInt(bit)]);

/** CLONE_NEW flags. */
export const NAMESPACE_BITS: BitNames = [
  ["time", 0x80n],
  ["mnt", 0x2_0000n],
  ["cgroup", 0x200_0000n],
  ["uts", 0x400_0000n],
  ["ipc", 0x800_0000n],
  ["user", 0x1000_0000n],
  ["pid", 0x2000_0000n],
  ["net", 0x4000_0000n],
];

const capabilitySets = new Map<bigint, PackedKeywords>();
const CAPABILITY_SETS_MAX = 256;

/** Names of a set of capabilities. Kept: nearly all processes have one of a few sets, and writing the names of a full one costs 1.7 µs, its packed form 0.1 µs. */
export function capabilityNames(bits: bigint): PackedKeywords {
  const known = capabilitySets.get(bits);
  if (known !== undefined) return known;
  const names = packKeywords(namesOfBits(CAPABILITY_BITS, bits));
  if (capabilitySets.size >= CAPABILITY_SETS_MAX) capabilitySets.clear();
  capabilitySets.set(bits, names);
  return names;
}

/** Taint flags of a kernel or module, bit by bit, as the kernel writes them. */
export const TAINT_LETTERS = "PFSRMBUDAWCIOELKXTNJ";

/** Operations of keyctl by number, and the calls beside it. */
export const KEY_OPERATIONS: ReadonlyMap<number, string> = new Map([
  ...[
    "get_keyring_id",
    "join_session_keyring",
    "update",
    "revoke",
    "chown",
    "setperm",
    "describe",
    "clear",
    "link",
    "unlink",
    "search",
    "read",
    "instantiate",
    "negate",
    "set_reqkey_keyring",
    "set_timeout",
    "assume_authority",
    "get_security",
    "session_to_parent",
    "reject",
    "instantiate_iov",
    "invalidate",
    "get_persistent",
    "dh_compute",
    "pkey_query",
    "pkey_encrypt",
    "pkey_decrypt",
    "pkey_sign",
    "pkey_verify",
    "restrict_keyring",
    "move",
    "capabilities",
    "watch_key",
  ].map((name, number) => [number, name] as const),
  [Way.AddKey, "add_key"],
  [Way.RequestKey, "request_key"],
]);

/** Letters of the bits that are set, in the order of the bits. */
export function lettersOfBits(letters: string, bits: bigint): string {
  return [...letters].filter((_, bit) => ((bits >> BigInt(bit)) & 1n) !== 0n).join("");
}

/** Names of the bits that are set; bits without a name are left out. */
export function namesOfBits(names: BitNames, bits: bigint): readonly string[] {
  return names.filter(([, bit]) => (bits & bit) !== 0n).map(([name]) => name);
}
