/*
 * Acts that cost something when sensors look, done in a loop: prints the nanoseconds that one took, by the clock and of the processor. All in
 * the current folder and on the loopback.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void need(int good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(1);
}

static void start_programs(int count)
{
	char *const argv[] = { "./nothing", NULL };

	for (int i = 0; i < count; i++) {
		pid_t child = fork();

		if (child == 0) {
			execv(argv[0], argv);
			_exit(1);
		}
		need(child > 0 && waitpid(child, NULL, 0) == child, "fork");
	}
}

/* What compiling one file of a large program does to the disk: headers read, dependencies and an object written, the object put in place. */
static void compile_files(int count)
{
	enum { HEADERS = 12 };
	static char bytes[8192];
	char name[32];

	mkdir("include", 0755);
	for (int i = 0; i < HEADERS; i++) {
		sprintf(name, "include/%d.h", i);
		close(open(name, O_CREAT | O_WRONLY, 0644));
	}
	for (int i = 0; i < count; i++) {
		struct stat found;
		int fd;

		for (int header = 0; header < HEADERS; header++) {
			sprintf(name, "include/%d.h", header);
			fd = open(name, O_RDONLY);
			need(read(fd, bytes, sizeof(bytes)) >= 0, "read");
			close(fd);
		}
		fd = open("file.d", O_CREAT | O_WRONLY | O_TRUNC, 0644);
		need(write(fd, bytes, 512) == 512, "write");
		close(fd);
		fd = open("file.tmp", O_CREAT | O_WRONLY | O_TRUNC, 0644);
		need(write(fd, bytes, sizeof(bytes)) == sizeof(bytes), "write");
		close(fd);
		need(!rename("file.tmp", "file.o") && !stat("file.o", &found) && !unlink("file.d"), "rename");
	}
}

static void write_little(int count)
{
	char bytes[16] = {};
	int fd = open("written", O_CREAT | O_WRONLY | O_TRUNC, 0644);

	for (int i = 0; i < count; i++)
		need(pwrite(fd, bytes, sizeof(bytes), 0) == sizeof(bytes), "write");
	close(fd);
}

/* Both ends are reset: no port waits to be used again. */
static void connect_often(int count)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct linger at_once = { 1, 0 };
	socklen_t size = sizeof(address);
	int server = socket(AF_INET, SOCK_STREAM, 0);

	need(!bind(server, (void *)&address, size) && !listen(server, 8) && !getsockname(server, (void *)&address, &size), "listen");
	for (int i = 0; i < count; i++) {
		int client = socket(AF_INET, SOCK_STREAM, 0), accepted;

		need(!connect(client, (void *)&address, size), "connect");
		accepted = accept(server, NULL, NULL);
		setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		close(client);
		close(accepted);
	}
}

static double clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e9 + now.tv_nsec;
}

/* Of this process and of the children it has waited for. */
static double processor_ns(void)
{
	struct rusage own, children;

	getrusage(RUSAGE_SELF, &own);
	getrusage(RUSAGE_CHILDREN, &children);
	return (own.ru_utime.tv_sec + own.ru_stime.tv_sec + children.ru_utime.tv_sec + children.ru_stime.tv_sec) * 1e9 +
	       (own.ru_utime.tv_usec + own.ru_stime.tv_usec + children.ru_utime.tv_usec + children.ru_stime.tv_usec) * 1e3;
}

int main(int argc, char **argv)
{
	const struct { const char *name; void (*act)(int); } acts[] = {
		{ "exec", start_programs },
		{ "storm", compile_files },
		{ "write", write_little },
		{ "connect", connect_often },
	};
	int count = argc == 3 ? atoi(argv[2]) : 0;

	for (size_t i = 0; i < sizeof(acts) / sizeof(*acts) && count > 0; i++) {
		double clock, processor;

		if (strcmp(argv[1], acts[i].name))
			continue;
		clock = clock_ns();
		processor = processor_ns();
		acts[i].act(count);
		printf("%.1f %.1f\n", (clock_ns() - clock) / count, (processor_ns() - processor) / count);
		return 0;
	}
	fprintf(stderr, "sensor-probe: exec, storm, write or connect, and a count\n");
	return 1;
}
