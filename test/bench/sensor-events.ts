// Events as the exec, file and connect sensors make them, about 25 fields each, from a seed: records for the evaluators, lines for replay.
import { encodeJson, RecordBuilder, RecordView } from "#event";
import { SchemaRegistry } from "#schema";

/** The registry the events are made for. */
export const registry: SchemaRegistry = new SchemaRegistry();

const NAMES = ["bash", "sh", "python3.11", "curl", "nginx", "systemd", "cron", "ls", "sshd", "node", "git", "cat", "sed", "dpkg"];
const FOLDERS = ["/usr/bin", "/bin", "/usr/sbin", "/tmp", "/home/user/.local/bin", "/opt/app/current"];
const START_NS = 1_700_000_000_000_000_000n;

/** One event as a record. */
export function sensorRecord(random: () => number): Uint8Array<ArrayBuffer> {
  const pick = (list: readonly string[]): string => list[Math.floor(random() * list.length)]!;
  const builder = new RecordBuilder();
  const kind = pick(["process", "process", "file", "network"]);
  builder.begin(registry.categories.idOf(kind), START_NS);
  const set = (name: string, value: string | readonly string[] | bigint | boolean): void => {
    const field = registry.byName(name)!;
    builder.value(field.id, field.type, value);
  };
  const name = pick(NAMES);
  const args = [name, "-c", `${pick(FOLDERS)}/run --config /etc/app/${Math.floor(random() * 1000)}.conf --verbose`, "--", "x"];
  set("@timestamp", START_NS + BigInt(Math.floor(random() * 1e12)));
  set("event.category", [kind]);
  set("event.type", [kind === "file" ? "creation" : "start"]);
  set("event.action", kind === "process" ? "exec" : kind === "file" ? "creation" : "connection_attempted");
  set("host.os.type", "linux");
  set("host.name", "host-1");
  set("user.id", String(Math.floor(random() * 3) * 500));
  set("user.name", pick(["root", "www-data", "user"]));
  for (const prefix of ["process", "process.parent"]) {
    const own = prefix === "process" ? name : pick(NAMES);
    set(`${prefix}.name`, own);
    set(`${prefix}.executable`, `${pick(FOLDERS)}/${own}`);
    set(`${prefix}.pid`, BigInt(Math.floor(random() * 60_000)));
    set(`${prefix}.entity_id`, `e${Math.floor(random() * 1e9)}`);
    set(`${prefix}.args`, args.slice(0, 1 + Math.floor(random() * 5)));
    set(`${prefix}.args_count`, BigInt(args.length));
    set(`${prefix}.command_line`, args.join(" "));
  }
  set("process.working_directory", pick(FOLDERS));
  set("process.interactive", random() < 0.5);
  if (kind === "file") {
    set("file.path", `${pick(FOLDERS)}/${name}.${pick(["sh", "txt", "conf"])}`);
    set("file.name", `${name}.sh`);
    set("file.extension", "sh");
  }
  if (kind === "network") {
    set("destination.ip", pick(["10.0.0.1", "8.8.8.8", "2001:db8::1"]));
    set("destination.port", 443n);
  }
  return builder.bytes.slice(0, builder.finish());
}

/** Records as JSON lines. */
export function sensorLines(records: readonly Uint8Array[]): string {
  const view = new RecordView();
  return records.map((record) => `${JSON.stringify(encodeJson(view.reset(record, 0), registry))}\n`).join("");
}
