/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The record of a change: begun, filled and sent in the same way by whoever sees it. */
#ifndef KESTREL_CHANGE_RECORD_H
#define KESTREL_CHANGE_RECORD_H

#include "path.h"
#include "record.h"

/* What is told of a file, into whatever has room for it: the record, or what waits for the change to come about. */
#define FILL_INODE(to, from) \
	do { \
		struct inode *inode_ = (from); \
\
		(to)->inode = BPF_CORE_READ(inode_, i_ino); \
		(to)->size = BPF_CORE_READ(inode_, i_size); \
		(to)->device = BPF_CORE_READ(inode_, i_sb, s_dev); \
		(to)->file_mode = BPF_CORE_READ(inode_, i_mode); \
		(to)->owner = BPF_CORE_READ(inode_, i_uid.val); \
		(to)->group = BPF_CORE_READ(inode_, i_gid.val); \
	} while (0)

/* The record and the tests of the path that is appended next, by one reading of the demand. 0: nobody asks for it. */
static __always_inline struct record *begin_change(struct task_struct *task, __u32 kind)
{
	struct record *record = scratch_record();
	__u32 class = DEMAND_CHANGE << kind;
	struct demand wanted;

	if (!record)
		return 0;
	if (!read_demand(&wanted) || !(wanted.wanted & class) ||
	    !begin_tests(record, &wanted, class, BPF_CORE_READ(task, cred, euid.val))) {
		count_filtered(OP_CHANGE);
		return 0;
	}
	begin_record(record, task, OP_CHANGE, sizeof(struct change_event));
	record->change.kind = kind;
	return record;
}

/* After the path was appended. False: no rule can match a change there. */
static __always_inline bool path_passes(struct record *record)
{
	/* Of a path that is not whole nobody knows what it would have passed. */
	if (record->demand_class && !(record->head.flags & (FLAG_PATH_CUT | FLAG_READ_FAILED))) {
		count_filtered(OP_CHANGE);
		return false;
	}
	record->demand_class = 0;
	return true;
}

#endif
