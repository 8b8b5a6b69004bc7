// A policy decided in the kernel is the rule's verdict: random conditions over random acts, the tables looked up as bpf/decide.h does (in a model
// written here) against the reference evaluator on the act's event.
import { expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { createReferencePredicate, kernelConditionOf, type QuerySource } from "#eql";
import {
  type FieldValue,
  POLICY_ACTS,
  type PolicyAct,
  type PolicyClause,
  type PolicyDimension,
  type RulePolicy,
  SchemaRegistry,
} from "#schema";
import { buildTables, type PolicyTables } from "../../src/ebpf/policy-tables.ts";
import { policyOf } from "../../src/engine/ladder.ts";

// Generous, since machines are noisy and no test here measures time; it only ends what hangs. Most of it is compiling the conditions, each twice.
setDefaultTimeout(60_000);
const registry = new SchemaRegistry();
const runs = Number(process.env["KESTREL_RUNS"] ?? 1500);

const PATHS = [
  "/tmp/a",
  "/tmp/A",
  "/tmp/ab",
  "/tmp/a/nc",
  "/tmp",
  "/dev/shm/x",
  "/usr/bin/nc",
  "/usr/bin/NC",
  "/dev/\u017fhm/x",
  "/tmp/\u00e9",
  "/é/nc",
];
const IPS = ["10.0.0.1", "10.1.2.3", "127.0.0.1", "::1", "2001:db8::1", "192.168.1.77"];
const TRANSPORTS: readonly (readonly [number, string | undefined])[] = [
  [6, "tcp"],
  [17, "udp"],
  [2, undefined],
];

interface Act {
  readonly act: PolicyAct;
  readonly program: string;
  readonly file: string;
  readonly mode: 1 | 2 | 3;
  readonly uid: number;
  readonly ip: string;
  readonly port: number;
  readonly protocol: number;
}

const acts: fc.Arbitrary<Act> = fc.record({
  act: fc.constantFrom(...POLICY_ACTS),
  program: fc.constantFrom(...PATHS),
  file: fc.constantFrom(...PATHS),
  mode: fc.constantFrom(1, 2, 3),
  uid: fc.constantFrom(0, 1, 10, 1000, 4_294_967_295),
  ip: fc.constantFrom(...IPS),
  port: fc.constantFrom(0, 1, 22, 80, 443, 1023, 1024, 4444, 65_535),
  protocol: fc.constantFrom(1, 2, 6, 17),
});

const nameOf = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

/** Fields of the act's event, as the sensors write them. */
function fieldsOf({ act, program, file, mode, uid, ip, port, protocol }: Act): ReadonlyMap<string, FieldValue> {
  const words = {
    exec: ["process", "start", "exec"],
    open: ["file", ["creation", "change", "access"][mode - 1], ["creation", "modification", "open"][mode - 1]],
    connect: ["network", "start", "connection_attempted"],
    bind: ["network", "info", "bind"],
    listen: ["network", "info", "listen"],
  }[act] as [string, string, string];
  const transport = TRANSPORTS.find(([number]) => number === protocol)?.[1] ?? (protocol === 1 ? "icmp" : undefined);
  return new Map<string, FieldValue>([
    ["event.category", [words[0]]],
    ["event.type", [words[1]]],
    ["event.action", words[2]],
    ["event.kind", "event"],
    ["process.executable", program],
    ["process.name", nameOf(program)],
    ["user.id", String(uid)],
    ...(act === "open"
      ? ([
          ["file.path", file],
          ["file.name", nameOf(file)],
        ] as const)
      : []),
    ...(words[0] === "network"
      ? ([
          ["destination.ip", ip],
          ["destination.port", BigInt(port)],
          ["network.direction", act === "connect" ? "egress" : "ingress"],
          ["network.type", ip.includes(":") ? "ipv6" : "ipv4"],
          ...(transport === undefined ? [] : [["network.transport", transport] as const]),
        ] as const)
      : []),
  ]);
}

const utf8 = (text: string): number[] => [...new TextEncoder().encode(`${text}\0`)];
const lowered = (text: string): number[] | undefined => {
  const bytes = utf8(text).slice(0, 256);
  return bytes.some((byte) => byte >= 0x80) ? undefined : bytes.map((byte) => (byte >= 0x41 && byte <= 0x5a ? byte + 32 : byte));
};

function addressBytes(ip: string): number[] {
  if (!ip.includes(":")) return [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, ...ip.split(".").map(Number)];
  const [head = "", tail = ""] = ip.split("::");
  const groups = (text: string): number[] => (text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16)));
  const [before, after] = [groups(head), groups(tail)];
  return [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after].flatMap((group) => [
    group >> 8,
    group & 255,
  ]);
}

