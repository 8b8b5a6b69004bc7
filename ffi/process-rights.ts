// What a process may do, taken away from it for good: capabilities of the bounding and inheritable sets, new privileges, system calls. Each
// wrapper checks its arguments and turns errno into a NativeError whose code is the errno name. No policy.
import { NativeError } from "./handle.ts";
import { errnoName } from "./libc.ts";
import { checkI32, checkInteger, checkU32, NativeBuffer } from "./memory.ts";
import { type Bound, bindSymbols } from "./symbols.ts";

const SYMBOLS = {
  prctl: { args: ["i32", "u64", "u64", "u64", "u64"], returns: "i32" }, // option, arg2 … arg5
  capget: { args: ["ptr", "ptr"], returns: "i32" }, // hdrp, datap
  capset: { args: ["ptr", "ptr"], returns: "i32" }, // hdrp, datap
  syscall: { args: ["i64", "i64", "i64", "ptr"], returns: "i64" }, // number and three arguments
} as const;

let bound: Bound<typeof SYMBOLS> | undefined;

function libc(): Bound<typeof SYMBOLS> {
  bound ??= bindSymbols({ path: "libc.so.6", library: "libc" }, SYMBOLS);
  return bound;
}

function failed(call: string): NativeError {
  const code = errnoName();
  return new NativeError(code, "libc", `${call}: ${code}`);
}

const PR_SET_DUMPABLE = 4;
const PR_CAPBSET_DROP = 24;
const PR_SET_NO_NEW_PRIVS = 38;
const CAPABILITY_MAX = 63;

/** Takes a capability out of this thread's bounding set: no program it executes will have it. */
export function dropFromBoundingSet(capability: number): void {
  const number = checkInteger(capability, "capability", { min: 0, max: CAPABILITY_MAX });
  if (libc().prctl(PR_CAPBSET_DROP, BigInt(number), 0n, 0n, 0n) !== 0) throw failed(`prctl PR_CAPBSET_DROP ${number}`);
}

/** Nothing this thread executes gains rights by its file: no set-user-ID, no file capabilities. */
export function refuseNewPrivileges(): void {
  if (libc().prctl(PR_SET_NO_NEW_PRIVS, 1n, 0n, 0n, 0n) !== 0) throw failed("prctl PR_SET_NO_NEW_PRIVS");
}

/** Whether a core of this process may be dumped, and processes without CAP_SYS_PTRACE may look into it. */
export function setDumpable(dumpable: boolean): void {
  if (libc().prctl(PR_SET_DUMPABLE, dumpable ? 1n : 0n, 0n, 0n, 0n) !== 0) throw failed("prctl PR_SET_DUMPABLE");
}

const CAPABILITY_VERSION_3 = 0x2008_0522;
/** struct __user_cap_data_struct[2]: effective, permitted, inheritable, each for 32 capabilities. */
const CAPABILITY_DATA_BYTES = 24;
const CAPABILITY_WORD_BYTES = 12;
const INHERITABLE = 8;

/** Empties the inheritable set of this thread, and with it the ambient one. */
export function clearInheritable(): void {
  setCapabilities((data) => {
    for (const word of [0, 1]) data.view.setUint32(word * CAPABILITY_WORD_BYTES + INHERITABLE, 0, true);
  });
}

/** Leaves this thread those capabilities of a mask that it has, and none to inherit. */
export function keepCapabilities(mask: bigint): void {
  setCapabilities(({ view }) => {
    for (const word of [0, 1]) {
      const [at, kept] = [word * CAPABILITY_WORD_BYTES, Number((mask >> BigInt(32 * word)) & 0xffff_ffffn)];
      for (const set of [at, at + 4]) view.setUint32(set, (view.getUint32(set, true) & kept) >>> 0, true);
      view.setUint32(at + INHERITABLE, 0, true);
    }
  });
}

