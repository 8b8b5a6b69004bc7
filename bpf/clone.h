/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A process or thread that is made in namespaces of its own, told by comparing it with who made it: the flags of clone3 lie in memory, where
 * they can be others by the time the call returns. It does not run yet.
 */
#ifndef KESTREL_CLONE_H
#define KESTREL_CLONE_H

#include "sensor.h"

struct nsproxy {
	void *uts_ns;
	void *ipc_ns;
	void *mnt_ns;
	void *pid_ns_for_children;
	void *net_ns;
	void *time_ns_for_children;
	void *cgroup_ns;
} KERNEL_TYPE;

#define CLONE_NEWTIME 0x00000080
#define CLONE_NEWNS 0x00020000
#define CLONE_NEWCGROUP 0x02000000
#define CLONE_NEWUTS 0x04000000
#define CLONE_NEWIPC 0x08000000
#define CLONE_NEWUSER 0x10000000
#define CLONE_NEWPID 0x20000000
#define CLONE_NEWNET 0x40000000

#define IF_OTHER(field, flag) (BPF_CORE_READ(mine, field) != BPF_CORE_READ(its, field) ? flag : 0)

static __always_inline __u32 new_namespaces(struct task_struct *task, struct task_struct *child)
{
	struct nsproxy *mine = BPF_CORE_READ(task, nsproxy), *its = BPF_CORE_READ(child, nsproxy);
	__u32 flags = BPF_CORE_READ(task, cred, user_ns) != BPF_CORE_READ(child, cred, user_ns) ? CLONE_NEWUSER : 0;

	/* Most share them all. */
	if (mine == its)
		return flags;
	return flags | IF_OTHER(uts_ns, CLONE_NEWUTS) | IF_OTHER(ipc_ns, CLONE_NEWIPC) | IF_OTHER(mnt_ns, CLONE_NEWNS) |
	       IF_OTHER(pid_ns_for_children, CLONE_NEWPID) | IF_OTHER(net_ns, CLONE_NEWNET) |
	       IF_OTHER(time_ns_for_children, CLONE_NEWTIME) | IF_OTHER(cgroup_ns, CLONE_NEWCGROUP);
}

SEC("?raw_tp/sched_process_fork")
int kestrel_act_clone(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx->args[0], *child = (struct task_struct *)ctx->args[1];
	struct act_event event = {};

	event.values[0] = new_namespaces(task, child);
	if (!event.values[0] || (config.agent_pid && BPF_CORE_READ(task, tgid) == config.agent_pid))
		return 0;
	fill_header(&event.head, task, OP_ACT);
	event.kind = ACT_NAMESPACE;
	event.values[1] = WAY_CLONE;
	set_target(&event, child);
	send(&event, sizeof(event), OP_ACT, 0);
	return 0;
}

#endif
