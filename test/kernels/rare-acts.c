/*
 * Rare acts, one per word on the command line, each as its own process: calls that a shell has no command for. Each says what failed.
 */
#define _GNU_SOURCE
#include <asm/bootparam.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/kexec.h>
#include <linux/keyctl.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static int fail(const char *what)
{
	perror(what);
	return 1;
}

static long word = 7;

/* A process to lay hands on: it waits until it is killed. */
static pid_t victim(void)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	for (;;)
		pause();
}

static int done_with(pid_t pid, int result)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return result;
}

static int act_user(void)
{
	return setuid(77) ? fail("setuid") : 0;
}

static int act_group(void)
{
	return setgid(78) ? fail("setgid") : 0;
}

static int act_capset(void)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { { 1 << CAP_SYS_CHROOT, 1 << CAP_SYS_CHROOT, 0 } };

	return syscall(SYS_capset, &head, data) ? fail("capset") : 0;
}

/* First makes a capability one that programs inherit, then gives it to those that know nothing of capabilities. */
static int act_ambient(void)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data))
		return fail("capget");
	data[0].inheritable |= 1 << CAP_SYS_CHROOT;
	if (syscall(SYS_capset, &head, data))
		return fail("capset");
	return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_CHROOT, 0, 0) ? fail("prctl") : 0;
}

static int act_ptrace(void)
{
	pid_t pid = victim();

	if (ptrace(PTRACE_SEIZE, pid, 0, 0))
		return done_with(pid, fail("ptrace"));
	return done_with(pid, 0);
}

static int wait_in_thread(void *unused)
{
	(void)unused;
	for (;;)
		pause();
}

/* Attaches to a thread that is not its process's first. */
static int act_ptrace_thread(void)
{
	static char stack[16384];
	int *thread = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = fork();

	if (!pid) {
		*thread = clone(wait_in_thread, stack + sizeof(stack), CLONE_VM | CLONE_THREAD | CLONE_SIGHAND | CLONE_FS | CLONE_FILES, NULL);
		for (;;)
			pause();
	}
	while (!*(volatile int *)thread)
		sched_yield();
	if (ptrace(PTRACE_SEIZE, *thread, 0, 0))
		return done_with(pid, fail("ptrace"));
	/* The process ends when whoever holds its thread has seen that end. */
	kill(pid, SIGKILL);
	waitpid(*thread, NULL, __WALL);
	return done_with(pid, 0);
}

static int act_vm_read(void)
{
	pid_t pid = victim();
	long copy;
	struct iovec local = { &copy, sizeof(copy) }, remote = { &word, sizeof(word) };

	return done_with(pid, process_vm_readv(pid, &local, 1, &remote, 1, 0) == sizeof(copy) ? 0 : fail("process_vm_readv"));
}

static int act_vm_write(void)
{
	pid_t pid = victim();
	struct iovec local = { &word, sizeof(word) };

	return done_with(pid, process_vm_writev(pid, &local, 1, &local, 1, 0) == sizeof(word) ? 0 : fail("process_vm_writev"));
}

static int act_pidfd_getfd(void)
{
	pid_t pid = victim();
	int fd = syscall(SYS_pidfd_open, pid, 0);

	return done_with(pid, syscall(SYS_pidfd_getfd, fd, 1, 0) < 0 ? fail("pidfd_getfd") : 0);
}

static int open_memory(int flags)
{
	pid_t pid = victim();
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	return done_with(pid, open(path, flags) < 0 ? fail("open /proc/PID/mem") : 0);
}

static int act_proc_mem(void)
{
	return open_memory(O_RDWR);
}

static int act_proc_mem_read(void)
{
	return open_memory(O_RDONLY);
}

static int act_bpf(void)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	struct bpf_insn code[2] = { { .code = BPF_ALU64 | BPF_MOV | BPF_K }, { .code = BPF_JMP | BPF_EXIT } };
	union bpf_attr attr = { .prog_type = BPF_PROG_TYPE_SOCKET_FILTER, .insn_cnt = 2, .insns = (__u64)code, .license = (__u64)"GPL" };

	strcpy(attr.prog_name, "implant");
	/* Before Linux 5.11 programs count as locked memory. */
	setrlimit(RLIMIT_MEMLOCK, &unlimited);
	return syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr)) < 0 ? fail("bpf") : 0;
}

static int act_uring(void)
{
	char params[120] = {};

	return syscall(SYS_io_uring_setup, 4, params) < 0 ? fail("io_uring_setup") : 0;
}

static int act_userfaultfd(void)
{
	return syscall(SYS_userfaultfd, 0) < 0 ? fail("userfaultfd") : 0;
}

/* The same by its device, which Linux has since 6.1. */
static int act_userfaultfd_device(void)
{
	int fd = open("/dev/userfaultfd", O_RDWR);

	if (fd < 0 && errno == ENOENT)
		return act_userfaultfd();
	return ioctl(fd, 0xaa00, 0) < 0 ? fail("/dev/userfaultfd") : 0;
}

