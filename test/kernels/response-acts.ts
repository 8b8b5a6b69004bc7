// Acts that a rule is against, as acts of the kernel matrix: they must not come to anything, and raise one alert that says so. In emulated machines
// the security module denies most of them; where it is refused, control group programs deny connections and the sensors kill who does the rest.
import { type Act, act, HERE, SYS_EXIT, TCP_ONLY } from "./act.ts";

const AT = `${HERE}/denied`;

/** Ends well when the command did not: it was refused, or whoever ran it was killed. */
function fails(command: string): string {
  return `if (${command}); then exit 1; fi`;
}

function against(
  action: Act["action"],
  sensor: string,
  parts: readonly [name: string, shell: string, query: string],
  unseenBy: readonly string[] = [],
): Act {
  const [name, shell, query] = parts;
  return act(sensor, name, [shell, query], { action, unseenBy });
}

const started = (path: string): string => `process where event.action == "exec" and process.executable == "${path}"`;
const opened = (action: string, path: string): string => `file where event.action == "${action}" and file.path == "${path}"`;
const to = (transport: string, ip: string, port: number): string =>
  `network where network.transport == "${transport}" and destination.ip == "${ip}" and destination.port == ${port}`;
const serving = (action: string, ip: string, port: string): string =>
  `network where event.action == "${action}" and destination.ip == "${ip}" and destination.port ${port}`;

/** A program of the protect list, which is protected as root runs it. The file is another user's to write to. */
const LISTED = "/usr/sbin/agetty";
const forAll = (path: string): string => `: >${path}; chmod 666 ${path}`;
const listedStarts = (user: number): string => `${started(LISTED)} and user.id == "${user}"`;
const listedWrites = (path: string): string => `${opened("modification", path)} and process.executable == "${LISTED}"`;
/** One that must go on. */
function leftAlone(sensor: string, name: string, shell: string, query: string): Act {
  return act(sensor, name, [shell, query], { action: "deny", alerts: 0 });
}

/** All of them; the name of one is the id of its rule. */
export const RESPONSES: readonly Act[] = [
  against("deny", "exec", [
    "deny-exec",
    `mkdir -p denied; cp /bin/busybox denied/touch; ${fails("denied/touch ran-1")}; [ ! -e ran-1 ]`,
    started(`${AT}/touch`),
  ]),
  against("deny", "exec", [
    "deny-exec-by-link",
    `cp /bin/busybox denied/linked; ln -s ../denied/linked denied/touch-link; ${fails("exec -a touch denied/touch-link ran-2")}; [ ! -e ran-2 ]`,
    started(`${AT}/linked`),
  ]),
  against("deny", "exec", [
    "deny-exec-interpreter",
    `cp /bin/busybox denied/interpreter; printf '#!${AT}/interpreter sh\\necho >ran-3\\n' >denied/script; chmod 755 denied/script
${fails("denied/script")}; [ ! -e ran-3 ]`,
    started(`${AT}/interpreter`),
  ]),
  against("deny", "exec", [
    "deny-exec-beginning",
    `mkdir -p Folder; cp /bin/busybox Folder/touch; ${fails("Folder/touch ran-4")}; [ ! -e ran-4 ]`,
    `process where event.action == "exec" and process.executable : "${HERE}/folder/*" and not user.id == "77"`,
  ]),
  against("kill", "exec", [
    "kill-exec",
    `cp /bin/busybox denied/killed; ${fails("exec -a touch denied/killed ran-5")}; [ ! -e ran-5 ]`,
    started(`${AT}/killed`),
  ]),
  against("deny", "file", [
    "deny-write",
    `: >denied/kept; ${fails("echo x >>denied/kept")}; [ ! -s denied/kept ]`,
    opened("modification", `${AT}/kept`),
  ]),
  against("deny", "file", ["deny-create-io-uring", `/bin/acts uring-create ${AT}/made; true`, opened("creation", `${AT}/made`)], SYS_EXIT),
  against("kill", "file", [
    "kill-write",
    `: >denied/watched; ${fails("echo x >>denied/watched")}; [ ! -s denied/watched ]`,
    opened("modification", `${AT}/watched`),
  ]),
  against("deny", "connect", ["deny-connect", "/bin/acts connect tcp 127.0.0.1 941; true", to("tcp", "127.0.0.1", 941)]),
  against("deny", "connect", ["deny-connect-io-uring", "/bin/acts connect uring 127.0.0.1 942; true", to("tcp", "127.0.0.1", 942)]),
  against("deny", "connect", ["deny-connect-ipv6", "/bin/acts connect udp ::1 943; true", to("udp", "::1", 943)], TCP_ONLY),
  against("deny", "send", ["deny-send", "/bin/network-acts send plain 1 127.0.0.1 944; true", to("udp", "127.0.0.1", 944)], ["off"]),
  against(
    "deny",
    "bind",
    ["deny-bind", "/bin/network-acts bind plain tcp 127.0.0.1 946; true", serving("bind", "127.0.0.1", "== 946")],
    TCP_ONLY,
  ),
  against(
    "deny",
    "bind",
    ["deny-bind-any-port", "/bin/network-acts bind plain udp ::1 0; true", serving("bind", "::1", "> 1024")],
    TCP_ONLY,
  ),
  against("deny", "bind", ["deny-listen", "/bin/network-acts listen plain ::1 947; true", serving("listen", "::1", "== 947")]),
  against("deny", "exec", [
    "deny-exec-listed",
    `${forAll("/tmp/listed-1")}; ${fails("/bin/rare-acts listed-exec /tmp/listed-1")}; [ ! -s /tmp/listed-1 ]`,
    listedStarts(82),
  ]),
  leftAlone("exec", "deny-exec-listed-root", `(exec -a touch ${LISTED} ran-6); [ -e ran-6 ]`, listedStarts(0)),
  against("deny", "file", [
    "deny-open-listed",
    `${forAll("/tmp/listed-2")}; ${fails("/bin/rare-acts listed-open /tmp/listed-2")}; [ ! -s /tmp/listed-2 ]`,
    listedWrites("/tmp/listed-2"),
  ]),
  leftAlone(
    "file",
    "deny-open-listed-root",
    `: >/tmp/listed-3; (exec -a sh ${LISTED} -c 'echo x >>/tmp/listed-3'); [ -s /tmp/listed-3 ]`,
    listedWrites("/tmp/listed-3"),
  ),
  against("kill", "connect", ["kill-connect", "/bin/acts connect tcp 127.0.0.1 945; true", to("tcp", "127.0.0.1", 945)]),
];
