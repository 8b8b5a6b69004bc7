// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Denies acts as a security module: programs before they replace their caller, files as they are opened, connections and datagrams before they
 * leave, sockets before they listen. Whatever call asked for it, the caller gets EPERM. What is only watched for is left to the sensors.
 */
#define RING process_ring
#include "flow.h"
#include "noise.h"

#define EPERM 1
#define MSG_FASTOPEN 0x20000000
#define FMODE_NOACCOUNT 0x20000000u /* opened by a file system for its own use */

struct msghdr {
	void *msg_name;
	int msg_namelen;
	unsigned int msg_flags;
} KERNEL_TYPE;

/* Counted by a probe: hooks of a security module that is not in the kernel's list are attached and never run. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} lsm_seen SEC(".maps");

static __always_inline void fill_inode(struct denied_event *event, struct file *file)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);

	event->inode = BPF_CORE_READ(inode, i_ino);
	event->size = BPF_CORE_READ(inode, i_size);
	event->device = BPF_CORE_READ(inode, i_sb, s_dev);
	event->mode = BPF_CORE_READ(inode, i_mode);
	event->owner = BPF_CORE_READ(inode, i_uid.val);
	event->group = BPF_CORE_READ(inode, i_gid.val);
	event->nlink = BPF_CORE_READ(inode, i_nlink);
	event->open_flags = BPF_CORE_READ(file, f_flags);
}

/* Tells of a denial; the memory to decide in holds the record. */
static __always_inline void tell(struct policy_work *work, struct decision *decision, struct task_struct *task, struct file *file,
				 struct policy_note *note, __u64 began, __u16 flags)
{
	struct denied_event *event = &work->denied;
	__u32 from, length;

	note->latency_ns = bpf_ktime_get_boot_ns() - began;
	policy_count(decision->act, COUNT_ACTED);
	if (!may_report(decision->act))
		return;
	fill_header(&event->head, task, OP_DENIED);
	event->head.time_ns = began;
	event->head.flags = flags | FLAG_POLICY;
	event->head.euid = work->user;
	event->about = decision->act == POLICY_EXEC ? OP_EXEC : OP_FILE;
	fill_inode(event, file);
	if (!policy_path(work, decision->tid, (__u64)BPF_CORE_READ(file, f_path.mnt), (__u64)BPF_CORE_READ(file, f_path.dentry)))
		event->head.flags |= FLAG_PATH_CUT;
	from = work->begin;
	barrier_var(from);
	if (from > TEXT_END)
		return;
	length = TEXT_END - from;
	barrier_var(length);
	if (length > TEXT_END || bpf_probe_read_kernel(work->denied_data, length, work->text + from))
		return;
	event->path_bytes = length;
	bpf_probe_read_kernel(work->denied_data + length, sizeof(*note), note);
	send_noted(event, sizeof(*event) + length + sizeof(*note), OP_DENIED, decision->act);
}

/* Decides, and tells if it is to be denied. The program is whose protection counts. */
static __always_inline int judge(struct policy_work *work, struct decision *decision, struct task_struct *task, struct file *program,
				 struct file *file, __u64 began, __u16 flags)
{
	struct policy_note note = { .means = MEANS_LSM };
	bool denies = policy_denies(&note, work, decision, task, program);

	if (denies)
		tell(work, decision, task, file, &note, began, flags);
	policy_end(decision->tid);
	return denies ? -EPERM : 0;
}

/* The last check before an exec can no longer fail, when it is known which file will run and with what rights: after any interpreters. */
SEC("?lsm/bprm_creds_from_file")
int kestrel_deny_exec(__u64 *ctx)
{
	struct linux_binprm *binprm = (struct linux_binprm *)ctx[0];
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	__u64 began = bpf_ktime_get_boot_ns();
	struct decision decision = {};
	struct policy_work *work;
	struct file *file;

	if ((int)ctx[2])
		return -EPERM;
	if (!policy_asks(&decision, task, POLICY_EXEC) || !(decision.table->enforced & decision.table->denying))
		return 0;
	work = policy_begin(decision.tid, POLICY_EXEC);
	if (!work)
		return 0;
	file = BPF_CORE_READ(binprm, file);
	set_program(work, file);
	work->user = BPF_CORE_READ(binprm, cred, euid.val);
	work->rights = (__u64)BPF_CORE_READ(binprm, cred);
	return judge(work, &decision, task, file, file, began, 0);
}

