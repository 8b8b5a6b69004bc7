// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Denies connections, datagrams and bound addresses that a policy is against: cgroup hooks of the root, so for every process, whatever call it
 * used. The caller gets EPERM, nothing leaves the machine, and the port is free again. What is only watched for is left to the sensors.
 */
#define RING process_ring
#include "flow.h"

#define ALLOW 1
#define DENY 0

static __always_inline int judge(struct bpf_sock_addr *ctx, struct noted_flow *flow, __u16 op)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	__u32 protocol = ctx->protocol;

	flow->event.protocol = is_tcp(protocol) ? PROTOCOL_TCP : protocol;
	flow->event.destination_port = port_of(ctx->user_port);
	return deny_flow(flow, task, op, MEANS_CGROUP) ? DENY : ALLOW;
}

static __always_inline int judge4(struct bpf_sock_addr *ctx, __u16 op)
{
	struct noted_flow flow = { .event.family = AF_INET };
	__u32 ip4 = ctx->user_ip4;

	__builtin_memcpy(flow.event.destination, &ip4, 4);
	return judge(ctx, &flow, op);
}

static __always_inline int judge6(struct bpf_sock_addr *ctx, __u16 op)
{
	struct noted_flow flow = { .event.family = AF_INET6 };
	__u32 ip6[4] = { ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3] };

	__builtin_memcpy(flow.event.destination, ip6, 16);
	return judge(ctx, &flow, op);
}

SEC("?cgroup/connect4")
int kestrel_deny_connect4(struct bpf_sock_addr *ctx)
{
	return judge4(ctx, OP_CONNECT);
}

SEC("?cgroup/connect6")
int kestrel_deny_connect6(struct bpf_sock_addr *ctx)
{
	return judge6(ctx, OP_CONNECT);
}

SEC("?cgroup/sendmsg4")
int kestrel_deny_send4(struct bpf_sock_addr *ctx)
{
	return judge4(ctx, OP_SEND);
}

SEC("?cgroup/sendmsg6")
int kestrel_deny_send6(struct bpf_sock_addr *ctx)
{
	return judge6(ctx, OP_SEND);
}

/*
 * Behind the choice of a port that the process left open, which is what the event says: a hook before it would decide by port 0. The kernel gives
 * the port back.
 */
static __always_inline int judge_bind(struct bpf_sock *ctx, struct noted_flow *flow)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	flow->event.protocol = ctx->protocol;
	flow->event.destination_port = ctx->src_port;
	return deny_flow(flow, task, OP_BIND, MEANS_CGROUP) ? DENY : ALLOW;
}

SEC("?cgroup/post_bind4")
int kestrel_deny_bind4(struct bpf_sock *ctx)
{
	struct noted_flow flow = { .event.family = AF_INET };
	__u32 ip4 = ctx->src_ip4;

	__builtin_memcpy(flow.event.destination, &ip4, 4);
	return judge_bind(ctx, &flow);
}

SEC("?cgroup/post_bind6")
int kestrel_deny_bind6(struct bpf_sock *ctx)
{
	struct noted_flow flow = { .event.family = AF_INET6 };
	__u32 ip6[4] = { ctx->src_ip6[0], ctx->src_ip6[1], ctx->src_ip6[2], ctx->src_ip6[3] };

	__builtin_memcpy(flow.event.destination, ip6, 16);
	return judge_bind(ctx, &flow);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
