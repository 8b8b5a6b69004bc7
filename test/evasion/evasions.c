/*
 * Tricks against the sensors, one per word on the command line. Linked statically: the initramfs has no C library.
 *
 * Rewriting an argument is done without luck: the argument lies across two pages, the second of which a thread of ours must bring
 * (userfaultfd). The kernel has read the first page when it waits for the second, and then the thread writes other words into the first.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* The kernel reads by words, and reads one that it could not have in whole again. */
#define WORD_BYTES 8

static int fail(const char *what)
{
	perror(what);
	return 1;
}

static int failed(pid_t child)
{
	int status;

	return child < 0 || waitpid(child, &status, 0) < 0 || status != 0;
}

/* An argument that changes while the kernel reads it: `size` bytes of `before`, of which one word lies in the first page. */
struct changing {
	char *page;
	char *start;
	const void *after;
	int faults;
	char second[4096];
};

static void *rewrite(void *data)
{
	struct changing *it = data;
	struct uffd_msg message;
	struct uffdio_copy copy = { .dst = (__u64)it->page + 4096, .src = (__u64)it->second, .len = 4096 };

	if (read(it->faults, &message, sizeof(message)) != sizeof(message))
		return NULL;
	memcpy(it->start, it->after, WORD_BYTES);
	ioctl(it->faults, UFFDIO_COPY, &copy);
	return NULL;
}

static char *change(const void *before, const void *after, size_t size)
{
	static struct changing it;
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	pthread_t thread;

	it.page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	it.faults = syscall(SYS_userfaultfd, O_CLOEXEC);
	range.range.start = (__u64)it.page + 4096;
	range.range.len = 4096;
	if (it.faults < 0 || ioctl(it.faults, UFFDIO_API, &api) || ioctl(it.faults, UFFDIO_REGISTER, &range))
		exit(fail("userfaultfd"));
	it.start = it.page + 4096 - WORD_BYTES;
	it.after = after;
	memcpy(it.start, before, WORD_BYTES);
	memcpy(it.second, (const char *)before + WORD_BYTES, size - WORD_BYTES);
	if (pthread_create(&thread, NULL, rewrite, &it))
		exit(fail("pthread_create"));
	return it.start;
}

static char *changed_text(const char *before, const char *after)
{
	return change(before, after, strlen(before) + 1);
}

static int rewritten_exec(char *before, char *after)
{
	char *argv[] = { "told", changed_text(before, after), NULL };

	execv("/proc/self/exe", argv);
	return fail("execv");
}

static int rewritten_open(char *before, char *after)
{
	return open(changed_text(before, after), O_CREAT | O_EXCL | O_WRONLY, 0644) < 0 ? fail("open") : 0;
}

static int rewritten_unlink(char *before, char *after)
{
	return unlink(changed_text(before, after)) ? fail("unlink") : 0;
}

static int rewritten_connect(char *before, char *after)
{
	struct sockaddr_in old = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(atoi(before)) };
	struct sockaddr_in new = old;

	new.sin_port = htons(atoi(after));
	connect(socket(AF_INET, SOCK_STREAM, 0), (void *)change(&old, &new, sizeof(old)), sizeof(old));
	return errno == ECONNREFUSED ? 0 : fail("connect");
}

/* Copies a program into a memory file and runs that. */
static int memory_exec(char *path)
{
	static char bytes[1 << 20];
	char *argv[] = { "from-memory", NULL };
	int from = open(path, O_RDONLY), to = memfd_create("payload", MFD_CLOEXEC);
	ssize_t length = read(from, bytes, sizeof(bytes));

	if (length < 0 || write(to, bytes, length) != length)
		return fail(path);
	fexecve(to, argv, environ);
	return fail("fexecve");
}

/* Runs the file behind a descriptor that has no name any more. */
static int removed_exec(char *path)
{
	char *argv[] = { "removed", NULL };
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || unlink(path))
		return fail(path);
	fexecve(fd, argv, environ);
	return fail("fexecve");
}

static int execveat_exec(char *path)
{
	char *argv[] = { "at", NULL };

	syscall(SYS_execveat, open(path, O_PATH), "", argv, environ, AT_EMPTY_PATH);
	return fail("execveat");
}

