// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Network isolation: what the sockets of a control group and those below it send and receive is dropped, but for the loopback device, the
 * networks named by the operator, and the little that keeps the machine on its link. Packets, not calls, are what is judged: so connections
 * that were there before are cut too, whoever holds their descriptors, and the machine still reaches itself by any of its own addresses.
 * Not seen here: packets without a socket of this kernel (forwarded ones) and raw frames (AF_PACKET, AF_XDP).
 */
#include "isolate.h"

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

typedef _Bool bool;
#define true 1
#define false 0

#define LOOPBACK_IFINDEX 1 /* in every network namespace */
#define ETHERTYPE_IP4 0x0800
#define ETHERTYPE_IP6 0x86dd
#define PROTOCOL_HOP_OPTIONS 0
#define PROTOCOL_TCP 6
#define PROTOCOL_UDP 17
#define PROTOCOL_ROUTING 43
#define PROTOCOL_FRAGMENT 44
#define PROTOCOL_AUTHENTICATION 51
#define PROTOCOL_ICMP6 58
#define PROTOCOL_DESTINATION_OPTIONS 60
#define PROTOCOL_SCTP 132
#define PROTOCOL_UDP_LITE 136
#define EXTENSIONS_MAX 4
#define HOP_LIMIT_MAX 255

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, ISOLATE_NETWORKS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct isolate_key);
	__type(value, struct isolate_value);
} isolate_allow SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ISOLATE_DIRECTIONS);
	__type(key, __u32);
	__type(value, struct isolate_count);
} isolate_counts SEC(".maps");

struct ip4_header {
	__u8 version_length;
	__u8 tos;
	__u16 length;
	__u16 id;
	__u16 fragment;
	__u8 ttl;
	__u8 protocol;
	__u16 checksum;
	__u32 source;
	__u32 destination;
};

struct ip6_header {
	__u8 version_class[4];
	__u16 length;
	__u8 next;
	__u8 hop_limit;
	__u32 source[4];
	__u32 destination[4];
};

struct ip6_extension {
	__u8 next;
	__u8 length; /* in 8 bytes, the first 8 not counted */
	__u16 fragment;
};

/* What a packet says of the two ends. The peer is the one elsewhere; IPv4 as ::ffff:a.b.c.d. Ports 0: it has none, or they are not here. */
struct packet {
	__u32 peer[4];
	__u16 peer_port;
	__u16 own_port;
	__u8 protocol;
	__u8 icmp6_type;
	__u8 hop_limit;
	__u8 is_ip4;
};

static __always_inline bool has_ports(__u8 protocol)
{
	return protocol == PROTOCOL_TCP || protocol == PROTOCOL_UDP || protocol == PROTOCOL_SCTP || protocol == PROTOCOL_UDP_LITE;
}

static __always_inline bool read_transport(struct __sk_buff *skb, struct packet *packet, __u32 offset, __u32 direction)
{
	__u16 ports[2]; /* source, destination */

	if (packet->protocol == PROTOCOL_ICMP6 && !packet->is_ip4)
		return bpf_skb_load_bytes(skb, offset, &packet->icmp6_type, 1) == 0;
	if (!has_ports(packet->protocol))
		return true;
	if (bpf_skb_load_bytes(skb, offset, ports, sizeof(ports)))
		return false;
	packet->own_port = bpf_ntohs(direction == ISOLATE_EGRESS ? ports[0] : ports[1]);
	packet->peer_port = bpf_ntohs(direction == ISOLATE_EGRESS ? ports[1] : ports[0]);
	return true;
}

/* False: not to be understood, or with options, which can hold another destination than the header (source routing). */
static __always_inline bool read_ip4(struct __sk_buff *skb, struct packet *packet, __u32 direction)
{
	struct ip4_header ip;

	if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)) || ip.version_length != 0x45)
		return false;
	packet->is_ip4 = 1;
	packet->peer[2] = bpf_htonl(0xffff);
	packet->peer[3] = direction == ISOLATE_EGRESS ? ip.destination : ip.source;
	packet->protocol = ip.protocol;
	packet->hop_limit = ip.ttl;
	/* The first fragment has the ports; a later one passes only where ports do not matter. */
	return ip.fragment & bpf_htons(0x1fff) ? true : read_transport(skb, packet, sizeof(ip), direction);
}

static __always_inline bool is_extension(__u8 next)
{
	return next == PROTOCOL_HOP_OPTIONS || next == PROTOCOL_DESTINATION_OPTIONS || next == PROTOCOL_FRAGMENT;
}

