// `kestrel run` as a process: started on a free port, talked to over HTTP, stopped or killed. Ends with the test that started it.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { inspectMachine } from "#ebpf";
import { eventually, PROGRAM } from "./program.ts";

/** The parts of an alert that the tests look at. */
export interface AlertJson {
  readonly id: string;
  readonly kind: string;
  readonly rule: { readonly id: string };
  readonly message: string;
  readonly captures: Readonly<Record<string, unknown>>;
  readonly ancestry: readonly { readonly pid: number; readonly name: string; readonly executable: string }[];
  readonly response?: {
    readonly outcome: string;
    readonly mode: string;
    readonly means: string;
    readonly target_pid: number;
    readonly process_count: number;
    readonly latency_ns: number;
  };
  readonly events: readonly { readonly process?: { readonly command_line?: string; readonly user?: { readonly name?: string } } }[];
}

let reason: string | undefined;
let asked = false;

/** Whether sensors can run here; says once why not. */
export function sensorsRun(): boolean {
  if (!asked) {
    asked = true;
    reason = inspectMachine().error;
    if (reason !== undefined) console.log(`skipped: kestrel run on the real kernel (${reason})`);
  }
  return reason === undefined;
}

/** See the head of this file. */
export class AgentProcess implements AsyncDisposable {
  /** Alerts that came on standard output. */
  readonly printed: AlertJson[] = [];
  stderr = "";
  url = "";
  readonly child: Subprocess<"ignore", "pipe", "pipe">;
  readonly #data: string;
  readonly #read: Promise<unknown>;

  private constructor(data: string, args: readonly string[], through: readonly string[]) {
    this.#data = data;
    // A test's agent holds no program of the machine, unless the test names a mount of its own.
    const gate = args.includes("--gate-mount") ? [] : ["--gate-mount", "none"];
    this.child = Bun.spawn([...through, ...PROGRAM, "run", "--data", data, "--listen", "127.0.0.1:0", "--json", ...gate, ...args], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    this.#read = Promise.all([this.#readAlerts(), this.#readLog()]);
  }

  /** Starts an agent and waits until it is armed. Fails with its own words when it ends before. */
  static async start(data: string, args: readonly string[], through: readonly string[] = []): Promise<AgentProcess> {
    const agent = new AgentProcess(data, args, through);
    await eventually(
      () => `an armed agent: ${agent.stderr}`,
      () => {
        if (agent.child.exitCode !== null) throw new Error(`kestrel run ended with ${agent.child.exitCode}: ${agent.stderr}`);
        return /armed \d+ rules/.test(agent.stderr) || undefined;
      },
    ).catch((error: unknown) => {
      // Nobody else has it yet, and it would run on behind the tests.
      agent.child.kill("SIGKILL");
      throw error;
    });
    agent.url = /(http:\/\/127\.0\.0\.1:\d+)\//.exec(agent.stderr)?.[1] ?? "";
    return agent;
  }

  async #readAlerts(): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const bytes of this.child.stdout) {
      const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.printed.push(JSON.parse(line) as AlertJson);
    }
  }

  async #readLog(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const bytes of this.child.stderr) this.stderr += decoder.decode(bytes, { stream: true });
  }

  /** The token, as its owner reads it. */
  get token(): string {
    return readFileSync(join(this.#data, "token"), "utf8").trim();
  }

  /** One request with the token. */
  fetch(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`${this.url}${path}`, { ...init, headers: { authorization: `Bearer ${this.token}`, ...init.headers } });
  }

  /** The newest alerts, up to 200. */
  async listed(): Promise<readonly AlertJson[]> {
    const body = (await (await this.fetch("/v1/alerts?limit=200")).json()) as { readonly alerts: readonly AlertJson[] };
    return body.alerts;
  }

  /** Follows the stream of alerts into a list until the agent ends. Resolves when the stream says it is ready. */
  async follow(): Promise<readonly AlertJson[]> {
    const streamed: AlertJson[] = [];
    const response = await this.fetch("/v1/alerts/stream");
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    const decoder = new TextDecoder();
    let text = "";
    const take = async (): Promise<boolean> => {
      const { value, done } = await reader.read();
      if (done) return false;
      const messages = (text + decoder.decode(value, { stream: true })).split("\n\n");
      text = messages.pop() ?? "";
      for (const message of messages) {
        const data = /^event: alert\n.*^data: (.*)$/ms.exec(message)?.[1];
        if (data !== undefined) streamed.push(JSON.parse(data) as AlertJson);
      }
      return true;
    };
    await take();
    (async () => {
      while (await take());
    })().catch(() => {
      // The agent was killed: what came before counts.
    });
    return streamed;
  }

  /** Stops it as an init system does; the exit code. */
  async stop(): Promise<number> {
    this.child.kill("SIGTERM");
    await eventually(
      () => `the end of the agent: ${this.stderr}`,
      () => this.child.exitCode !== null || this.child.signalCode !== null || undefined,
    );
    await this.#read;
    return this.child.exitCode ?? -1;
  }

  /** Kills it; what it had printed is in `printed`. */
  async kill(): Promise<void> {
    this.child.kill("SIGKILL");
    await this.child.exited;
    await this.#read.catch(() => undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) await this.kill();
  }
}

/** Rule that alerts on programs started with `marker` among their arguments. */
export function markerRule(id: string, marker: string): string {
  return `id: ${id}\nname: Marker seen\nseverity: low\nquery: process where event.action == "exec" and process.args == "${marker}"\n`;
}
