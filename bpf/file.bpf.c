// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * A file was made or opened for writing, a disk and the machine's memory too, or one on the watch list was opened for reading. Judged by the
 * file object the kernel opened, never by the path the caller passed. The memory of a process that is opened is a rare act, in the ring of those.
 */
#define RING activity_ring
#define PATH_IS_TESTED
#define FLAG_NONE 0x8000 /* no flag of a record: this open is no event */

#include "sensor.h"

/* Acts that must not drown in files: memory that is opened, and what a policy has a say in. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} process_ring SEC(".maps");

#include "decide.h"
#include "noise.h"
#include "syscall.h"

/* Names whose reading is reported: credentials, keys. Filled by user space after load. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__uint(key_size, WATCH_NAME_BYTES);
	__type(value, __u32);
} watch_list SEC(".maps");

static __always_inline bool name_is_watched(struct dentry *dentry, __u32 as)
{
	char name[WATCH_NAME_BYTES] = {};
	__u32 *found;

	/* A longer name is cut and then equals no key: every key ends with a NUL. */
	if (bpf_probe_read_kernel_str(name, sizeof(name), BPF_CORE_READ(dentry, d_name.name)) <= 0)
		return false;
	found = bpf_map_lookup_elem(&watch_list, name);
	return found && *found == as;
}

static __always_inline bool is_watched(struct dentry *dentry)
{
	return name_is_watched(dentry, WATCH_NAME) || name_is_watched(BPF_CORE_READ(dentry, d_parent), WATCH_PARENT);
}

/* Kills who opened it before it has the descriptor if a policy says so. True: the record is to carry the note. */
static __always_inline bool judge(struct policy_note *note, struct task_struct *task, struct file *file, __u16 flags)
{
	struct file *program = BPF_CORE_READ(task, mm, exe_file);
	struct decision decision;
	struct policy_work *work;

	if (!policy_asks(&decision, task, POLICY_OPEN))
		return false;
	work = policy_begin(decision.tid, POLICY_OPEN);
	if (!work)
		return false;
	set_program(work, program);
	work->file_mount = (__u64)BPF_CORE_READ(file, f_path.mnt);
	work->file_dentry = (__u64)BPF_CORE_READ(file, f_path.dentry);
	work->mode = flags & FLAG_CREATED ? MODE_CREATED : flags & FLAG_WATCHED ? MODE_READ : MODE_WRITTEN;
	work->user = BPF_CORE_READ(task, cred, euid.val);
	return policy_verdict(note, work, &decision, task, program, true, false) == VERDICT_NOTED;
}

static __always_inline __u16 flags_of(struct file *file, struct dentry *dentry, __u32 f_mode, const struct demand *wanted)
{
	if (is_made(file))
		return FLAG_CREATED;
	if (f_mode & FMODE_WRITE)
		return 0;
	return f_mode & FMODE_READ && wanted->wanted & DEMAND_OPEN && is_watched(dentry) ? FLAG_WATCHED : FLAG_NONE;
}

/* The path, appended to the record. False: no rule can match a file there. */
static __always_inline bool append_tested_path(struct record *record, struct file *file)
{
	record->used = sizeof(struct file_event);
	record->file.path_bytes = append_path(record, BPF_CORE_READ(file, f_path.mnt), BPF_CORE_READ(file, f_path.dentry));
	/* Of a path that is not whole nobody knows what it would have passed. */
	return !record->demand_class || record->head.flags & (FLAG_PATH_CUT | FLAG_READ_FAILED);
}

static __always_inline bool is_process_memory(struct dentry *dentry)
{
	/* Room for one character more: a longer name is not this one. */
	char name[5] = {};

	bpf_probe_read_kernel_str(name, sizeof(name), BPF_CORE_READ(dentry, d_name.name));
	return name[0] == 'm' && name[1] == 'e' && name[2] == 'm' && name[3] == 0;
}