function setCapabilities(change: (data: NativeBuffer) => void): void {
  const header = new NativeBuffer(8);
  header.view.setUint32(0, CAPABILITY_VERSION_3, true);
  const data = new NativeBuffer(CAPABILITY_DATA_BYTES);
  if (libc().capget(header.ptr, data.ptr) !== 0) throw failed("capget");
  change(data);
  if (libc().capset(header.ptr, data.ptr) !== 0) throw failed("capset");
}

/** The numbers of this processor, by which a filter knows a call of another kind (32 bits) from ours. */
const PROCESSORS: Readonly<Record<string, { readonly audit: number; readonly seccomp: number }>> = {
  x64: { audit: 0xc000_003e, seccomp: 317 },
  arm64: { audit: 0xc000_00b7, seccomp: 277 },
};
const SECCOMP_SET_MODE_FILTER = 1;
/** For every thread of the process, or none. */
const SECCOMP_FILTER_FLAG_TSYNC = 1;
/** No slow mode against speculation: what it guards against is code that is not ours. */
const SECCOMP_FILTER_FLAG_SPEC_ALLOW = 4;
const SECCOMP_RET_ERRNO = 0x0005_0000;
const SECCOMP_RET_ALLOW = 0x7fff_0000;
/** Numbers from here on are x32 calls, which name the same calls otherwise. */
const X32_BIT = 0x4000_0000;
const EPERM = 1;
/** struct seccomp_data: nr, arch. */
const DATA_NR = 0;
const DATA_ARCH = 4;
const LOAD_WORD = 0x20;
const JUMP_EQUAL = 0x15;
const JUMP_GREATER_EQUAL = 0x35;
const RETURN = 0x06;
const FILTER_LENGTH_MAX = 255;

/**
 * From now on every thread, and every program started from here, gets EPERM for these calls, for calls of another word size and for x32 ones.
 * Cannot be taken back. NativeError `unsupported` on a processor whose numbers are not known.
 */
export function denySystemCalls(numbers: readonly number[]): void {
  const processor = PROCESSORS[process.arch];
  if (processor === undefined) throw new NativeError("unsupported", "libc", `No system call numbers are known for ${process.arch}`);
  const filter = filterOf(numbers, processor.audit);
  const program = new NativeBuffer(16);
  program.view.setUint16(0, filter.byteLength / 8, true);
  program.setPointer(8, filter.ptr);
  const flags = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_SPEC_ALLOW;
  const result = Number(libc().syscall(processor.seccomp, SECCOMP_SET_MODE_FILTER, flags, program.ptr));
  if (result > 0) throw new NativeError("ESRCH", "libc", `seccomp: thread ${result} has another filter`);
  if (result < 0) throw failed("seccomp");
}

/** The deny program comes last, so every jump to it is forward; a jump offset is one byte, hence the bound. */
function filterOf(numbers: readonly number[], audit: number): NativeBuffer {
  checkInteger(numbers.length, "number of system calls", { min: 0, max: FILTER_LENGTH_MAX - 8 });
  const length = numbers.length + 6;
  const filter = new NativeBuffer(length * 8);
  let at = 0;
  const put = (code: number, jumps: readonly [ifTrue: number, ifFalse: number], k: number): void => {
    filter.view.setUint16(at * 8, code, true);
    filter.view.setUint8(at * 8 + 2, jumps[0]);
    filter.view.setUint8(at * 8 + 3, jumps[1]);
    filter.view.setUint32(at * 8 + 4, checkU32(k, "filter constant"), true);
    at++;
  };
  const toDeny = (): number => length - 2 - at;
  put(LOAD_WORD, [0, 0], DATA_ARCH);
  put(JUMP_EQUAL, [0, toDeny()], audit);
  put(LOAD_WORD, [0, 0], DATA_NR);
  put(JUMP_GREATER_EQUAL, [toDeny(), 0], X32_BIT);
  for (const number of numbers) put(JUMP_EQUAL, [toDeny(), 0], checkI32(number, "system call"));
  put(RETURN, [0, 0], SECCOMP_RET_ALLOW);
  put(RETURN, [0, 0], SECCOMP_RET_ERRNO | EPERM);
  return filter;
}
