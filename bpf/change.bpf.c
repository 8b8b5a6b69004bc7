// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * A file was renamed, removed, linked, given other rights, owners or attributes, or a folder or device was made. Preferred: the hooks of
 * change-hooks.h and attribute-hooks.h. Otherwise seen as the call returns, when it has succeeded: folders and descriptors are read from kernel
 * objects, the names below them from the caller, where another thread may have changed them meanwhile.
 */
#define RING activity_ring
#define PATH_IS_TESTED
#include "change.h"
#include "change-record.h"
#include "change-hooks.h"
#include "attribute-hooks.h"

/* A 16-bit user id of old 32-bit calls: its -1 is not ours. */
static __always_inline __u32 widened(__u32 id)
{
	return id == 0xffff ? 0xffffffff : id;
}

/* Whether the other name of a change is a path, and not the text of a link or the name of an attribute. */
static __always_inline bool other_is_path(__u16 kind)
{
	return kind == CHANGE_RENAME || kind == CHANGE_LINK;
}

/* Appends the path of a folder, or of the file when `is_object`. A function of its own keeps the verifier's work on it to one time. */
__noinline int append_folder(__s32 descriptor, __u32 is_object)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct record *record = scratch_record();
	struct file *file;

	if (!record)
		return 0;
	if (descriptor == AT_FDCWD)
		return append_path(record, BPF_CORE_READ(task, fs, pwd.mnt), BPF_CORE_READ(task, fs, pwd.dentry));
	file = file_of(task, descriptor);
	if (!file) {
		record->head.flags |= FLAG_READ_FAILED;
		return 0;
	}
	if (is_object)
		FILL_INODE(&record->change, BPF_CORE_READ(file, f_inode));
	return append_path(record, BPF_CORE_READ(file, f_path.mnt), BPF_CORE_READ(file, f_path.dentry));
}

static __always_inline bool is_absolute(struct record *record, __u32 at)
{
	return at < RECORD_BYTES && record->bytes[at] == '/';
}

static __always_inline void append_names(struct record *record, const struct names *names)
{
	struct change_event *event = &record->change;
	__u32 at = record->used;

	event->name_bytes = append_text(record, names->name, FILENAME_BYTES_MAX, bpf_probe_read_user_str);
	event->folder_bytes = 0;
	event->other_name_bytes = 0;
	event->other_folder_bytes = 0;
	if (event->name_bytes <= 1 || !is_absolute(record, at))
		event->folder_bytes = append_folder(names->folder, event->name_bytes <= 1);
	if (!names->other_name)
		return;
	at = record->used;
	event->other_name_bytes = append_text(record, names->other_name, FILENAME_BYTES_MAX, bpf_probe_read_user_str);
	if (other_is_path(event->kind) && !is_absolute(record, at))
		event->other_folder_bytes = append_folder(names->other_folder, 0);
}

static __always_inline void report_change(struct task_struct *task, __u16 kind, const struct names *names)
{
	struct record *record = begin_change(task, kind);

	if (!record)
		return;
	/* The names are the caller's: user space tests them. */
	record->demand_class = 0;
	record->change.values[0] = names->values[0];
	record->change.values[1] = names->values[1];
	append_names(record, names);
	send_record(record, OP_CHANGE);
}

/* Of families FAMILY_CHANGE and FAMILY_ATTRIBUTE: not attached itself, see calls.bpf.c. */
SEC("?raw_tp/sys_exit")
int kestrel_change(struct bpf_raw_tracepoint_args *ctx)
{
	struct names names = {};
	struct returned_call returned;
	struct task_struct *task;
	__u16 kind;

	read_call(ctx, &returned);
	task = returned.task;
	kind = kind_of(returned.call);
	if (!kind || (config.agent_pid && BPF_CORE_READ(task, tgid) == config.agent_pid))
		return 0;
	names_of(returned.call, returned.args, &names);
	if (returned.narrow_ids) {
		names.values[0] = widened(names.values[0]);
		names.values[1] = widened(names.values[1]);
	}
	/* Of the calls that unlink only unlinkat has a third argument, which names_of took for a value. */
	if (returned.call == CALL_UNLINKAT && returned.args[2] & AT_REMOVEDIR)
		kind = CHANGE_RMDIR;
	if (returned.call == CALL_MKDIR || returned.call == CALL_MKDIRAT)
		names.values[0] = (names.values[0] & ~S_IFMT) | S_IFDIR;
	if (kind == CHANGE_MAKE)
		names.values[0] &= ~BPF_CORE_READ(task, fs, umask);
	report_change(task, kind, &names);
	return 0;
}