/* Through a copy of a folder's mount that is put nowhere. */
static int detached_exec(char *folder, char *name)
{
	char *argv[] = { "detached", NULL };
	int mount = syscall(SYS_open_tree, AT_FDCWD, folder, 1 /* OPEN_TREE_CLONE */);

	if (mount < 0)
		return fail("open_tree");
	syscall(SYS_execveat, mount, name, argv, environ, 0);
	return fail("execveat");
}

static int descriptor_exec(char *path)
{
	char name[32], *argv[] = { "descriptor", NULL };

	sprintf(name, "/proc/self/fd/%d", open(path, O_PATH));
	execv(name, argv);
	return fail(name);
}

static int descriptor_open(char *path)
{
	char name[32];

	sprintf(name, "/proc/self/fd/%d", open(path, O_RDONLY));
	return open(name, O_WRONLY) < 0 ? fail(name) : 0;
}

static void *exec_in_thread(void *path)
{
	char *argv[] = { "thread", NULL };

	execv(path, argv);
	exit(fail("execv"));
}

static int thread_exec(char *path)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, exec_in_thread, path))
		return fail("pthread_create");
	for (;;)
		pause();
}

/* Writes another name over the one the kernel keeps of the thread, and over the arguments in memory, then makes a file. */
static int disguise(char **argv, char *file)
{
	file = strdup(file);
	prctl(PR_SET_NAME, "kworker/0:1");
	memset(argv[0], 0, strlen(argv[0]));
	memset(argv[1], 0, strlen(argv[1]));
	return open(file, O_CREAT | O_WRONLY, 0644) < 0 ? fail("open") : 0;
}

static pid_t start_as(pid_t pid, char *path, char *name)
{
	char *argv[] = { path, name, NULL };
	struct clone_args args = { .exit_signal = SIGCHLD, .set_tid = (__u64)&pid, .set_tid_size = 1 };
	pid_t child = pid ? syscall(SYS_clone3, &args, sizeof(args)) : fork();

	if (child == 0) {
		execv(path, argv);
		_exit(fail("execv"));
	}
	return child;
}

static int reused_pid(char *first, char *second)
{
	pid_t pid = start_as(0, first, "first");

	if (failed(pid))
		return fail(first);
	/* Start times count in hundredths of a second. */
	usleep(20000);
	return failed(start_as(pid, second, "second")) ? fail(second) : 0;
}

/* The child in the middle ends before its own child, which waits until it has another parent. */
static int double_fork(char *path)
{
	char *argv[] = { path, "lost", NULL };
	int done[2];
	char byte;

	if (pipe(done))
		return fail("pipe");
	if (fork() == 0) {
		pid_t middle = getpid();

		if (fork() != 0)
			_exit(0);
		while (getppid() == middle)
			usleep(1000);
		execv(path, argv);
		_exit(1);
	}
	close(done[1]);
	wait(NULL);
	/* The program inherits the other end, which is closed as it ends. */
	return read(done[0], &byte, 1) != 0;
}

/* Two million bytes of arguments, the last of which says what is meant. */
static int long_exec(char *path)
{
	enum { PIECES = 16, PIECE = 125000 };
	static char piece[PIECE + 1];
	char *argv[PIECES + 3] = { path };
	struct rlimit limit = { 64 << 20, 64 << 20 };

	memset(piece, 'x', PIECE);
	for (int i = 1; i <= PIECES; i++)
		argv[i] = piece;
	argv[PIECES + 1] = "hidden-tail";
	if (setrlimit(RLIMIT_STACK, &limit))
		return fail("setrlimit");
	execv(path, argv);
	return fail("execv");
}

static int fast_open(char *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(atoi(port)) };

	sendto(socket(AF_INET, SOCK_STREAM, 0), "x", 1, MSG_FASTOPEN, (void *)&address, sizeof(address));
	return errno == ECONNREFUSED ? 0 : fail("sendto");
}

static int mapped_connect(char *port)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_port = htons(atoi(port)) };

	inet_pton(AF_INET6, "::ffff:127.0.0.1", &address.sin6_addr);
	connect(socket(AF_INET6, SOCK_STREAM, 0), (void *)&address, sizeof(address));
	return errno == ECONNREFUSED ? 0 : fail("connect");
}

