// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * A process connected to a local (UNIX) stream socket that another one serves: that of a container engine, a message bus. Told is the file
 * the server bound, as the kernel has it, by whatever link the client named it. Datagrams between local sockets are left out.
 */
#define RING activity_ring
#include "path.h"
#include "record.h"
#include "demand.h"
#include "network.h"
#include "syscall.h"

#define AF_UNIX 1
#define SOCK_STREAM 1
#define SOCK_SEQPACKET 5

struct sockaddr_un {
	unsigned short sun_family;
	char sun_path[UNIX_NAME_BYTES];
} KERNEL_TYPE;

struct unix_address {
	int len;
	struct sockaddr_un name[1];
} KERNEL_TYPE;

struct unix_sock {
	struct unix_address *addr;
	struct path path;
	struct sock *peer;
} KERNEL_TYPE;

static __always_inline void append_name_of(struct record *record, struct unix_address *address)
{
	__u32 length = BPF_CORE_READ(address, len) - sizeof(unsigned short);

	if (!address || length > UNIX_NAME_BYTES)
		return;
	bpf_probe_read_kernel(record->local.name, UNIX_NAME_BYTES, &address->name[0].sun_path);
	record->local.name_bytes = length;
}

/* `peer`: a socket of the server, the one that listens or the one made for this connection: both have its name. */
static __always_inline void report_unix(struct sock *peer)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct unix_sock *server = (struct unix_sock *)peer;
	struct record *record;
	struct dentry *dentry;

	if (is_nobody(task))
		return;
	if (!demand_takes(DEMAND_UNIX, BPF_CORE_READ(task, cred, euid.val), 0, 0, 0)) {
		count_filtered(OP_UNIX);
		return;
	}
	record = scratch_record();
	if (!record)
		return;
	begin_record(record, task, OP_UNIX, sizeof(struct unix_event));
	append_name_of(record, BPF_CORE_READ(server, addr));
	dentry = BPF_CORE_READ(server, path.dentry);
	if (dentry)
		record->local.path_bytes = append_path(record, BPF_CORE_READ(server, path.mnt), dentry);
	send_record(record, OP_UNIX);
}

/* Preferred: the check behind the search for the server, whatever call asked for it, io_uring and 32-bit calls included. */
SEC("?fentry/security_unix_stream_connect")
int kestrel_unix_fentry(__u64 *ctx)
{
	report_unix((struct sock *)ctx[1]);
	return 0;
}

/* Fallback, of family FAMILY_UNIX: not attached itself, see calls.bpf.c. Behind the descriptor is the client's socket, which has its peer. */
SEC("?raw_tp/sys_exit")
int kestrel_unix_sys_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct returned_call returned;
	struct unix_sock *client;
	struct socket *socket;
	struct sock *sk, *peer;
	struct file *file;
	__u16 type;

	read_call(ctx, &returned);
	file = file_of(returned.task, returned.args[0]);
	if (!file || (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return 0;
	socket = BPF_CORE_READ(file, private_data);
	sk = BPF_CORE_READ(socket, sk);
	type = BPF_CORE_READ(sk, sk_type);
	if (BPF_CORE_READ(sk, __sk_common.skc_family) != AF_UNIX || (type != SOCK_STREAM && type != SOCK_SEQPACKET))
		return 0;
	client = (struct unix_sock *)sk;
	peer = BPF_CORE_READ(client, peer);
	if (peer)
		report_unix(peer);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
