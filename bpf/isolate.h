/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The maps of network isolation, as user space fills and reads them: src/respond/isolation-map.ts holds the same offsets. */
#ifndef KESTREL_ISOLATE_H
#define KESTREL_ISOLATE_H

#include <linux/bpf.h>
#include <linux/types.h>

#define ISOLATE_NETWORKS_MAX 1024
#define ISOLATE_PORTS_MAX 15
#define ISOLATE_OWN_PORT 0x10000 /* bit of a port: it is one of this machine, not of the peer */

/* Rows of the counter map. */
#define ISOLATE_EGRESS 0
#define ISOLATE_INGRESS 1
#define ISOLATE_DIRECTIONS 2

/* A network of peers: its longest match decides alone, so user space gives each one what the wider ones around it have. */
struct isolate_key {
	__u32 prefix_bits;
	__u8 address[16]; /* network order; IPv4 as ::ffff:a.b.c.d */
};

/* What may pass between this machine and such a peer. */
struct isolate_value {
	__u32 port_count; /* 0: everything */
	__u32 ports[ISOLATE_PORTS_MAX];
};

/* One row of the per-CPU counter map: what was dropped. */
struct isolate_count {
	__u64 packets;
	__u64 bytes;
};

#endif
