/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The record of an act that may have a text or a path: the text comes first. */
#ifndef KESTREL_ACT_RECORD_H
#define KESTREL_ACT_RECORD_H

#include "path.h"
#include "record.h"

static __always_inline struct record *begin_act(struct task_struct *task, __u16 kind)
{
	struct record *record = scratch_record();

	if (!record)
		return 0;
	begin_record(record, task, OP_ACT, sizeof(struct act_event));
	record->act.kind = kind;
	return record;
}

static __always_inline void append_act_text(struct record *record, __u64 text, read_text *read)
{
	record->act.text_bytes = append_text(record, text, ACT_TEXT_BYTES_MAX, read);
}

#endif
