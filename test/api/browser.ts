// A headless Chromium driven over its debugging port, for tests of the page. Only what they need: open, evaluate, wait for a condition, picture.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PROGRAMS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--disable-dev-shm-usage",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-extensions",
  "--remote-debugging-port=0",
];

/** Path of a Chromium on this machine. */
export function findChromium(): string | undefined {
  return PROGRAMS.find((path) => existsSync(path));
}

interface Reply {
  readonly id?: number;
  readonly method?: string;
  readonly params?: unknown;
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly message: string };
}

/** One browser with one page. */
export class Browser {
  readonly #process: Bun.Subprocess;
  readonly #folder: string;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, { resolve(result: Readonly<Record<string, unknown>>): void; reject(error: Error): void }>();
  /** Console errors and uncaught exceptions of the page, security policy violations among them. */
  readonly complaints: string[] = [];
  #nextId = 1;

  private constructor(process: Bun.Subprocess, folder: string, socket: WebSocket) {
    this.#process = process;
    this.#folder = folder;
    this.#socket = socket;
    socket.addEventListener("message", (event) => this.#receive(JSON.parse(String(event.data)) as Reply));
  }

  /** Starts the program and connects to its first page. */
  static async start(program: string): Promise<Browser> {
    const folder = mkdtempSync(join(tmpdir(), "kestrel-browser-"));
    const process = Bun.spawn([program, ...FLAGS, `--user-data-dir=${folder}`, "about:blank"], {
      stdout: "ignore",
      stderr: "pipe",
      stdin: "ignore",
    });
    const browserUrl = await debuggerUrl(process.stderr);
    const pages = (await (await fetch(`http://${new URL(browserUrl).host}/json/list`)).json()) as {
      type: string;
      webSocketDebuggerUrl: string;
    }[];
    const page = pages.find(({ type }) => type === "page");
    if (page === undefined) throw new Error("Chromium opened no page");
    const socket = new WebSocket(page.webSocketDebuggerUrl);
    await new Promise((resolve, reject) => {
      socket.addEventListener("open", resolve, { once: true });
      socket.addEventListener("error", () => reject(new Error("Chromium refused the debugging connection")), { once: true });
    });
    const browser = new Browser(process, folder, socket);
    for (const domain of ["Page", "Runtime", "Log"]) await browser.send(`${domain}.enable`);
    return browser;
  }

  /** One debugging command. */
  send(method: string, params: object = {}): Promise<Readonly<Record<string, unknown>>> {
    const id = this.#nextId++;
    const reply = new Promise<Readonly<Record<string, unknown>>>((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    this.#socket.send(JSON.stringify({ id, method, params }));
    return reply;
  }

  #receive(reply: Reply): void {
    if (reply.method === "Runtime.exceptionThrown" || reply.method === "Log.entryAdded") this.complaints.push(JSON.stringify(reply.params));
    const waiting = this.#waiting.get(reply.id ?? 0);
    if (waiting === undefined) return;
    this.#waiting.delete(reply.id ?? 0);
    if (reply.error === undefined) waiting.resolve(reply.result ?? {});
    else waiting.reject(new Error(reply.error.message));
  }

  async open(url: string): Promise<void> {
    await this.send("Page.navigate", { url });
  }

  /** Value of an expression in the page; promises are awaited. */
  async evaluate<Value>(expression: string): Promise<Value> {
    const { result, exceptionDetails } = (await this.send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true })) as {
      readonly result: { readonly value: Value };
      readonly exceptionDetails?: unknown;
    };
    if (exceptionDetails !== undefined) throw new Error(`${expression} threw ${JSON.stringify(exceptionDetails)}`);
    return result.value;
  }

  /** Waits, without a fixed time, until an expression in the page is truthy: it is tried again at each animation frame. */
  async until(expression: string): Promise<void> {
    for (;;) {
      const held = await this.evaluate<boolean>(
        `new Promise((resolve) => requestAnimationFrame(() => { try { resolve(Boolean(${expression})); } catch { resolve(false); } }))`,
      ).catch(() => false);
      if (held) return;
    }
  }

  /** Size and colour scheme of the window. */
  async dress(options: { readonly width: number; readonly height: number; readonly scheme: "light" | "dark" }): Promise<void> {
    const { width, height, scheme } = options;
    await this.send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: width < 600 });
    await this.send("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] });
  }

  /** A PNG of the window. */
  async picture(): Promise<Uint8Array> {
    const { data } = await this.send("Page.captureScreenshot", { format: "png" });
    return Buffer.from(String(data), "base64");
  }

  async close(): Promise<void> {
    this.#socket.close();
    this.#process.kill();
    await this.#process.exited;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

async function debuggerUrl(stderr: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  const reader = stderr.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`Chromium ended before it listened: ${text}`);
    text += decoder.decode(value, { stream: true });
    const match = /DevTools listening on (ws:\S+)/.exec(text);
    if (match === null) continue;
    // Keep reading, so that a full pipe does not stop the browser.
    void (async () => {
      while (!(await reader.read()).done);
    })();
    return match[1]!;
  }
}
