/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Which flows user space wants to hear of, by where they go. */
#ifndef KESTREL_FLOW_DEMAND_H
#define KESTREL_FLOW_DEMAND_H

#include "demand.h"

static __always_inline bool takes_flow(__u32 class, struct task_struct *task, const struct flow_event *event)
{
	__u64 halves[2];

	if (event->family == AF_INET) {
		const __u8 mapped[4] = { 0, 0, 0xff, 0xff };

		halves[0] = 0;
		__builtin_memcpy(&halves[1], mapped, 4);
		__builtin_memcpy((char *)&halves[1] + 4, event->destination, 4);
	} else {
		__builtin_memcpy(halves, event->destination, 16);
	}
	return demand_takes(class, BPF_CORE_READ(task, cred, euid.val), event->destination_port, halves[0], halves[1]);
}

#endif
