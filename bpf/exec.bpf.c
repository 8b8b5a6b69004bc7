// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * A program was started. Runs after the fact at sched_process_exec, when the new image is in place: the path comes from the file that is
 * mapped, arguments and environment from the memory the kernel itself has just filled, so the caller cannot swap them between check and use.
 */
#define RING process_ring
#include "path.h"
#include "record.h"
#include "decide.h"

/* Chunks of one exec, the first included. */
#define ARGS_CHUNKS_MAX (ARGS_BYTES_MAX / ARGS_CHUNK_BYTES)
#define ENV_CHUNKS_MAX (ENV_BYTES_MAX / ARGS_CHUNK_BYTES)

/* Where older kernels have the time of the last change. */
struct change_time {
	__s64 tv_sec;
	long tv_nsec;
} KERNEL_TYPE;

struct inode___6_6 {
	struct change_time __i_ctime;
} KERNEL_TYPE;

struct inode___5_8 {
	struct change_time i_ctime;
} KERNEL_TYPE;

/* Linux 6.13 keeps a mark in the highest bit of the nanoseconds. */
#define CHANGE_NS_BITS 0x7fffffff

static __always_inline void fill_change_time(struct exec_event *event, struct inode *inode)
{
	struct inode___6_6 *middle = (void *)inode;
	struct inode___5_8 *old = (void *)inode;

	if (bpf_core_field_exists(inode->i_ctime_sec)) {
		event->change_s = BPF_CORE_READ(inode, i_ctime_sec);
		event->change_ns = BPF_CORE_READ(inode, i_ctime_nsec) & CHANGE_NS_BITS;
	} else if (bpf_core_field_exists(middle->__i_ctime)) {
		event->change_s = BPF_CORE_READ(middle, __i_ctime.tv_sec);
		event->change_ns = BPF_CORE_READ(middle, __i_ctime.tv_nsec) & CHANGE_NS_BITS;
	} else {
		event->change_s = BPF_CORE_READ(old, i_ctime.tv_sec);
		event->change_ns = BPF_CORE_READ(old, i_ctime.tv_nsec) & CHANGE_NS_BITS;
	}
}

static __always_inline void fill_file(struct exec_event *event, struct file *file)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);

	event->inode = BPF_CORE_READ(inode, i_ino);
	event->device = BPF_CORE_READ(inode, i_sb, s_dev);
	event->nlink = BPF_CORE_READ(inode, i_nlink);
	event->mode = BPF_CORE_READ(inode, i_mode);
	event->owner = BPF_CORE_READ(inode, i_uid.val);
	event->size = BPF_CORE_READ(inode, i_size);
	event->fs_magic = BPF_CORE_READ(inode, i_sb, s_magic);
	fill_change_time(event, inode);
}

static __always_inline void fill_capabilities(struct exec_event *event, struct task_struct *task)
{
	const struct cred *cred = BPF_CORE_READ(task, cred);

	/* 8 bytes on every kernel, once as two halves: the member inside is not the same. */
	bpf_probe_read_kernel(&event->cap_effective, 8, &cred->cap_effective);
	bpf_probe_read_kernel(&event->cap_permitted, 8, &cred->cap_permitted);
}

/* Appends one chunk of user memory. Its pages were written a moment ago, so they are present unless memory is very short. */
static __always_inline __u32 append_args(struct record *record, unsigned long from, unsigned long size)
{
	__u32 used = record->used;

	if (size > ARGS_CHUNK_BYTES)
		size = ARGS_CHUNK_BYTES;
	/* Checked again behind the compiler's back: it makes the limit in a 32-bit copy, whose bounds Linux 6.1 does not follow. */
	barrier_var(size);
	if (used > RECORD_BYTES - NOTE_BYTES - ARGS_CHUNK_BYTES || size > ARGS_CHUNK_BYTES)
		return 0;
	if (bpf_probe_read_user(record->bytes + used, size, (const void *)from)) {
		record->head.flags |= FLAG_READ_FAILED;
		return 0;
	}
	record->used = used + size;
	return size;
}

