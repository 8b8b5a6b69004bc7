// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * DNS: what a process asks at port 53, and what it is told, over UDP or TCP. A question over UDP leaves in the context of the process that
 * sends it; a connection may send from an interrupt, so there the process that connected is the one who asks. Both are kept by socket: an
 * answer arrives on behalf of nobody, and belongs to whoever asked last on that socket. An answer on a socket that asked nothing is nobody's
 * and no event. What the message says is read in user space.
 */
#define RING activity_ring
#include "network.h"

#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define PROTOCOL_UDP 17
#define SOCK_STREAM 1
#define UDP_HEADER_BYTES 8
#define DNS_PORT 53
#define DNS_ANSWER_BIT 0x80  /* of the third byte */
#define DNS_RESERVED_BIT 0x40 /* of the fourth */
#define DNS_HEADER_BYTES 12
#define DNS_LENGTH_BYTES 2 /* in front of each message of a connection, RFC 1035 4.2.2 */

/* Who asked last, or made the connection. */
struct asker {
	struct event_header head;
	/* Where the last message of a connection began, by direction: what is sent once more is not told once more. */
	__u32 sequence[2];
	bool has_sequence[2];
};

/* By the cookie of the socket. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, struct asker);
} askers SEC(".maps");

struct packet {
	__u8 source[16];
	__u8 destination[16];
	__u16 family;
	__u16 source_port;
	__u16 destination_port;
	__u16 message_at; /* offset of the message in the packet */
	__u16 message_size;
	__u16 message_here; /* bytes of it in this packet */
	__u16 protocol;
	__u32 sequence;
	bool is_answer;
};

static __always_inline bool has_ports(__u8 protocol)
{
	return protocol == PROTOCOL_UDP || protocol == PROTOCOL_TCP;
}

/* Finds the header of UDP or TCP; 0: some other packet. Most packets end at the ports behind it. */
static __always_inline __u32 find_ports(struct __sk_buff *skb, struct packet *packet)
{
	__u8 ip[40];

	if (skb->protocol == __builtin_bswap16(ETH_P_IP)) {
		if (bpf_skb_load_bytes(skb, 0, ip, 20) || !has_ports(ip[9]))
			return 0;
		packet->protocol = ip[9];
		packet->family = AF_INET;
		__builtin_memcpy(packet->source, ip + 12, 4);
		__builtin_memcpy(packet->destination, ip + 16, 4);
		return (ip[0] & 15) * 4;
	}
	if (skb->protocol != __builtin_bswap16(ETH_P_IPV6) || bpf_skb_load_bytes(skb, 0, ip, 40) || !has_ports(ip[6]))
		return 0;
	packet->protocol = ip[6];
	packet->family = AF_INET6;
	__builtin_memcpy(packet->source, ip + 8, 16);
	__builtin_memcpy(packet->destination, ip + 24, 16);
	return 40;
}

/* From port 53 to port 53 only the message itself tells who is the server. */
static __always_inline bool find_datagram(struct __sk_buff *skb, struct packet *packet, __u32 at, __u16 udp_bytes)
{
	__u8 head[3];

	packet->message_at = at + UDP_HEADER_BYTES;
	packet->message_size = udp_bytes - UDP_HEADER_BYTES;
	packet->message_here = packet->message_size;
	if (packet->source_port != packet->destination_port)
		return true;
	return !bpf_skb_load_bytes(skb, packet->message_at, head, sizeof(head)) &&
	       !!(head[2] & DNS_ANSWER_BIT) == packet->is_answer;
}

/*
 * A message that begins with the segment, its length in front. Segments are not put together: of a message in several the first is told, and
 * what goes on in a later one must not be taken for a message, so it has to look like one with one question.
 */
static __always_inline bool find_in_segment(struct __sk_buff *skb, struct packet *packet, __u32 at)
{
	__u8 tcp[16], head[DNS_LENGTH_BYTES + DNS_HEADER_BYTES];
	__u32 here, size;

	if (bpf_skb_load_bytes(skb, at, tcp, sizeof(tcp)))
		return false;
	at += (tcp[12] >> 4) * 4;
	if (bpf_skb_load_bytes(skb, at, head, sizeof(head)))
		return false;
	size = head[0] << 8 | head[1];
	here = skb->len - at - DNS_LENGTH_BYTES;
	if (size < DNS_HEADER_BYTES || !!(head[4] & DNS_ANSWER_BIT) != packet->is_answer || head[5] & DNS_RESERVED_BIT || head[6] || head[7] != 1)
		return false;
	packet->message_at = at + DNS_LENGTH_BYTES;
	packet->message_size = size;
	packet->message_here = here < size ? here : size;
	packet->sequence = (__u32)tcp[4] << 24 | (__u32)tcp[5] << 16 | (__u32)tcp[6] << 8 | tcp[7];
	return true;
}

