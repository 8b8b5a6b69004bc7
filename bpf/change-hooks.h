/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The preferred way to see changes: where the kernel has the objects, below every call and io_uring alike. Two hooks make one event: the
 * check that is asked with the mount (security_path_*, the same arguments in all kernels), and the change itself (vfs_*), whose arguments
 * differ and of which only the result is looked at. Nothing is the caller's word, except the text of a symbolic link.
 */
#ifndef KESTREL_CHANGE_HOOKS_H
#define KESTREL_CHANGE_HOOKS_H

#include "change-record.h"

#define PENDING_MAX 4096
#define RENAME_ARGUMENTS 6

/* The one argument of vfs_rename since Linux 5.12, and in 5.10 as Debian has it. */
struct renamedata {
	int unused;
};

/* A change that was allowed and is about to be made. */
struct pending {
	__u64 mount; /* struct vfsmount of both paths */
	__u64 dentry; /* the object; renamed, it has its new name afterwards */
	__u64 other_mount;
	__u64 other; /* rename: the folder it was in; link: the file that is linked */
	__u64 text; /* of a symbolic link */
	__u64 inode;
	__u64 size;
	__u32 device;
	__u32 file_mode;
	__u32 owner;
	__u32 group;
	__u32 mode;
	__u32 kind;
	char name[NAME_BYTES_MAX]; /* rename: the name it had */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, PENDING_MAX);
	__type(key, __u64); /* thread */
	__type(value, struct pending);
} pending_changes SEC(".maps");

static __always_inline void keep_inode(struct pending *change, __u64 dentry)
{
	FILL_INODE(change, BPF_CORE_READ((struct dentry *)dentry, d_inode));
}

static __always_inline int allow(struct pending *change)
{
	__u64 thread = bpf_get_current_pid_tgid();

	bpf_map_update_elem(&pending_changes, &thread, change, BPF_ANY);
	return 0;
}

/* Below a folder: what most checks are asked. */
static __always_inline int allow_in(__u64 *ctx, __u32 kind, __u64 text, __u32 mode, int refused)
{
	struct pending change = {};
	struct path *folder = (struct path *)ctx[0];

	if (refused)
		return 0;
	change.kind = kind;
	change.mount = (__u64)BPF_CORE_READ(folder, mnt);
	change.dentry = ctx[1];
	change.text = text;
	change.mode = mode;
	/* Gone afterwards, or not there yet. */
	if (kind == CHANGE_UNLINK || kind == CHANGE_RMDIR)
		keep_inode(&change, ctx[1]);
	return allow(&change);
}

SEC("?fexit/security_path_unlink")
int kestrel_allow_unlink(__u64 *ctx)
{
	return allow_in(ctx, CHANGE_UNLINK, 0, 0, ctx[2]);
}

SEC("?fexit/security_path_rmdir")
int kestrel_allow_rmdir(__u64 *ctx)
{
	return allow_in(ctx, CHANGE_RMDIR, 0, 0, ctx[2]);
}

SEC("?fexit/security_path_symlink")
int kestrel_allow_symlink(__u64 *ctx)
{
	return allow_in(ctx, CHANGE_SYMLINK, ctx[2], 0, ctx[3]);
}

SEC("?fexit/security_path_mkdir")
int kestrel_allow_mkdir(__u64 *ctx)
{
	return allow_in(ctx, CHANGE_MAKE, 0, (ctx[2] & ~S_IFMT) | S_IFDIR, ctx[3]);
}

SEC("?fexit/security_path_mknod")
int kestrel_allow_mknod(__u64 *ctx)
{
	return allow_in(ctx, CHANGE_MAKE, 0, ctx[2], ctx[4]);
}

SEC("?fexit/security_path_chmod")
int kestrel_allow_chmod(__u64 *ctx)
{
	struct path *path = (struct path *)ctx[0];
	struct pending change = {};

	if ((int)ctx[2])
		return 0;
	change.kind = CHANGE_MODE;
	change.mount = (__u64)BPF_CORE_READ(path, mnt);
	change.dentry = (__u64)BPF_CORE_READ(path, dentry);
	change.mode = ctx[1];
	return allow(&change);
}

SEC("?fexit/security_path_link")
int kestrel_allow_link(__u64 *ctx)
{
	struct path *folder = (struct path *)ctx[1];
	struct pending change = {};

	if ((int)ctx[3])
		return 0;
	change.kind = CHANGE_LINK;
	/* A hard link stays within a mount. */
	change.mount = (__u64)BPF_CORE_READ(folder, mnt);
	change.other_mount = change.mount;
	change.other = ctx[0];
	change.dentry = ctx[2];
	return allow(&change);
}

SEC("?fexit/security_path_rename")
int kestrel_allow_rename(__u64 *ctx)
{
	struct path *from = (struct path *)ctx[0], *to = (struct path *)ctx[2];
	struct dentry *dentry = (struct dentry *)ctx[1];
	struct pending change = {};

	if ((int)ctx[5])
		return 0;
	change.kind = CHANGE_RENAME;
	change.mount = (__u64)BPF_CORE_READ(to, mnt);
	change.dentry = ctx[1];
	change.other_mount = (__u64)BPF_CORE_READ(from, mnt);
	change.other = (__u64)BPF_CORE_READ(from, dentry);
	bpf_probe_read_kernel_str(change.name, sizeof(change.name), BPF_CORE_READ(dentry, d_name.name));
	keep_inode(&change, ctx[1]);
	return allow(&change);
}

/* One load each: the compiler would choose the address first, and Linux 5.10 loads from the context at constant offsets only. */
#define context_word(ctx, index) \
	({ \
		__u64 word; \
		asm volatile("%0 = *(u64 *)(%1 + %2)" : "=r"(word) : "r"(ctx), "i"((index) * 8)); \
		word; \
	})

/* What the vfs function returned. `count`: its arguments in Linux 5.10; all but vfs_rename have one more since mounts can map ids. */
static __always_inline bool has_failed(__u64 *ctx, int count)
{
	__u64 value = 0;

	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_func_ret))
		bpf_get_func_ret(ctx, &value);
	else if (count == RENAME_ARGUMENTS && bpf_core_type_exists(struct renamedata))
		value = context_word(ctx, 1);
	else if (count != RENAME_ARGUMENTS && bpf_core_field_exists(((struct vfsmount *)0)->mnt_userns))
		value = context_word(ctx, count + 1);
	else
		value = context_word(ctx, count);
	/* An int, or since Linux 6.15 for mkdir a pointer; the upper half of an int is not to be relied on. */
	return value >= (__u64)-4095 || (value <= 0xffffffff && (__s32)value < 0);
}

#endif
