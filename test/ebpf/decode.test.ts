// Decoding kernel records: each kind as built, and anything at all without a throw.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { decode } from "../../src/ebpf/decode.ts";
import type { ChangeEvent, ExecEvent, ExitEvent, FileEvent, FlowEvent, KernelEvent } from "../../src/ebpf/kernel-event.ts";
import { ActKind, ChangeKind, Flag, Head, Op } from "../../src/ebpf/wire.ts";
import {
  actRecord,
  type ChangeParts,
  changeRecord,
  connectRecord,
  execRecord,
  exitRecord,
  fileRecord,
  forkRecord,
} from "./kernel-record.ts";

const SEED = Number(Bun.env["KESTREL_SEED"] ?? 20_260_714);

function decodeWhole(record: Buffer): KernelEvent | undefined {
  return decode(new Uint8Array(record), 0, record.length);
}

describe("decode", () => {
  test("exec: path, folder, filename and raw arguments", () => {
    const args = Buffer.from("sh\0-c\0a\nb\0");
    const record = execRecord(
      { pid: 7, startNs: 5_000_000_000n, comm: "sh" },
      { path: "/usr/bin/dash", cwd: "/tmp/x", filename: "/bin/sh", args },
    );
    const event = decodeWhole(record) as ExecEvent;
    expect(event).toMatchObject({
      kind: "exec",
      executable: "/usr/bin/dash",
      workingDirectory: "/tmp/x",
      filename: "/bin/sh",
      argsSize: 10,
    });
    expect(Buffer.from(event.args)).toEqual(args);
    expect(event.actor).toMatchObject({ pid: 7, startNs: 5e9, comm: "sh" });
  });

  test("a record without names is the root folder", () => {
    expect((decodeWhole(execRecord({}, { path: "", args: Buffer.alloc(0) })) as ExecEvent).executable).toBe("/");
  });

  test("exit: code and signal apart", () => {
    expect(decodeWhole(exitRecord({}, 3 << 8)) as ExitEvent).toMatchObject({ exitCode: 3, signal: 0 });
    expect(decodeWhole(exitRecord({}, 9 | 0x80)) as ExitEvent).toMatchObject({ exitCode: 0, signal: 9 });
  });

  test("a path that was too deep says so", () => {
    expect((decodeWhole(fileRecord({ flags: Flag.PathCut }, "/y/z")) as FileEvent).path).toBe("…/y/z");
  });

  const NO_ID = 0xffff_ffff;
  const CHANGES: readonly (readonly [string, ChangeParts, Partial<ChangeEvent> | undefined])[] = [
    [
      "names below folders",
      { kind: ChangeKind.Rename, name: "b", folder: "/x", otherName: "a", otherFolder: "/y" },
      { change: "rename", path: "/x/b", otherPath: "/y/a" },
    ],
    [
      "absolute names",
      { kind: ChangeKind.Rename, name: "/b", otherName: "/a", otherFolder: "/y" },
      { change: "rename", path: "/b", otherPath: "/a" },
    ],
    ["the root", { kind: ChangeKind.Unlink, name: "/../..//" }, { path: "/" }],
    [
      "dots and slashes",
      { kind: ChangeKind.Rmdir, name: "./a/../b//", folder: "/x" },
      { change: "deletion", path: "/x/b", isFolder: true },
    ],
    [
      "the text of a symbolic link as it is",
      { kind: ChangeKind.Symlink, name: "l", folder: "/x", otherName: "../t/" },
      { path: "/x/l", otherPath: "../t/" },
    ],
    ["a symbolic link whose text was not read", { kind: ChangeKind.Symlink, name: "l", folder: "/x" }, { otherPath: undefined }],
    ["a hard link", { kind: ChangeKind.Link, name: "l", folder: "/", otherName: "/t" }, { change: "link", path: "/l", otherPath: "/t" }],
    ["a mode by path", { kind: ChangeKind.Mode, name: "/f", values: [0o4755, 7] }, { mode: 0o4755, uid: undefined, inode: undefined }],
    [
      "a mode by descriptor",
      { kind: ChangeKind.Mode, folder: "/x/f", values: [0o600, 0], inode: 9n, fileMode: 0o040600 },
      { path: "/x/f", isFolder: true, inode: { inode: 9n, sizeBytes: 0, device: 0, mode: 0o040600, uid: 0, gid: 0 } },
    ],
    ["an owner alone", { kind: ChangeKind.Owner, name: "/f", values: [5, NO_ID] }, { uid: 5, gid: undefined, mode: undefined }],
    ["a group alone", { kind: ChangeKind.Owner, name: "/f", values: [NO_ID, 6] }, { uid: undefined, gid: 6 }],
    ["an unknown kind", { kind: 99 as ChangeKind, name: "/f" }, undefined],
  ];
  for (const [name, parts, expected] of CHANGES) {
    test(`change: ${name}`, () => {
      const event = decodeWhole(changeRecord({ pid: 7 }, parts)) as ChangeEvent | undefined;
      if (expected === undefined) expect(event).toBeUndefined();
      else expect(event).toMatchObject(expected);
    });
  }

  test("change: a folder that was too deep says so, an absolute name is whole", () => {
    const parts = { kind: ChangeKind.Rename, name: "n", folder: "/y", otherName: "/z" };
    expect(decodeWhole(changeRecord({ flags: Flag.PathCut }, parts))).toMatchObject({ path: "…/y/n", otherPath: "/z" });
  });

  test("act: every kind has its name and no two the same; an unknown kind is no record", () => {
    const names = Array.from({ length: ActKind.PidfdGetfd }, (_, index) => decodeWhole(actRecord({}, { kind: index + 1 })));
    expect(new Set(names.map((event) => (event?.kind === "act" ? event.act : undefined))).size).toBe(ActKind.PidfdGetfd);
    expect(names).not.toContain(undefined);
    for (const kind of [0, ActKind.PidfdGetfd + 1]) expect(decodeWhole(actRecord({}, { kind }))).toBeUndefined();
  });

  test("act: values, target and text", () => {
    const parts = { kind: ActKind.Signal, values: [2n ** 40n, 3n], targetPid: 9, targetStartNs: 5_000_000_000n, text: "memfd:x" } as const;
    expect(decodeWhole(actRecord({ pid: 7 }, parts))).toMatchObject({
      act: "signal_sent",
      actor: { pid: 7 },
      values: [2n ** 40n, 3n],
      targetPid: 9,
      targetStartNs: 5e9,
      text: "memfd:x",
    });
  });

  test("connect: families and nothing else", () => {
    const four = decodeWhole(connectRecord({}, 2, Uint8Array.of(192, 0, 2, 1))) as FlowEvent;
    expect(four).toMatchObject({ destinationPort: 443, protocol: 6 });
    expect([...four.destination]).toEqual([192, 0, 2, 1]);
    expect((decodeWhole(connectRecord({}, 10, Uint8Array.of(1))) as FlowEvent).destination).toHaveLength(16);
    expect(decodeWhole(connectRecord({}, 1, Uint8Array.of(1)))).toBeUndefined();
  });

  test("broken UTF-8 in names becomes U+FFFD", () => {
    const record = fileRecord({}, "/tmp/name");
    record[record.indexOf("name")] = 0xff;
    expect((decodeWhole(record) as FileEvent).path).toBe("/tmp/\ufffdame");
  });

  test("too short, unknown kind, outside the bytes: not a record", () => {
    const fork = forkRecord({ pid: 1 });
    expect(decodeWhole(fork)?.kind).toBe("fork");
    expect(decodeWhole(fork.subarray(0, Head.Size))).toBeUndefined();
    expect(decodeWhole(fork.subarray(0, 5))).toBeUndefined();
    expect(decode(new Uint8Array(fork), 0, fork.length + 1)).toBeUndefined();
    fork.writeUInt16LE(99, Head.Op);
    expect(decodeWhole(fork)).toBeUndefined();
  });

  test("any bytes: an event or undefined, never a throw, never a byte from outside", () => {
    let events = 0;
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 600, size: "max" }),
        fc.constantFrom(Op.Exec, Op.Args, Op.Fork, Op.Exit, Op.File, Op.Connect, Op.Change, Op.Act, 0),
        fc.nat(64),
        (bytes, op, before) => {
          const bytesAround = new Uint8Array(before + bytes.length + 64).fill(0x41);
          bytesAround.set(bytes, before);
          if (bytes.length > Head.Flags) new DataView(bytesAround.buffer).setUint16(before + Head.Op, op, true);
          const event = decode(bytesAround, before, bytes.length);
          if (event === undefined) return;
          events++;
          if (event.kind === "exec" || event.kind === "args") expect(event.args.byteLength).toBeLessThanOrEqual(bytes.length);
        },
      ),
      { seed: SEED, numRuns: 3000 },
    );
    // Not vacuous: many of them must have been taken for records.
    expect(events).toBeGreaterThan(300);
  });
});
