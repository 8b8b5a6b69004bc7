// Control group paths as runtimes make them, and what they say of the container.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { containerOf } from "../../src/ebpf/container.ts";

const A = "3f2a".repeat(16);
const B = "0c9d".repeat(16);
const POD = "6c1fb7a2-98f1-4c0e-8f0d-2f4f8f5b7d11";
const POD_ = POD.replaceAll("-", "_");
const MIRROR = "5f9d9cbd4a1c7b6f1f3f6b1f2d3c4b5a";

const CASES: readonly (readonly [string, string, string | undefined, string | undefined, string | undefined])[] = [
  // what, path, id, runtime, pod
  ["docker, cgroupfs", `/docker/${A}`, A, "docker", undefined],
  ["docker, systemd", `/system.slice/docker-${A}.scope`, A, "docker", undefined],
  ["docker, rootless", `/user.slice/user-1000.slice/user@1000.service/user.slice/docker-${A}.scope`, A, "docker", undefined],
  ["docker with an init system inside", `/system.slice/docker-${A}.scope/init.scope`, A, "docker", undefined],
  ["docker in docker", `/docker/${A}/docker/${B}`, B, "docker", undefined],
  ["docker build", "/docker/buildkit/k2v9s0q1w3e5r7t9y1u3i5o7p", "k2v9s0q1w3e5r7t9y1u3i5o7p", "buildkit", undefined],
  ["the docker daemon itself", "/system.slice/docker.service", undefined, undefined, undefined],
  ["podman, root", `/machine.slice/libpod-${A}.scope/container`, A, "podman", undefined],
  ["podman, user", `/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-${A}.scope`, A, "podman", undefined],
  ["podman, a pod of its own", `/machine.slice/machine-libpod_pod_${B}.slice/libpod-${A}.scope/container`, A, "podman", undefined],
  ["podman, cgroupfs", `/libpod_parent/libpod-${A}`, A, "podman", undefined],
  ["podman's monitor is outside", `/machine.slice/libpod-conmon-${A}.scope`, undefined, undefined, undefined],
  ["nerdctl", `/system.slice/nerdctl-${A}.scope`, A, "containerd", undefined],
  ["containerd, cgroupfs", `/default/${A}`, A, undefined, undefined],
  [
    "kubernetes, containerd, systemd",
    `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${POD_}.slice/cri-containerd-${A}.scope`,
    A,
    "containerd",
    POD,
  ],
  ["kubernetes, guaranteed", `/kubepods.slice/kubepods-pod${POD_}.slice/cri-containerd-${A}.scope`, A, "containerd", POD],
  [
    "kubernetes, cri-o",
    `/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod${POD_}.slice/crio-${A}.scope/container`,
    A,
    "cri-o",
    POD,
  ],
  [
    "cri-o's monitor is outside",
    `/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod${POD_}.slice/crio-conmon-${A}.scope`,
    undefined,
    undefined,
    undefined,
  ],
  ["kubernetes, docker", `/kubepods.slice/kubepods-pod${POD_}.slice/docker-${A}.scope`, A, "docker", POD],
  ["kubernetes, cgroupfs", `/kubepods/burstable/pod${POD}/${A}`, A, undefined, POD],
  [
    "kubernetes, a static pod",
    `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${MIRROR}.slice/crio-${A}.scope`,
    A,
    "cri-o",
    MIRROR,
  ],
  [
    "kubernetes, one name for all",
    `/system.slice/containerd.service/kubepods-burstable-pod${POD_}.slice:cri-containerd:${A}`,
    A,
    "containerd",
    POD,
  ],
  [
    "kubernetes in docker",
    `/docker/${B}/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod${POD_}.slice/cri-containerd-${A}.scope`,
    A,
    "containerd",
    POD,
  ],
  ["the kubelet in docker", `/docker/${B}/kubelet.slice/kubelet.service`, B, "docker", undefined],
  ["a pod's own group", `/kubepods.slice/kubepods-pod${POD_}.slice`, undefined, undefined, undefined],
  ["ECS", `/ecs/${MIRROR}/${A}`, A, undefined, undefined],
  ["ECS on Fargate", `/ecs/${MIRROR}/${MIRROR}-1234567890`, `${MIRROR}-1234567890`, undefined, undefined],
  ["ECS, systemd", `/ecstasks.slice/ecstasks-${MIRROR}.slice/docker-${A}.scope`, A, "docker", undefined],
  ["lxc", "/lxc.payload.web-01/system.slice/ssh.service", "web-01", "lxc", undefined],
  ["lxc, before 4.0", "/lxc/web-01", "web-01", "lxc", undefined],
  ["lxc's monitor is outside", "/lxc.monitor.web-01", undefined, undefined, undefined],
  ["lxc by libvirt", "/machine.slice/machine-lxc\\x2d4711\\x2dweb.scope/libvirt", "lxc-4711-web", "lxc", undefined],
  ["docker in lxc", `/lxc.payload.ci/system.slice/docker-${A}.scope`, A, "docker", undefined],
  [
    "systemd-nspawn, a service",
    "/machine.slice/systemd-nspawn@web\\x2d01.service/payload/init.scope",
    "web-01",
    "systemd-nspawn",
    undefined,
  ],
  ["systemd-nspawn, by hand", "/machine.slice/machine-web.scope/payload", "web", "systemd-nspawn", undefined],
  ["a virtual machine", "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope/libvirt/vcpu0", undefined, undefined, undefined],
  ["a service", "/system.slice/ssh.service", undefined, undefined, undefined],
  ["a login", "/user.slice/user-1000.slice/session-3.scope", undefined, undefined, undefined],
  ["the root", "/", undefined, undefined, undefined],
  ["an id with a digit too few", `/docker/${A.slice(1)}`, undefined, undefined, undefined],
];

test.each(CASES)("%s", (_what, path, id, runtime, podUid) => {
  expect(containerOf(path)).toEqual(id === undefined ? undefined : { id, runtime, podUid });
});

describe("any path", () => {
  const name = fc.oneof(
    fc.string({ unit: "binary", maxLength: 40 }),
    fc.constantFrom(
      "docker",
      A,
      `docker-${A}.scope`,
      `kubepods-pod${POD_}.slice`,
      "lxc",
      "machine-x.scope",
      "a".repeat(5000),
      ":".repeat(900),
    ),
  );
  test("gives an id that is not empty, or nothing", () => {
    fc.assert(
      fc.property(fc.array(name, { maxLength: 12 }), (names) => {
        expect(containerOf(`/${names.join("/")}`)?.id).not.toBe("");
      }),
    );
  });
});
