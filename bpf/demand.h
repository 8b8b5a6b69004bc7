/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Which events user space wants to hear of: derived from the rules, kept in maps that all sensors share and it fills while they run. An event of a
 * class is wanted when a name on its path, its extension, its user, its port or its address is in a table. Tests look at ASCII without regard to case; a name with any
 * other character passes, so no case table is needed. What the tests mean is said at DemandTest in src/schema.
 *
 * Of control groups the table says which classes those pass that user space knows; any other passes all, and is entered when user space has read an
 * event of it. So elements are added between two generations, but none is changed or removed.
 *
 * Tables change while programs read them, and the kernel may use the memory of an element anew at once. So there are two generations: user
 * space fills the one that is not in use, then switches by replacing the one element of `demand`, which is read once for each event. All maps
 * are preallocated: Linux before 6.1 warns of others in programs like these.
 */
#ifndef KESTREL_DEMAND_H
#define KESTREL_DEMAND_H

#include "sensor.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct demand);
} demand SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * DEMAND_NAMES_MAX);
	__uint(key_size, DEMAND_NAME_BYTES);
	__type(value, struct demand_name);
} demand_names SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * DEMAND_USERS_MAX);
	__type(key, struct demand_number);
	__type(value, __u32);
} demand_users SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * DEMAND_PORTS_MAX);
	__type(key, struct demand_number);
	__type(value, __u32);
} demand_ports SEC(".maps");

/*
 * Of the longest block that an address is in: the classes that it passes. There is a block of all addresses. One entry stays free: until Linux 6.13
 * a full trie refuses to take an entry anew.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 2 * (DEMAND_BLOCKS_MAX + 1) + 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct demand_block);
	__type(value, __u32);
} demand_blocks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * DEMAND_GROUPS_MAX);
	__type(key, struct demand_group);
	__type(value, __u32);
} demand_groups SEC(".maps");

/* Longest file name whose extension is looked for; a longer one passes where extensions are tested. */
#define DEMAND_LEAF_BYTES 64
#define EVERY_BYTE(value) (0x0101010101010101ULL * (value))

union demand_key {
	__u64 words[DEMAND_NAME_BYTES / 8];
	__u8 bytes[DEMAND_NAME_BYTES];
};

/* False: nothing is wanted. */
static __always_inline bool read_demand(struct demand *wanted)
{
	__u32 zero = 0;
	const struct demand *found = bpf_map_lookup_elem(&demand, &zero);

	if (!found)
		return false;
	*wanted = *found;
	return true;
}

/* ASCII letters in lower case, eight at a time. False: there is something else than ASCII. */
static __always_inline bool fold_key(union demand_key *key)
{
	__u64 all = 0;

#pragma unroll
	for (int i = 0; i < DEMAND_NAME_BYTES / 8; i++) {
		__u64 word = key->words[i];
		__u64 low = word & EVERY_BYTE(0x7f);
		__u64 upper = ((low + EVERY_BYTE(0x80 - 'A')) ^ (low + EVERY_BYTE(0x7f - 'Z'))) & EVERY_BYTE(0x80);

		all |= word;
		key->words[i] = word | upper >> 2;
	}
	return !(all & EVERY_BYTE(0x80));
}

enum name_role { ROLE_NAME, ROLE_FOLDER, ROLE_EXTENSION };

/* Whether what is known of a name makes the event wanted. */
static __always_inline bool name_passes(const struct record *record, const unsigned char *name, enum name_role role)
{
	union demand_key key = {};
	struct demand_name *found;

	/* A longer name is cut and then equals no key: every text is shorter. */
	if (bpf_probe_read_kernel_str(&key, sizeof(key) - 1, name) <= 0 || !fold_key(&key))
		return true;
	key.bytes[DEMAND_NAME_BYTES - 1] = record->demand_generation;
	found = bpf_map_lookup_elem(&demand_names, &key);
	if (!found)
		return false;
	return record->demand_class & (role == ROLE_NAME ? found->names : role == ROLE_FOLDER ? found->folders : found->extensions);
}