/* Far more files than the ring of files holds, around one start of a program. */
static int file_flood(char *path, char *count)
{
	char *argv[] = { path, "amid-files", NULL };
	int files = atoi(count);
	pid_t child = -1;

	for (int i = 0; i < files; i++) {
		close(open("flood", O_CREAT | O_WRONLY, 0644));
		if (i == files / 2 && (child = fork()) == 0) {
			execv(path, argv);
			_exit(1);
		}
	}
	return failed(child);
}

/* More ends of processes than the ring of processes holds: nobody reads it meanwhile. */
static int process_flood(char *count)
{
	for (int i = atoi(count); i > 0; i--) {
		pid_t child = vfork();

		if (child == 0)
			_exit(0);
		if (failed(child))
			return fail("vfork");
	}
	return 0;
}

/* More rare acts than the ring of processes holds, and then the start of a program: nobody reads it meanwhile. */
static int act_flood(char *path, char *count)
{
	struct { __u32 version; int pid; } header = { 0x20080522, 0 };
	__u32 sets[6] = {};
	char *argv[] = { path, "amid-acts", NULL };

	/* Giving up what is not there takes no right and changes nothing. */
	if (syscall(SYS_capget, &header, sets))
		return fail("capget");
	for (int i = atoi(count); i > 0; i--)
		if (syscall(SYS_capset, &header, sets))
			return fail("capset");
	execv(path, argv);
	return fail("execv");
}

/* Makes a file, and writes to it only after another program has taken its place. */
static int inherited_write(char *path)
{
	char *argv[] = { "sh", "-c", "echo content >&9", NULL };

	dup2(open(path, O_CREAT | O_WRONLY, 0644), 9);
	execv("/bin/sh", argv);
	return fail("execv");
}

/* Runs the code of a file that is mapped rather than started: `ret`. */
static int mapped_code(char *path)
{
	int fd = open(path, O_RDWR | O_CREAT, 0755);
	void (*code)(void);

	if (write(fd, "\xc3", 1) != 1)
		return fail("write");
	code = mmap(NULL, 1, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	if (code == MAP_FAILED)
		return fail("mmap");
	code();
	return 0;
}

int main(int argc, char **argv)
{
	const char *act = argc > 1 ? argv[1] : "";
	const struct { const char *name; int (*one)(char *); int (*two)(char *, char *); } acts[] = {
		{ "rewritten-exec", NULL, rewritten_exec },
		{ "rewritten-open", NULL, rewritten_open },
		{ "rewritten-unlink", NULL, rewritten_unlink },
		{ "rewritten-connect", NULL, rewritten_connect },
		{ "memory-exec", memory_exec, NULL },
		{ "removed-exec", removed_exec, NULL },
		{ "execveat", execveat_exec, NULL },
		{ "detached-exec", NULL, detached_exec },
		{ "descriptor-exec", descriptor_exec, NULL },
		{ "descriptor-open", descriptor_open, NULL },
		{ "thread-exec", thread_exec, NULL },
		{ "reused-pid", NULL, reused_pid },
		{ "double-fork", double_fork, NULL },
		{ "long-exec", long_exec, NULL },
		{ "fast-open", fast_open, NULL },
		{ "mapped-connect", mapped_connect, NULL },
		{ "file-flood", NULL, file_flood },
		{ "process-flood", process_flood, NULL },
		{ "act-flood", NULL, act_flood },
		{ "inherited-write", inherited_write, NULL },
		{ "mapped-code", mapped_code, NULL },
	};

	if (argc == 2 && !strcmp(argv[0], "told"))
		return creat(argv[1], 0644) < 0 ? fail("creat") : 0;
	if (argc == 3 && !strcmp(act, "disguise"))
		return disguise(argv, argv[2]);
	for (size_t i = 0; i < sizeof(acts) / sizeof(*acts); i++) {
		if (strcmp(act, acts[i].name))
			continue;
		if (argc == 3 && acts[i].one)
			return acts[i].one(argv[2]);
		if (argc == 4 && acts[i].two)
			return acts[i].two(argv[2], argv[3]);
	}
	fprintf(stderr, "evasions: unknown act\n");
	return 1;
}
