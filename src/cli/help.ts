// Help texts: what each command does, its flags and examples. Kept beside each other so that they stay of one voice.

interface CommandHelp {
  readonly summary: string;
  readonly text: string;
}

/** Flags of every command that reads event logs. */
const INPUT_FLAGS = `  --timestamp FIELD    field with the event's time (default @timestamp)
  --time-unit UNIT     unit of numeric times: auto, s, ms, us, 100ns or ns (default auto: by size)
  --category FIELD     field with the event's category (default event.category)
  --tiebreaker FIELD   field that orders events of one time (default event.sequence)
  --from T, --to T     only events from T on, and before T: dates as in events (2026-03-02, 2026-03-02T08:00:00Z) or numbers of
                       --time-unit; the others are counted. An event without a time has that of the one before it
  --quiet              no progress line on a terminal
  --schema FILE        more fields: JSON, {"name": "type", …}; types keyword keyword[] i64 u64 f64 bool ip date`;

/** Commands in the order they are listed. */
export const COMMANDS: Readonly<Record<string, CommandHelp>> = {
  run: {
    summary: "Watch this machine: sensors, rules, alerts, API and page",
    text: `kestrel run [--rules PATH…] [--data DIR] [--listen HOST:PORT] [--json]

Watches this machine with the rules built into the binary, or with those of --rules, prints alerts, keeps them in DIR and serves
API and page. Without the rights for BPF it says so and replays the built-in recording instead.

  --rules PATH         rule file, folder or glob instead of the built-in rules; may be repeated
  --data DIR           where alerts, uploaded rules and the token live (default /var/lib/kestrel, or ~/.local/share/kestrel)
  --listen HOST:PORT   where API and page are served (default 127.0.0.1:8490; port 0 picks a free one)
  --json               alerts as JSON lines on standard output
  --record FILE        also write every event to FILE (.klog)
  --without SENSOR,…   sensors to leave off whatever the rules ask for, by the names kestrel doctor lists; exec, fork and exit cannot be
  --env NAME,…         environment variables to keep with the start of a program, beside LD_PRELOAD and other usual ones
  --redact REGEX       take out arguments and values of variables in which REGEX (as in EQL's regex) is found, beside the passwords,
                       tokens and keys that are taken out of every event anyway; may be repeated
  --no-redact          take nothing out
  --protect NAME,…     programs that no rule may kill, suspend or deny, whoever runs them: file names of system programs, or whole paths;
                       may be repeated. Init, sshd and other programs that keep a machine running are left alone anyway, as root
                       and their own accounts run them
  --isolation-cgroup D control group (v2) that kestrel isolate cuts off, instead of the whole machine
  --gate-fail F        what becomes of a program that a rule may deny when nobody decides in time: open lets it run (default),
                       closed denies it
  --gate-deadline MS   how long a program waits for that decision, 10 to 60000 (default 500)
  --gate-mount PATH    hold only programs of the filesystem mounted at PATH, may be repeated; none holds no program. Without it those
                       of every mount are held, once a rule needs it
  --rights R           what to keep of root's rights: usual (default); least, without those for the exec gate and for freezing groups of
                       users; all, nothing is given up
  --partitions N       threads that evaluate rules, 1 to 64 (default 1)
  --backend B          wasm (default) or lua
  --schema FILE        more fields for rules: JSON, {"name": "type", …}
  --verbose            log more

Examples
  kestrel run
  kestrel run --rules /etc/kestrel/rules --listen 127.0.0.1:0 --json`,
  },
  replay: {
    summary: "Run rules over recorded events; the same input gives the same bytes",
    text: `kestrel replay FILE… [--rules PATH…] [--json] [--speed X] [--from T] [--to T] [--partitions N]

Evaluates rules over event logs: JSON lines (plain, .gz, .zst) or .klog; - reads standard input. Several files are merged by time,
equal times in the order the files are named; the events of one file stay in its order. Alerts go to standard output in order,
totals and, on a terminal, progress to standard error. SIGINT and SIGTERM stop reading; what was read is evaluated, and the totals
are printed. Uses the built-in rules without --rules.

  --rules PATH         rule file, folder or glob; may be repeated
  --json               one alert per line as JSON
  --speed X            as fast as it happened (1), X times that (10x, 0.5), or max (default)
  --state FILE         keep alerts, pending sequences and how far each log was read in FILE, and go on from there: also after a
                       kill, and with logs that have grown. Their end is then not the end of time: sequences stay pending
  --reorder DURATION   how far out of order events may be for sequences (default 60s)
  --partitions N       threads that evaluate rules, 1 to 64 (default 1)
  --backend B          wasm (default) or lua
${INPUT_FLAGS}

Examples
  kestrel replay events.jsonl.gz --rules rules/ --json
  kestrel replay web-*.klog db.jsonl.zst --from 2026-03-02T08:00:00Z --to 2026-03-02T09:00:00Z
  kestrel replay hour.klog --speed 60x
  kestrel replay app.jsonl --rules rules/ --state app.state     # again and again, as app.jsonl grows
  zcat audit.gz | kestrel replay - --rules shadow.yaml`,
  },
  query: {
    summary: "Run one EQL query over event logs",
    text: `kestrel query 'EQL' FILE… [--json] [--id FIELD] [--from T] [--to T]
kestrel query --query-file FILE FILE… [--json] [--id FIELD]

Prints the events that match, several files merged by time; of a sequence, sample or join each result's events on one line. Pipes
(| head 5, | sort, | count process.name …) work on the results. Fields that Kestrel does not know are typed by looking at the events first.

  --json               one JSON object a line: {"events":[…]}
  --id FIELD           only the values of this field instead of whole events
  --query-file FILE    read the query from a file
  --dialect D          default or endgame
  --case-sensitive     with endgame: heed case, as its engine can be told to
${INPUT_FLAGS}

Examples
  kestrel query 'process where process.name == "curl" and process.args : "*-o*"' events.jsonl
  kestrel query 'sequence by user.name with maxspan=1m [process where process.name == "curl"] [process where process.name == "sh"]' a.jsonl
  kestrel query 'any where true | count event.category' a.jsonl
  kestrel query 'network where true' *.jsonl.gz --from 2026-03-02 --to 2026-03-03
  kestrel query 'process where opcode == 1' old.jsonl --dialect endgame --category event_type --timestamp timestamp --time-unit 100ns`,
  },
  explain: {
    summary: "Show what a rule became, what it costs, and why events do or do not complete it",
    text: `kestrel explain RULE [EVENTS…] [--id ID] [--ir] [--wat] [--lua] [--json]
kestrel explain --query 'EQL' [EVENTS…]

Draws the plan of a rule: steps, keys, spans, what the sequencer asks later, and what each predicate costs, measured on the built-in
recording or on EVENTS. RULE is a rule file or the id of a built-in rule. With EVENTS it tells for each event which steps it met and
what came of it, then what is still under way and how near the nearest came. Exit code 1 when the rule does not compile.

  --query 'EQL'        a query instead of RULE; --dialect default or endgame
  --id ID, --rule ID   which rule of a file that has several
  --ir, --wat, --lua   only the IR, the WebAssembly text, the Lua of its predicates; --full with the Lua support text
  --all                also events that meet no step, with the part of each condition they fail
  --json               one object; with EVENTS one object a line for each event and a summary
  --lenient-fields     unknown fields are warnings
${INPUT_FLAGS.replace(/ *--quiet.*\n/, "")}

Examples
  kestrel explain kestrel.exec-from-shm
  kestrel explain my-rule.yaml events.jsonl.gz
  kestrel explain --query 'sequence by process.entity_id [process where true] [network where true]' hour.klog --all
  kestrel explain rules.jsonl --id my.rule --wat > rule.wat`,
  },
  check: {
    summary: "Say whether rules and queries compile, and what is wrong",
    text: `kestrel check PATH… [--json] [--lenient-fields] [--kernel this|any]

Reads rule files (.yaml .json .toml .eql) and lists (.jsonl whose lines have "query"). Exit code 1 when something has an error.
Of a rule with an action it says when that comes, and why not earlier: in the kernel before the act, in the kernel at once after it, after
the alert.

  --json               one object per rule: {"file","line","id","ok","diagnostics":[…]}, and "response" of one with an action
  --lenient-fields     unknown fields are warnings
  --schema FILE        more fields: JSON, {"name": "type", …}
  --kernel any         where a rule's action comes on a kernel that allows everything, instead of on this one

Examples
  kestrel check rules/
  kestrel check queries.jsonl --lenient-fields --json`,
  },
  test: {
    summary: "Run the tests that rules carry",
    text: `kestrel test [PATH…] [--json]

Runs each rule's own tests (match and no_match events) on the real engine. Without PATH the built-in rules are tested.
Exit code 1 when a test fails or a rule does not load.

  --json               one object per test
  --backend B          wasm (default) or lua
  --schema FILE        more fields: JSON, {"name": "type", …}

Examples
  kestrel test rules/
  kestrel test my-rule.yaml --json`,
  },
  doctor: {
    summary: "Say what this machine lets Kestrel see, and why not more",
    text: `kestrel doctor [--json]

Loads and attaches every sensor once and prints which attachment is used, what the kernel refused and why, and what is not covered.
Exit code 3 when no sensor can run here.

  --json               one object with everything the text says

Examples
  kestrel doctor
  kestrel doctor --json`,
  },
  record: {
    summary: "Write this machine's events to a .klog or JSON-lines file",
    text: `kestrel record FILE [--seconds N] [--json] [--env NAME,…]

Records what the sensors see until N seconds have passed or SIGINT. FILE ending in .jsonl (or - with --json) gets JSON lines,
anything else .klog.

  --seconds N          stop by itself after N seconds
  --json               JSON lines, whatever the name of the file
  --without SENSOR,…   sensors to leave off
  --env NAME,…         environment variables to keep; --redact REGEX, --no-redact: as for run

Examples
  kestrel record hour.klog --seconds 3600
  kestrel record - --json --seconds 10`,
  },
  isolate: {
    summary: "Cut this machine off the network, except from whom you name; and back",
    text: `kestrel isolate on [--allow ADDRESS…] [--client ADDRESS…]
kestrel isolate off
kestrel isolate status

Asks the running agent. While the machine is isolated, every packet is dropped but those of the loopback, of the addresses named, and of
what keeps it on its link (neighbours, requests for an address); open connections are cut too. It holds over restarts of the agent and,
unless told otherwise, when the agent is killed. Names cannot be looked up then, so name addresses.

  --allow A,…          who may be talked to: ADDRESS or ADDRESS/BITS, with :PORT of theirs if only that (IPv6 then as [ADDRESS/BITS]:PORT);
                       may be repeated
  --client A,…         who may reach the agent's API, and nothing else; for an agent that listens beyond the loopback
  --lift-with-agent    it ends with the agent, however that ends
  --cut-caller         isolate even though this client is then cut off itself
  --agent HOST:PORT    where the agent listens (default 127.0.0.1:8490)
  --data DIR           the agent's data folder, where the token is (default as in run)
  --json               the API's answer

Examples
  kestrel isolate on --allow 10.0.0.5,fd00::/8
  kestrel isolate on --allow 10.0.0.5:443 --client 10.0.0.9
  kestrel isolate status
  kestrel isolate off`,
  },
  rules: {
    summary: "List the built-in rules, or those of a path",
    text: `kestrel rules [PATH…] [--json]
kestrel rules show ID [PATH…]

Lists the rules of PATH, or those built into the binary; show prints one as YAML, to read or to start your own from.

  --json               one object per rule
  --schema FILE        more fields: JSON, {"name": "type", …}

Examples
  kestrel rules
  kestrel rules show kestrel.exec-from-shm`,
  },
  schema: {
    summary: "List the fields that rules can test, and which sensors set them",
    text: `kestrel schema [FIELD…] [--sensors] [--json]

Lists every field of the catalogue, or those named and below: its type, the categories of the events that have it, the sensors that set
it ("every", or "-" for fields that only logs from elsewhere have), and what it is.

  --sensors            only fields that the sensors set
  --schema FILE        more fields: JSON, {"name": "type", …}
  --json               one object a line

Examples
  kestrel schema process.hash process.Ext
  kestrel schema --sensors --json`,
  },
  version: {
    summary: "Print the version",
    text: `kestrel version [--json]

  --json               version, commit, runtime and processor as one object

Example
  kestrel version --json`,
  },
};

/** The overview. */
export function overview(): string {
  const width = Math.max(...Object.keys(COMMANDS).map((name) => name.length));
  const lines = Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`);
  return `kestrel — endpoint detection and response for Linux in one file

${lines.join("\n")}

kestrel COMMAND --help explains a command. Exit codes: 0 fine, 1 findings (check, test), 2 usage, 3 cannot run here.`;
}
