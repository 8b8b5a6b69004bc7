/*
 * Does one act TRIES times and prints how every try ended, with the 50th and 99th percentile in nanoseconds: of a `call` from just before it
 * until it came back, of a `death` from just before the call until the parent of who made it had its end, of a `stop` until it was told that it
 * stands, of a `freeze` until the control group given behind, in which it is done alone, says that it is frozen. Tries that end in different
 * ways are an error. Without arguments it waits to be killed. Linked statically: the initramfs has no C library for it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TRIES 1000
#define PATIENCE_MS 10000
/* How a try ended that no error number and no signal tells. */
#define FROZEN 1000
#define NOT_FROZEN 1001

struct times {
	struct timespec from, to;
};

/* Shared with the processes that are to die. */
static struct times *times;
/* Folder of the control group in which freezing is tried. */
static const char *group;

static void now(struct timespec *time)
{
	clock_gettime(CLOCK_MONOTONIC, time);
}

/* The error of the call; 0: it was let pass. */
static int call(const char *name, const char *target)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(atoi(target)), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	char *argv[] = { (char *)target, NULL }, *env[] = { NULL };
	int fd = socket(AF_INET, SOCK_STREAM, 0), result = -1, error;

	errno = EINVAL;
	now(&times->from);
	if (!strcmp(name, "exec"))
		result = execve(target, argv, env);
	else if (!strcmp(name, "open"))
		result = open(target, O_WRONLY);
	else if (!strcmp(name, "connect"))
		result = connect(fd, (void *)&address, sizeof(address));
	else if (!strcmp(name, "bind"))
		result = bind(fd, (void *)&address, sizeof(address));
	error = result < 0 ? errno : 0;
	now(&times->to);
	if (result > 0)
		close(result);
	close(fd);
	return error;
}

/* The signal that whoever did it died of, or was stopped by, negative; else what became of the call. */
static int in_child(const char *name, const char *target, int options)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(call(name, target));
	waitpid(pid, &status, options);
	now(&times->to);
	if (WIFSTOPPED(status)) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return -WSTOPSIG(status);
	}
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static int death(const char *name, const char *target)
{
	return in_child(name, target, 0);
}

static int stop(const char *name, const char *target)
{
	return in_child(name, target, WUNTRACED);
}

static void tell(const char *file, const char *text)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", group, file);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, text, strlen(text)) < 0) {
		perror(path);
		_exit(EIO);
	}
	close(fd);
}

/* Whether the group froze. The kernel wakes who polls its events whenever one of them changes. */
static int froze(void)
{
	struct pollfd events;
	char path[4096], text[256];
	int is_frozen = 0, left = 1;

	snprintf(path, sizeof(path), "%s/cgroup.events", group);
	events = (struct pollfd){ .fd = open(path, O_RDONLY), .events = POLLPRI };
	while (!is_frozen && left > 0) {
		ssize_t length = pread(events.fd, text, sizeof(text) - 1, 0);

		text[length < 0 ? 0 : length] = 0;
		is_frozen = strstr(text, "frozen 1") != NULL;
		now(&times->to);
		if (!is_frozen)
			left = poll(&events, 1, PATIENCE_MS);
	}
	close(events.fd);
	return is_frozen;
}

static int freeze(const char *name, const char *target)
{
	pid_t pid = fork();
	int is_frozen;

	if (pid == 0) {
		tell("cgroup.procs", "0");
		_exit(call(name, target));
	}
	is_frozen = froze();
	tell("cgroup.freeze", "0");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return is_frozen ? FROZEN : NOT_FROZEN;
}

static void print_end(int end)
{
	if (end == FROZEN || end == NOT_FROZEN)
		printf(end == FROZEN ? "frozen" : "not frozen");
	else
		printf("%s%s", end < 0 ? "SIG" : "", end < 0 ? sigabbrev_np(-end) : end ? strerrorname_np(end) : "passed");
}

static int compare(const void *left, const void *right)
{
	long a = *(const long *)left, b = *(const long *)right;

	return (a > b) - (a < b);
}

int main(int argc, char **argv)
{
	static long took[TRIES];
	int first = 0;
	int (*act)(const char *, const char *);

	if (argc < 4)
		for (;;)
			pause();
	times = mmap(NULL, sizeof(*times), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	group = argv[4];
	act = !strcmp(argv[1], "call") ? call : !strcmp(argv[1], "death") ? death : !strcmp(argv[1], "stop") ? stop : freeze;
	for (int i = 0; i < TRIES; i++) {
		int end = act(argv[2], argv[3]);

		if (i == 0)
			first = end;
		if (end != first) {
			printf("try %d ended with %d, others with %d\n", i + 1, end, first);
			return 1;
		}
		took[i] = (times->to.tv_sec - times->from.tv_sec) * 1000000000 + times->to.tv_nsec - times->from.tv_nsec;
	}
	qsort(took, TRIES, sizeof(*took), compare);
	print_end(first);
	printf(" %ld %ld\n", took[TRIES / 2], took[TRIES * 99 / 100]);
	return 0;
}