static int act_memfd(void)
{
	return memfd_create("payload", 0) < 0 ? fail("memfd_create") : 0;
}

#define X32_BIT 0x40000000

/* Says by the file's name whether it was x32's call, which few kernels know. */
static int act_x32(void)
{
	if (syscall(X32_BIT | SYS_memfd_create, "x32", 0) >= 0)
		return 0;
	return errno != ENOSYS || memfd_create("no-x32", 0) < 0 ? fail("x32 memfd_create") : 0;
}

/* The same of a call that has a number of its own there. */
static int act_x32_ptrace(void)
{
	pid_t pid = victim();

	if (!syscall(X32_BIT | 521, PTRACE_SEIZE, pid, 0, 0))
		return done_with(pid, 0);
	return done_with(pid, errno != ENOSYS || ptrace(PTRACE_SEIZE, pid, 0, 0) ? fail("x32 ptrace") : 0);
}

static int act_clone(void)
{
	pid_t pid = syscall(SYS_clone, CLONE_NEWIPC | SIGCHLD, 0, 0, 0, 0);

	if (!pid)
		_exit(0);
	return pid < 0 ? fail("clone") : 0;
}

/* The new process shares the memory while its parent waits, and takes the flags out of it before the call returns. */
static int act_clone_hidden(void)
{
	static __u64 args[8] = { CLONE_VM | CLONE_VFORK | CLONE_NEWIPC, 0, 0, 0, SIGCHLD };
	long pid;

	__asm__ volatile("syscall; test %%eax, %%eax; jnz 1f; movq $0, %1; mov $60, %%eax; xor %%edi, %%edi; syscall; 1:"
			 : "=a"(pid), "+m"(args[0])
			 : "0"(SYS_clone3), "D"(args), "S"(sizeof(args))
			 : "rcx", "r11", "memory");
	errno = -pid;
	return pid < 0 ? fail("clone3") : (int)args[0];
}

static int act_key(void)
{
	return syscall(SYS_add_key, "user", "kernels:key", "x", 1, KEY_SPEC_PROCESS_KEYRING) < 0 ? fail("add_key") : 0;
}

/* Puts one page of nothing ready; it is never started. */
static int act_kexec(void)
{
	static char page[4096];
	struct kexec_segment segment = { .buf = page, .bufsz = sizeof(page), .mem = (void *)0x10000000, .memsz = sizeof(page) };

	return syscall(SYS_kexec_load, 0x10000000, 1, &segment, KEXEC_ARCH_X86_64) ? fail("kexec_load") : 0;
}

/* The same from a file: as much of a bzImage as its loader looks at. */
static int act_kexec_file(const char *path)
{
	static struct {
		__u8 before[0x1f1];
		struct setup_header head;
		__u8 rest[8192];
	} __attribute__((packed)) image;
	struct setup_header *head = &image.head;
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);

	head->setup_sects = 1;
	head->boot_flag = 0xaa55;
	head->jump = (sizeof(*head) - 0x11) << 8 | 0xeb;
	memcpy(&head->header, "HdrS", 4);
	head->version = 0x20f;
	head->loadflags = LOADED_HIGH;
	head->kernel_alignment = 0x200000;
	head->relocatable_kernel = 1;
	head->xloadflags = XLF_KERNEL_64 | XLF_CAN_BE_LOADED_ABOVE_4G | XLF_5LEVEL;
	head->cmdline_size = 255;
	head->pref_address = 0x1000000;
	head->init_size = 0x200000;
	if (write(fd, &image, sizeof(image)) != sizeof(image))
		return fail(path);
	/* A file that is open for writing is no kernel. */
	close(fd);
	fd = open(path, O_RDONLY);
	return syscall(SYS_kexec_file_load, fd, -1, 1L, "", KEXEC_FILE_NO_INITRAMFS) ? fail("kexec_file_load") : 0;
}

static int act_mmap(void)
{
	void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? fail("mmap") : 0;
}

static int act_mprotect(void)
{
	void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mprotect(memory, 4096, PROT_READ | PROT_WRITE | PROT_EXEC) ? fail("mprotect") : 0;
}

/* Memory that is written and then made executable. */
static int act_written(void)
{
	char *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*memory = 1;
	return mprotect(memory, 4096, PROT_READ | PROT_EXEC) ? fail("mprotect") : 0;
}

/* The same of a program's own copy of a file's memory, with a step between. */
static int act_copied(void)
{
	int fd = open("/proc/self/exe", O_RDONLY);
	char *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);

	if (memory == MAP_FAILED)
		return fail("mmap");
	*memory = 1;
	return mprotect(memory, 4096, PROT_READ) || mprotect(memory, 4096, PROT_READ | PROT_EXEC) ? fail("mprotect") : 0;
}

/* A file's memory that nobody has written. */
static int act_unwritten(void)
{
	int fd = open("/proc/self/exe", O_RDONLY);
	void *memory = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);

	return memory == MAP_FAILED || mprotect(memory, 4096, PROT_READ | PROT_EXEC) ? fail("mprotect") : 0;
}

