/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The record in scratch memory, as most sensors begin, fill and send it. */
#ifndef KESTREL_RECORD_H
#define KESTREL_RECORD_H

#include "sensor.h"

/* With nothing in it but who did what; `bytes`: those of the struct, which data may follow. */
static __always_inline void begin_record(struct record *record, struct task_struct *task, __u16 op, __u32 bytes)
{
	fill_header(&record->head, task, op);
	__builtin_memset(record->bytes + sizeof(struct event_header), 0, bytes - sizeof(struct event_header));
	record->used = bytes;
}

/* bpf_probe_read_kernel_str or bpf_probe_read_user_str. At the exit of a call that read a text of the caller's, its pages are there. */
typedef long read_text(void *to, __u32 bytes_max, const void *from);

/* Returns its bytes. */
static __always_inline __u16 append_text(struct record *record, __u64 text, __u32 bytes_max, read_text *read)
{
	__u32 used = record->used;
	long length;

	if (!text || used > RECORD_BYTES - bytes_max)
		return 0;
	length = read(record->bytes + used, bytes_max, (const void *)text);
	if (length <= 0) {
		record->head.flags |= FLAG_READ_FAILED;
		return 0;
	}
	record->used = used + length;
	return length;
}

static __always_inline int send_record(struct record *record, __u16 op)
{
	__u32 bytes = record->used;

	if (bytes <= RECORD_BYTES)
		send(record->bytes, bytes, op, record->head.flags);
	return 0;
}

#endif
