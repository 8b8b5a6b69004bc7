// The act and signal sensors on this machine's own kernel: other ids, a hand on another process, memory files, mounts, by real programs.
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Fields, liveSource, refusal } from "./live.ts";

setDefaultTimeout(60_000);
const isRoot = process.getuid?.() === 0;
const isX64 = process.arch === "x64";
if (refusal !== undefined) console.log(`skipped: rare acts on the real kernel (${refusal})`);
if (!isRoot) console.log("skipped: other ids and mounts (not root)");
if (!isX64) console.log("skipped: calls without a program of their own (the test knows x86 only)");

/** Calls for programs without a library: `call(number, a, b, c, d, e)` of 64-bit code, `call32(number, a, b, c)` of 32-bit code. */
const CALLS = `
  static long call(long nr, long a, long b, long c, long d, long e) {
    long r; register long r10 __asm__("r10") = d; register long r8 __asm__("r8") = e; register long r9 __asm__("r9") = 0;
    __asm__ volatile("syscall" : "=a"(r) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
    return r;
  }
  static long call32(long nr, long a, long b, long c) {
    long r; __asm__ volatile("int $0x80" : "=a"(r) : "a"(nr), "b"(a), "c"(b), "d"(c) : "r8", "r9", "r10", "r11", "memory"); return r;
  }`;

