// The page in a real browser: alerts appear by themselves, hostile text stays text, and the token leaves the address bar.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type RunningServer, startServer } from "#api";
import { SystemClock } from "#core";
import { Browser, findChromium } from "./browser.ts";
import { MemoryAgent, MemoryAlerts, MemoryIsolation, makeAlert, processEvent, TOKEN } from "./fixture.ts";

// Generous, since machines are noisy and no test here measures time; it only ends what hangs.
setDefaultTimeout(60_000);
const program = findChromium();
if (program === undefined) console.log("Skipped: the page in a browser, because no Chromium is installed (apt-get install chromium)");

describe.skipIf(program === undefined)("the page", () => {
  const alerts = new MemoryAlerts();
  const agent = new MemoryAgent();
  const isolation = new MemoryIsolation();
  let server: RunningServer;
  let browser: Browser;

  beforeAll(async () => {
    agent.hold({ id: "kestrel.exec-from-shm", name: "Program run from shared memory", description: "What it sees.\n\nWhat to do." });
    server = startServer({ listen: "127.0.0.1:0", agent, alerts, isolation, clock: new SystemClock(), token: TOKEN });
    browser = await Browser.start(program!);
  });
  afterAll(async () => {
    await browser?.close();
    await server?.stop();
  });

  const text = (selector: string): Promise<string> =>
    browser.evaluate(`document.querySelector(${JSON.stringify(selector)})?.textContent ?? ""`);
  const count = (selector: string): Promise<number> => browser.evaluate(`document.querySelectorAll(${JSON.stringify(selector)}).length`);
  const type = (selector: string, value: string): Promise<void> =>
    browser.evaluate(
      `(() => { const field = document.querySelector(${JSON.stringify(selector)}); field.value = ${JSON.stringify(value)};` +
        `for (const kind of ["input", "change"]) field.dispatchEvent(new Event(kind, { bubbles: true })); })()`,
    );

  test("asks for the token and refuses a wrong one", async () => {
    await browser.open(server.url);
    await browser.until("!document.querySelector('#gate').hidden");
    await type("#token", "wrong");
    await browser.evaluate("document.querySelector('#gate-form').requestSubmit()");
    await browser.until("document.querySelector('#gate-error').textContent !== ''");
    expect(await text("#gate-error")).toBe("That token was not accepted.");
    expect(await browser.evaluate<boolean>("document.querySelector('#console').hidden")).toBe(true);
    // The browser itself notes each 401; nothing else may be there.
    expect(browser.complaints.filter((complaint) => !complaint.includes("401"))).toEqual([]);
    browser.complaints.length = 0;
  });

  test("takes the token from the fragment and removes it from the address", async () => {
    await browser.open(`${server.url}#token=${TOKEN}`);
    await browser.until("document.querySelector('#connection').dataset.state === 'live'");
    expect(await browser.evaluate<string>("location.href")).toBe(server.url);
    await browser.until("!document.querySelector('#empty').hidden");
    expect(await text("#empty")).toContain("cp /bin/echo /dev/shm/x; /dev/shm/x");
    expect(await text("#host")).toBe("web-3");
    expect(await text("#stat-rules")).toBe("28 1 failed");
  });

  test("shows an alert as it comes, newest on top", async () => {
    alerts.add(makeAlert(1));
    await browser.until("document.querySelectorAll('.alert').length === 1");
    alerts.add(makeAlert(2, { severity: "critical" }));
    await browser.until("document.querySelectorAll('.alert').length === 2");
    expect(await browser.evaluate<string>("document.querySelector('.alert').dataset.severity")).toBe("critical");
    expect(await text(".alert .name")).toBe("Program run from shared memory");
    expect(await text(".alert .command")).toBe("/dev/shm/x");
    expect(await text(".alert .who-ran")).toBe("root on web-3");
    expect(await text(".alert .chain")).toBe("Started through: systemd›sshd›bash›x");
    expect(await browser.evaluate<boolean>("document.querySelector('#empty').hidden")).toBe(true);
    await browser.until("document.querySelector('#announce').textContent !== ''");
  });

  test("opens details by keyboard, with exact integers and the rule's words", async () => {
    await browser.evaluate("document.querySelector('.row').focus()");
    await browser.send("Input.dispatchKeyEvent", { type: "keyDown", key: "Enter", code: "Enter", text: "\r", windowsVirtualKeyCode: 13 });
    await browser.until("document.querySelector('.details') !== null");
    expect(await browser.evaluate<string>("document.querySelector('.row').getAttribute('aria-expanded')")).toBe("true");
    expect(await text(".about")).toBe("What it sees.\n\nWhat to do.");
    expect(await text(".json")).toContain('"start": 9007199254740993');
    expect(await browser.evaluate<string>("document.querySelector('.tags a').href")).toBe("https://attack.mitre.org/techniques/T1059/004/");
    await browser.evaluate("document.querySelector('.row').click()");
    expect(await count(".details")).toBe(0);
  });

  test("shows hostile text as text and hidden characters by number", async () => {
    const command = '<img src=x onerror="document.title=1"><script>document.title=2</script>\u202egnp.exe\u001b[31m\u0000\u200b';
    alerts.add(
      makeAlert(3, {
        ruleName: "<b>bold</b>",
        captures: { "<i>": "<u>\u2066" },
        tags: ["<svg/onload=alert(1)>", "attack.t1059/../../x"],
        ancestry: [{ pid: 1, name: "<a href=javascript:alert(1)>", executable: "\u2028" }],
        events: [processEvent({ command, executable: "/tmp/<h1>", user: "<script>", pid: 1 })],
      }),
    );
    await browser.until("document.querySelectorAll('.alert').length === 3");
    await browser.evaluate("document.querySelector('.row').click()");
    await browser.until("document.querySelector('.details') !== null");
    const shown = command.replace("\u202e", "U+202E").replace("\u001b", "U+001B").replace("\u0000", "U+0000").replace("\u200b", "U+200B");
    expect(await text(".alert .command")).toBe(shown);
    expect(await text(".facts .code")).toBe(shown);
    expect(await count("main script, main img, main b, main i, main u, main svg, main h1, main a[href^=javascript], .tags a")).toBe(0);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
    expect(await text(".alert")).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069]/);
    expect(await browser.evaluate<string>("document.title")).toBe("Kestrel");
  });

  test("filters, by search, severity and rule", async () => {
    await type("#filter-severity", "critical");
    await browser.until("document.querySelectorAll('.alert').length === 1");
    alerts.add(makeAlert(4));
    alerts.add(makeAlert(5, { severity: "critical" }));
    await browser.until("document.querySelectorAll('.alert').length === 2");
    await browser.evaluate("document.querySelector('#filter-clear').click()");
    await browser.until("document.querySelectorAll('.alert').length === 5");
    await type("#filter-text", "GNP.EXE");
    await browser.until("document.querySelectorAll('.alert').length === 1");
    await type("#filter-text", "no such text");
    await browser.until("document.querySelector('#empty-title').textContent === 'No alert matches'");
    await browser.evaluate("document.querySelector('#filter-clear').click()");
    await browser.until("document.querySelectorAll('.alert').length === 5");
  });

  test("holds new alerts while paused and shows them after", async () => {
    await browser.evaluate("document.querySelector('#pause').click()");
    alerts.add(makeAlert(6));
    alerts.add(makeAlert(7));
    await browser.until("document.querySelector('#pause').textContent === 'Resume, 2 new'");
    expect(await count(".alert")).toBe(5);
    await browser.evaluate("document.querySelector('#pause').click()");
    await browser.until("document.querySelectorAll('.alert').length === 7");
    expect(await browser.evaluate<string>("document.querySelector('.alert').dataset.id")).toBe(makeAlert(7).id);
  });

  test("says what is wrong with the agent itself, and no longer", async () => {
    agent.findings = ["Process 7 (gdb) traces the agent"];
    await browser.until("!document.querySelector('#self').hidden");
    expect(await text("#self")).toBe("Self-defence: Process 7 (gdb) traces the agent.");
    agent.findings = [];
    await browser.until("document.querySelector('#self').hidden");
  });

  test("says that the machine is isolated, and no longer", async () => {
    isolation.isolate({ allow: ["10.0.0.0/8"], clients: [], whenAgentStops: "keep", cutCaller: false }, "192.0.2.7");
    await browser.until("!document.querySelector('#isolation').hidden");
    expect(await text("#isolation")).toMatch(
      /^This machine is isolated from the network\. Asked for .* by 192\.0\.2\.7\. Allowed: 10\.0\.0\.0\/8\. 12 packets out and 0 in were dropped\.$/,
    );
    isolation.lift("192.0.2.7");
    await browser.until("document.querySelector('#isolation').hidden");
  });

  test("shows an alert of the agent about itself, which has no event", async () => {
    const name = "Network isolation switched";
    alerts.add(
      makeAlert(900, {
        kind: "agent",
        ruleId: "kestrel.self.isolation",
        ruleName: name,
        message: "The machine was isolated",
        events: [],
        ancestry: [],
      }),
    );
    await browser.until(`document.querySelector('.alert .name')?.textContent === "${name}"`);
    expect(await text(".alert .command")).toBe("The machine was isolated");
    await browser.evaluate("document.querySelector('.row').click()");
    expect(await text(".about")).toContain("The machine was isolated");
    await browser.evaluate("document.querySelector('.row').click()");
  });

  test("shows the process acted on", async () => {
    const event = {
      "@timestamp": "2026-05-28T20:26:41.000Z",
      event: { category: ["process"], type: ["access"], action: "ptrace_attach" },
      process: { command_line: "gdb -p 812" },
      Target: { process: { name: "sshd", executable: "/usr/sbin/sshd", pid: 812 } },
    };
    alerts.add(makeAlert(901, { events: [event], captures: { "Target.process.pid": 812 } }));
    await browser.until(`document.querySelector('.alert')?.dataset.id === "${makeAlert(901).id}"`);
    expect(await text(".alert .command")).toBe("gdb -p 812 → /usr/sbin/sshd, 812");
    await browser.evaluate("document.querySelector('.row').click()");
    const facts = await text(".facts");
    expect(facts).toContain("Actionptrace_attachTarget/usr/sbin/sshd, 812");
    expect(facts).not.toContain("Target.process.pid");
    await browser.evaluate("document.querySelector('.row').click()");
  });

  test("keeps at most a thousand alerts", async () => {
    for (let number = 8; number <= 1010; number++) alerts.add(makeAlert(number));
    await browser.until(`document.querySelector('.alert').dataset.id === '${makeAlert(1010).id}'`);
    expect(await count(".alert")).toBe(1000);
  });

  test("comes back by itself after the agent restarts, and misses nothing", async () => {
    const { port } = server;
    await server.stop();
    await browser.until("document.querySelector('#connection').dataset.state === 'waiting'");
    alerts.add(makeAlert(1011));
    server = startServer({ listen: `127.0.0.1:${port}`, agent, alerts, isolation, clock: new SystemClock(), token: TOKEN });
    await browser.until("document.querySelector('#connection').dataset.state === 'live'");
    await browser.until(`document.querySelector('.alert').dataset.id === '${makeAlert(1011).id}'`);
    // Refused connections are what the browser notes while the agent is away; a policy violation or an exception would be another.
    expect(
      browser.complaints.filter((complaint) => !/ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_EMPTY|net::ERR/.test(complaint)),
    ).toEqual([]);
  });

  test.each([
    [1200, "light"],
    [390, "dark"],
    [320, "light"],
  ] as const)("fits a window %d wide, %s", async (width, scheme) => {
    await browser.dress({ width, height: 800, scheme });
    await browser.evaluate("document.querySelector('.row').click()");
    await browser.until(`innerWidth === ${width} && document.querySelector('.details') !== null`);
    expect(await browser.evaluate<number>("document.documentElement.scrollWidth - document.documentElement.clientWidth")).toBe(0);
    await browser.evaluate("document.querySelector('.row').click()");
  });
});