/* Whether this is a message of the wanted kind. */
static __always_inline bool find_message(struct __sk_buff *skb, struct packet *packet, bool is_answer)
{
	__u32 at = find_ports(skb, packet);
	__u16 ports[3];

	if (!at || bpf_skb_load_bytes(skb, at, ports, sizeof(ports)))
		return false;
	packet->source_port = port_of(ports[0]);
	packet->destination_port = port_of(ports[1]);
	if ((is_answer ? packet->source_port : packet->destination_port) != DNS_PORT)
		return false;
	packet->is_answer = is_answer;
	if (packet->protocol == PROTOCOL_TCP)
		return find_in_segment(skb, packet, at);
	return find_datagram(skb, packet, at, port_of(ports[2]));
}

static __always_inline void fill_message(struct __sk_buff *skb, const struct packet *packet, struct dns_event *event, __u32 room)
{
	__u32 length = packet->message_here;

	__builtin_memcpy(event->source, packet->source, 16);
	__builtin_memcpy(event->destination, packet->destination, 16);
	event->family = packet->family;
	event->protocol = packet->protocol;
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
	bool is_short = packet->message_here <= DNS_SHORT_BYTES;
	struct sensor_counters *count = counters_of(OP_DNS);
	struct dns_event *event;

	if (!count)
		return;
	__sync_fetch_and_add(&count->produced, 1);
	if (packet->message_here > DNS_BYTES_MAX || packet->message_here < packet->message_size)
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

/* Notes that the message was told; false: it was before, as when a segment is sent once more. */
static __always_inline bool is_new(struct asker *asker, const struct packet *packet)
{
	__u32 way = packet->is_answer ? 1 : 0;

	if (packet->protocol != PROTOCOL_TCP)
		return true;
	if (asker->has_sequence[way] && (__s32)(packet->sequence - asker->sequence[way]) <= 0)
		return false;
	asker->has_sequence[way] = true;
	asker->sequence[way] = packet->sequence;
	return true;
}

/* Tells a message of a socket whose asker is known. */
static __always_inline void tell_message(struct __sk_buff *skb, const struct packet *packet, __u64 socket)
{
	struct asker *asker = bpf_map_lookup_elem(&askers, &socket);
	struct event_header head;

	if (!asker || !is_new(asker, packet))
		return;
	head = asker->head;
	head.time_ns = bpf_ktime_get_boot_ns();
	send_message(skb, packet, &head);
}

/* Behind the routing of a packet, before it is queued. Must always let it pass. */
SEC("?cgroup_skb/egress")
int kestrel_dns_query(struct __sk_buff *skb)
{
	struct packet packet = {};
	struct asker asker = {};
	struct task_struct *task;
	__u64 socket;

	if (!find_message(skb, &packet, false))
		return 1;
	socket = bpf_get_socket_cookie(skb);
	if (packet.protocol == PROTOCOL_TCP) {
		tell_message(skb, &packet, socket);
		return 1;
	}
	task = (struct task_struct *)bpf_get_current_task();
	if (is_nobody(task))
		return 1;
	fill_header(&asker.head, task, OP_DNS);
	bpf_map_update_elem(&askers, &socket, &asker, BPF_ANY);
	send_message(skb, &packet, &asker.head);
	return 1;
}

/* Before a packet is put into its socket. Must always let it pass. */
SEC("?cgroup_skb/ingress")
int kestrel_dns_answer(struct __sk_buff *skb)
{
	struct packet packet = {};

	if (find_message(skb, &packet, true))
		tell_message(skb, &packet, bpf_get_socket_cookie(skb));
	return 1;
}

/* Whoever connects to a server is who asks it. Must always allow it. */
static __always_inline int note_connect(struct bpf_sock_addr *address)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct asker asker = {};
	__u64 socket;

	if (address->user_port != __builtin_bswap16(DNS_PORT) || address->type != SOCK_STREAM || is_nobody(task))
		return 1;
	fill_header(&asker.head, task, OP_DNS);
	socket = bpf_get_socket_cookie(address);
	bpf_map_update_elem(&askers, &socket, &asker, BPF_ANY);
	return 1;
}

SEC("?cgroup/connect4")
int kestrel_dns_connect4(struct bpf_sock_addr *address)
{
	return note_connect(address);
}

SEC("?cgroup/connect6")
int kestrel_dns_connect6(struct bpf_sock_addr *address)
{
	return note_connect(address);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