/* A function of its own, so that the verifier looks at it once for each program. */
__noinline int report_pending(void)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct pending *change = bpf_map_lookup_elem(&pending_changes, &thread);
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct change_event *event;
	struct record *record;

	if (!change)
		return 0;
	if (config.agent_pid && BPF_CORE_READ(task, tgid) == config.agent_pid)
		return 0;
	record = begin_change(task, change->kind);
	if (!record)
		return 0;
	event = &record->change;
	event->values[0] = change->mode;
	if (!change->inode)
		keep_inode(change, change->dentry);
	event->inode = change->inode;
	event->size = change->size;
	event->device = change->device;
	event->file_mode = change->file_mode;
	event->owner = change->owner;
	event->group = change->group;
	/* A rename has moved the object. */
	event->folder_bytes = append_path(record, (struct vfsmount *)change->mount, (struct dentry *)change->dentry);
	if (!path_passes(record))
		return 0;
	if (change->kind == CHANGE_RENAME)
		event->other_name_bytes = append_text(record, (__u64)change->name, FILENAME_BYTES_MAX, bpf_probe_read_kernel_str);
	if (change->kind == CHANGE_SYMLINK)
		event->other_name_bytes = append_text(record, change->text, FILENAME_BYTES_MAX, bpf_probe_read_kernel_str);
	if (change->other)
		event->other_folder_bytes = append_path(record, (struct vfsmount *)change->other_mount, (struct dentry *)change->other);
	return send_record(record, OP_CHANGE);
}

static __always_inline int finish(__u64 *ctx, __u32 kind, int count)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct pending *change = bpf_map_lookup_elem(&pending_changes, &thread);

	/* Made for the kernel itself, or by a filesystem below another one. */
	if (!change || change->kind != kind)
		return 0;
	if (!has_failed(ctx, count))
		report_pending();
	bpf_map_delete_elem(&pending_changes, &thread);
	return 0;
}

#define FINISH(function, name, kind, count) \
	SEC("?fexit/" #function) \
	int name(__u64 *ctx) \
	{ \
		return finish(ctx, kind, count); \
	}

FINISH(vfs_rename, kestrel_renamed, CHANGE_RENAME, RENAME_ARGUMENTS)
FINISH(vfs_unlink, kestrel_unlinked, CHANGE_UNLINK, 3)
FINISH(vfs_rmdir, kestrel_removed, CHANGE_RMDIR, 2)
FINISH(vfs_link, kestrel_linked, CHANGE_LINK, 4)
FINISH(vfs_symlink, kestrel_symlinked, CHANGE_SYMLINK, 3)
FINISH(vfs_mkdir, kestrel_made_folder, CHANGE_MAKE, 3)
FINISH(vfs_mknod, kestrel_made_node, CHANGE_MAKE, 4)
FINISH(vfs_create, kestrel_made_file, CHANGE_MAKE, 4)
FINISH(notify_change, kestrel_notified, CHANGE_MODE, 3)

/* Has the path, and is nobody's but truncate's: the check before it is asked by ftruncate and open too. */
SEC("?fexit/vfs_truncate")
int kestrel_truncated(__u64 *ctx)
{
	struct path *path = (struct path *)ctx[0];

	if ((long)ctx[2] < 0)
		return 0;
	return report_object((__u64)BPF_CORE_READ(path, mnt), (__u64)BPF_CORE_READ(path, dentry), 0, CHANGE_TRUNCATE, 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
