/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Records that a policy had a say in: their note, and their way through the ring of processes, within bounds. */
#ifndef KESTREL_NOTE_H
#define KESTREL_NOTE_H

#include "policy-work.h"

/* Denials told in one second. */
struct policy_budget {
	__u64 second;
	__u64 count;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct policy_budget);
} policy_budget SEC(".maps");

/* Whether a denial still may be told in this second. Two CPUs that begin a second at one time may tell some more. */
static __always_inline bool may_report(__u32 act)
{
	__u64 second = bpf_ktime_get_boot_ns() / 1000000000;
	__u32 zero = 0;
	struct policy_budget *budget = bpf_map_lookup_elem(&policy_budget, &zero);

	if (!budget)
		return true;
	if (budget->second != second) {
		budget->second = second;
		budget->count = 0;
	}
	if (budget->count >= DENIALS_PER_SECOND_MAX) {
		policy_count(act, COUNT_UNREPORTED);
		return false;
	}
	__sync_fetch_and_add(&budget->count, 1);
	return true;
}

/* Ends the record being built with the note. */
static __always_inline void append_note(struct record *record, const struct policy_note *note)
{
	__u32 used = record->used;

	if (used > RECORD_BYTES - NOTE_BYTES)
		return;
	bpf_probe_read_kernel(record->bytes + used, sizeof(*note), note);
	record->used = used + sizeof(*note);
	record->head.flags |= FLAG_POLICY;
}

/* Sends a record that has a note: in the ring of processes, where no flood of files or connections is in its way. */
static __always_inline void send_noted(void *bytes, __u32 size, __u32 op, __u32 act)
{
	struct sensor_counters *count = counters_of(op);

	if (!count)
		return;
	__sync_fetch_and_add(&count->produced, 1);
	if (!bpf_ringbuf_output(&process_ring, bytes, size, BPF_RB_NO_WAKEUP))
		return;
	__sync_fetch_and_add(&count->dropped, 1);
	policy_count(act, COUNT_UNREPORTED);
}

#endif
