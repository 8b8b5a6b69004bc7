/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The kernel types the sensors read, cut down to the members they read. libbpf moves every access to where the running kernel has the
 * member (CO-RE), so order and size here mean nothing.
 */
#ifndef KESTREL_KERNEL_H
#define KESTREL_KERNEL_H

#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

typedef _Bool bool;
#define true 1
#define false 0

#define S_IFMT 00170000
#define S_IFREG 0100000
#define S_IFSOCK 0140000
#define S_IFDIR 0040000
#define S_IFCHR 0020000
#define S_IFBLK 0060000
#define SIGNAL_GROUP_EXIT 4
#define FMODE_READ 1u
#define FMODE_WRITE 2u
#define FMODE_CREATED 0x100000u
#define TMPFILE_FLAG 020000000 /* of O_TMPFILE, beside O_DIRECTORY */
#define PIDTYPE_PGID 2
#define PIDTYPE_SID 3

#define KERNEL_TYPE __attribute__((preserve_access_index))

/* kuid_t, struct kernel_id */
struct kernel_id {
	__u32 val;
} KERNEL_TYPE;

struct kernel_counter {
	int counter;
} KERNEL_TYPE;

struct kernel_capabilities {
	__u64 val;
} KERNEL_TYPE;

struct user_namespace {
	int level;
} KERNEL_TYPE;

struct cred {
	struct kernel_id uid, suid, euid, fsuid;
	struct kernel_id gid, sgid, egid;
	struct kernel_capabilities cap_inheritable, cap_permitted, cap_effective, cap_ambient;
	struct user_namespace *user_ns;
} KERNEL_TYPE;

struct dentry;

struct super_block {
	__u32 s_dev;
	unsigned long s_flags;
	unsigned long s_magic;
	struct dentry *s_root;
} KERNEL_TYPE;

struct inode {
	__u16 i_mode;
	struct kernel_id i_uid;
	struct kernel_id i_gid;
	struct super_block *i_sb;
	unsigned long i_ino;
	__u32 i_rdev;
	unsigned int i_nlink;
	long long i_size;
	void *i_private;
	long long i_ctime_sec;
	__u32 i_ctime_nsec;
} KERNEL_TYPE;

struct qstr {
	unsigned int len;
	const unsigned char *name;
} KERNEL_TYPE;

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
	struct super_block *d_sb;
} KERNEL_TYPE;

struct vfsmount {
	struct dentry *mnt_root;
	struct super_block *mnt_sb;
	void *mnt_userns; /* Linux 5.12 to 6.1 */
} KERNEL_TYPE;

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
	void *mnt_ns;
} KERNEL_TYPE;

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
} KERNEL_TYPE;

struct file {
	struct path f_path;
	struct inode *f_inode;
	unsigned int f_flags;
	unsigned int f_mode;
	void *private_data;
} KERNEL_TYPE;

struct bpf_prog_aux {
	char name[16];
} KERNEL_TYPE;

struct bpf_prog {
	enum bpf_prog_type type;
	struct bpf_prog_aux *aux;
} KERNEL_TYPE;

/* What procfs keeps beside an inode. */
struct proc_inode {
	struct pid *pid;
	struct inode vfs_inode;
} KERNEL_TYPE;

struct module {
	char name[56];
	unsigned long taints;
} KERNEL_TYPE;

struct kernel_siginfo {
	int si_code;
} KERNEL_TYPE;

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
} KERNEL_TYPE;

struct files_struct {
	struct fdtable *fdt;
} KERNEL_TYPE;

struct fs_struct {
	int umask;
	struct path root;
	struct path pwd;
} KERNEL_TYPE;

struct mm_struct {
	struct file *exe_file;
	unsigned long arg_start, arg_end, env_start, env_end;
} KERNEL_TYPE;

struct vm_area_struct {
	unsigned long vm_flags;
	void *anon_vma;
} KERNEL_TYPE;

struct upid {
	int nr;
} KERNEL_TYPE;

struct hlist_node {
	struct hlist_node *next;
} KERNEL_TYPE;

struct hlist_head {
	struct hlist_node *first;
} KERNEL_TYPE;

struct pid {
	unsigned int level;
	struct hlist_head tasks[4];
	struct upid numbers[1];
} KERNEL_TYPE;

struct tty_driver {
	int major;
	int minor_start;
} KERNEL_TYPE;

struct tty_struct {
	struct tty_driver *driver;
	int index;
} KERNEL_TYPE;

struct signal_struct {
	struct kernel_counter live;
	int group_exit_code;
	unsigned int flags;
	struct pid *pids[4];
	struct tty_struct *tty;
} KERNEL_TYPE;

struct kernfs_node {
	__u64 id;
} KERNEL_TYPE;

struct cgroup {
	struct kernfs_node *kn;
} KERNEL_TYPE;

struct css_set {
	struct cgroup *dfl_cgrp;
} KERNEL_TYPE;

struct thread_info {
	__u32 status;
} KERNEL_TYPE;

struct task_struct {
	struct thread_info thread_info;
	struct mm_struct *mm;
	int exit_code;
	__u32 pid;
	__u32 tgid;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	struct hlist_node pid_links[4];
	__u64 start_boottime;
	__u64 self_exec_id;
	const struct cred *real_cred; /* its own; `cred` is in force, and may be lent for a while */
	const struct cred *cred;
	unsigned int in_execve : 1;
	unsigned int personality;
	char comm[16];
	struct fs_struct *fs;
	struct files_struct *files;
	struct signal_struct *signal;
	struct kernel_id loginuid;
	unsigned int sessionid;
	struct css_set *cgroups;
	struct nsproxy *nsproxy;
} KERNEL_TYPE;

struct linux_binprm {
	struct file *file;
	struct cred *cred;
	unsigned int secureexec : 1;
	const char *filename;
	const char *interp;
} KERNEL_TYPE;

struct in6_addr {
	union {
		__u8 u6_addr8[16];
	} in6_u;
} KERNEL_TYPE;

struct sock_common {
	__u32 skc_daddr;
	__u32 skc_rcv_saddr;
	__u16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	unsigned char skc_state;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
} KERNEL_TYPE;

struct sock {
	struct sock_common __sk_common;
	__u16 sk_type;
	__u16 sk_protocol;
} KERNEL_TYPE;

/* Kept as an enum: CO-RE matches fields by kind. */
enum socket_state {
	SS_UNCONNECTED = 1,
};

struct socket {
	enum socket_state state;
	struct sock *sk;
} KERNEL_TYPE;

#endif
