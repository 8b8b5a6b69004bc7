/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The policies of rules as user space writes them and the kernel looks them up: src/ebpf/policy-wire.ts holds the same offsets. Every clause of an
 * act has a bit; the entry of the longest block that a value begins with says which clauses the value lets stand. Two generations: the one in use
 * and the one that is being written. No hashes: what is compared is compared whole.
 */
#ifndef KESTREL_POLICY_H
#define KESTREL_POLICY_H

#include <linux/types.h>

/* Kinds of acts. Numbers are never reused. */
enum policy_act {
	POLICY_EXEC = 0,
	POLICY_OPEN = 1,
	POLICY_CONNECT = 2,
	POLICY_BIND = 3,
	POLICY_LISTEN = 4,
	POLICY_ACTS = 5,
};

/* What a clause may ask for; of an exec the program is the one about to run. Numbers are never reused. */
enum policy_dimension {
	DIM_PROGRAM = 0,
	DIM_PROGRAM_FOLDED = 1,
	DIM_PROGRAM_NAME = 2,
	DIM_PROGRAM_NAME_FOLDED = 3,
	DIM_FILE = 4,
	DIM_FILE_FOLDED = 5,
	DIM_FILE_NAME = 6,
	DIM_FILE_NAME_FOLDED = 7,
	DIM_USER = 8,
	DIM_MODE = 9,
	DIM_ADDRESS = 10,
	DIM_PORT = 11,
	DIM_TRANSPORT = 12,
	DIM_COUNT = 16,
};

/* Values of DIM_MODE. */
#define MODE_CREATED 1
#define MODE_WRITTEN 2
#define MODE_READ 3

#define POLICY_VALUE_BYTES 248	 /* of a value, the rest zero */
#define POLICY_ENTRIES_MAX 8193	 /* of both generations and a spare one: until Linux 6.13 a full trie refuses to take an entry anew */
#define POLICY_WORK_MAX 128	 /* acts decided at one time */
#define POLICY_PROTECTED_MAX 1024 /* files of protected programs */
#define POLICY_RUNNERS_MAX 4	 /* users beside root in whose processes one counts */
#define POLICY_SPARED_MAX 64	 /* processes that are never touched */
#define SPARED_HELPERS 0x8000000000000000ULL /* beside the tick: nor its children that run the same program file */
#define DENIALS_PER_SECOND_MAX 256 /* records of them: who is denied in a loop must not fill the ring */

/* A block: all values of a dimension of an act that begin with some bits. */
struct policy_key {
	__u32 bits; /* that count: 32 and those of the value */
	__u8 generation;
	__u8 dimension; /* act << 4 | dimension */
	__u16 pad;
	__u8 value[POLICY_VALUE_BYTES];
};

/* Clauses that stand for values in no block; clauses that do not ask, which stand when the value cannot be told. */
struct policy_default {
	__u64 unmatched;
	__u64 free;
};

/* An act's clauses in one generation. Row: generation * POLICY_ACTS + act. */
struct policy_table {
	__u64 clauses; /* in use; 0: nothing is to be decided */
	__u64 enforced;
	__u64 denying; /* to be denied rather than killed */
	__u32 dimensions; /* bits of those that some clause asks for */
	__u32 pad;
	struct policy_default defaults[DIM_COUNT];
};

struct policy_state {
	__u32 generation; /* in use */
	__u32 deniers;	  /* bits of the acts that a program of ours can deny */
};

/* The file of a protected program. */
struct policy_file {
	__u64 inode;
	__u32 device; /* major << 20 | minor */
	__u32 pad;
};

/* Whose processes of it count: everybody's, or those whose real and saved user are each root or one of these. */
struct policy_runners {
	__u32 anybody;
	__u32 users[POLICY_RUNNERS_MAX]; /* the rest: 0, root */
};

/* How an act was carried out. Numbers are never reused. */
enum policy_means {
	MEANS_NONE = 0,
	MEANS_LSM = 1,
	MEANS_CGROUP = 2,
	MEANS_SIGNAL = 3,
};

/* Ends a record that has FLAG_POLICY: what was decided about the act it tells of. */
struct policy_note {
	__u64 matched; /* clauses that were true */
	__u64 acted;   /* of these, those that were carried out */
	__u32 latency_ns; /* from when the program began to decide to the act, or to the decision not to act */
	__u8 act;
	__u8 generation;
	__u8 means;
	__u8 spared; /* protected: nothing was done */
};

/* Rows of the per-CPU counter map: act * POLICY_COUNTS + count. */
enum policy_count {
	COUNT_ACTED = 0,
	COUNT_MONITORED = 1, /* would have been acted on */
	COUNT_SPARED = 2,
	COUNT_UNDECIDED = 3, /* a path too deep or unreadable, letters that do not fold */
	COUNT_BUSY = 4,	     /* not decided: too many at one time */
	COUNT_UNREPORTED = 5, /* acted on, but no record was sent: the ring was full, or too many in one second */
	POLICY_COUNTS = 8,
};

#endif
