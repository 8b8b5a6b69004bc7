// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * A process took a connection that another made to it over IPv4 or IPv6. The kernel makes the connection in an interrupt, on behalf of
 * whatever process that falls into; who serves it is known when it is accepted.
 */
#define RING activity_ring
#include "network.h"
#include "flow-demand.h"
#include "syscall.h"

#define SOCKETCALL_ACCEPT 5
#define SOCKETCALL_ACCEPT4 18

static __always_inline void report_accept(struct sock *sk)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct flow_event event = {};

	event.family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if ((event.family != AF_INET && event.family != AF_INET6) || is_nobody(task))
		return;
	read_near_end(sk, event.family, event.destination, &event.destination_port);
	if (!takes_flow(DEMAND_ACCEPT, task, &event)) {
		count_filtered(OP_ACCEPT);
		return;
	}
	fill_header(&event.head, task, OP_ACCEPT);
	read_far_end(sk, event.family, event.source, &event.source_port);
	event.protocol = protocol_of(sk);
	send(&event, sizeof(event), OP_ACCEPT, 0);
}

/* Preferred: the connection gets its file, whatever call asked for it, io_uring and 32-bit calls included. */
SEC("?fentry/security_sock_graft")
int kestrel_accept_fentry(__u64 *ctx)
{
	report_accept((struct sock *)ctx[0]);
	return 0;
}

/* Fallback, of family FAMILY_SOCKET: not attached itself, see calls.bpf.c. The connection is behind the descriptor that is returned. */
SEC("?raw_tp/sys_exit")
int kestrel_accept_sys_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct returned_call returned;
	struct socket *socket;
	struct file *file;

	read_call(ctx, &returned);
	if (returned.call == CALL_SOCKETCALL && returned.args[0] != SOCKETCALL_ACCEPT && returned.args[0] != SOCKETCALL_ACCEPT4)
		return 0;
	file = file_of(returned.task, returned.result);
	/* Another thread may have closed the descriptor and opened it as something else. */
	if (!file || (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return 0;
	socket = BPF_CORE_READ(file, private_data);
	report_accept(BPF_CORE_READ(socket, sk));
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