describe.skipIf(refusal !== undefined || !isX64)("rare acts", () => {
  const { folder, run, compile, collector } = liveSource();
  let programs = 0;
  const victims: ReturnType<typeof Bun.spawn>[] = [];
  afterAll(() => victims.forEach((victim) => void victim.kill("SIGKILL")));

  function spawnVictim(...command: readonly string[]): ReturnType<typeof Bun.spawn> {
    const victim = Bun.spawn([...command], { stdin: "ignore", stdout: "ignore", stderr: "ignore" });
    victims.push(victim);
    return victim;
  }

  /** Runs `body` as a program and returns its records, without start and end. Its exit code is that of the last call, 0 for success. */
  async function acts(body: string): Promise<{ readonly events: readonly Fields[]; readonly errno: bigint }> {
    const text = `${CALLS} void _start(void) { long r = 0; ${body} call(60, r < 0 ? -r : 0, 0, 0, 0, 0); }`;
    const { pid, events } = await run([compile(`act${programs++}`, text, "-mstackrealign")], "process");
    const end = events.find((fields) => fields["event.action"] === "end");
    const lifeCycle = ["exec", "fork", "end"];
    expect(pid).toBeGreaterThan(0);
    return {
      events: events.filter((fields) => !lifeCycle.includes(String(fields["event.action"]))),
      errno: end?.["process.exit_code"] as bigint,
    };
  }

  test.skipIf(!isRoot)("ids: old and new, once for each change; an id set to itself is no event", async () => {
    const { events } = await acts(
      "call(106, 0, 0, 0, 0, 0); call(119, -1, 65533, -1, 0, 0); call(105, 65534, 0, 0, 0, 0); call(105, 65534, 0, 0, 0, 0);",
    );
    expect(events).toMatchObject([
      { "event.action": "gid_change", "event.type": ["change"], "group.id": "65533", "kestrel.previous.group.id": "0" },
      {
        "event.action": "uid_change",
        "event.category": ["process"],
        "event.type": ["change"],
        "user.id": "65534",
        "process.user.id": "65534",
        "process.real_user.id": "65534",
        "kestrel.previous.user.id": "0",
        "kestrel.sensor": "raw_tp/sys_exit",
      },
    ]);
    expect(events).toHaveLength(2);
  });

  test.skipIf(!isRoot)("32-bit calls: setuid32, and memfd_create", async () => {
    const { events } = await acts('static char name[] = "small"; call32(213, 65534, 0, 0); r = call32(356, (long)name, 0, 0);');
    // Addresses of a static program are below 4 GiB, so 32-bit code can name them.
    expect(events).toMatchObject([
      { "event.action": "uid_change", "user.id": "65534" },
      { "event.action": "memfd_create", "process.Ext.memfd.name": "memfd:small" },
    ]);
  });

  test.skipIf(!isRoot)("capset: what is left", async () => {
    const { events } = await acts(
      "struct { unsigned v; int pid; } head = { 0x20080522, 0 }; unsigned data[6] = { 1 << 21, 3 << 20, 0, 0, 0, 0 }; r = call(126, (long)&head, (long)data, 0, 0, 0);",
    );
    expect(events).toMatchObject([
      {
        "event.action": "capabilities_change",
        "process.thread.capabilities.effective": ["CAP_SYS_ADMIN"],
        "process.thread.capabilities.permitted": ["CAP_SYS_PACCT", "CAP_SYS_ADMIN"],
      },
    ]);
  });

  test("memfd_create", async () => {
    const { events } = await acts('r = call(319, (long)"payload", 0, 0, 0, 0);');
    expect(events).toMatchObject([{ "event.action": "memfd_create", "event.type": ["start"], "process.Ext.memfd.name": "memfd:payload" }]);
  });

  test("ptrace and the memory of another process: attached to, read, written", async () => {
    const victim = spawnVictim(compile("victim", `${CALLS} long word; void _start(void) { call(34, 0, 0, 0, 0, 0); }`));
    const symbols = Bun.spawnSync(["nm", join(folder, "victim")]).stdout.toString();
    const address = `0x${/^([0-9a-f]+) \w word$/m.exec(symbols)?.[1]}`;
    const { events, errno } = await acts(`
      long word = 7; long local[2] = { (long)&word, 8 }; long remote[2] = { ${address}, 8 };
      call(310, ${victim.pid}, (long)local, 1, (long)remote, 1);
      r = call(311, ${victim.pid}, (long)local, 1, (long)remote, 1); if (r > 0) r = 0;
      call(310, call(39, 0, 0, 0, 0, 0), (long)local, 1, (long)local, 1);
      if (r == 0) r = call(101, 0x4206, ${victim.pid}, 0, 0, 0);`);
    expect(errno).toBe(0n);
    const target = { "Target.process.pid": BigInt(victim.pid), "Target.process.name": "victim" };
    expect(events).toMatchObject([
      { "event.action": "process_vm_read", "event.type": ["access"], ...target },
      { "event.action": "process_vm_write", "event.type": ["change"], ...target },
      { "event.action": "ptrace_attach", "event.type": ["access"], ...target, "Target.process.executable": join(folder, "victim") },
    ]);
    expect(events).toHaveLength(3);
  });

  test("signals: to another's process, not to an own child; STOP by kill(1), KILL by 32-bit code", async () => {
    const victim = spawnVictim("sleep", "60");
    const shell = await run(["/bin/sh", "-c", `sleep 60 & kill -KILL $!; kill -CONT ${victim.pid}; kill -STOP ${victim.pid}`], "process");
    expect(shell.events.filter((fields) => fields["event.action"] === "signal_sent")).toMatchObject([
      {
        "event.type": ["change"],
        "kestrel.signal": 19n,
        "Target.process.pid": BigInt(victim.pid),
        "Target.process.name": "sleep",
        "kestrel.sensor": "raw_tp/signal_generate",
      },
    ]);
    const { events } = await acts(`r = call32(37, ${victim.pid}, 9, 0);`);
    await victim.exited;
    expect(events).toMatchObject([{ "event.action": "signal_sent", "kestrel.signal": 9n, "Target.process.pid": BigInt(victim.pid) }]);
    const exec = await collector.find((fields) => fields["process.pid"] === BigInt(victim.pid) && fields["event.action"] === "exec");
    expect(events[0]?.["Target.process.entity_id"]).toBe(exec["process.entity_id"]);
  });

  test("memory that is executable because it can be read, as the program has asked of the kernel", async () => {
    const body = "r = call(135, 0x0400000, 0, 0, 0, 0); r = call(9, 0, 4096, 3, 0x22, -1); if (r > 0) r = 0;";
    const { events, errno } = await acts(body);
    expect({ errno, acts: events.map((fields) => [fields["event.action"], fields["auditd.data.a2"]]) }).toEqual({
      errno: 0n,
      acts: [["mmap", "7"]],
    });
    const changed = await acts(`
      long memory = call(9, 0, 4096, 3, 0x22, -1); call(135, 0x0400000, 0, 0, 0, 0); r = call(10, memory, 4096, 3, 0, 0);`);
    expect(changed.events.map((fields) => [fields["event.action"], fields["auditd.data.a2"]])).toEqual([["mprotect", "7"]]);
  });

  test.skipIf(!isRoot)("mounts that are nowhere, a copy and a new one, and mounts that are changed", async () => {
    const { events, errno } = await acts(`
      r = call(272, 0x20000, 0, 0, 0, 0);
      r |= call(428, -100, (long)"/proc", 0, 0, 0);
      long copy = call(428, -100, (long)"/proc", 1, 0, 0), fs = call(430, (long)"tmpfs", 0, 0, 0, 0);
      r |= copy | fs | call(431, fs, 6, 0, 0, 0);
      long made = call(432, fs, 0, 0, 0, 0), attributes[4] = { 8, 0, 0, 0 };
      r |= made | call(442, made, (long)"", 0x1000, (long)attributes, 32);
      long picked = call(433, made, (long)"", 8, 0, 0);
      r |= picked | call(431, picked, 0, (long)"ro", 0, 0) | call(431, picked, 7, 0, 0, 0);
      if (r > 0) r = 0;`);
    expect({ errno, acts: events.map((fields) => [fields["event.action"], fields["file.path"]]) }).toEqual({
      errno: 0n,
      acts: [
        ["namespace_change", undefined],
        ["mount", "/proc"],
        ["mount", undefined],
        ["mount", undefined],
        ["mount", undefined],
      ],
    });
  });

  test.skipIf(!isRoot)("namespaces, a mount and another root", async () => {
    mkdirSync(join(folder, "mnt"));
    const { events } = await run(
      [
        // In a changed root that is no mount of its own, nothing else works; what is mounted is there for a moment only.
        ...["unshare", "--mount", "--propagation", "unchanged", "--uts"],
        ...["/bin/sh", "-c", "mount -t tmpfs none mnt/ && umount mnt && exec chroot / true"],
      ],
      "process",
    );
    expect(events.find((fields) => fields["event.action"] === "namespace_change")).toMatchObject({
      "kestrel.namespaces": ["mnt", "uts"],
      "auditd.data.syscall": "unshare",
      "auditd.data.class": "namespace",
      "auditd.data.a0": "4020000",
    });
    const mount = await collector.find((fields) => fields["event.action"] === "mount" && fields["file.path"] === join(folder, "mnt"));
    expect(mount).toMatchObject({ "event.type": ["change"], "process.name": "mount", "user.id": "0" });
    const umount = await collector.find((fields) => fields["event.action"] === "umount" && fields["file.path"] === join(folder, "mnt"));
    expect(umount).toMatchObject({ "event.type": ["change"], "process.name": "umount" });
    expect(events.find((fields) => fields["event.action"] === "root_change")).toMatchObject({ "file.path": "/", "process.name": "chroot" });
  });

  test.skipIf(!isRoot)("a BPF program that is loaded", async () => {
    // Two instructions: r0 = 0, exit; a socket filter with a name.
    const { events, errno } = await acts(`
      static unsigned long code[2] = { 0xb7, 0x95 };
      struct { unsigned type, count; unsigned long insns, license; unsigned level, size; unsigned long log; unsigned version, flags; char name[16]; } attr =
        { 1, 2, (unsigned long)code, (unsigned long)"GPL", 0, 0, 0, 0, 0, "implant" };
      r = call(321, 5, (long)&attr, sizeof(attr), 0, 0);`);
    expect(errno).toBe(0n);
    expect(events).toMatchObject([
      {
        "event.action": "bpf_program_load",
        "event.type": ["start"],
        "kestrel.bpf.program_name": "implant",
        "kestrel.bpf.program_type": 1n,
      },
    ]);
  });

  test("memory that can be written and executed: once for each program and way, again after an exec", async () => {
    const twice =
      "for (int i = 0; i < 2; i++) { r = call(9, 0, 8192, 7, 0x22, -1); call(10, r, 4096, 3, 0, 0); r = call(10, r, 4096, 7, 0, 0); }";
    const told = [
      { "event.action": "mmap", "event.type": ["change"], "auditd.data.syscall": "mmap", "auditd.data.a2": "7" },
      { "event.action": "mprotect", "auditd.data.syscall": "mprotect", "auditd.data.a2": "7", "kestrel.sensor": "raw_tp/sys_exit" },
    ];
    expect((await acts(twice)).events).toMatchObject(told);
    // 32-bit code: mprotect of its own page, and the old mmap whose arguments lie in memory.
    const compat =
      "static unsigned words[6] = { 0, 4096, 7, 0x22, -1, 0 }; call32(90, (long)words, 0, 0); r = call32(125, (long)words & ~4095, 4096, 7);";
    expect((await acts(compat)).events).toMatchObject(told);
    const again = await acts(
      `static char *none[1]; if (call(39, 0, 0, 0, 0, 0)) { ${twice} } call(59, (long)"/bin/true", (long)none, (long)none, 0, 0);`,
    );
    expect(again.events).toMatchObject(told);
    const quiet = await acts("r = call(9, 0, 4096, 3, 0x22, -1); call(10, r, 4096, 5, 0, 0); r = 0;");
    expect(quiet.events).toEqual([]);
  });

  test.skipIf(!isRoot)("the memory of another process, opened as a file; one's own is told when written", async () => {
    const victim = spawnVictim("sleep", "60");
    const paths = [`/proc/${victim.pid}/task/${victim.pid}/mem`, `/proc/${victim.pid}/mem`];
    const { events, errno } = await acts(`
      r = call(2, (long)"${paths[0]}", 0, 0, 0, 0); if (r > 0) r = call(2, (long)"${paths[1]}", 1, 0, 0, 0);
      if (r > 0) r = call(2, (long)"/proc/self/mem", 0, 0, 0, 0); if (r > 0) r = call(2, (long)"/proc/self/mem", 2, 0, 0, 0);
      if (r > 0) r = call(2, (long)"${paths[1]}", 0x200000, 0, 0, 0); if (r > 0) r = 0;`);
    expect(errno).toBe(0n);
    const target = { "event.type": ["access"], "Target.process.pid": BigInt(victim.pid), "Target.process.name": "sleep" };
    expect(events).toMatchObject([
      { "event.action": "process_memory_open_read", ...target },
      { "event.action": "process_memory_open", ...target },
      { "event.action": "process_memory_open" },
    ]);
    expect(events[2]?.["Target.process.pid"]).toBe(events[2]?.["process.pid"]);
  });

  test.skipIf(!isRoot)("a descriptor that is taken from another process", async () => {
    const victim = spawnVictim("sleep", "60");
    const { events, errno } = await acts(
      `r = call(434, ${victim.pid}, 0, 0, 0, 0); if (r > 0) r = call(438, r, 0, 0, 0, 0); if (r > 0) r = 0;`,
    );
    expect(errno).toBe(0n);
    expect(events).toMatchObject([
      {
        "event.action": "pidfd_getfd",
        "event.type": ["access"],
        "Target.process.pid": BigInt(victim.pid),
        "Target.process.name": "sleep",
      },
    ]);
  });

  test.skipIf(!isRoot)("namespaces of a new process: clone, clone3; a plain clone is none", async () => {
    const { events } = await acts(`
      static unsigned long args[8] = { 0x04000000, 0, 0, 0, 17, 0, 0, 0 };
      r = call(56, 17, 0, 0, 0, 0); if (r == 0) call(60, 0, 0, 0, 0, 0);
      r = call(56, 0x08000011, 0, 0, 0, 0); if (r == 0) call(60, 0, 0, 0, 0, 0);
      r = call(435, (long)args, 64, 0, 0, 0); if (r == 0) call(60, 0, 0, 0, 0, 0); r = 0;`);
    const target = { "Target.process.pid": expect.any(BigInt), "auditd.data.syscall": "clone" };
    expect(events).toMatchObject([
      { "event.action": "namespace_change", "kestrel.namespaces": ["ipc"], ...target },
      { "event.action": "namespace_change", "kestrel.namespaces": ["uts"], ...target },
    ]);
  });

  test.skipIf(!isRoot)("namespaces of a new process, whatever the flags in memory say when clone3 returns", async () => {
    // The new process shares the memory, and its parent waits for its end.
    const { events } = await acts(`
      static unsigned long args[8] = { 0x04004100, 0, 0, 0, 17, 0, 0, 0 };
      __asm__ volatile("syscall; test %%eax, %%eax; jnz 1f; movq $0, %1; mov $60, %%eax; xor %%edi, %%edi; syscall; 1:"
        : "=a"(r), "+m"(args[0]) : "0"(435), "D"(args), "S"(64) : "rcx", "r11", "memory"); if (r > 0) r = args[0];`);
    expect(events).toMatchObject([{ "event.action": "namespace_change", "kestrel.namespaces": ["uts"], "auditd.data.syscall": "clone" }]);
  });

  test("a session of its own, keys", async () => {
    const { events } = await acts(`
      r = call(248, (long)"user", (long)"kestrel:test", (long)"x", 1, -2); if (r > 0) r = call(250, 11, r, 0, 0, 0); if (r > 0) r = 0;`);
    expect(events).toMatchObject([
      { "event.action": "keyctl", "event.type": ["access"], "kestrel.key.operation": "add_key", "kestrel.key.description": "kestrel:test" },
      { "event.action": "keyctl", "kestrel.key.operation": "read" },
    ]);
    const { pid } = await run(["/bin/sh", "-c", "setsid true; :"], "process");
    const session = await collector.find(
      (fields) => fields["event.action"] === "session_id_change" && fields["process.ppid"] === BigInt(pid),
    );
    expect(session).toMatchObject({ "event.type": ["change"], "process.name": "setsid", "process.session_id": session["process.pid"] });
  });

  // Calls that a kernel may be built without, or forbid: the kernel's own answer decides what must be seen.
  for (const [action, way, body] of [
    ["io_uring_setup", "its call", "static char params[120]; r = call(425, 4, (long)params, 0, 0, 0);"],
    ["userfaultfd", "its call", "r = call(323, 0, 0, 0, 0, 0);"],
    [
      "userfaultfd",
      "its device",
      'r = call(2, (long)"/dev/userfaultfd", 2, 0, 0, 0); if (r > 0) r = call(16, r, 0xaa00, 0, 0, 0); if (r > 0) r = 0;',
    ],
  ] as const) {
    test(`${action} by ${way}, or nothing where the kernel refuses it`, async () => {
      const { events, errno } = await acts(body);
      if (errno !== 0n) console.log(`not shown: ${action} (errno ${errno} on this kernel)`);
      expect(events.map((fields) => fields["event.action"])).toEqual(errno === 0n ? [action] : []);
    });
  }
});