/** What the kernel sees of an act; undefined: it cannot tell. */
function seenOf({ program, file, mode, uid, ip, port, protocol }: Act, dimension: PolicyDimension): readonly number[] | undefined {
  const values: Readonly<Record<PolicyDimension, readonly number[] | undefined>> = {
    program: utf8(program),
    programFolded: lowered(program),
    programName: utf8(nameOf(program)),
    programNameFolded: lowered(nameOf(program)),
    file: utf8(file),
    fileFolded: lowered(file),
    fileName: utf8(nameOf(file)),
    fileNameFolded: lowered(nameOf(file)),
    user: [uid >>> 24, (uid >>> 16) & 255, (uid >>> 8) & 255, uid & 255],
    mode: [mode],
    address: addressBytes(ip),
    port: [port >> 8, port & 255],
    transport: [protocol],
  };
  return values[dimension];
}

const bitsOf = (bytes: readonly number[]): string => bytes.map((byte) => byte.toString(2).padStart(8, "0")).join("");

/** The kernel's decision: which clauses stand, and whether something could not be told. */
function decide(tables: PolicyTables, act: Act): { readonly clauses: bigint; readonly undecided: boolean } {
  const { owners, dimensions } = tables.acts[act.act];
  let clauses = (1n << BigInt(owners.length)) - 1n;
  let undecided = false;
  for (const [dimension, { unmatched, free, entries }] of dimensions) {
    const value = seenOf(act, dimension);
    undecided ||= value === undefined;
    const bits = value === undefined ? "" : bitsOf(value);
    const longest = entries
      .filter((entry) => bits.startsWith(bitsOf(entry.bytes).slice(0, entry.bits)))
      .reduce((best, entry) => (entry.bits > best.bits ? entry : best), { bits: -1, clauses: unmatched });
    clauses &= value === undefined ? free : longest.clauses;
  }
  return { clauses, undecided };
}

const quoted = (text: string): string => JSON.stringify(text);
const list = (texts: readonly string[]): string => `(${texts.map(quoted).join(", ")})`;
const paths = fc.constantFrom(...PATHS);
const patterns = fc.oneof(
  paths,
  paths.map((path) => `${path}*`),
  fc.constantFrom("/tmp/*", "/DEV/shm/*", "*/nc", "*", "/t*", "/dev/s*"),
);
const names = fc.constantFrom("a", "A", "nc", "NC*", "x", "shm", "a*");
const atoms: fc.Arbitrary<string> = fc.oneof(
  fc
    .tuple(
      fc.constantFrom("process.executable", "file.path"),
      fc.constantFrom(":", "like", "like~", "=="),
      fc.array(patterns, { minLength: 1, maxLength: 3 }),
    )
    .map(([field, operator, texts]) => `${field} ${operator} ${operator === "==" ? quoted(texts[0]!) : list(texts)}`),
  fc.tuple(fc.constantFrom("process.name", "file.name"), fc.constantFrom(":", "like"), names).map(([f, o, n]) => `${f} ${o} ${quoted(n)}`),
  fc
    .tuple(
      fc.constantFrom("process.executable", "file.path"),
      fc.constantFrom("startsWith", "endsWith~"),
      fc.constantFrom("/tmp", "/NC", "/nc"),
    )
    .map(([field, name, text]) => `${name}(${field}, ${quoted(text)})`),
  fc.constantFrom("0", "1", "10", "4294967295", "007").map((uid) => `user.id == ${quoted(uid)}`),
  fc.constantFrom('user.id in ("0", "1000")', "user.id != null", "file.path == null"),
  fc
    .tuple(fc.constantFrom("==", "<", "<=", ">", ">=", "!="), fc.constantFrom(0, 22, 443, 1024, 65_535, 70_000))
    .map(([o, p]) => `destination.port ${o} ${p}`),
  fc
    .constantFrom("10.0.0.0/8", "10.0.0.1/32", "::/0", "::1/128", "2001:db8::/32", "0.0.0.0/0")
    .map((block) => `cidrMatch(destination.ip, ${quoted(block)})`),
  fc.constantFrom(...IPS).map((ip) => `destination.ip == ${quoted(ip)}`),
  fc.constantFrom("tcp", "udp", "UDP").map((name) => `network.transport : ${quoted(name)}`),
  fc.constantFrom('network.type == "ipv4"', 'network.type == "ipv6"', 'network.direction == "egress"', 'network.direction == "ingress"'),
  fc.constantFrom("start", "info", "creation", "change").map((type) => `event.type == ${quoted(type)}`),
  fc.constantFrom("exec", "open", "modification", "fork", "bind", "listen").map((action) => `event.action == ${quoted(action)}`),
);
const { condition } = fc.letrec<{ condition: string }>((tie) => ({
  condition: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    atoms,
    fc.tuple(tie("condition"), fc.constantFrom("and", "or"), tie("condition")).map(([left, word, right]) => `(${left} ${word} ${right})`),
    tie("condition").map((inner) => `not (${inner})`),
  ),
}));

