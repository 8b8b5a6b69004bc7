/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The record in scratch memory, as most sensors fill it. */
#ifndef KESTREL_RECORD_H
#define KESTREL_RECORD_H

#include "sensor.h"

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

#endif