/* Sends bytes from `offset` on in a record of their own; the header stays that of the exec. 0 to go on. */
__noinline int send_args(__u64 from, __u64 offset, __u64 size)
{
	struct record *record = scratch_record();
	__u32 bytes;

	if (!record || offset >= size)
		return 1;
	record->head.op = OP_ARGS;
	record->used = sizeof(struct args_event);
	record->args.offset = offset;
	record->args.args_bytes = append_args(record, from + offset, size - offset);
	bytes = record->used;
	if (!record->args.args_bytes || bytes > RECORD_BYTES)
		return 1;
	send(record->bytes, bytes, OP_ARGS, 0);
	return 0;
}

/* Kills the program before its first instruction if a policy says so. True: the record is to carry the note. */
static __always_inline bool judge(struct policy_note *note, struct task_struct *task, struct file *file)
{
	struct decision decision;
	struct policy_work *work;

	if (!policy_asks(&decision, task, POLICY_EXEC))
		return false;
	work = policy_begin(decision.tid, POLICY_EXEC);
	if (!work)
		return false;
	set_program(work, file);
	work->user = BPF_CORE_READ(task, cred, euid.val);
	return policy_verdict(note, work, &decision, task, file, true, false) == VERDICT_NOTED;
}

SEC("raw_tp/sched_process_exec")
int kestrel_exec(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx->args[0];
	struct linux_binprm *binprm = (struct linux_binprm *)ctx->args[2];
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	struct file *file = BPF_CORE_READ(mm, exe_file);
	const char *filename = BPF_CORE_READ(binprm, filename);
	unsigned long from = BPF_CORE_READ(mm, arg_start);
	unsigned long size = BPF_CORE_READ(mm, arg_end) - from;
	unsigned long env = BPF_CORE_READ(mm, env_start);
	unsigned long env_size = BPF_CORE_READ(mm, env_end) - env;
	__u64 sent;
	struct record *record = scratch_record();
	struct policy_note note = {};
	bool noted;
	__u32 bytes;

	if (!record)
		return 0;
	fill_header(&record->head, task, OP_EXEC);
	noted = judge(&note, task, file);
	fill_file(&record->exec, file);
	fill_capabilities(&record->exec, task);
	record->exec.pad = 0;
	record->exec.args_size = size > 0xffffffff ? 0xffffffff : size;
	if (size > ARGS_BYTES_MAX) {
		size = ARGS_BYTES_MAX;
		record->head.flags |= FLAG_ARGS_CUT;
	}
	record->exec.env_size = env_size > 0xffffffff ? 0xffffffff : env_size;
	if (env_size > ENV_BYTES_MAX) {
		env_size = ENV_BYTES_MAX;
		record->head.flags |= FLAG_ENV_CUT;
	}
	if (BPF_CORE_READ(binprm, interp) != filename)
		record->head.flags |= FLAG_SCRIPT;
	if (BPF_CORE_READ_BITFIELD_PROBED(binprm, secureexec))
		record->head.flags |= FLAG_PRIVILEGED;

	record->used = sizeof(struct exec_event);
	record->exec.path_bytes = append_path(record, BPF_CORE_READ(file, f_path.mnt), BPF_CORE_READ(file, f_path.dentry));
	record->exec.cwd_bytes = append_path(record, BPF_CORE_READ(task, fs, pwd.mnt), BPF_CORE_READ(task, fs, pwd.dentry));
	record->exec.filename_bytes = append_text(record, (__u64)filename, FILENAME_BYTES_MAX, bpf_probe_read_kernel_str);
	record->exec.args_bytes = append_args(record, from, size);
	/* The environment finds room here unless paths or arguments are long; then it comes in records of its own from its beginning. */
	record->exec.env_bytes = append_args(record, env, env_size);
	sent = record->exec.env_bytes;
	if (noted)
		append_note(record, &note);
	bytes = record->used;
	if (bytes > RECORD_BYTES)
		return 0;
	send(record->bytes, bytes, OP_EXEC, record->head.flags);
	record->head.flags &= ~FLAG_POLICY;
	for (__u64 i = 1; i < ARGS_CHUNKS_MAX; i++) {
		if (send_args(from, i * ARGS_CHUNK_BYTES, size))
			break;
	}
	record->head.flags |= FLAG_ENV;
	for (__u64 i = 0; i < ENV_CHUNKS_MAX; i++) {
		if (send_args(env, sent + i * ARGS_CHUNK_BYTES, env_size))
			break;
	}
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
