/*
 * Calls that change mode, owner or attributes of one file, one per word on the command line, each as its own process: by 64-bit and 32-bit calls and
 * through io_uring. Linked statically.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "uring.h"

#define MODE 04711
#define OWNER 77
#define GROUP 78

static int fail(const char *what)
{
	perror(what);
	return 1;
}

/* What calls point to, where 32-bit pointers reach. */
static struct {
	char path[256];
	char name[32];
	struct vfs_cap_data capability;
	/* An access list as the kernel takes it: a version, then owner, group and others. */
	struct {
		unsigned version;
		struct {
			unsigned short tag, rights;
			unsigned id;
		} entries[3];
	} list;
} *low;

static void prepare(const char *path, const char *name)
{
	low = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	strcpy(low->path, path);
	strcpy(low->name, name);
	low->capability.magic_etc = VFS_CAP_REVISION_2;
	low->capability.data[0].permitted = 1 << CAP_NET_RAW;
	low->list.version = 2;
	for (int i = 0; i < 3; i++) {
		static const unsigned short tags[] = { 1, 4, 0x20 };

		low->list.entries[i].tag = tags[i];
		low->list.entries[i].rights = 4;
		low->list.entries[i].id = -1;
	}
}

static int call(int bits, const int numbers[2], const long a[5])
{
	long result = numbers[1];

	if (bits == 64)
		return syscall(numbers[0], a[0], a[1], a[2], a[3], a[4]) ? -errno : 0;
	__asm__ volatile("int $0x80"
			 : "+a"(result)
			 : "b"(a[0]), "c"(a[1]), "d"(a[2]), "S"(a[3]), "D"(a[4])
			 : "memory", "r8", "r9", "r10", "r11");
	return (int)result;
}

enum meant { BY_PATH, BY_FOLDER, BY_DESCRIPTOR };
enum change { CHANGE_MODE, CHANGE_OWNER, CHANGE_GROUP, SET, REMOVE, SET_LIST, REMOVE_LIST };

/* `numbers`: of 64-bit code and of 32-bit code. */
static const struct act {
	const char *name;
	int numbers[2];
	enum meant meant;
	enum change change;
} acts[] = {
	{ "chmod", { SYS_chmod, 15 }, BY_PATH, CHANGE_MODE },
	{ "fchmod", { SYS_fchmod, 94 }, BY_DESCRIPTOR, CHANGE_MODE },
	{ "fchmodat", { SYS_fchmodat, 306 }, BY_FOLDER, CHANGE_MODE },
	{ "chown", { SYS_chown, 212 }, BY_PATH, CHANGE_OWNER },
	{ "lchown", { SYS_lchown, 198 }, BY_PATH, CHANGE_OWNER },
	{ "fchown", { SYS_fchown, 207 }, BY_DESCRIPTOR, CHANGE_OWNER },
	{ "fchownat", { SYS_fchownat, 298 }, BY_FOLDER, CHANGE_GROUP },
	{ "chown16", { -1, 182 }, BY_PATH, CHANGE_OWNER },
	{ "setxattr", { SYS_setxattr, 226 }, BY_PATH, SET },
	{ "lsetxattr", { SYS_lsetxattr, 227 }, BY_PATH, SET },
	{ "fsetxattr", { SYS_fsetxattr, 228 }, BY_DESCRIPTOR, SET },
	{ "removexattr", { SYS_removexattr, 235 }, BY_PATH, REMOVE },
	{ "lremovexattr", { SYS_lremovexattr, 236 }, BY_PATH, REMOVE },
	{ "fremovexattr", { SYS_fremovexattr, 237 }, BY_DESCRIPTOR, REMOVE },
	{ "set-list", { SYS_setxattr, 226 }, BY_PATH, SET_LIST },
	{ "remove-list", { SYS_removexattr, 235 }, BY_PATH, REMOVE_LIST },
};

/* The arguments behind those that name the file. */
static void put_values(enum change change, long *a)
{
	switch (change) {
	case CHANGE_MODE:
		a[0] = MODE;
		break;
	case CHANGE_OWNER:
		a[0] = OWNER;
		a[1] = GROUP;
		break;
	case CHANGE_GROUP:
		a[0] = -1;
		a[1] = GROUP;
		break;
	case SET:
		a[0] = (long)low->name;
		a[1] = (long)&low->capability;
		a[2] = sizeof(low->capability);
		break;
	case SET_LIST:
		a[0] = (long)low->name;
		a[1] = (long)&low->list;
		a[2] = sizeof(low->list);
		break;
	default:
		a[0] = (long)low->name;
	}
}

static int do_act(const struct act *act, int bits, int fd)
{
	long a[6] = { act->meant == BY_PATH ? (long)low->path : act->meant == BY_FOLDER ? AT_FDCWD : fd, (long)low->path };

	put_values(act->change, a + (act->meant == BY_FOLDER ? 2 : 1));
	errno = -call(bits, act->numbers, a);
	return errno ? fail(act->name) : 0;
}

/* Before Linux 5.19 io_uring knows no attributes: then in the ordinary way. */
static int do_uring(int fd)
{
	struct io_uring_sqe request = { .opcode = IORING_OP_SETXATTR, .addr = (__u64)low->name, .off = (__u64)&low->capability };
	int result;

	request.len = sizeof(low->capability);
	if (fd < 0) {
		request.addr3 = (__u64)low->path;
	} else {
		request.opcode = IORING_OP_FSETXATTR;
		request.fd = fd;
	}
	result = uring(&request);
	if (result == -EINVAL)
		result = syscall(SYS_setxattr, low->path, low->name, &low->capability, sizeof(low->capability), 0) ? -errno : 0;
	errno = -result;
	return errno ? fail("io_uring setxattr") : 0;
}

/* A file in memory, which only its descriptor leads to. */
static int do_memory_file(void)
{
	int fd = memfd_create("attributed", 0);

	return fsetxattr(fd, low->name, &low->capability, sizeof(low->capability), 0) ? fail("fsetxattr") : 0;
}

/* attribute-acts HOW BITS PATH [NAME] */
int main(int argc, char **argv)
{
	int fd;

	if (argc < 4)
		return 2;
	prepare(argv[3], argc > 4 ? argv[4] : "security.capability");
	fd = open(argv[3], O_RDONLY);
	if (!strcmp(argv[1], "uring-setxattr"))
		return do_uring(-1);
	if (!strcmp(argv[1], "uring-fsetxattr"))
		return do_uring(fd);
	if (!strcmp(argv[1], "memory-file"))
		return do_memory_file();
	for (unsigned i = 0; i < sizeof(acts) / sizeof(acts[0]); i++)
		if (!strcmp(argv[1], acts[i].name))
			return do_act(&acts[i], atoi(argv[2]), fd);
	fprintf(stderr, "attribute-acts: unknown act\n");
	return 1;
}
