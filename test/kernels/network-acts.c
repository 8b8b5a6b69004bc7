/*
 * Acts with sockets that busybox has no program for. Linked statically: the initramfs has no C library. A port of 0 is one that the kernel
 * chooses. HOW is the kind of call: plain, uring, 32 (the 32-bit call of its own) or socketcall (the older 32-bit call for all of them).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "uring.h"

struct address {
	struct sockaddr_storage any;
	socklen_t size;
};

static int fail(const char *what)
{
	perror(what);
	return 1;
}

static int is(const char *text, const char *wanted)
{
	return !strcmp(text, wanted);
}

static struct address address_of(const char *ip, int port)
{
	struct address address = {};
	struct sockaddr_in *v4 = (void *)&address.any;
	struct sockaddr_in6 *v6 = (void *)&address.any;

	if (strchr(ip, ':')) {
		*v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(port) };
		inet_pton(AF_INET6, ip, &v6->sin6_addr);
		address.size = sizeof(*v6);
	} else {
		*v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port) };
		inet_pton(AF_INET, ip, &v4->sin_addr);
		address.size = sizeof(*v4);
	}
	return address;
}

/* Memory that 32-bit code can name, with a copy of the bytes. */
static long low(const void *bytes, size_t size)
{
	char *copy = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	memcpy(copy, bytes, size);
	return (long)copy;
}

static int returned(long result)
{
	errno = result < 0 ? -result : 0;
	return result < 0 ? -1 : result;
}

#if defined(__x86_64__)
static int call32(long number, const long args[6])
{
	long result = number;

	__asm__ volatile("push %%rbp; mov %7, %%rbp; int $0x80; pop %%rbp"
			 : "+a"(result)
			 : "b"(args[0]), "c"(args[1]), "d"(args[2]), "S"(args[3]), "D"(args[4]), "a"(number), "r"(args[5])
			 : "memory", "r8", "r9", "r10", "r11");
	return returned((int)result);
}
#else
static int call32(long number, const long args[6])
{
	(void)number;
	(void)args;
	return returned(-ENOSYS);
}
#endif

/* A call of 32-bit code by its own number, or by that of socketcall. */
static int compat(const char *how, long number, long socketcall, const long args[6])
{
	unsigned words[6];
	long call[6] = { socketcall };

	if (is(how, "32"))
		return call32(number, args);
	for (int index = 0; index < 6; index++)
		words[index] = args[index];
	call[1] = low(words, sizeof(words));
	return call32(102, call);
}

static int do_bind(const char *how, int fd, const struct address *address)
{
	if (is(how, "uring")) {
		/* IORING_OP_BIND, since 6.11. */
		struct io_uring_sqe request = { .opcode = 56, .fd = fd, .addr = (__u64)&address->any, .off = address->size };

		return returned(uring(&request));
	}
	if (is(how, "plain"))
		return bind(fd, (const void *)&address->any, address->size);
	return compat(how, 361, 2, (long[6]){ fd, low(&address->any, address->size), address->size });
}

static int do_listen(const char *how, int fd)
{
	if (is(how, "uring")) {
		/* IORING_OP_LISTEN, since 6.11. */
		struct io_uring_sqe request = { .opcode = 57, .fd = fd, .len = 1 };

		return returned(uring(&request));
	}
	if (is(how, "plain"))
		return listen(fd, 1);
	return compat(how, 363, 4, (long[6]){ fd, 1 });
}

static int do_accept(const char *how, int fd)
{
	if (is(how, "uring")) {
		struct io_uring_sqe request = { .opcode = IORING_OP_ACCEPT, .fd = fd };

		return returned(uring(&request));
	}
	if (is(how, "plain"))
		return accept(fd, NULL, NULL);
	if (is(how, "accept4"))
		return accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	return compat(how, 364, 5, (long[6]){ fd });
}

static int do_connect(const char *how, int fd, const struct address *address)
{
	if (is(how, "uring")) {
		struct io_uring_sqe request = { .opcode = IORING_OP_CONNECT, .fd = fd, .addr = (__u64)&address->any, .off = address->size };

		return returned(uring(&request));
	}
	if (is(how, "plain"))
		return connect(fd, (const void *)&address->any, address->size);
	return compat(how, 362, 3, (long[6]){ fd, low(&address->any, address->size), address->size });
}

static int do_send(const char *how, int fd, const struct address *address, const void *bytes, size_t size)
{
	struct iovec part = { .iov_base = (void *)bytes, .iov_len = size };
	struct msghdr message = { .msg_name = (void *)&address->any, .msg_namelen = address->size, .msg_iov = &part, .msg_iovlen = 1 };
	struct mmsghdr messages = { .msg_hdr = message };

	if (is(how, "uring")) {
		struct io_uring_sqe request = { .opcode = IORING_OP_SENDMSG, .fd = fd, .addr = (__u64)&message, .len = 1 };

		return returned(uring(&request));
	}
	if (is(how, "plain"))
		return sendto(fd, bytes, size, 0, (const void *)&address->any, address->size);
	if (is(how, "sendmsg"))
		return sendmsg(fd, &message, 0);
	if (is(how, "sendmmsg"))
		return sendmmsg(fd, &messages, 1, 0);
	return compat(how, 369, 11, (long[6]){ fd, low(bytes, size), size, 0, low(&address->any, address->size), address->size });
}

