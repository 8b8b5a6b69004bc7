/*
 * Acts that a shell cannot do, one per word on the command line, each as its own process. Linked statically: the initramfs has no C library
 * for it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "uring.h"

static int fail(const char *what)
{
	perror(what);
	return 1;
}

/* Copies a program into a memory file and runs that. */
static int act_memfd(const char *program)
{
	static char bytes[1 << 16];
	char *argv[] = { "true", NULL }, *env[] = { NULL };
	int from = open(program, O_RDONLY), to = memfd_create("kernels", MFD_CLOEXEC);
	ssize_t length;

	while ((length = read(from, bytes, sizeof(bytes))) > 0)
		if (write(to, bytes, length) != length)
			return fail("write");
	fexecve(to, argv, env);
	return fail("fexecve");
}

/* Makes a file with the 32-bit open(2). */
static int act_compat_create(const char *path)
{
	char *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	int result = 5;

	strcpy(low, path);
	__asm__ volatile("int $0x80" : "+a"(result) : "b"(low), "c"(O_CREAT | O_WRONLY), "d"(0644) : "memory", "r8", "r9", "r10", "r11");
	errno = -result;
	return result < 0 ? fail("int 0x80 open") : 0;
}

/* Opens a file for writing by its handle, without a path. */
static int act_handle_write(const char *path)
{
	struct {
		struct file_handle head;
		unsigned char bytes[MAX_HANDLE_SZ];
	} handle = { .head.handle_bytes = MAX_HANDLE_SZ };
	int mount_id, mount = open("/tmp", O_RDONLY | O_DIRECTORY);

	if (name_to_handle_at(AT_FDCWD, path, &handle.head, &mount_id, 0))
		return fail("name_to_handle_at");
	return open_by_handle_at(mount, &handle.head, O_WRONLY) < 0 ? fail("open_by_handle_at") : 0;
}

static int act_uring_create(const char *path)
{
	struct io_uring_sqe request = { .opcode = IORING_OP_OPENAT, .fd = AT_FDCWD, .addr = (__u64)path, .len = 0644 };
	int result;

	request.open_flags = O_CREAT | O_WRONLY;
	result = uring(&request);
	errno = -result;
	return result < 0 ? fail("io_uring openat") : 0;
}

/* With 32-bit truncate64. */
static int act_compat_truncate(const char *path)
{
	char *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	int result = 193;

	strcpy(low, path);
	__asm__ volatile("int $0x80" : "+a"(result) : "b"(low), "c"(1), "d"(0) : "memory", "r8", "r9", "r10", "r11");
	errno = -result;
	return result < 0 ? fail("int 0x80 truncate64") : 0;
}

/* Makes a file that no folder has. */
static int act_tmpfile(const char *folder)
{
	return open(folder, O_TMPFILE | O_WRONLY, 0600) < 0 ? fail("O_TMPFILE") : 0;
}

static socklen_t address_of(struct sockaddr_storage *address, const char *ip, int port)
{
	struct sockaddr_in *v4 = (void *)address;
	struct sockaddr_in6 *v6 = (void *)address;

	if (strchr(ip, ':')) {
		*v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(port) };
		inet_pton(AF_INET6, ip, &v6->sin6_addr);
		return sizeof(*v6);
	}
	*v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port) };
	inet_pton(AF_INET, ip, &v4->sin_addr);
	return sizeof(*v4);
}

/* Nobody listens: a refused connection is the expected end. */
static int act_connect(const char *how, const char *ip, int port)
{
	struct sockaddr_storage address = {};
	socklen_t size = address_of(&address, ip, port);
	int fd = socket(address.ss_family, strcmp(how, "udp") ? SOCK_STREAM : SOCK_DGRAM, 0);
	int result;

	if (fd < 0)
		return fail("socket");
	if (!strcmp(how, "uring")) {
		struct io_uring_sqe request = { .opcode = IORING_OP_CONNECT, .fd = fd, .addr = (__u64)&address, .off = size };

		result = uring(&request);
		errno = -result;
	} else {
		result = connect(fd, (void *)&address, size);
	}
	return result < 0 && errno != ECONNREFUSED ? fail("connect") : 0;
}

/* Connects without waiting to a port of its own, and asks again how it went. */
static int act_connect_twice(const char *ip, int port)
{
	struct sockaddr_storage address = {};
	socklen_t size = address_of(&address, ip, port);
	int server = socket(address.ss_family, SOCK_STREAM, 0);
	int client = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (bind(server, (void *)&address, size) || listen(server, 1))
		return fail("listen");
	if (!connect(client, (void *)&address, size) || errno != EINPROGRESS)
		return fail("connect at once");
	return connect(client, (void *)&address, size) ? fail("connect again") : 0;
}

/* Removes a file through io_uring, or where that cannot yet (before Linux 5.11) in the ordinary way. */
static int act_uring_unlink(const char *path)
{
	struct io_uring_sqe request = { .opcode = IORING_OP_UNLINKAT, .fd = AT_FDCWD, .addr = (__u64)path };
	int result = uring(&request);

	if (result == -EINVAL)
		result = unlink(path) ? -errno : 0;
	errno = -result;
	return result < 0 ? fail("io_uring unlinkat") : 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "memfd"))
		return act_memfd(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "compat-create"))
		return act_compat_create(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "handle-write"))
		return act_handle_write(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "truncate"))
		return truncate(argv[2], 0) ? fail("truncate") : 0;
	if (argc == 3 && !strcmp(argv[1], "compat-truncate"))
		return act_compat_truncate(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "tmpfile"))
		return act_tmpfile(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "uring-create"))
		return act_uring_create(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "uring-unlink"))
		return act_uring_unlink(argv[2]);
	if (argc == 5 && !strcmp(argv[1], "connect"))
		return act_connect(argv[2], argv[3], atoi(argv[4]));
	if (argc == 4 && !strcmp(argv[1], "connect-twice"))
		return act_connect_twice(argv[2], atoi(argv[3]));
	fprintf(stderr, "acts: unknown act\n");
	return 1;
}
