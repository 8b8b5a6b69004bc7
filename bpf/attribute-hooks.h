/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The preferred way to see owners and extended attributes change: where the kernel does it, below every call and io_uring alike. chown has the
 * path at hand. What sets attributes is told the file alone; the mount is the one that the thread has asked to write to, and still does.
 */
#ifndef KESTREL_ATTRIBUTE_HOOKS_H
#define KESTREL_ATTRIBUTE_HOOKS_H

#include "change-hooks.h"
#include "change-record.h"

#define NO_ID 0xffffffff
#define MNT_NS_INTERNAL ((__u64)-22)
#define SB_KERNMOUNT (1UL << 22)
#define ACL_TYPE_ACCESS 0x8000
#define ACL_TYPE_DEFAULT 0x4000

/* Since Linux 6.2. */
struct mnt_idmap {
	int unused;
};

/* A file system below another one is written to by the same thread at the same time. */
struct write_key {
	__u64 thread;
	__u64 super_block;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, PENDING_MAX);
	__type(key, struct write_key);
	__type(value, __u64); /* struct vfsmount */
} written_mounts SEC(".maps");

static __always_inline int begin_write(__u64 mount, int refused)
{
	struct write_key key = { .thread = bpf_get_current_pid_tgid() };

	if (refused)
		return 0;
	key.super_block = (__u64)BPF_CORE_READ((struct vfsmount *)mount, mnt_sb);
	bpf_map_update_elem(&written_mounts, &key, &mount, BPF_ANY);
	return 0;
}

static __always_inline int end_write(__u64 mount)
{
	struct write_key key = { .thread = bpf_get_current_pid_tgid() };

	key.super_block = (__u64)BPF_CORE_READ((struct vfsmount *)mount, mnt_sb);
	bpf_map_delete_elem(&written_mounts, &key);
	return 0;
}

static __always_inline __u64 mount_of_file(__u64 file)
{
	return (__u64)BPF_CORE_READ((struct file *)file, f_path.mnt);
}

SEC("?fexit/mnt_want_write")
int kestrel_write_begun(__u64 *ctx)
{
	return begin_write(ctx[0], ctx[1]);
}

SEC("?fexit/mnt_want_write_file")
int kestrel_file_write_begun(__u64 *ctx)
{
	return begin_write(mount_of_file(ctx[0]), ctx[1]);
}

SEC("?fentry/mnt_drop_write")
int kestrel_write_ended(__u64 *ctx)
{
	return end_write(ctx[0]);
}

SEC("?fentry/mnt_drop_write_file")
int kestrel_file_write_ended(__u64 *ctx)
{
	return end_write(mount_of_file(ctx[0]));
}

static __always_inline __u16 append_acl_name(struct record *record, __u64 type)
{
	char access[] = "system.posix_acl_access", preset[] = "system.posix_acl_default";

	return append_text(record, (__u64)(type == ACL_TYPE_ACCESS ? access : preset), FILENAME_BYTES_MAX, bpf_probe_read_kernel_str);
}

/* Up to the root of its file system, when it is not known where that is mounted. */
static __always_inline __u16 append_path_within(struct record *record, struct dentry *dentry)
{
	record->root_mount = (__u64)mount_of(0);
	record->root_dentry = (__u64)BPF_CORE_READ(dentry, d_sb, s_root);
	record->head.flags |= FLAG_PATH_CUT;
	return append_path_up(record, 0, dentry);
}

/* `name`: of the attribute, or the type of an access list. `ids`: asked for, user and above it group. A function of its own: see report_pending. */
__noinline int report_object(__u64 mount, __u64 dentry, __u64 name, __u32 kind, __u64 ids)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct change_event *event;
	struct record *record;

	if (config.agent_pid && BPF_CORE_READ(task, tgid) == config.agent_pid)
		return 0;
	record = begin_change(task, kind);
	if (!record)
		return 0;
	event = &record->change;
	FILL_INODE(event, BPF_CORE_READ((struct dentry *)dentry, d_inode));
	if (kind == CHANGE_OWNER) {
		/* The caller's numbers may be those of a user namespace. */
		event->values[0] = (__u32)ids == NO_ID ? NO_ID : event->owner;
		event->values[1] = ids >> 32 == NO_ID ? NO_ID : event->group;
	}
	if (mount)
		event->folder_bytes = append_path(record, (struct vfsmount *)mount, (struct dentry *)dentry);
	else
		event->folder_bytes = append_path_within(record, (struct dentry *)dentry);
	if (!path_passes(record))
		return 0;
	if (name == ACL_TYPE_ACCESS || name == ACL_TYPE_DEFAULT)
		event->other_name_bytes = append_acl_name(record, name);
	else if (name)
		event->other_name_bytes = append_text(record, name, FILENAME_BYTES_MAX, bpf_probe_read_kernel_str);
	return send_record(record, OP_CHANGE);
}