test("the kernel's tables and the reference evaluator agree", () => {
  const seen = { decided: 0, true: 0, false: 0, undecidedAct: 0 };
  fc.assert(
    fc.property(
      fc.constantFrom("process", "file", "network", "any"),
      condition,
      fc.option(condition),
      fc.array(acts, { minLength: 20, maxLength: 20 }),
      (category, text, exception, some) => {
        const source: QuerySource = {
          id: "r",
          text: `${category} where ${text}`,
          dialect: "default",
          exceptions: exception === null ? [] : [exception],
          lenientFields: false,
        };
        const { predicate } = createReferencePredicate(source, registry);
        const known = kernelConditionOf(source, registry);
        if (predicate === undefined || known === undefined) throw new Error(`does not compile: ${source.text}`);
        const decided = new Map<PolicyAct, readonly PolicyClause[]>();
        for (const [act, decision] of known.acts) if (decision.kind === "decided") decided.set(act, decision.clauses);
        const policy: RulePolicy = { ruleId: "r", action: "deny", mode: "enforce", acts: decided };
        const tables = buildTables([policy]);
        for (const act of some) {
          if (known.acts.get(act.act)?.kind === "undecided") continue;
          const fields = fieldsOf(act);
          const categoryName = (fields.get("event.category") as readonly string[])[0]!;
          const event = {
            category: registry.categories.idOf(categoryName),
            value: (id: number): FieldValue | undefined => fields.get(registry.byId(id)?.name ?? ""),
          };
          const verdict = predicate(event) === true;
          const { clauses, undecided } = decide(tables, act);
          seen.decided++;
          seen[verdict ? "true" : "false"]++;
          if (undecided) seen.undecidedAct++;
          // What the kernel cannot tell it lets pass.
          if (undecided && clauses === 0n) continue;
          expect({ act, acts: clauses !== 0n }).toEqual({ act, acts: verdict });
        }
      },
    ),
    { numRuns: runs },
  );
  // Not vacuous.
  expect(Math.min(seen.true, seen.false, seen.undecidedAct)).toBeGreaterThan(20);
});

test("many rules at once decide as each alone, and what has no room is refused by name", () => {
  const texts = PATHS.flatMap((path) => [
    `process where process.executable : ${quoted(path)}`,
    `process where process.executable like ${quoted(`${path}*`)}`,
  ]);
  const policies = [...texts, ...texts, ...texts].flatMap((text, index) => {
    const source: QuerySource = { id: `r${index}`, text, dialect: "default", exceptions: [], lenientFields: false };
    return policyOf({ id: source.id, action: "deny", mode: "monitor", scope: "process" }, kernelConditionOf(source, registry)) ?? [];
  });
  const tables = buildTables(policies);
  expect(tables.acts.exec.owners.length).toBe(Math.min(64, policies.length));
  expect(tables.refused.map(({ ruleId }) => ruleId)).toEqual(policies.slice(64).map(({ ruleId }) => ruleId));
  const act: Act = { act: "exec", program: "/tmp/ab", file: "", mode: 1, uid: 0, ip: "::1", port: 1, protocol: 6 };
  const together = decide(tables, act).clauses;
  tables.acts.exec.owners.forEach((owner, bit) => {
    expect([owner.ruleId, (together & (1n << BigInt(bit))) !== 0n]).toEqual([
      owner.ruleId,
      decide(buildTables([owner]), act).clauses !== 0n,
    ]);
  });
});
