// Changes of mode, owner and extended attributes by every call there is for them, of 64-bit and of 32-bit code and through io_uring, each to a
// file of its own (attribute-acts.c).
import { type Act, act, HERE, type More, SYS_EXIT } from "./act.ts";

type Bits = 64 | 32;

const NAMED = 'file.Ext.attribute.name == "security.capability"';
const LISTED = 'file.Ext.attribute.name == "system.posix_acl_access"';

interface Way {
  readonly calls: readonly string[];
  readonly condition: string;
}

const MODES: Way = { calls: ["chmod", "fchmod", "fchmodat"], condition: 'event.action == "mode_change" and file.mode == "4711"' };
const OWNERS: Way = {
  calls: ["chown", "lchown", "fchown"],
  condition: 'event.action == "owner_change" and file.uid == "77" and file.gid == "78"',
};
const GROUPS: Way = { calls: ["fchownat"], condition: 'event.action == "owner_change" and file.gid == "78"' };
const OLD_OWNERS: Way = { ...OWNERS, calls: ["chown16"] };
const SET: Way = { calls: ["setxattr", "lsetxattr", "fsetxattr"], condition: `event.action == "attribute_change" and ${NAMED}` };
const REMOVED: Way = {
  calls: ["removexattr", "lremovexattr", "fremovexattr"],
  condition: `event.action == "attribute_removal" and ${NAMED}`,
};
const LIST: Way = { calls: ["set-list"], condition: `event.action == "attribute_change" and ${LISTED}` };
const NO_LIST: Way = { calls: ["remove-list"], condition: `event.action == "attribute_removal" and ${LISTED}` };

/** The file has the act's name, so no rule but the act's own can match. */
function one(sensor: string, name: string, parts: readonly [shell: string, condition: string], more: More = {}): Act {
  const [shell, condition] = parts;
  return act(
    sensor,
    name,
    [shell, `file where ${condition} and file.path == "${HERE}/${name}" and process.name == "attribute-acts"`],
    more,
  );
}

/** What must have been set before it can be removed. */
function before(call: string, file: string): string {
  if (call === "remove-list") return `/bin/attribute-acts set-list 64 ${file} system.posix_acl_access &&`;
  return call.includes("remove") ? `/bin/attribute-acts setxattr 64 ${file} &&` : "";
}

function made(sensor: string, { calls, condition }: Way, bits: Bits): readonly Act[] {
  return calls.map((call) => {
    const name = `${sensor}-${call}-${bits}`;
    const list = call.endsWith("list") ? "system.posix_acl_access" : "";
    const shell = `: >${name}; ${before(call, name)} /bin/attribute-acts ${call} ${bits} ${name} ${list}`;
    return one(sensor, name, [shell, condition]);
  });
}

function both(sensor: string, way: Way): readonly Act[] {
  return [...made(sensor, way, 64), ...made(sensor, way, 32)];
}

function ring(call: string): Act {
  const name = `attribute-${call}`;
  return one("attribute", name, [`: >${name}; /bin/attribute-acts ${call} 64 ${name}`, SET.condition], { unseenBy: SYS_EXIT });
}

/** By a folder that leads to this one. */
function byLink(call: string, { condition }: Way): Act {
  const name = `attribute-${call}-by-link`;
  const shell = `ln -sf . roundabout; : >${name}; /bin/attribute-acts ${call} 64 roundabout/${name}`;
  return one("attribute", name, [shell, condition], { unseenBy: SYS_EXIT });
}

const OVERLAY = "/tmp/acts/over";
/** A folder that is one laid over another, as containers have: the kernel does all in the lower one again. */
const LAID = `grep -q overlay /proc/filesystems || insmod "/modules/$(uname -r)-overlay.ko"
  mkdir over over/below over/above over/work over/seen; : >over/below/set; : >over/below/owned; echo text >over/below/copied
  mount -t overlay kernels -o lowerdir=${OVERLAY}/below,upperdir=${OVERLAY}/above,workdir=${OVERLAY}/work over/seen`;

function laid(name: string, shell: string, query: string, alerts: 0 | 1 = 1): Act {
  return act("attribute", `attribute-overlay-${name}`, [shell, `file where ${query}`], { emulatedOnly: true, alerts });
}

/** All of them. */
export const ATTRIBUTES: readonly Act[] = [
  ...both("change", MODES),
  ...[OWNERS, GROUPS, SET, REMOVED, LIST, NO_LIST].flatMap((way) => both("attribute", way)),
  ...made("attribute", OLD_OWNERS, 32),
  ring("uring-setxattr"),
  ring("uring-fsetxattr"),
  byLink("chown", OWNERS),
  byLink("setxattr", SET),
  act("attribute", "attribute-by-bind-mount", [
    `mkdir plain-folder other-folder; mount --bind plain-folder other-folder; : >plain-folder/set
     /bin/attribute-acts setxattr 64 other-folder/set && umount -l other-folder`,
    `file where ${SET.condition} and file.path == "${HERE}/other-folder/set"`,
  ]),
  laid("set", `${LAID}; /bin/attribute-acts setxattr 64 over/seen/set`, `${SET.condition} and file.path == "${OVERLAY}/seen/set"`),
  laid("owner", "/bin/attribute-acts chown 64 over/seen/owned", `${OWNERS.condition} and file.path == "${OVERLAY}/seen/owned"`),
  laid(
    "below",
    "echo >>over/seen/copied; mkdir over/seen/new; umount -l over/seen",
    `event.action : ("attribute_change", "attribute_removal", "owner_change") and process.name in ("busybox", "attribute-acts")
      and file.path : ("${OVERLAY}/*", "…*") and not file.path : "${OVERLAY}/seen/*"`,
    0,
  ),
  act("attribute", "attribute-memory-file", [
    "/bin/attribute-acts memory-file 64 /dev/null",
    `file where ${SET.condition} and file.path == "/memfd:attributed"`,
  ]),
  act(
    "attribute",
    "attribute-refused",
    [
      `: >refused; ! /bin/attribute-acts removexattr 64 refused`,
      `file where event.action == "attribute_removal" and file.path == "${HERE}/refused"`,
    ],
    { alerts: 0 },
  ),
];