/* Prints the port the kernel chose, so that who started this can look for it. */
static int print_port(int fd)
{
	struct address address = { .size = sizeof(address.any) };

	if (getsockname(fd, (void *)&address.any, &address.size))
		return fail("getsockname");
	/* The port is at the same place in both families. */
	printf("%d\n", ntohs(((struct sockaddr_in *)&address.any)->sin_port));
	return 0;
}

static int act_bind(const char *how, const char *transport, const struct address *address)
{
	int fd = socket(address->any.ss_family, is(transport, "udp") ? SOCK_DGRAM : SOCK_STREAM, 0);

	if (do_bind(how, fd, address) < 0)
		return fail("bind");
	return print_port(fd);
}

static int act_listen(const char *how, const struct address *address)
{
	int fd = socket(address->any.ss_family, SOCK_STREAM, 0);

	if (bind(fd, (const void *)&address->any, address->size))
		return fail("bind");
	if (do_listen(how, fd) < 0)
		return fail("listen");
	return print_port(fd);
}

/* Connects to a local socket of its own. A name that begins with @ is abstract. */
static int act_unix(const char *how, const char *name)
{
	int server = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
	struct address address = { .size = offsetof(struct sockaddr_un, sun_path) + strlen(name) + (name[0] != '@') };
	struct sockaddr_un *local = (void *)&address.any;

	local->sun_family = AF_UNIX;
	strncpy(local->sun_path, name, sizeof(local->sun_path) - 1);
	if (name[0] == '@')
		local->sun_path[0] = 0;
	if (bind(server, (void *)&address.any, address.size) || listen(server, 1))
		return fail("listen");
	return do_connect(how, client, &address) < 0 ? fail("connect") : 0;
}

/* Binds sockets, one after another. */
static int act_flood(int count)
{
	struct address address = address_of("127.0.0.1", 0);

	while (count-- > 0) {
		int fd = socket(AF_INET, SOCK_DGRAM, 0);

		if (bind(fd, (void *)&address.any, address.size))
			return fail("bind");
		close(fd);
	}
	return 0;
}

/* Two sockets: the first sends `count` datagrams, the second one. */
static int act_send(const char *how, const struct address *address, int count)
{
	int first = socket(address->any.ss_family, SOCK_DGRAM, 0), second = socket(address->any.ss_family, SOCK_DGRAM, 0);

	for (int sent = 0; sent < count; sent++)
		if (do_send(how, first, address, "datagram", 8) < 0)
			return fail("send");
	return count > 1 && do_send(how, second, address, "datagram", 8) < 0 ? fail("send") : 0;
}

/* A question for the A record of a name, with EDNS. */
static size_t write_query(unsigned char *message, const char *name)
{
	static const unsigned char head[12] = { 0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1 };
	static const unsigned char tail[16] = { 0, 0, 1, 0, 1, 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0 };
	size_t at = sizeof(head);

	memcpy(message, head, sizeof(head));
	for (const char *label = name; *label;) {
		size_t length = strcspn(label, ".");

		message[at++] = length;
		memcpy(message + at, label, length);
		at += length;
		label += length + (label[length] == '.');
	}
	memcpy(message + at, tail, sizeof(tail));
	return at + sizeof(tail);
}

/* Answers one question: an alias, and the address of that. Returns the size of the answer. */
static size_t write_answer(unsigned char *message, size_t size)
{
	static const unsigned char alias[] = { 0xc0, 12, 0, 5, 0, 1, 0, 0, 1, 44, 0, 8, 5, 'a', 'l', 'i', 'a', 's', 0xc0, 12 };
	static const unsigned char tail[] = { 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7 };
	/* The question ends 11 bytes before the message, where its OPT record begins. */
	size_t question = size - 11, at = question;

	message[2] |= 0x80;
	message[3] = 0x80;
	message[7] = 2;
	message[11] = 0;
	memcpy(message + at, alias, sizeof(alias));
	at += sizeof(alias);
	message[at++] = 0xc0 | (question + 12) >> 8;
	message[at++] = question + 12;
	memcpy(message + at, tail, sizeof(tail));
	return at + sizeof(tail);
}

