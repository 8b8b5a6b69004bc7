// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * DNS over UDP: what a process asks at port 53, and what it is told. A query leaves in the context of the process that sends it, which is
 * kept by socket; an answer arrives in an interrupt, on behalf of nobody, and belongs to whoever asked last on that socket. An answer on a
 * socket that asked nothing is nobody's and no event. What the message says is read in user space.
 */
#define RING activity_ring
#include "network.h"

#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define PROTOCOL_UDP 17
#define UDP_HEADER_BYTES 8
#define DNS_PORT 53
#define DNS_ANSWER_BIT 0x80 /* of the third byte */

/* Who asked last, by the cookie of the socket. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, struct event_header);
} askers SEC(".maps");

struct packet {
	__u8 source[16];
	__u8 destination[16];
	__u16 family;
	__u16 source_port;
	__u16 destination_port;
	__u16 message_at; /* offset of the message in the packet */
	__u16 message_size;
	bool is_answer;
};

/* Finds the UDP header; 0: some other packet. Most packets end at the first load. */
static __always_inline __u32 find_udp(struct __sk_buff *skb, struct packet *packet)
{
	__u8 ip[40];

	if (skb->protocol == __builtin_bswap16(ETH_P_IP)) {
		if (bpf_skb_load_bytes(skb, 0, ip, 20) || ip[9] != PROTOCOL_UDP)
			return 0;
		packet->family = AF_INET;
		__builtin_memcpy(packet->source, ip + 12, 4);
		__builtin_memcpy(packet->destination, ip + 16, 4);
		return (ip[0] & 15) * 4;
	}
	if (skb->protocol != __builtin_bswap16(ETH_P_IPV6) || bpf_skb_load_bytes(skb, 0, ip, 40) || ip[6] != PROTOCOL_UDP)
		return 0;
	packet->family = AF_INET6;
	__builtin_memcpy(packet->source, ip + 8, 16);
	__builtin_memcpy(packet->destination, ip + 24, 16);
	return 40;
}

/* Whether this is a message of the wanted kind. From port 53 to port 53 only the message itself tells who is the server. */
static __always_inline bool find_message(struct __sk_buff *skb, struct packet *packet, bool is_answer)
{
	__u32 at = find_udp(skb, packet);
	__u8 head[3];
	__u16 udp[4];

	if (!at || bpf_skb_load_bytes(skb, at, udp, sizeof(udp)))
		return false;
	packet->source_port = port_of(udp[0]);
	packet->destination_port = port_of(udp[1]);
	if ((is_answer ? packet->source_port : packet->destination_port) != DNS_PORT)
		return false;
	packet->message_at = at + UDP_HEADER_BYTES;
	packet->message_size = port_of(udp[2]) - UDP_HEADER_BYTES;
	packet->is_answer = is_answer;
	if (packet->source_port != packet->destination_port)
		return true;
	return !bpf_skb_load_bytes(skb, packet->message_at, head, sizeof(head)) && !!(head[2] & DNS_ANSWER_BIT) == is_answer;
}

static __always_inline void fill_message(struct __sk_buff *skb, const struct packet *packet, struct dns_event *event, __u32 room)
{
	__u32 length = packet->message_size;

	__builtin_memcpy(event->source, packet->source, 16);
	__builtin_memcpy(event->destination, packet->destination, 16);
	event->family = packet->family;
	event->protocol = PROTOCOL_UDP;
	event->source_port = packet->source_port;
	event->destination_port = packet->destination_port;
	event->message_size = packet->message_size;
	event->is_answer = packet->is_answer;
	event->message_bytes = 0;
	event->pad = 0;
	if (length > room)
		length = room;
	/* The verifier must see each bound alone, and old ones learn nothing from a comparison with 0. One byte says nothing. */
	barrier_var(length);
	if (length < 2)
		return;
	barrier_var(length);
	if (length > room)
		return;
	if (bpf_skb_load_bytes(skb, packet->message_at, event + 1, length))
		event->head.flags |= FLAG_READ_FAILED;
	else
		event->message_bytes = length;
}

/*
 * Written in place: an answer may interrupt a query that is being written on the same CPU, so there is no memory for both to share. Records
 * have one of two lengths, since the kernel must know them before it runs this.
 */
static __always_inline void send_message(struct __sk_buff *skb, const struct packet *packet, const struct event_header *head)
{
	bool is_short = packet->message_size <= DNS_SHORT_BYTES;
	struct sensor_counters *count = counters_of(OP_DNS);
	struct dns_event *event;

	if (!count)
		return;
	__sync_fetch_and_add(&count->produced, 1);
	if (packet->message_size > DNS_BYTES_MAX)
		__sync_fetch_and_add(&count->truncated, 1);
	if (is_short) {
		event = bpf_ringbuf_reserve(&RING, sizeof(*event) + DNS_SHORT_BYTES, 0);
		if (event) {
			event->head = *head;
			fill_message(skb, packet, event, DNS_SHORT_BYTES);
		}
	} else {
		event = bpf_ringbuf_reserve(&RING, sizeof(*event) + DNS_BYTES_MAX, 0);
		if (event) {
			event->head = *head;
			fill_message(skb, packet, event, DNS_BYTES_MAX);
		}
	}
	if (!event) {
		__sync_fetch_and_add(&count->dropped, 1);
		return;
	}
	if (event->head.flags & FLAG_READ_FAILED)
		__sync_fetch_and_add(&count->read_failed, 1);
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
}

/* Behind the routing of a packet, before it is queued. Must always let it pass. */
SEC("?cgroup_skb/egress")
int kestrel_dns_query(struct __sk_buff *skb)
{
	struct task_struct *task;
	struct event_header head = {};
	struct packet packet = {};
	__u64 socket;

	if (!find_message(skb, &packet, false))
		return 1;
	task = (struct task_struct *)bpf_get_current_task();
	if (is_nobody(task))
		return 1;
	fill_header(&head, task, OP_DNS);
	socket = bpf_get_socket_cookie(skb);
	bpf_map_update_elem(&askers, &socket, &head, BPF_ANY);
	send_message(skb, &packet, &head);
	return 1;
}

/* Before a packet is put into its socket. Must always let it pass. */
SEC("?cgroup_skb/ingress")
int kestrel_dns_answer(struct __sk_buff *skb)
{
	struct event_header *asker, head;
	struct packet packet = {};
	__u64 socket;

	if (!find_message(skb, &packet, true))
		return 1;
	socket = bpf_get_socket_cookie(skb);
	asker = bpf_map_lookup_elem(&askers, &socket);
	if (!asker)
		return 1;
	head = *asker;
	head.time_ns = bpf_ktime_get_boot_ns();
	send_message(skb, &packet, &head);
	return 1;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