/* A routing header says that the packet does not end where its address points; it does not pass, nor does what could hide one. */
static __always_inline bool read_ip6(struct __sk_buff *skb, struct packet *packet, __u32 direction)
{
	struct ip6_extension extension;
	__u32 offset = sizeof(struct ip6_header);
	struct ip6_header ip;
	__u8 next;

	if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)))
		return false;
	__builtin_memcpy(packet->peer, direction == ISOLATE_EGRESS ? ip.destination : ip.source, sizeof(packet->peer));
	packet->hop_limit = ip.hop_limit;
	next = ip.next;
	for (int i = 0; i < EXTENSIONS_MAX; i++) {
		if (!is_extension(next))
			break;
		if (bpf_skb_load_bytes(skb, offset, &extension, sizeof(extension)))
			return false;
		if (next == PROTOCOL_FRAGMENT && (extension.fragment & bpf_htons(0xfff8))) {
			packet->protocol = extension.next;
			return true;
		}
		offset += next == PROTOCOL_FRAGMENT ? 8 : (extension.length + 1) * 8;
		next = extension.next;
	}
	packet->protocol = next;
	if (is_extension(next) || next == PROTOCOL_ROUTING || next == PROTOCOL_AUTHENTICATION)
		return false;
	return read_transport(skb, packet, offset, direction);
}

static __always_inline bool is_ip6(const struct packet *packet, __u32 first, __u32 last)
{
	return packet->peer[0] == bpf_htonl(first) && !packet->peer[1] && !packet->peer[2] && packet->peer[3] == bpf_htonl(last);
}

/*
 * Addresses and neighbours, so that the machine can be reached again. What it sends for that stays on the link: a request for an address
 * goes to everybody there (a lease is renewed that way too when its server does not answer), and a neighbour's hop limit proves the link.
 */
static __always_inline bool is_essential(const struct packet *packet, __u32 direction)
{
	if (packet->protocol == PROTOCOL_ICMP6 && !packet->is_ip4) {
		__u8 type = packet->icmp6_type;

		/* Router and neighbour discovery; multicast listeners, without whom switches do not deliver the former. */
		if (type >= 133 && type <= 136)
			return packet->hop_limit == HOP_LIMIT_MAX;
		return ((type >= 130 && type <= 132) || type == 143) && packet->hop_limit == 1;
	}
	if (packet->protocol != PROTOCOL_UDP)
		return false;
	if (packet->is_ip4)
		return packet->own_port == 68 && packet->peer_port == 67 &&
		       (direction == ISOLATE_INGRESS || packet->peer[3] == 0xffffffff);
	if (packet->own_port != 546 || packet->peer_port != 547)
		return false;
	if (direction == ISOLATE_EGRESS)
		return is_ip6(packet, 0xff020000, 0x00010002);
	return (packet->peer[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000);
}

static __always_inline bool is_named(const struct packet *packet)
{
	struct isolate_key key = { .prefix_bits = 128 };
	struct isolate_value *value;

	__builtin_memcpy(key.address, packet->peer, sizeof(key.address));
	value = bpf_map_lookup_elem(&isolate_allow, &key);
	if (!value)
		return false;
	if (!value->port_count)
		return true;
	for (__u32 i = 0; i < ISOLATE_PORTS_MAX; i++) {
		__u32 port = value->ports[i];

		if (i >= value->port_count)
			break;
		if ((port & ISOLATE_OWN_PORT ? packet->own_port : packet->peer_port) == (port & 0xffff) && (port & 0xffff))
			return true;
	}
	return false;
}

static __always_inline bool may_pass(struct __sk_buff *skb, __u32 direction)
{
	struct packet packet = {};
	bool known;

	if (skb->ifindex == LOOPBACK_IFINDEX)
		return true;
	if (skb->protocol == bpf_htons(ETHERTYPE_IP4))
		known = read_ip4(skb, &packet, direction);
	else if (skb->protocol == bpf_htons(ETHERTYPE_IP6))
		known = read_ip6(skb, &packet, direction);
	else
		return false;
	return known && (is_named(&packet) || is_essential(&packet, direction));
}

static __always_inline int judge(struct __sk_buff *skb, __u32 direction)
{
	struct isolate_count *count;

	if (may_pass(skb, direction))
		return 1;
	count = bpf_map_lookup_elem(&isolate_counts, &direction);
	if (count) {
		__sync_fetch_and_add(&count->packets, 1);
		__sync_fetch_and_add(&count->bytes, skb->len);
	}
	return 0;
}

SEC("cgroup_skb/egress")
int kestrel_isolate_egress(struct __sk_buff *skb)
{
	return judge(skb, ISOLATE_EGRESS);
}

SEC("cgroup_skb/ingress")
int kestrel_isolate_ingress(struct __sk_buff *skb)
{
	return judge(skb, ISOLATE_INGRESS);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
