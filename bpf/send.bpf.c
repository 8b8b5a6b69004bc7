// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * A process sent a UDP datagram to an address it named in the call instead of connecting to it. Told once for each process, socket and
 * destination: a stream of datagrams is one event, until its entry is the oldest of a full map.
 */
#define RING activity_ring
#include "sensor.h"

/* Records that a policy has a say in. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} process_ring SEC(".maps");

#include "tell.h"

/* Everything that makes a datagram one of a stream already told. */
struct stream {
	__u64 socket; /* its cookie */
	__u32 address[4];
	__u32 pid;
	__u16 port; /* network order */
	__u16 family;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct stream);
	__type(value, __u8);
} streams SEC(".maps");

static __always_inline bool is_told(const struct stream *stream)
{
	__u8 told = 1;

	if (bpf_map_lookup_elem(&streams, stream))
		return true;
	/* Two threads at one time may both tell it: better twice than never. */
	bpf_map_update_elem(&streams, stream, &told, BPF_ANY);
	return false;
}

/* Called for datagrams with an address only. Must always allow. */
static __always_inline int report_send(struct bpf_sock_addr *ctx, struct stream *stream)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct noted_flow flow = {};
	struct flow_event *event = &flow.event;
	struct bpf_sock *sk = ctx->sk;

	stream->socket = bpf_get_socket_cookie(ctx);
	stream->pid = bpf_get_current_pid_tgid() >> 32;
	stream->port = ctx->user_port;
	if (is_told(stream) || is_nobody(task))
		return 1;
	__builtin_memcpy(event->destination, stream->address, 16);
	event->family = stream->family;
	event->protocol = ctx->protocol;
	event->source_port = sk ? sk->src_port : 0;
	event->destination_port = port_of(stream->port);
	tell_flow(&flow, task, OP_SEND, false, true);
	return 1;
}

SEC("?cgroup/sendmsg4")
int kestrel_send_cgroup4(struct bpf_sock_addr *ctx)
{
	struct stream stream = { .address = { ctx->user_ip4 }, .family = AF_INET };

	return report_send(ctx, &stream);
}

SEC("?cgroup/sendmsg6")
int kestrel_send_cgroup6(struct bpf_sock_addr *ctx)
{
	struct stream stream = { .family = AF_INET6 };

	stream.address[0] = ctx->user_ip6[0];
	stream.address[1] = ctx->user_ip6[1];
	stream.address[2] = ctx->user_ip6[2];
	stream.address[3] = ctx->user_ip6[3];
	return report_send(ctx, &stream);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
