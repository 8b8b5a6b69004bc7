// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * A thread got other user ids, group ids or capabilities. Preferred: where the kernel puts new credentials in place of the old ones, whatever
 * asked for it; there it is also known whether the old ones allowed it. Otherwise seen as the calls made for it return, when they succeeded.
 * Programs that start bring their own event. Credentials that are lent (io_uring's personalities, a filesystem's) are put in no place: what is
 * done under them is told with them.
 */
#define RING process_ring
#include "sensor.h"
#include "syscall.h"

#define CAPABILITY_SETGID 6
#define CAPABILITY_SETUID 7

struct ids {
	__u32 real;
	__u32 effective;
	__u32 saved;
};

static __always_inline void read_users(const struct cred *cred, struct ids *ids)
{
	ids->real = BPF_CORE_READ(cred, uid.val);
	ids->effective = BPF_CORE_READ(cred, euid.val);
	ids->saved = BPF_CORE_READ(cred, suid.val);
}

static __always_inline void read_groups(const struct cred *cred, struct ids *ids)
{
	ids->real = BPF_CORE_READ(cred, gid.val);
	ids->effective = BPF_CORE_READ(cred, egid.val);
	ids->saved = BPF_CORE_READ(cred, sgid.val);
}

static __always_inline bool differ(const struct ids *a, const struct ids *b)
{
	return a->real != b->real || a->effective != b->effective || a->saved != b->saved;
}

static __always_inline bool has(const struct ids *ids, __u32 id)
{
	return id == ids->real || id == ids->effective || id == ids->saved;
}

/* What the calls for ids allow without a capability. */
static __always_inline bool has_all(const struct ids *old, const struct ids *new)
{
	return has(old, new->real) && has(old, new->effective) && has(old, new->saved);
}

/* 8 bytes on every kernel, once as two halves: the member inside is not the same. */
static __always_inline __u64 capabilities(const struct kernel_capabilities *set)
{
	__u64 bits = 0;

	bpf_probe_read_kernel(&bits, sizeof(bits), set);
	return bits;
}

/* The kinds of capabilities by which a thread acts or may act, and start programs. */
static __always_inline bool capabilities_differ(const struct cred *old, const struct cred *new)
{
	return capabilities(&old->cap_effective) != capabilities(&new->cap_effective) ||
	       capabilities(&old->cap_permitted) != capabilities(&new->cap_permitted) ||
	       capabilities(&old->cap_inheritable) != capabilities(&new->cap_inheritable) ||
	       capabilities(&old->cap_ambient) != capabilities(&new->cap_ambient);
}

static __always_inline void send_act(struct act_event *event, __u16 kind, bool is_unearned)
{
	event->kind = kind;
	event->head.flags = is_unearned ? FLAG_UNEARNED : 0;
	send(event, sizeof(*event), OP_ACT, event->head.flags);
}

static __always_inline void fill_capabilities(struct act_event *event, const struct cred *cred)
{
	event->values[0] = capabilities(&cred->cap_effective);
	event->values[1] = capabilities(&cred->cap_permitted);
}

/* Preferred. One commit may bring several events: user space drops one whose ids it knows, so each has no newer ids than its own. */
SEC("?fentry/commit_creds")
int kestrel_commit_creds(__u64 *ctx)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	const struct cred *old = BPF_CORE_READ(task, real_cred), *new = (const struct cred *)ctx[0];
	struct ids old_users, new_users, old_groups, new_groups;
	__u64 held = capabilities(&old->cap_effective);
	struct act_event event = {};
	bool has_other_users, gains;

	if (BPF_CORE_READ_BITFIELD_PROBED(task, in_execve) || (config.agent_pid && BPF_CORE_READ(task, tgid) == config.agent_pid))
		return 0;
	read_users(old, &old_users);
	read_users(new, &new_users);
	read_groups(old, &old_groups);
	read_groups(new, &new_groups);
	fill_header(&event.head, task, OP_ACT);
	has_other_users = differ(&old_users, &new_users);
	if (has_other_users) {
		event.head.uid = new_users.real;
		event.head.euid = new_users.effective;
		event.head.suid = new_users.saved;
		send_act(&event, ACT_USER_IDS, !(held & 1 << CAPABILITY_SETUID) && !has_all(&old_users, &new_users));
	}
	if (differ(&old_groups, &new_groups)) {
		event.head.gid = new_groups.real;
		event.head.egid = new_groups.effective;
		event.head.sgid = new_groups.saved;
		send_act(&event, ACT_GROUP_IDS, !(held & 1 << CAPABILITY_SETGID) && !has_all(&old_groups, &new_groups));
	}
	/* In a user namespace that is entered they are for what belongs to it: that is told as such. */
	if (BPF_CORE_READ(new, user_ns, level) > BPF_CORE_READ(old, user_ns, level) || !capabilities_differ(old, new))
		return 0;
	gains = capabilities(&new->cap_permitted) & ~capabilities(&old->cap_permitted);
	/* What follows from other user ids is not told on its own. */
	if (!gains && (has_other_users || BPF_CORE_READ(old, fsuid.val) != BPF_CORE_READ(new, fsuid.val)))
		return 0;
	fill_capabilities(&event, new);
	send_act(&event, ACT_CAPABILITIES, gains);
	return 0;
}

static __always_inline __u16 act_of(__u16 call)
{
	switch (call) {
	case CALL_SET_USER: return ACT_USER_IDS;
	case CALL_SET_GROUP: return ACT_GROUP_IDS;
	case CALL_CAPSET: return ACT_CAPABILITIES;
	default: return 0;
	}
}

/* Fallback, of family FAMILY_CREDENTIAL: not attached itself, see calls.bpf.c. */
SEC("?raw_tp/sys_exit")
int kestrel_credential_sys_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct returned_call returned;
	struct act_event event = {};
	struct task_struct *task;
	__u16 kind;

	identify_call(ctx, &returned);
	task = returned.task;
	kind = act_of(returned.call);
	if (!kind || (config.agent_pid && BPF_CORE_READ(task, tgid) == config.agent_pid))
		return 0;
	fill_header(&event.head, task, OP_ACT);
	if (kind == ACT_CAPABILITIES)
		fill_capabilities(&event, BPF_CORE_READ(task, cred));
	send_act(&event, kind, false);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
