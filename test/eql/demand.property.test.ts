// What a demand leaves out no predicate matches: random rules, which ask about words, paths and users beside everything else, over random events.
// KESTREL_SEED repeats a run, KESTREL_RUNS sets its size. The guard at the end: that much is left out, and much is matched.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { compileRuleSet, createReferencePlan, createReferencePredicate } from "#eql";
import { type EventWords, type FieldValue, type GroupFields, mergedDemand, passesTests, SchemaRegistry } from "#schema";
import { parseAddress } from "../../src/eql/address.ts";
import { eventArbitrary, type GeneratedDialect, queryArbitrary, readerOf } from "./generate.ts";

const seed = Number(process.env["KESTREL_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const RUNS = Number(process.env["KESTREL_RUNS"] ?? 300);
const QUERIES = 4;
const EVENTS = 40;

const WORDS: readonly EventWords[] = [
  ["process", "start", "exec"],
  ["process", "end", "end"],
  ["file", "creation", "creation"],
  ["file", "change", "modification"],
  ["network", "start", "connection_attempted"],
  ["custom", "info", "Σς"],
  [["network", "custom"], "protocol", "Σ"],
];
const FOLDERS = ["etc", "ETC", "cron.d", "É", "é", "\u212a", "k"];
const NAMES = ["passwd", "Passwd", "k", "\u212a", "a.conf", "A.CONF", ".conf", "x.", "é.conf"];
const USERS = ["0", "1000", "33"];
const PORTS = [22, 443, 4444];
const GROUPS: readonly GroupFields[] = [
  {},
  { "process.cgroup.path": "/" },
  { "process.cgroup.path": "/K", "container.id": "ABK" },
  { "process.cgroup.path": "/kubepods/a", "container.id": "abk", "container.runtime": "docker" },
  { "process.cgroup.path": "/É/\u212a", "container.id": "AB\u212a" },
  { "container.id": "É", "container.runtime": "podman", "orchestrator.type": "kubernetes", "orchestrator.resource.id": "k1" },
];
const ADDRESSES = ["10.0.0.1", "10.1.2.3", "127.0.0.1", "8.8.8.8", "fe80::1", "::1", "2001:db8::1", "localhost"];
const BLOCKS = [
  "10.0.0.0/8",
  "10.1.0.0/15",
  "127.0.0.1",
  "::/0",
  "::/64",
  "::/80",
  "fe80::/10",
  "0.0.0.0/0",
  "::1/128",
  "::ffff:8.0.0.0/100",
];
const GROUP_FIELDS = ["container.id", "container.runtime", "orchestrator.type", "orchestrator.resource.id", "process.cgroup.path"] as const;
const GROUP_TEXTS = ["abk", "ABK", "AB\u212a", "ab", "É", "é", "/", "/kubepods/a", "docker", "kubernetes", "k1", ""];

const pick = <T>(items: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...items);
const quoted = (text: string): string => JSON.stringify(text);
const path = fc.tuple(fc.array(pick(FOLDERS), { maxLength: 3 }), pick(NAMES)).map(([folders, name]) => `/${[...folders, name].join("/")}`);
const glob = fc.oneof(
  pick(["*tc/*", "?etc/pass*", "*onf", "*d/?*", "*.d/*.c*f"]),
  fc.tuple(pick(["*/", "/*/", "*", "?etc/", "/etc/", "e*/"]), pick(NAMES)).map((parts) => parts.join("")),
  fc
    .tuple(pick(["*/", "/*/", "*", "/", "/?*/", "*c/"]), pick(FOLDERS), pick(["/*", "/?*", "*", "/k*", "/*.conf"]))
    .map((parts) => parts.join("")),
  fc.tuple(pick(FOLDERS), pick(["*", "?*", "*/passwd", "*.conf", "*x"])).map((parts) => `/${parts.join("/")}`),
  fc.tuple(pick(["*", "?", "", "*/", "e*/"]), pick([...NAMES, "wd", "s", ".y/"])).map((parts) => parts.join("")),
  fc.tuple(pick(["*", "/"]), pick(FOLDERS), pick(["*", "/*", "/", "?"])).map((parts) => parts.join("")),
);

function askedOf(dialect: GeneratedDialect): fc.Arbitrary<string> {
  const list = (items: fc.Arbitrary<string>): fc.Arbitrary<string> =>
    fc.array(items, { minLength: 1, maxLength: 3 }).map((texts) => `(${texts.map(quoted).join(", ")})`);
  const text = (field: string, value: fc.Arbitrary<string>, pattern: fc.Arbitrary<string>): fc.Arbitrary<string> => {
    const mark = pick(dialect === "default" ? ["", "~"] : [""]);
    return fc.oneof(
      fc.tuple(pick(["==", "!="]), value).map(([operator, one]) => `${field} ${operator} ${quoted(one)}`),
      fc.tuple(pick(["in", "not in"]), mark, list(value)).map((parts) => `${field} ${parts[0]}${parts[1]} ${parts[2]}`),
      fc.tuple(pick(["like", "not like"]), mark, list(pattern)).map((parts) => `${field} ${parts[0]}${parts[1]} ${parts[2]}`),
      list(fc.oneof(value, pattern)).map((items) => `${field} : ${items}`),
      fc.tuple(pick(["startsWith", "endsWith", "stringContains"]), mark, value).map(([name, how, one]) => {
        return `${name}${how}(${field}, ${quoted(one)})`;
      }),
    );
  };
  const names = pick([...NAMES, ".conf", "/cron.d/", "d/k", "etc"]);
  return fc.oneof(
    text("event.type", pick(WORDS.map(([, type]) => type)), pick(["*", "st*", "*e*", "nothing"])),
    text("event.action", pick(WORDS.map(([, , action]) => action)), pick(["*", "ex?c", "*ς", "*Σ*"])),
    text("file.path", fc.oneof(path, names), glob),
    text("file.path", path, glob),
    text("file.name", names, pick(["*.conf", "*.CONF", "k*", "?.conf", "?"])),
    text("file.extension", pick(["conf", "CONF", "s"]), pick(["*", "c*"])),
    text(
      "file.directory",
      fc.tuple(pick(FOLDERS)).map(([name]) => `/${name}`),
      pick(["/etc*", "*/cron.d", "/", "*/etc/*"]),
    ),
    text("user.id", pick(USERS), pick(["*", "1*"])),
    text("destination.ip", pick([...ADDRESSES, "::ffff:10.0.0.1", "FE80::1", "0:0::1"]), pick(["10.*", "*", "fe80:*"])),
    fc
      .tuple(pick(["", "not "]), fc.array(pick(BLOCKS), { minLength: 1, maxLength: 3 }))
      .map(([not, blocks]) => `${not}cidrMatch(destination.ip, ${blocks.map(quoted).join(", ")})`),
    ...GROUP_FIELDS.map((field) =>
      text(field, pick(GROUP_TEXTS), pick(["*", "?b*", "AB*", "ab?", "/k*", "/*", "*k", "É*", "doc?er", "k*"])),
    ),
    pick(GROUP_FIELDS.flatMap((field) => [`${field} == null`, `${field} != null`, `length(${field}) > 2`, `${field} == process.name`])),
    pick([
      ...PORTS.flatMap((port) => [`destination.port == ${port}`, `destination.port != ${port}`, `destination.port >= ${port}`]),
      "destination.port in (22, 443)",
      "not destination.port in (4444, 70000)",
      "destination.port == null",
    ]),
    pick([
      'event.category == "file"',
      'event.category != "process"',
      "file.path == null",
      "not (event.type == null)",
      'event.category == "network" and event.category : "CUSTOM"',
    ]),
  );
}

/** Conditions over what a demand knows and over what it does not, in every order. */
function conditionArbitrary(dialect: GeneratedDialect, depth: number): fc.Arbitrary<string> {
  const other = queryArbitrary(dialect, 1).map((query) => query.slice(query.indexOf(" where ") + 7));
  const atom = fc.oneof({ weight: 6, arbitrary: askedOf(dialect) }, { weight: 1, arbitrary: other });
  if (depth === 0) return atom;
  const inner = conditionArbitrary(dialect, depth - 1);
  const joined = (word: string): fc.Arbitrary<string> =>
    fc.array(inner, { minLength: 2, maxLength: 3 }).map((parts) => `(${parts.join(` ${word} `)})`);
  return fc.oneof(
    { weight: 2, arbitrary: atom },
    { weight: 3, arbitrary: joined("and") },
    { weight: 2, arbitrary: joined("or") },
    { weight: 2, arbitrary: inner.map((part) => `not (${part})`) },
  );
}

function ruleArbitrary(dialect: GeneratedDialect): fc.Arbitrary<{ readonly text: string; readonly exceptions: readonly string[] }> {
  const condition = conditionArbitrary(dialect, 2);
  const category = pick(["any", "file", "file", "file", "process", "authentication", "network", "custom"]);
  const event = fc.tuple(category, condition).map(([name, text]) => `${name} where ${text}`);
  const lineage = event.map((inner) => `process where event.action == "exec" and not descendant of [${inner}]`);
  const steps = fc.tuple(event, fc.oneof({ weight: 3, arbitrary: event }, { weight: 1, arbitrary: lineage }));
  const sequence = steps.map(([first, second]) => `sequence by user.id [${first}] [${second}]`);
  return fc.record({
    text: fc.oneof({ weight: 4, arbitrary: event }, { weight: 1, arbitrary: sequence }),
    exceptions: fc.array(conditionArbitrary(dialect, 0), { maxLength: 1 }),
  });
}

const happening = fc
  .tuple(
    eventArbitrary,
    pick([...WORDS, WORDS[2]!, WORDS[3]!, WORDS[3]!]),
    fc.option(path, { freq: 9 }),
    pick(USERS),
    fc.option(pick(PORTS)),
    pick(GROUPS),
    fc.option(pick(ADDRESSES)),
  )
  .map(([event, words, filePath, user, port, group, ip]) => {
    const [category, type, action] = words;
    const categories = typeof category === "string" ? [category] : category;
    const own = new Set<string>(["file.path", "user.id", "destination.port", "destination.ip", ...GROUP_FIELDS]);
    const others = Object.fromEntries(Object.entries(event.fields).filter(([name]) => !own.has(name)));
    const fields: Record<string, FieldValue> = {
      ...others,
      ...group,
      "event.category": categories,
      "event.type": [type],
      "event.action": action,
      "user.id": user,
    };
    if (filePath !== null) {
      const name = filePath.slice(filePath.lastIndexOf("/") + 1);
      fields["file.path"] = filePath;
      fields["file.name"] = name;
      fields["file.directory"] = filePath.slice(0, -name.length - 1) || "/";
      if (name.lastIndexOf(".") > 0) fields["file.extension"] = name.slice(name.lastIndexOf(".") + 1);
    }
    if (port !== null) fields["destination.port"] = BigInt(port);
    if (ip !== null) fields["destination.ip"] = ip;
    const bytes = ip === null ? undefined : (parseAddress(ip) ?? []);
    const digits = bytes === undefined ? undefined : Uint8Array.from(bytes).toHex();
    const address = bytes?.length === 4 ? `00000000000000000000ffff${digits}` : digits;
    return {
      words,
      path: filePath ?? undefined,
      user,
      port: port === null ? undefined : String(port),
      address,
      group,
      event: { categories, fields },
    };
  });

for (const dialect of ["default", "endgame"] as const) {
  test(`no predicate matches what a demand leaves out, ${dialect} dialect (KESTREL_SEED=${seed})`, () => {
    const count = { events: 0, wordsOut: 0, testsOut: 0, hits: 0 };
    const property = fc.property(
      fc.array(ruleArbitrary(dialect), { minLength: QUERIES, maxLength: QUERIES }),
      fc.array(happening, { minLength: EVENTS, maxLength: EVENTS }),
      (rules, events) => {
        const registry = new SchemaRegistry();
        const sources = rules.map((rule, id) => ({ id: String(id), dialect, lenientFields: true, ...rule }));
        const { queries } = compileRuleSet(sources, registry, ["lua"], WORDS);
        const wholes = sources.map((source) => {
          const { predicate } = createReferencePredicate(source, registry);
          return predicate === undefined ? createReferencePlan(source, registry).predicates : [predicate];
        });
        const whole = mergedDemand(queries.map((query) => query.demand));
        for (const { words, path: filePath, user, port, address, group, event } of events) {
          const reader = readerOf(event, registry);
          const isWanted = (demand: typeof whole): boolean => {
            const wanted = demand.find((one) => one.words.join() === words.join());
            return wanted !== undefined && passesTests(wanted.tests, { path: filePath, user, port, address, group });
          };
          for (const [index, predicates] of wholes.entries()) {
            const hit = predicates.some((predicate) => predicate(reader) === true);
            const { demand, ok } = queries[index]!;
            if (!ok) continue;
            count.events++;
            if (hit) count.hits++;
            if (!demand.some((one) => one.words.join() === words.join())) count.wordsOut++;
            else if (!isWanted(demand)) count.testsOut++;
            if (hit && !(isWanted(demand) && isWanted(whole))) {
              throw new Error(
                `left out: ${Bun.inspect({ words, filePath, user, port, address, group, fields: event.fields })}\nof: ${Bun.inspect(rules[index])}\n${Bun.inspect(demand)}`,
              );
            }
          }
        }
      },
    );
    fc.assert(property, { seed, numRuns: RUNS });
    console.log(`${dialect}: ${Bun.inspect(count)}, seed ${seed}`);
    expect(count.hits).toBeGreaterThan(count.events / 50);
    expect(count.wordsOut).toBeGreaterThan(count.events / 10);
    expect(count.testsOut).toBeGreaterThan(count.events / 50);
  }, 60_000);
}