static int act_shared(void)
{
	int id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0700);
	void *memory = shmat(id, NULL, SHM_EXEC);

	shmctl(id, IPC_RMID, NULL);
	return memory == (void *)-1 ? fail("shmat") : 0;
}

/* mmap2 of 32-bit code. */
static int act_32_bit(void)
{
	int result = 192;

	__asm__ volatile("push %%rbp; xor %%ebp, %%ebp; int $0x80; pop %%rbp"
			 : "+a"(result)
			 : "b"(0), "c"(4096), "d"(PROT_READ | PROT_WRITE | PROT_EXEC), "S"(MAP_PRIVATE | MAP_ANONYMOUS), "D"(-1)
			 : "memory", "r8", "r9", "r10", "r11");
	errno = -result;
	return result < 0 && result > -4096 ? fail("int 0x80 mmap2") : 0;
}

static int act_mount(const char *path)
{
	return mount("kernels", path, "tmpfs", 0, NULL) ? fail("mount") : 0;
}

static int act_umount(const char *path)
{
	return umount2(path, 0) ? fail("umount") : 0;
}

/* Mounts on a folder that is named by its descriptor alone. */
static int act_move_mount(const char *path)
{
	int folder = open(path, O_PATH), context = syscall(SYS_fsopen, "tmpfs", 0), mount;

	if (syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return fail("fsconfig");
	mount = syscall(SYS_fsmount, context, 0, 0);
	return syscall(SYS_move_mount, mount, "", folder, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) ? fail("move_mount") : 0;
}

static int act_module(const char *path)
{
	int fd = open(path, O_RDONLY);

	return fd < 0 || syscall(SYS_finit_module, fd, "", 0) ? fail(path) : 0;
}

/* A user without a right to other ids gets those of root by no call that sets any. */
static int act_flaw(const char *path)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { { 1 << CAP_SYS_MODULE, 1 << CAP_SYS_MODULE, 0 } };
	int fd = open(path, O_RDONLY);

	if (fd < 0 || prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) || setgid(81) || setuid(80) || syscall(SYS_capset, &head, data))
		return fail(path);
	syscall(SYS_finit_module, fd, "", 0);
	return getuid() ? fail("finit_module") : 0;
}

/* A program of the protect list, run by a user, adds to a file. */
static int listed_by(uid_t user, const char *path)
{
	if (setgid(user) || setuid(user))
		return fail("setuid");
	execl("/usr/sbin/agetty", "sh", "-c", "echo x >>$0", path, NULL);
	return fail("/usr/sbin/agetty");
}

static int act_listed_exec(const char *path)
{
	return listed_by(82, path);
}

static int act_listed_open(const char *path)
{
	return listed_by(83, path);
}

static const struct {
	const char *name;
	int (*run)(void);
} acts[] = {
	{ "user", act_user },	      { "capset", act_capset },	  { "ptrace", act_ptrace },	      { "vm-read", act_vm_read },
	{ "vm-write", act_vm_write }, { "proc-mem", act_proc_mem }, { "bpf", act_bpf },		      { "uring", act_uring },
	{ "memfd", act_memfd },	      { "clone", act_clone },	  { "key", act_key },		      { "kexec", act_kexec },
	{ "mmap", act_mmap },	      { "mprotect", act_mprotect }, { "group", act_group },	      { "ambient", act_ambient },
	{ "written", act_written },   { "copied", act_copied },	  { "unwritten", act_unwritten },     { "shared", act_shared },
	{ "32-bit", act_32_bit },     { "ptrace-thread", act_ptrace_thread }, { "userfaultfd", act_userfaultfd },
	{ "proc-mem-read", act_proc_mem_read },
	{ "pidfd-getfd", act_pidfd_getfd },
	{ "userfaultfd-device", act_userfaultfd_device },
	{ "clone-hidden", act_clone_hidden },
	{ "x32", act_x32 },
	{ "x32-ptrace", act_x32_ptrace },
};

static const struct {
	const char *name;
	int (*run)(const char *path);
} path_acts[] = {
	{ "module", act_module }, { "flaw", act_flaw },	  { "mount", act_mount },
	{ "umount", act_umount }, { "move-mount", act_move_mount }, { "kexec-file", act_kexec_file },
	{ "listed-exec", act_listed_exec }, { "listed-open", act_listed_open },
};

int main(int argc, char **argv)
{
	for (unsigned i = 0; argc == 3 && i < sizeof(path_acts) / sizeof(path_acts[0]); i++)
		if (!strcmp(argv[1], path_acts[i].name))
			return path_acts[i].run(argv[2]);
	for (unsigned i = 0; argc == 2 && i < sizeof(acts) / sizeof(acts[0]); i++)
		if (!strcmp(argv[1], acts[i].name))
			return acts[i].run();
	fprintf(stderr, "rare-acts: unknown act\n");
	return 1;
}
