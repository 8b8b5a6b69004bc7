// A recorded hour of a server, made from a seed: thirty thousand ordinary events and, now and then, a piece of the shipped break-in.
import { RECORDING, readJsonLines } from "./program.ts";

type Json = { [key: string]: Json } | readonly Json[] | string | number | boolean | null;
type JsonEvent = { [key: string]: Json };

const HOUR_MS = 3_600_000;
const START_MS = Date.UTC(2026, 2, 3, 9);
const PROGRAMS = [
  "bash",
  "cron",
  "curl",
  "dpkg",
  "git",
  "grep",
  "logrotate",
  "nginx",
  "node",
  "postgres",
  "python3.11",
  "sed",
  "sshd",
  "tar",
];
const FOLDERS = ["/tmp", "/var/log", "/etc", "/home/ana/src", "/dev/shm", "/var/lib/app", "/srv/données"];
const USERS = ["root", "www-data", "ana", "postgres"];

/** Numbers from 0 to below 1, the same for one seed on every machine. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The hour as JSON lines, events in the order of their times. */
export function recordedHour(eventCount: number, seed: number): string {
  const random = seededRandom(seed);
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)] as Item;
  const breakIn = readJsonLines<JsonEvent>(RECORDING);
  const lines: string[] = [];
  for (let index = 0; index < eventCount; index++) {
    const time = new Date(START_MS + Math.floor((index * HOUR_MS) / eventCount)).toISOString();
    const event = random() < 0.02 ? { ...pick(breakIn) } : noise(pick, random);
    lines.push(JSON.stringify({ ...event, "@timestamp": time }));
  }
  return `${lines.join("\n")}\n`;
}

function noise(pick: <Item>(items: readonly Item[]) => Item, random: () => number): JsonEvent {
  const name = pick(PROGRAMS);
  const pid = 300 + Math.floor(random() * 30_000);
  const user = pick(USERS);
  const args = [
    name,
    ...Array.from({ length: Math.floor(random() * 4) }, () => `${pick(["-x", "--file=", "ü", "/etc/"])}${Math.floor(random() * 99)}`),
  ];
  const process = {
    pid,
    entity_id: `${pid}-${name}`,
    name,
    executable: `/usr/bin/${name}`,
    args,
    command_line: args.join(" "),
    parent: { pid: 1, name: pick(PROGRAMS) },
    user: { name: user },
  };
  const base = { host: { name: "web-1", os: { type: "linux" } }, process, user: { name: user, id: user === "root" ? "0" : "1000" } };
  const kind = random();
  if (kind < 0.45) return { ...base, event: { category: ["process"], type: ["start"], action: "exec" } };
  if (kind < 0.65) {
    return {
      ...base,
      process: { ...process, exit_code: Math.floor(random() * 3) },
      event: { category: ["process"], type: ["end"], action: "exit" },
    };
  }
  if (kind < 0.9) {
    const file = `${pick(["a", "b", "authorized_keys", "passwd", "notes"])}${Math.floor(random() * 9)}`;
    const folder = pick(FOLDERS);
    return {
      ...base,
      event: { category: ["file"], type: [pick(["creation", "change", "access"])], action: pick(["create", "write", "open"]) },
      file: { path: `${folder}/${file}`, name: file, directory: folder },
    };
  }
  return {
    ...base,
    event: { category: ["network"], type: ["connection", "start"], action: "connect" },
    destination: { ip: `10.0.${Math.floor(random() * 256)}.${Math.floor(random() * 256)}`, port: pick([22, 80, 443, 4444, 5432]) },
  };
}