/* Asks a server of its own, a child, at port 53. */
static int act_dns(const char *how, struct address *address, const char *name)
{
	int server = socket(address->any.ss_family, SOCK_DGRAM, 0), client = socket(address->any.ss_family, SOCK_DGRAM, 0);
	unsigned char message[1500];
	size_t size = write_query(message, name);

	if (bind(server, (void *)&address->any, address->size))
		return fail("bind");
	if (!fork()) {
		struct address from = { .size = sizeof(from.any) };
		ssize_t length = recvfrom(server, message, sizeof(message), 0, (void *)&from.any, &from.size);

		if (length > 0)
			sendto(server, message, write_answer(message, length), 0, (void *)&from.any, from.size);
		_exit(0);
	}
	if (is(how, "connected")) {
		if (connect(client, (void *)&address->any, address->size) || send(client, message, size, 0) < 0)
			return fail("send");
	} else if (do_send(how, client, address, message, size) < 0) {
		return fail("send");
	}
	return recv(client, message, sizeof(message), 0) < 0 ? fail("recv") : 0;
}

/* Sends a message on a connection, its length in front: in one piece, or that of long answers in two. */
static int send_message(int fd, const unsigned char *message, size_t size, size_t pause_at)
{
	unsigned char stream[1600] = { size >> 8, size };

	memcpy(stream + 2, message, size);
	size += 2;
	if (pause_at) {
		int at_once = 1;

		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof(at_once));
		if (send(fd, stream, pause_at, 0) < 0)
			return -1;
	}
	return send(fd, stream + pause_at, size - pause_at, 0) < 0 ? -1 : 0;
}

/* The same over a connection, on which it asks twice; the second answer comes in two pieces. */
static int act_dns_stream(struct address *address, const char *name)
{
	int server = socket(address->any.ss_family, SOCK_STREAM, 0), client = socket(address->any.ss_family, SOCK_STREAM, 0);
	int again = 1;
	unsigned char message[1500];
	size_t size = write_query(message, name);

	setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &again, sizeof(again));
	if (bind(server, (void *)&address->any, address->size) || listen(server, 1))
		return fail("listen");
	if (!fork()) {
		int fd = accept(server, NULL, NULL);

		for (int asked = 0; asked < 2; asked++) {
			ssize_t length = recv(fd, message, sizeof(message), 0);

			if (length > 2)
				send_message(fd, message + 2, write_answer(message + 2, length - 2), asked ? 60 : 0);
		}
		_exit(0);
	}
	if (connect(client, (void *)&address->any, address->size))
		return fail("connect");
	for (int asked = 0; asked < 2; asked++) {
		if (send_message(client, message, size, 0))
			return fail("send");
		/* All of the answer: its length, and as much. */
		unsigned char length[2];

		if (recv(client, length, 2, MSG_WAITALL) != 2)
			return fail("recv");
		if (recv(client, message + 1000, length[0] << 8 | length[1], MSG_WAITALL) <= 0)
			return fail("recv");
	}
	return 0;
}

/* Serves one connection, which a child makes. */
static int act_accept(const char *how, struct address *address)
{
	int server = socket(address->any.ss_family, SOCK_STREAM, 0), fd;

	if (bind(server, (void *)&address->any, address->size) || listen(server, 1))
		return fail("listen");
	getsockname(server, (void *)&address->any, &address->size);
	if (!fork()) {
		int client = socket(address->any.ss_family, SOCK_STREAM, 0);
		struct address near = { .size = sizeof(near.any) };

		if (connect(client, (void *)&address->any, address->size))
			_exit(1);
		getsockname(client, (void *)&near.any, &near.size);
		printf("%d ", ntohs(((struct sockaddr_in *)&near.any)->sin_port));
		fflush(stdout);
		_exit(0);
	}
	/* The connection is there before it is accepted: both kinds of call find it. */
	wait(NULL);
	fd = do_accept(how, server);
	if (fd < 0)
		return fail("accept");
	return print_port(server);
}

int main(int argc, char **argv)
{
	struct address address = argc >= 5 ? address_of(argv[argc >= 6 ? 4 : 3], atoi(argv[argc >= 6 ? 5 : 4])) : (struct address){};

	if (argc == 4 && is(argv[1], "unix"))
		return act_unix(argv[2], argv[3]);
	if (argc == 3 && is(argv[1], "flood"))
		return act_flood(atoi(argv[2]));
	if (argc == 6 && is(argv[1], "bind"))
		return act_bind(argv[2], argv[3], &address);
	if (argc == 5 && is(argv[1], "listen"))
		return act_listen(argv[2], &address);
	if (argc == 5 && is(argv[1], "accept"))
		return act_accept(argv[2], &address);
	if (argc == 6 && is(argv[1], "send"))
		return act_send(argv[2], &address, atoi(argv[3]));
	if (argc == 6 && is(argv[1], "dns")) {
		address = address_of(argv[3], atoi(argv[4]));
		return is(argv[2], "stream") ? act_dns_stream(&address, argv[5]) : act_dns(argv[2], &address, argv[5]);
	}
	fprintf(stderr, "network-acts: unknown act\n");
	return 1;
}
