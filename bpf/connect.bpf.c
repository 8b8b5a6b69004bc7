// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * A process asked for a connection over IPv4 or IPv6. Addresses come from the kernel's own copy or from the socket. Local (UNIX) sockets
 * are those of unix.bpf.c.
 */
#define RING activity_ring
#include "sensor.h"

/* Records that a policy has a say in. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} process_ring SEC(".maps");

#include "tell.h"

#define TCP_SYN_SENT 2

struct sockaddr_any {
	__u16 family;
	__u16 port;
	__u32 ip4; /* IPv6: flow information */
	__u32 ip6[4];
};

/*
 * Programs and io_uring that do not wait for a connection call connect again to learn how it is getting on: no new one. Only for the
 * address that is already being connected to, which was reported; another thread may free the socket for a new one while we look.
 */
static __always_inline bool asks_again(struct socket *socket, struct sock *sk, const struct sockaddr_any *address)
{
	__u32 ip6[4];

	if (BPF_CORE_READ(socket, state) == SS_UNCONNECTED || BPF_CORE_READ(sk, __sk_common.skc_dport) != address->port)
		return false;
	if (address->family == AF_INET)
		return BPF_CORE_READ(sk, __sk_common.skc_daddr) == address->ip4;
	BPF_CORE_READ_INTO(&ip6, sk, __sk_common.skc_v6_daddr.in6_u.u6_addr8);
	return ip6[0] == address->ip6[0] && ip6[1] == address->ip6[1] && ip6[2] == address->ip6[2] && ip6[3] == address->ip6[3];
}

/* Preferred: the check every connect passes, io_uring and 32-bit calls included; the address is already the kernel's copy. */
SEC("?fentry/security_socket_connect")
int kestrel_connect_fentry(__u64 *ctx)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct socket *socket = (struct socket *)ctx[0];
	struct sock *sk = BPF_CORE_READ(socket, sk);
	struct noted_flow flow = {};
	struct flow_event *event = &flow.event;
	struct sockaddr_any address = {};
	__u16 protocol = protocol_of(sk);
	int length = ctx[2];

	if (length < 16)
		return 0;
	bpf_probe_read_kernel(&address, 16, (const void *)ctx[1]);
	if (address.family == AF_INET6) {
		if (length < 24)
			return 0;
		bpf_probe_read_kernel(address.ip6, 16, (const char *)ctx[1] + 8);
	} else if (address.family != AF_INET) {
		return 0;
	}
	if (is_tcp(protocol) && asks_again(socket, sk, &address))
		return 0;
	if (is_nobody(task))
		return 0;
	if (address.family == AF_INET) {
		__builtin_memcpy(event->destination, &address.ip4, 4);
	} else {
		__builtin_memcpy(event->destination, address.ip6, 16);
	}
	event->family = address.family;
	event->protocol = protocol;
	event->source_port = BPF_CORE_READ(sk, __sk_common.skc_num);
	event->destination_port = port_of(address.port);
	tell_flow(&flow, task, OP_CONNECT, true, true);
	return 0;
}

/*
 * Fallback, TCP: the socket enters SYN_SENT in the context of the process that connects, whatever call it used. The source port is not
 * chosen yet unless the process bound one.
 */
SEC("?raw_tp/inet_sock_set_state")
int kestrel_connect_tcp(struct bpf_raw_tracepoint_args *ctx)
{
	struct sock *sk = (struct sock *)ctx->args[0];
	struct task_struct *task;
	struct noted_flow flow = {};
	struct flow_event *event = &flow.event;

	if (ctx->args[2] != TCP_SYN_SENT || !is_tcp(BPF_CORE_READ(sk, sk_protocol)))
		return 0;
	task = (struct task_struct *)bpf_get_current_task();
	if (is_nobody(task))
		return 0;
	event->family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if (event->family != AF_INET && event->family != AF_INET6)
		return 0;
	read_near_end(sk, event->family, event->source, &event->source_port);
	read_far_end(sk, event->family, event->destination, &event->destination_port);
	event->protocol = PROTOCOL_TCP;
	tell_flow(&flow, task, OP_CONNECT, true, false);
	return 0;
}

/* Fallback, everything but TCP: cgroup hooks of the root, so of every process. They must always allow. */
static __always_inline int report_datagram(struct bpf_sock_addr *ctx, __u16 family)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct noted_flow flow = {};
	struct flow_event *event = &flow.event;

	if (is_tcp(ctx->protocol))
		return 1;
	if (is_nobody(task))
		return 1;
	if (family == AF_INET) {
		__u32 ip4 = ctx->user_ip4;

		__builtin_memcpy(event->destination, &ip4, 4);
	} else {
		__u32 ip6[4] = { ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3] };

		__builtin_memcpy(event->destination, ip6, 16);
	}
	event->family = family;
	event->protocol = ctx->protocol;
	event->destination_port = port_of(ctx->user_port);
	tell_flow(&flow, task, OP_CONNECT, false, true);
	return 1;
}

SEC("?cgroup/connect4")
int kestrel_connect_cgroup4(struct bpf_sock_addr *ctx)
{
	return report_datagram(ctx, AF_INET);
}

SEC("?cgroup/connect6")
int kestrel_connect_cgroup6(struct bpf_sock_addr *ctx)
{
	return report_datagram(ctx, AF_INET6);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
