/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Opened files that are nobody's business. */
#ifndef KESTREL_NOISE_H
#define KESTREL_NOISE_H

#include "kernel.h"

#define PROC_SUPER_MAGIC 0x9fa0
#define PROC_DEPTH_MAX 16

/* One without a name is made as well; the kernel calls that no creation. */
static __always_inline bool is_made(struct file *file)
{
	return BPF_CORE_READ(file, f_mode) & FMODE_CREATED || BPF_CORE_READ(file, f_flags) & TMPFILE_FLAG;
}

#define DEVICE_MEM 1 /* of major 1, as the others */
#define DEVICE_KMEM 2
#define DEVICE_PORT 4

/* A file in the sense of rules holds data. Disks and the memory of the machine do: whoever writes there passes all files by. */
static __always_inline bool is_data(struct inode *inode, __u32 f_mode)
{
	__u32 device;

	switch (BPF_CORE_READ(inode, i_mode) & S_IFMT) {
	case S_IFREG:
		return true;
	case S_IFBLK:
		return f_mode & FMODE_WRITE;
	case S_IFCHR:
		device = BPF_CORE_READ(inode, i_rdev);
		return f_mode & FMODE_WRITE && device >> 20 == 1 &&
		       ((device & 0xfffff) == DEVICE_MEM || (device & 0xfffff) == DEVICE_KMEM || (device & 0xfffff) == DEVICE_PORT);
	default:
		return false;
	}
}

/* Of procfs only /proc/sys and /proc/sysrq-trigger, which begin alike: what programs write about themselves is no file in any rule's sense. */
static __always_inline bool is_proc_noise(struct dentry *dentry, __u64 magic)
{
	struct dentry *top = dentry;
	char name[4] = {};

	if (magic != PROC_SUPER_MAGIC)
		return false;
	for (int i = 0; i < PROC_DEPTH_MAX; i++) {
		struct dentry *parent = BPF_CORE_READ(dentry, d_parent);

		if (parent == dentry)
			break;
		top = dentry;
		dentry = parent;
	}
	bpf_probe_read_kernel_str(name, sizeof(name), BPF_CORE_READ(top, d_name.name));
	return !(name[0] == 's' && name[1] == 'y' && name[2] == 's' && name[3] == 0);
}

#endif
