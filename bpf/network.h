/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What the network sensors share: whom they leave out, and both ends of a socket as the kernel has them. */
#ifndef KESTREL_NETWORK_H
#define KESTREL_NETWORK_H

#include "sensor.h"

#define AF_INET 2
#define AF_INET6 10
#define PROTOCOL_TCP 6
#define PROTOCOL_MPTCP 262
#define TCP_LISTEN 10

/* The agent itself, and kernel threads (NFS, a tunnel), which work on nobody's behalf. */
static __always_inline bool is_nobody(struct task_struct *task)
{
	return (config.agent_pid && BPF_CORE_READ(task, tgid) == config.agent_pid) || !BPF_CORE_READ(task, mm);
}

static __always_inline __u16 port_of(__u16 network_order)
{
	return __builtin_bswap16(network_order);
}

static __always_inline bool is_tcp(__u32 protocol)
{
	return protocol == PROTOCOL_TCP || protocol == PROTOCOL_MPTCP;
}

/* Multipath TCP counts as TCP, which it is on the wire. */
static __always_inline __u16 protocol_of(struct sock *sk)
{
	__u16 protocol = BPF_CORE_READ(sk, sk_protocol);

	return is_tcp(protocol) ? PROTOCOL_TCP : protocol;
}

/* The address a socket is bound to; all zero when it is bound to none. */
static __always_inline void read_near_end(struct sock *sk, __u16 family, __u8 address[16], __u16 *port)
{
	if (family == AF_INET)
		bpf_core_read(address, 4, &sk->__sk_common.skc_rcv_saddr);
	else
		bpf_core_read(address, 16, &sk->__sk_common.skc_v6_rcv_saddr);
	*port = BPF_CORE_READ(sk, __sk_common.skc_num);
}

/* The address a socket is connected to. */
static __always_inline void read_far_end(struct sock *sk, __u16 family, __u8 address[16], __u16 *port)
{
	if (family == AF_INET)
		bpf_core_read(address, 4, &sk->__sk_common.skc_daddr);
	else
		bpf_core_read(address, 16, &sk->__sk_common.skc_v6_daddr);
	*port = port_of(BPF_CORE_READ(sk, __sk_common.skc_dport));
}

#endif
