// Serves a filesystem over /dev/fuse with one file, a copy of a program, in a mount namespace that only a process running it has:
// `bun fuse-server.ts FOLDER LAYER NAME SILENCE ARG…`. With a LAYER, an empty folder, it is the lower layer of an overlay filesystem, which does
// not look served from elsewhere. Prints the process's pid when it runs; from the time the file SILENCE exists it answers no question about
// attributes.
import { existsSync, openSync, readFileSync, readSync, writeSync } from "node:fs";

const [folder = "", layer = "", name = "", silence = "", ...args] = process.argv.slice(2);

const enum Opcode {
  Lookup = 1,
  Forget = 2,
  GetAttr = 3,
  Open = 14,
  Read = 15,
  StatFs = 17,
  Release = 18,
  Flush = 25,
  Init = 26,
  Interrupt = 36,
  BatchForget = 42,
}

const FILE = 2;
const ENOENT = 2;
const ENOSYS = 38;
const FOREVER_S = 3600;

const content = readFileSync("/bin/sh");
const fuse = openSync("/dev/fuse", "r+");
const mount = `mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0,allow_other none ${folder}`;
const overlay = layer === "" ? "true" : `mount -t overlay -o lowerdir=${folder}:${layer} none ${folder}`;
const child = Bun.spawn(["unshare", "-m", "/bin/sh", "-c", `${mount} && ${overlay} && exec ${folder}/${name} "$@" 3<&-`, "sh", ...args], {
  stdio: ["ignore", "ignore", "inherit", fuse],
});

const request = Buffer.alloc(1 << 18);
for (let hasStarted = false; ; ) {
  try {
    readSync(fuse, request);
  } catch (error) {
    // Not mounted yet; unmounted, when its last process has ended.
    if ((error as { readonly code?: string }).code !== "EPERM") break;
    Bun.sleepSync(1);
    continue;
  }
  const [opcode, unique, node] = [request.readUInt32LE(4), request.readBigUInt64LE(8), request.readBigUInt64LE(16)];
  if (opcode === Opcode.GetAttr && existsSync(silence)) continue;
  if (opcode === Opcode.Read && !hasStarted) {
    hasStarted = true;
    console.log(child.pid);
  }
  const answer = answerTo(opcode, Number(node));
  if (answer === undefined) continue;
  const error = typeof answer === "number" ? -answer : 0;
  const body = typeof answer === "number" ? Buffer.alloc(0) : answer;
  const head = Buffer.alloc(16);
  head.writeUInt32LE(16 + body.length, 0);
  head.writeInt32LE(error, 4);
  head.writeBigUInt64LE(unique, 8);
  writeSync(fuse, Buffer.concat([head, body]));
}

function answerTo(opcode: number, node: number): Buffer | number | undefined {
  switch (opcode) {
    case Opcode.Init: {
      const body = Buffer.alloc(64);
      body.writeUInt32LE(7, 0);
      body.writeUInt32LE(31, 4);
      body.writeUInt32LE(1 << 17, 8);
      body.writeUInt32LE(1 << 17, 20);
      return body;
    }
    case Opcode.Lookup: {
      const wanted = request.toString("latin1", 40, request.indexOf(0, 40));
      if (wanted !== name) return ENOENT;
      const body = Buffer.alloc(40);
      body.writeBigUInt64LE(BigInt(FILE), 0);
      body.writeBigUInt64LE(BigInt(FOREVER_S), 16);
      return Buffer.concat([body, attributes(FILE)]);
    }
    case Opcode.GetAttr:
      return Buffer.concat([Buffer.alloc(16), attributes(node)]);
    case Opcode.Open:
      return Buffer.alloc(16);
    case Opcode.Read: {
      const offset = Number(request.readBigUInt64LE(48));
      return content.subarray(offset, offset + request.readUInt32LE(56));
    }
    case Opcode.StatFs: {
      const body = Buffer.alloc(80);
      body.writeUInt32LE(4096, 40);
      body.writeUInt32LE(255, 44);
      return body;
    }
    case Opcode.Release:
    case Opcode.Flush:
      return Buffer.alloc(0);
    case Opcode.Forget:
    case Opcode.BatchForget:
    case Opcode.Interrupt:
      return undefined;
    default:
      return ENOSYS;
  }
}

function attributes(node: number): Buffer {
  const body = Buffer.alloc(88);
  body.writeBigUInt64LE(BigInt(node), 0);
  body.writeBigUInt64LE(BigInt(node === FILE ? content.length : 0), 8);
  body.writeUInt32LE(node === FILE ? 0o100_755 : 0o40_755, 60);
  body.writeUInt32LE(1, 64);
  return body;
}