SEC("?fexit/chown_common")
int kestrel_owned(__u64 *ctx)
{
	struct path *path = (struct path *)ctx[0];
	__u64 ids = (ctx[1] & NO_ID) | ctx[2] << 32;

	if ((int)ctx[3])
		return 0;
	return report_object((__u64)BPF_CORE_READ(path, mnt), (__u64)BPF_CORE_READ(path, dentry), 0, CHANGE_OWNER, ids);
}

union short_name {
	char text[24];
	__u64 words[3];
};

static __always_inline bool is_same(const union short_name *a, const union short_name *b)
{
	return a->words[0] == b->words[0] && a->words[1] == b->words[1] && a->words[2] == b->words[2];
}

/* What overlayfs marks a new folder with as it is mounted: it asks nobody whether it may write there. */
static __always_inline bool is_overlay_mark(__u64 address)
{
	union short_name name = {}, trusted = { "trusted.overlay.uuid" }, user = { "user.overlay.uuid" };

	bpf_probe_read_kernel_str(name.text, sizeof(name.text), (const void *)address);
	return is_same(&name, &trusted) || is_same(&name, &user);
}

/*
 * Whether a file is one that the thread itself has to do with, and by which mount; 0: not known. A file system keeps attributes of its own in the
 * one below it (overlayfs): by a mount that nobody else has, or with the rights of whoever mounted it. A mount that nobody else has is that of
 * memory files too. One that is not known was pushed out of the table: better told in part than not.
 */
static __always_inline bool is_own(struct dentry *dentry, __u64 name, __u64 *mount)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct write_key key = { .thread = bpf_get_current_pid_tgid(), .super_block = (__u64)BPF_CORE_READ(dentry, d_sb) };
	__u64 *found = bpf_map_lookup_elem(&written_mounts, &key);

	*mount = 0;
	if (!found)
		return BPF_CORE_READ(task, cred) == BPF_CORE_READ(task, real_cred) && !is_overlay_mark(name);
	*mount = *found;
	return (__u64)BPF_CORE_READ(mount_of(*found), mnt_ns) != MNT_NS_INTERNAL || BPF_CORE_READ(dentry, d_sb, s_flags) & SB_KERNMOUNT;
}

static __always_inline int report_attribute(__u64 dentry, __u64 name, __u32 kind)
{
	__u64 mount;

	return is_own((struct dentry *)dentry, name, &mount) ? report_object(mount, dentry, name, kind, 0) : 0;
}

/* Since Linux 5.12 mounts can map ids, and functions on files have the map before the file. */
static __always_inline bool has_map_argument(void)
{
	return bpf_core_field_exists(((struct vfsmount *)0)->mnt_userns) || bpf_core_type_exists(struct mnt_idmap);
}

/* An argument as a number: a function of our own takes no pointers of the kernel's. */
static __always_inline __u64 context_number(__u64 *ctx, __u32 index)
{
	__u64 number = 0;

	bpf_probe_read_kernel(&number, sizeof(number), ctx + index);
	return number;
}

static __always_inline int finish_attribute(__u64 *ctx, __u32 kind, int count)
{
	__u32 file = has_map_argument() ? 1 : 0;

	if (has_failed(ctx, count))
		return 0;
	return report_attribute(context_number(ctx, file), context_number(ctx, file + 1), kind);
}

SEC("?fexit/vfs_setxattr")
int kestrel_attribute_set(__u64 *ctx)
{
	return finish_attribute(ctx, CHANGE_ATTRIBUTE_SET, 5);
}

SEC("?fexit/vfs_removexattr")
int kestrel_attribute_removed(__u64 *ctx)
{
	return finish_attribute(ctx, CHANGE_ATTRIBUTE_REMOVE, 2);
}

/* Since Linux 6.2 access lists do not come by vfs_setxattr; before, this is called by it. */
SEC("?fexit/set_posix_acl")
int kestrel_acl_set(__u64 *ctx)
{
	if (!bpf_core_type_exists(struct mnt_idmap) || has_failed(ctx, 3))
		return 0;
	return report_attribute(context_number(ctx, 1), (__u32)context_number(ctx, 2),
				context_number(ctx, 3) ? CHANGE_ATTRIBUTE_SET : CHANGE_ATTRIBUTE_REMOVE);
}

#endif
