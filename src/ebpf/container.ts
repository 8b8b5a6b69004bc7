// Which container a control group belongs to, as far as its path tells: the names that runtimes and systemd give the groups they make. Pure.
// The innermost name counts, so a container inside another one is itself. A group made by hand with such a name is taken for one too.

/** A container as its control group names it. */
export interface Container {
  readonly id: string;
  /** `undefined`: the path has an id but does not say whose. */
  readonly runtime: string | undefined;
  /** Id of the Kubernetes pod. */
  readonly podUid: string | undefined;
}

/** Names of a systemd unit, or of a plain group, that one container has for itself. */
const UNIT = /^(docker|cri-containerd|crio|libpod|nerdctl)-([0-9a-f]{64})(?:\.scope)?$/;
/** What the kubelet asks a runtime for, taken literally by one that does not use systemd: `slice:prefix:id`. */
const TRIPLE = /^(.{1,255}):(docker|cri-containerd|crio|libpod|nerdctl):([0-9a-f]{64})$/;
const BARE_ID = /^[0-9a-f]{64}$/;
/** An ECS task's container: the task's id and a number. */
const ECS_ID = /^[0-9a-f]{32}-\d{1,12}$/;
const BUILDKIT_ID = /^[a-z0-9]{25}$/;
const POD = /^(?:[a-z0-9-]{1,64}-)?pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12}|[0-9a-f]{32})(?:\.slice)?$/;
const NSPAWN = /^(?:systemd-nspawn@(.{1,255})\.service|machine-(.{1,255})\.scope)$/;
const LXC = /^lxc\.payload\.(.{1,255})$/;

const RUNTIMES: Readonly<Record<string, string>> = {
  docker: "docker",
  "cri-containerd": "containerd",
  crio: "cri-o",
  libpod: "podman",
  nerdctl: "containerd",
};

/** Longest path looked at: the kernel's own limit. */
const PATH_LENGTH_MAX = 4096;

/** The container of a control group's path; `undefined`: the path names none. */
export function containerOf(path: string): Container | undefined {
  if (path.length > PATH_LENGTH_MAX) return undefined;
  const names = path.split("/");
  let found: { readonly id: string; readonly runtime: string | undefined } | undefined;
  let podUid: string | undefined;
  for (const [index, name] of names.entries()) {
    const triple = TRIPLE.exec(name);
    const pod = podUidOf(triple?.[1] ?? name);
    if (pod !== undefined) {
      // A pod inside a container (Kubernetes in Docker): what is found from here on belongs to the pod.
      podUid = pod;
      found = undefined;
    }
    found = containerNamed(name, { parent: names[index - 1] ?? "", triple, inPod: podUid !== undefined }) ?? found;
  }
  return found === undefined ? undefined : { ...found, podUid };
}

function podUidOf(name: string): string | undefined {
  return POD.exec(name)?.[1]?.replaceAll("_", "-");
}

interface Surroundings {
  readonly parent: string;
  readonly triple: RegExpExecArray | null;
  readonly inPod: boolean;
}

function containerNamed(name: string, { parent, triple, inPod }: Surroundings): Omit<Container, "podUid"> | undefined {
  if (triple !== null) return { id: triple[3] as string, runtime: RUNTIMES[triple[2] as string] };
  const unit = UNIT.exec(name);
  if (unit !== null) return { id: unit[2] as string, runtime: RUNTIMES[unit[1] as string] };
  if (BARE_ID.test(name)) return { id: name, runtime: parent === "docker" ? "docker" : undefined };
  if (ECS_ID.test(name) && !inPod) return { id: name, runtime: undefined };
  if (parent === "buildkit" && BUILDKIT_ID.test(name)) return { id: name, runtime: "buildkit" };
  const lxc = LXC.exec(name)?.[1] ?? (parent === "lxc" || parent === "lxc.payload" ? name : "");
  if (lxc !== "") return { id: lxc, runtime: "lxc" };
  const machine = NSPAWN.exec(name);
  const machineName = unescapeUnit(machine?.[1] ?? machine?.[2] ?? "");
  // Virtual machines of libvirt have such a group as well: machine-qemu\x2d1\x2dname.scope, and its own containers machine-lxc….
  if (machineName === "" || machineName.startsWith("qemu-")) return undefined;
  return { id: machineName, runtime: machineName.startsWith("lxc-") ? "lxc" : "systemd-nspawn" };
}

/** Undoes systemd's escapes in a unit name: `\x2d` is a hyphen. */
function unescapeUnit(name: string): string {
  return name.replace(/\\x([0-9a-f]{2})/g, (_all, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
}