/* procfs knows whose memory it is, whatever path led to it. Programs that only read their own are many, and do no more than they can anyway. */
static __always_inline void report_memory_open(struct task_struct *task, struct inode *inode, bool writes)
{
	struct proc_inode *proc = (struct proc_inode *)((char *)inode - bpf_core_field_offset(struct proc_inode, vfs_inode));
	struct task_struct *target = task_of(BPF_CORE_READ(proc, pid));
	struct act_event event = {};

	if (!target || (config.agent_pid && BPF_CORE_READ(task, tgid) == config.agent_pid))
		return;
	fill_header(&event.head, task, OP_ACT);
	set_target(&event, target);
	if (!writes && event.target_pid == event.head.pid)
		return;
	event.kind = writes ? ACT_MEMORY_OPEN : ACT_MEMORY_OPEN_READ;
	send_on(&process_ring, &event, sizeof(event), OP_ACT, 0);
}

static __always_inline void report_open(struct file *file)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);
	__u32 f_mode = BPF_CORE_READ(file, f_mode);
	__u16 mode = BPF_CORE_READ(inode, i_mode);
	struct demand wanted;
	struct policy_note note = {};
	struct record *record;
	__u32 class, bytes;
	__u64 magic;
	__u16 flags;
	bool noted;

	if (!is_data(inode, f_mode))
		return;
	magic = BPF_CORE_READ(inode, i_sb, s_magic);
	if (magic == PROC_SUPER_MAGIC && f_mode & (FMODE_READ | FMODE_WRITE) && is_process_memory(dentry)) {
		report_memory_open(task, inode, f_mode & FMODE_WRITE);
		return;
	}
	if (!read_demand(&wanted))
		return;
	flags = flags_of(file, dentry, f_mode, &wanted);
	if (flags == FLAG_NONE)
		return;
	class = flags & FLAG_CREATED ? DEMAND_CREATION : flags & FLAG_WATCHED ? DEMAND_OPEN : DEMAND_MODIFICATION;
	if (!(wanted.wanted & class)) {
		count_filtered(OP_FILE);
		return;
	}
	if (is_proc_noise(dentry, magic))
		return;
	if (config.agent_pid && BPF_CORE_READ(task, tgid) == config.agent_pid)
		return;
	record = scratch_record();
	if (!record)
		return;
	record->head.flags = flags;
	if (!begin_tests(record, &wanted, class, BPF_CORE_READ(task, cred, euid.val)) || !append_tested_path(record, file)) {
		count_filtered(OP_FILE);
		return;
	}
	flags = record->head.flags;
	fill_header(&record->head, task, OP_FILE);
	record->head.flags = flags;
	noted = judge(&note, task, file, flags);
	record->file.inode = BPF_CORE_READ(inode, i_ino);
	record->file.size = BPF_CORE_READ(inode, i_size);
	record->file.device = BPF_CORE_READ(inode, i_sb, s_dev);
	record->file.mode = mode;
	record->file.owner = BPF_CORE_READ(inode, i_uid.val);
	record->file.group = BPF_CORE_READ(inode, i_gid.val);
	record->file.open_flags = BPF_CORE_READ(file, f_flags);
	record->file.nlink = BPF_CORE_READ(inode, i_nlink);
	record->file.fs_magic = magic;
	record->file.pad = 0;
	if (noted)
		append_note(record, &note);
	bytes = record->used;
	if (bytes > RECORD_BYTES)
		return;
	if (noted)
		send_noted(record->bytes, bytes, OP_FILE, POLICY_OPEN);
	else
		send(record->bytes, bytes, OP_FILE, flags);
}

/*
 * Preferred: below every way to open a file, by path or by handle, io_uring and 32-bit calls included. A lookup that must be tried again
 * ends in an error first, so a file is reported once. Its callers are no better: do_filp_open misses handles and has another name since
 * Linux 7.
 */
SEC("?fexit/path_openat")
int kestrel_file_fexit(__u64 *ctx)
{
	__u64 file = ctx[3];

	/* Error pointers are the last 4095 addresses. */
	if (file && file < (__u64)-4095)
		report_open((struct file *)file);
	return 0;
}

/* Fallback: the file behind the descriptor that an open call is about to return. Of family FAMILY_FILE: not attached itself, see calls.bpf.c. */
SEC("?raw_tp/sys_exit")
int kestrel_file_sys_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct file *file = file_of((struct task_struct *)bpf_get_current_task(), ctx->args[1]);

	if (file)
		report_open(file);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