/* The same of what is behind the last dot of a name. No branch in the loop: the verifier would follow each way through all of them. */
static __always_inline bool extension_passes(const struct record *record, const unsigned char *name)
{
	unsigned char text[DEMAND_LEAF_BYTES] = {};
	long length = bpf_probe_read_kernel_str(text, sizeof(text), name);
	__u32 behind_dot = 0;

	if (length <= 0 || length == sizeof(text))
		return true;
	for (int i = 0; i < DEMAND_LEAF_BYTES; i++) {
		__u32 other = text[i] ^ '.';
		__u32 is_dot;

		/* All ones when nothing differs, else zero; the compiler must not see that it is a choice. */
		is_dot = -((other - 1) >> 31);
		barrier_var(is_dot);
		behind_dot = (behind_dot & ~is_dot) | ((i + 1) & is_dot);
	}
	return behind_dot && name_passes(record, name + behind_dot, ROLE_EXTENSION);
}

/*
 * Tests the next name of the path that is being walked, from the file up, until one has passed. A global function, so it is verified once
 * on its own.
 */
__noinline int test_name(__u64 address)
{
	const unsigned char *name = (const unsigned char *)address;
	struct record *record = scratch_record();
	__u32 is_leaf;

	if (!record || !record->demand_class)
		return 0;
	is_leaf = record->demand_leaf;
	record->demand_leaf = 0;
	if (name_passes(record, name, is_leaf ? ROLE_NAME : ROLE_FOLDER) ||
	    (is_leaf && record->demand_extensions && extension_passes(record, name)))
		record->demand_class = 0;
	return 0;
}

/* Whether the class is wanted for its user, whatever its path is. */
static __always_inline bool user_passes(const struct demand *wanted, __u32 class, __u32 user)
{
	struct demand_number key = { .number = user, .generation = wanted->generation };
	__u32 *classes;

	if (!(wanted->users & class))
		return false;
	classes = bpf_map_lookup_elem(&demand_users, &key);
	return class & (classes ? *classes : wanted->other_users);
}

/* The same for the control group of the current process, which is the one that the record would tell. */
static __always_inline bool group_passes(const struct demand *wanted, __u32 class)
{
	struct demand_group key = { .generation = wanted->generation };
	__u32 *classes;

	if (!(wanted->groups & class))
		return false;
	key.id = group_of((struct task_struct *)bpf_get_current_task());
	classes = bpf_map_lookup_elem(&demand_groups, &key);
	return !classes || *classes & class;
}

static __always_inline bool port_passes(const struct demand *wanted, __u32 class, __u32 port)
{
	struct demand_number key = { .number = port, .generation = wanted->generation };
	__u32 *classes;

	if (!(wanted->ports & class))
		return false;
	classes = bpf_map_lookup_elem(&demand_ports, &key);
	return classes && *classes & class;
}

static __always_inline bool address_passes(const struct demand *wanted, __u32 class, __u64 first, __u64 last)
{
	struct demand_block key = { .prefix_bits = 32 + 128, .generation = wanted->generation };
	__u32 *classes;

	if (!(wanted->addresses & class))
		return false;
	__builtin_memcpy(key.address, &first, 8);
	__builtin_memcpy(key.address + 8, &last, 8);
	classes = bpf_map_lookup_elem(&demand_blocks, &key);
	return !classes || *classes & class;
}

/*
 * Whether an event of the current process is wanted, as far as its class, user, port, address (the first and last eight of its bytes) and control group
 * tell: one with tests of names may be. A global function, so it is verified once on its own.
 */
__noinline int demand_takes(__u32 class, __u32 user, __u32 port, __u64 first, __u64 last)
{
	struct demand wanted;

	if (!read_demand(&wanted) || !(wanted.wanted & class))
		return 0;
	if (!(wanted.tested & class) || wanted.names & class || user_passes(&wanted, class, user) || group_passes(&wanted, class))
		return 1;
	return port_passes(&wanted, class, port) || address_passes(&wanted, class, first, last);
}

/* Begins the tests of an event's path: the names that are walked from now on. False: no path can make it wanted. */
static __always_inline bool begin_tests(struct record *record, const struct demand *wanted, __u32 class, __u32 user)
{
	record->demand_class = wanted->tested & class && !user_passes(wanted, class, user) && !group_passes(wanted, class) ? class : 0;
	record->demand_leaf = 1;
	record->demand_extensions = wanted->extensions & class;
	record->demand_generation = wanted->generation;
	return !record->demand_class || wanted->names & class;
}

#endif