SEC("?lsm/file_open")
int kestrel_deny_open(__u64 *ctx)
{
	struct file *file = (struct file *)ctx[0];
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct file *program = BPF_CORE_READ(task, mm, exe_file);
	__u64 began = bpf_ktime_get_boot_ns();
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	__u32 f_mode = BPF_CORE_READ(file, f_mode);
	struct decision decision = {};
	struct policy_work *work;

	if ((int)ctx[1])
		return -EPERM;
	if (!policy_asks(&decision, task, POLICY_OPEN) || !(decision.table->enforced & decision.table->denying))
		return 0;
	if (!is_data(inode, f_mode) || f_mode & FMODE_NOACCOUNT)
		return 0;
	if (is_proc_noise(BPF_CORE_READ(file, f_path.dentry), BPF_CORE_READ(inode, i_sb, s_magic)))
		return 0;
	work = policy_begin(decision.tid, POLICY_OPEN);
	if (!work)
		return 0;
	set_program(work, program);
	work->file_mount = (__u64)BPF_CORE_READ(file, f_path.mnt);
	work->file_dentry = (__u64)BPF_CORE_READ(file, f_path.dentry);
	work->mode = is_made(file) ? MODE_CREATED : f_mode & FMODE_WRITE ? MODE_WRITTEN : MODE_READ;
	work->user = BPF_CORE_READ(task, cred, euid.val);
	return judge(work, &decision, task, program, file, began,
		     work->mode == MODE_CREATED ? FLAG_CREATED : work->mode == MODE_READ ? FLAG_WATCHED : 0);
}

static __always_inline int judge_flow(struct socket *socket, const void *name, int length, __u16 op)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct noted_flow flow = {};
	__u16 family = 0, port = 0;

	if (length < 16)
		return 0;
	bpf_probe_read_kernel(&family, sizeof(family), name);
	bpf_probe_read_kernel(&port, sizeof(port), (const char *)name + 2);
	if (family == AF_INET)
		bpf_probe_read_kernel(flow.event.destination, 4, (const char *)name + 4);
	else if (family == AF_INET6 && length >= 24)
		bpf_probe_read_kernel(flow.event.destination, 16, (const char *)name + 8);
	else
		return 0;
	flow.event.family = family;
	flow.event.protocol = protocol_of(BPF_CORE_READ(socket, sk));
	flow.event.destination_port = port_of(port);
	return deny_flow(&flow, task, op, MEANS_LSM) ? -EPERM : 0;
}

SEC("?lsm/socket_connect")
int kestrel_deny_connect(__u64 *ctx)
{
	if ((int)ctx[3])
		return -EPERM;
	return judge_flow((struct socket *)ctx[0], (const void *)ctx[1], ctx[2], OP_CONNECT);
}

/* Datagrams with an address, and TCP that connects as it sends. */
SEC("?lsm/socket_sendmsg")
int kestrel_deny_send(__u64 *ctx)
{
	struct socket *socket = (struct socket *)ctx[0];
	struct msghdr *message = (struct msghdr *)ctx[1];
	void *name = BPF_CORE_READ(message, msg_name);
	bool tcp;

	if ((int)ctx[3])
		return -EPERM;
	if (!name)
		return 0;
	tcp = protocol_of(BPF_CORE_READ(socket, sk)) == PROTOCOL_TCP;
	if (tcp && !(BPF_CORE_READ(message, msg_flags) & MSG_FASTOPEN))
		return 0;
	return judge_flow(socket, name, BPF_CORE_READ(message, msg_namelen), tcp ? OP_CONNECT : OP_SEND);
}

/* A socket that listens already is only given another backlog, which is no event. */
SEC("?lsm/socket_listen")
int kestrel_deny_listen(__u64 *ctx)
{
	struct socket *socket = (struct socket *)ctx[0];
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct sock *sk = BPF_CORE_READ(socket, sk);
	struct noted_flow flow = {};
	__u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);

	if ((int)ctx[2])
		return -EPERM;
	if ((family != AF_INET && family != AF_INET6) || protocol_of(sk) != PROTOCOL_TCP)
		return 0;
	if (BPF_CORE_READ(sk, __sk_common.skc_state) == TCP_LISTEN)
		return 0;
	flow.event.family = family;
	flow.event.protocol = PROTOCOL_TCP;
	read_near_end(sk, family, flow.event.destination, &flow.event.destination_port);
	return deny_flow(&flow, task, OP_LISTEN, MEANS_LSM) ? -EPERM : 0;
}

SEC("?lsm/file_open")
int kestrel_lsm_probe(__u64 *ctx)
{
	__u32 zero = 0;
	__u64 *seen = bpf_map_lookup_elem(&lsm_seen, &zero);

	if (seen)
		__sync_fetch_and_add(seen, 1);
	return (int)ctx[1] ? -EPERM : 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
