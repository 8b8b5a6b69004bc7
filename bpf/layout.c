// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Prints where the compiler puts each member of event.h, isolate.h and policy.h: `struct.member offset` and `struct size`, and the calls of calls.h. A test compares user space with it. */
#include <stddef.h>
#include <stdio.h>

#include "calls.h"
#include "event.h"
#include "isolate.h"
#include "policy.h"

#define MEMBER(type, member) printf(#type "." #member " %zu\n", offsetof(struct type, member))
#define VALUE(name) printf(#name " %d\n", name)
#define SIZE(type) printf(#type " %zu\n", sizeof(struct type))

int main(void)
{
	MEMBER(event_header, time_ns);
	MEMBER(event_header, start_ns);
	MEMBER(event_header, parent_start_ns);
	MEMBER(event_header, cgroup_id);
	MEMBER(event_header, pid);
	MEMBER(event_header, tid);
	MEMBER(event_header, ppid);
	MEMBER(event_header, vpid);
	MEMBER(event_header, uid);
	MEMBER(event_header, gid);
	MEMBER(event_header, euid);
	MEMBER(event_header, egid);
	MEMBER(event_header, suid);
	MEMBER(event_header, sgid);
	MEMBER(event_header, login_uid);
	MEMBER(event_header, audit_session);
	MEMBER(event_header, pgid);
	MEMBER(event_header, sid);
	MEMBER(event_header, tty);
	MEMBER(event_header, op);
	MEMBER(event_header, flags);
	MEMBER(event_header, comm);
	SIZE(event_header);

	MEMBER(exec_event, inode);
	MEMBER(exec_event, cap_effective);
	MEMBER(exec_event, cap_permitted);
	MEMBER(exec_event, size);
	MEMBER(exec_event, change_s);
	MEMBER(exec_event, change_ns);
	MEMBER(exec_event, fs_magic);
	MEMBER(exec_event, device);
	MEMBER(exec_event, nlink);
	MEMBER(exec_event, mode);
	MEMBER(exec_event, owner);
	MEMBER(exec_event, args_size);
	MEMBER(exec_event, args_bytes);
	MEMBER(exec_event, env_size);
	MEMBER(exec_event, env_bytes);
	MEMBER(exec_event, path_bytes);
	MEMBER(exec_event, cwd_bytes);
	MEMBER(exec_event, filename_bytes);
	SIZE(exec_event);

	MEMBER(args_event, offset);
	MEMBER(args_event, args_bytes);
	SIZE(args_event);

	MEMBER(fork_event, forker_pid);
	SIZE(fork_event);

	MEMBER(exit_event, code);
	SIZE(exit_event);

	MEMBER(file_event, inode);
	MEMBER(file_event, size);
	MEMBER(file_event, device);
	MEMBER(file_event, mode);
	MEMBER(file_event, owner);
	MEMBER(file_event, group);
	MEMBER(file_event, open_flags);
	MEMBER(file_event, nlink);
	MEMBER(file_event, fs_magic);
	MEMBER(file_event, path_bytes);
	SIZE(file_event);

	MEMBER(change_event, inode);
	MEMBER(change_event, size);
	MEMBER(change_event, device);
	MEMBER(change_event, file_mode);
	MEMBER(change_event, owner);
	MEMBER(change_event, group);
	MEMBER(change_event, values);
	MEMBER(change_event, kind);
	MEMBER(change_event, folder_bytes);
	MEMBER(change_event, name_bytes);
	MEMBER(change_event, other_folder_bytes);
	MEMBER(change_event, other_name_bytes);
	SIZE(change_event);

	MEMBER(act_event, values);
	MEMBER(act_event, target_start_ns);
	MEMBER(act_event, target_pid);
	MEMBER(act_event, kind);
	MEMBER(act_event, text_bytes);
	MEMBER(act_event, path_bytes);
	SIZE(act_event);

	MEMBER(flow_event, source);
	MEMBER(flow_event, destination);
	MEMBER(flow_event, family);
	MEMBER(flow_event, protocol);
	MEMBER(flow_event, source_port);
	MEMBER(flow_event, destination_port);
	SIZE(flow_event);

	MEMBER(unix_event, path_bytes);
	MEMBER(unix_event, name_bytes);
	MEMBER(unix_event, name);
	SIZE(unix_event);

	MEMBER(dns_event, source);
	MEMBER(dns_event, destination);
	MEMBER(dns_event, family);
	MEMBER(dns_event, protocol);
	MEMBER(dns_event, source_port);
	MEMBER(dns_event, destination_port);
	MEMBER(dns_event, message_size);
	MEMBER(dns_event, message_bytes);
	MEMBER(dns_event, is_answer);
	SIZE(dns_event);

	MEMBER(denied_event, inode);
	MEMBER(denied_event, size);
	MEMBER(denied_event, device);
	MEMBER(denied_event, mode);
	MEMBER(denied_event, owner);
	MEMBER(denied_event, group);
	MEMBER(denied_event, open_flags);
	MEMBER(denied_event, nlink);
	MEMBER(denied_event, about);
	MEMBER(denied_event, path_bytes);
	SIZE(denied_event);

	MEMBER(sensor_counters, produced);
	MEMBER(sensor_counters, dropped);
	MEMBER(sensor_counters, truncated);
	MEMBER(sensor_counters, read_failed);
	MEMBER(sensor_counters, filtered);
	SIZE(sensor_counters);

	MEMBER(demand, wanted);
	MEMBER(demand, tested);
	MEMBER(demand, names);
	MEMBER(demand, extensions);
	MEMBER(demand, users);
	MEMBER(demand, other_users);
	MEMBER(demand, ports);
	MEMBER(demand, groups);
	MEMBER(demand, addresses);
	MEMBER(demand, generation);
	SIZE(demand);
	MEMBER(demand_number, number);
	MEMBER(demand_number, generation);
	SIZE(demand_number);
	MEMBER(demand_block, prefix_bits);
	MEMBER(demand_block, generation);
	MEMBER(demand_block, address);
	SIZE(demand_block);
	MEMBER(demand_group, id);
	MEMBER(demand_group, generation);
	SIZE(demand_group);
	MEMBER(demand_name, names);
	MEMBER(demand_name, folders);
	MEMBER(demand_name, extensions);
	SIZE(demand_name);
	VALUE(DEMAND_CREATION);
	VALUE(DEMAND_MODIFICATION);
	VALUE(DEMAND_OPEN);
	VALUE(DEMAND_CONNECT);
	VALUE(DEMAND_ACCEPT);
	VALUE(DEMAND_BIND);
	VALUE(DEMAND_LISTEN);
	VALUE(DEMAND_UNIX);
	VALUE(DEMAND_CHANGE);
	VALUE(DEMAND_NAME_BYTES);
	VALUE(DEMAND_NAMES_MAX);
	VALUE(DEMAND_USERS_MAX);
	VALUE(DEMAND_PORTS_MAX);
	VALUE(DEMAND_GROUPS_MAX);
	VALUE(DEMAND_BLOCKS_MAX);

	MEMBER(isolate_key, prefix_bits);
	MEMBER(isolate_key, address);
	SIZE(isolate_key);
	MEMBER(isolate_value, port_count);
	MEMBER(isolate_value, ports);
	SIZE(isolate_value);
	MEMBER(isolate_count, packets);
	MEMBER(isolate_count, bytes);
	SIZE(isolate_count);

	VALUE(CALL_NUMBERS);
	VALUE(CALL_FAMILY_SHIFT);
	VALUE(CALL_NARROW_IDS);
	VALUE(CALL_OPEN);
	VALUE(CALL_RENAME);
	VALUE(CALL_RENAMEAT);
	VALUE(CALL_UNLINK);
	VALUE(CALL_UNLINKAT);
	VALUE(CALL_RMDIR);
	VALUE(CALL_LINK);
	VALUE(CALL_LINKAT);
	VALUE(CALL_SYMLINK);
	VALUE(CALL_SYMLINKAT);
	VALUE(CALL_CHMOD);
	VALUE(CALL_FCHMOD);
	VALUE(CALL_FCHMODAT);
	VALUE(CALL_CHOWN);
	VALUE(CALL_FCHOWN);
	VALUE(CALL_FCHOWNAT);
	VALUE(CALL_MKDIR);
	VALUE(CALL_MKDIRAT);
	VALUE(CALL_MKNOD);
	VALUE(CALL_MKNODAT);
	VALUE(CALL_TRUNCATE);
	VALUE(CALL_SET_ATTRIBUTE);
	VALUE(CALL_FSET_ATTRIBUTE);
	VALUE(CALL_SET_ATTRIBUTEAT);
	VALUE(CALL_REMOVE_ATTRIBUTE);
	VALUE(CALL_FREMOVE_ATTRIBUTE);
	VALUE(CALL_REMOVE_ATTRIBUTEAT);
	VALUE(CALL_SET_USER);
	VALUE(CALL_SET_GROUP);
	VALUE(CALL_CAPSET);
	VALUE(CALL_PTRACE);
	VALUE(CALL_MEMORY_READ);
	VALUE(CALL_MEMORY_WRITE);
	VALUE(CALL_BPF);
	VALUE(CALL_MEMFD);
	VALUE(CALL_MOUNT);
	VALUE(CALL_MOVE_MOUNT);
	VALUE(CALL_ROOT);
	VALUE(CALL_IO_URING);
	VALUE(CALL_USERFAULTFD);
	VALUE(CALL_UNSHARE);
	VALUE(CALL_SETNS);
	VALUE(CALL_PIDFD_GETFD);
	VALUE(CALL_IOCTL);
	VALUE(CALL_KEXEC);
	VALUE(CALL_KEXEC_FILE);
	VALUE(CALL_KEYCTL);
	VALUE(CALL_ADD_KEY);
	VALUE(CALL_REQUEST_KEY);
	VALUE(CALL_UMOUNT);
	VALUE(CALL_SETSID);
	VALUE(CALL_ACCEPT);
	VALUE(CALL_SOCKETCALL);
	VALUE(CALL_CONNECT);
	VALUE(CALL_MMAP);
	VALUE(CALL_OLD_MMAP);
	VALUE(CALL_MPROTECT);

	MEMBER(policy_key, bits);
	MEMBER(policy_key, generation);
	MEMBER(policy_key, dimension);
	MEMBER(policy_key, value);
	SIZE(policy_key);

	MEMBER(policy_table, clauses);
	MEMBER(policy_table, enforced);
	MEMBER(policy_table, denying);
	MEMBER(policy_table, dimensions);
	MEMBER(policy_table, defaults);
	SIZE(policy_table);

	MEMBER(policy_default, unmatched);
	MEMBER(policy_default, free);
	SIZE(policy_default);

	MEMBER(policy_state, generation);
	MEMBER(policy_state, deniers);
	SIZE(policy_state);

	MEMBER(policy_file, inode);
	MEMBER(policy_file, device);
	SIZE(policy_file);

	MEMBER(policy_runners, anybody);
	MEMBER(policy_runners, users);
	SIZE(policy_runners);

	MEMBER(policy_note, matched);
	MEMBER(policy_note, acted);
	MEMBER(policy_note, latency_ns);
	MEMBER(policy_note, act);
	MEMBER(policy_note, generation);
	MEMBER(policy_note, means);
	MEMBER(policy_note, spared);
	SIZE(policy_note);
	return 0;
}
