// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * A process gave a socket an address of its own, or listens for TCP connections. Seen when it has succeeded, with the port the kernel chose
 * where the process left that open. A port chosen for an outgoing connection is no event.
 */
#define RING activity_ring
#include "sensor.h"

/* Records that a policy has a say in. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} process_ring SEC(".maps");

#include "tell.h"

/* After the port was found, whatever call asked for it; also before and behind a program that denies it. Must always allow. */
static __always_inline int report_bind(struct bpf_sock *ctx, struct noted_flow *flow, __u16 family)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	if (is_nobody(task))
		return 1;
	flow->event.family = family;
	flow->event.protocol = ctx->protocol;
	flow->event.destination_port = ctx->src_port;
	tell_flow(flow, task, OP_BIND, false, true);
	return 1;
}

SEC("?cgroup/post_bind4")
int kestrel_bind_cgroup4(struct bpf_sock *ctx)
{
	struct noted_flow flow = {};
	__u32 ip4 = ctx->src_ip4;

	__builtin_memcpy(flow.event.destination, &ip4, 4);
	return report_bind(ctx, &flow, AF_INET);
}

SEC("?cgroup/post_bind6")
int kestrel_bind_cgroup6(struct bpf_sock *ctx)
{
	struct noted_flow flow = {};
	__u32 ip6[4] = { ctx->src_ip6[0], ctx->src_ip6[1], ctx->src_ip6[2], ctx->src_ip6[3] };

	__builtin_memcpy(flow.event.destination, ip6, 16);
	return report_bind(ctx, &flow, AF_INET6);
}

/* The socket begins to listen in the context of the process, whatever call it used. Multipath TCP does so with a socket of TCP too. */
SEC("?raw_tp/inet_sock_set_state")
int kestrel_listen(struct bpf_raw_tracepoint_args *ctx)
{
	struct sock *sk = (struct sock *)ctx->args[0];
	struct task_struct *task;
	struct noted_flow flow = {};
	struct flow_event *event = &flow.event;

	if (ctx->args[2] != TCP_LISTEN || BPF_CORE_READ(sk, sk_protocol) != PROTOCOL_TCP)
		return 0;
	task = (struct task_struct *)bpf_get_current_task();
	event->family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if ((event->family != AF_INET && event->family != AF_INET6) || is_nobody(task))
		return 0;
	read_near_end(sk, event->family, event->destination, &event->destination_port);
	event->protocol = PROTOCOL_TCP;
	tell_flow(&flow, task, OP_LISTEN, true, false);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
