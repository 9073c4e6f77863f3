/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * copy_test.c: hv_fcopy_daemon(8): where files may go, what is refused and
 * how, and that nothing half-written is ever seen.
 */

#include <atf-c.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>
#include <unistd.h>

#include "copy.h"

#define	CASE(name, text)						\
ATF_TC(name);								\
ATF_TC_HEAD(name, tc)							\
{									\
	atf_tc_set_md_var(tc, "descr", text);				\
}									\
ATF_TC_BODY(name, tc)

static struct places ps;
static struct copy c;
static char top[PATH_MAX];

static void
use(struct places *p, const char *path)
{
	const char *where;

	ATF_REQUIRE_EQ(0, place_open(p, path));
	ATF_REQUIRE_EQ(0, place_ready(p, &where));
}

static void
setup(void)
{
	char path[PATH_MAX + 8];

	ATF_REQUIRE(getcwd(top, sizeof(top)) != NULL);
	ATF_REQUIRE_EQ(0, mkdir("in", 0755));
	ATF_REQUIRE_EQ(0, mkdir("out", 0755));
	snprintf(path, sizeof(path), "%s/in", top);
	use(&ps, path);
	copy_init(&c, &ps);
}

static uint32_t
start(const char *path, const char *name, uint64_t size, uint32_t flags)
{
	static struct hv_fcopy_msg m;

	memset(&m, 0, sizeof(m));
	m.op = HV_FCOPY_START;
	snprintf(m.u.start.path, sizeof(m.u.start.path), "%s", path);
	snprintf(m.u.start.name, sizeof(m.u.start.name), "%s", name);
	m.u.start.size = size;
	m.u.start.flags = flags;
	return (copy_message(&c, &m));
}

static uint32_t
part(uint64_t offset, const char *data, uint32_t size)
{
	static struct hv_fcopy_msg m;

	memset(&m, 0, sizeof(m));
	m.op = HV_FCOPY_WRITE;
	m.u.write.offset = offset;
	m.u.write.size = size;
	if (size <= sizeof(m.u.write.data))
		memcpy(m.u.write.data, data, size);
	return (copy_message(&c, &m));
}

static uint32_t
simple(uint32_t op)
{
	static struct hv_fcopy_msg m;

	memset(&m, 0, sizeof(m));
	m.op = op;
	return (copy_message(&c, &m));
}

static const char *
content(const char *path)
{
	static char buf[8192];
	FILE *f;

	f = fopen(path, "r");
	if (f == NULL)
		return ("(none)");
	buf[fread(buf, 1, sizeof(buf) - 1, f)] = '\0';
	fclose(f);
	return (buf);
}

static void
copy_ok(const char *path, const char *name, const char *data, uint32_t flags)
{
	uint32_t n;

	n = (uint32_t)strlen(data);
	ATF_REQUIRE_EQ(HV_FCOPY_S_OK, start(path, name, n, flags));
	ATF_REQUIRE_EQ(HV_FCOPY_S_OK, part(0, data, n));
	ATF_REQUIRE_EQ(HV_FCOPY_S_OK, simple(HV_FCOPY_COMPLETE));
}

static void
nothing_left(void)
{
	ATF_CHECK_EQ(0, system("test -z \"$(ls in/.hv_fcopy)\""));
}

CASE(good, "Into the place, below it, made on the way, in any order of parts")
{
	char path[PATH_MAX + 16];
	struct stat sb;

	setup();
	copy_ok("", "a", "hello", 0);
	ATF_CHECK_STREQ("hello", content("in/a"));
	ATF_REQUIRE_EQ(0, stat("in/a", &sb));
	ATF_CHECK_EQ(0644, sb.st_mode & 07777);
	ATF_CHECK_EQ(HV_FCOPY_E_NOT_FOUND, start("sub", "b", 1, 0));
	copy_ok("sub\\deep/", "b", "x", HV_FCOPY_F_CREATE_PATH);
	ATF_CHECK_STREQ("x", content("in/sub/deep/b"));
	snprintf(path, sizeof(path), "%s/in/./sub//", top);
	copy_ok(path, "c d\xc3\xa9", "y", 0);
	ATF_CHECK_STREQ("y", content("in/sub/c d\xc3\xa9"));
	ATF_REQUIRE_EQ(HV_FCOPY_S_OK, start("", "parts", 9, 0));
	ATF_REQUIRE_EQ(HV_FCOPY_S_OK, part(6, "789", 3));
	ATF_REQUIRE_EQ(HV_FCOPY_S_OK, part(0, "123", 3));
	ATF_CHECK_STREQ("(none)", content("in/parts"));
	ATF_REQUIRE_EQ(HV_FCOPY_S_OK, part(2, "34567", 5));
	ATF_REQUIRE_EQ(HV_FCOPY_S_OK, simple(HV_FCOPY_COMPLETE));
	ATF_CHECK_STREQ("123456789", content("in/parts"));
	ATF_REQUIRE_EQ(HV_FCOPY_S_OK, start("", "empty", 0, 0));
	ATF_REQUIRE_EQ(HV_FCOPY_S_OK, simple(HV_FCOPY_COMPLETE));
	ATF_CHECK_STREQ("", content("in/empty"));
	nothing_left();
}

CASE(exists, "An existing file needs the flag; it stays until the new is whole")
{
	setup();
	copy_ok("", "a", "old", 0);
	ATF_CHECK_EQ(HV_FCOPY_E_EXISTS, start("", "a", 3, 0));
	ATF_REQUIRE_EQ(HV_FCOPY_S_OK, start("", "a", 3, HV_FCOPY_F_OVERWRITE));
	ATF_REQUIRE_EQ(HV_FCOPY_S_OK, part(0, "ne", 2));
	ATF_CHECK_STREQ("old", content("in/a"));
	ATF_REQUIRE_EQ(HV_FCOPY_S_OK, part(2, "w", 1));
	ATF_REQUIRE_EQ(HV_FCOPY_S_OK, simple(HV_FCOPY_COMPLETE));
	ATF_CHECK_STREQ("new", content("in/a"));
	/* One that appears meanwhile is not replaced either. */
	ATF_REQUIRE_EQ(HV_FCOPY_S_OK, start("", "b", 1, 0));
	ATF_REQUIRE_EQ(HV_FCOPY_S_OK, part(0, "x", 1));
	ATF_REQUIRE_EQ(0, system("echo theirs >in/b"));
	ATF_CHECK_EQ(HV_FCOPY_E_EXISTS, simple(HV_FCOPY_COMPLETE));
	ATF_CHECK_STREQ("theirs\n", content("in/b"));
	ATF_REQUIRE_EQ(0, mkdir("in/dir", 0755));
	ATF_CHECK_EQ(HV_FCOPY_E_DENIED, start("", "dir", 1,
	    HV_FCOPY_F_OVERWRITE));
	nothing_left();
}

CASE(escapes, "No way out: dots, links, other directories, names with slashes")
{
	char path[PATH_MAX + 16];
	size_t i;
	static const char *const paths[] = { "..", "../out", "sub/../../out",
	    "/", "/etc", "/tmp/", "link", "link/x", "file", "C:\\Windows",
	    "..\\out", ".hv_fcopy", "a\nb" };
	static const char *const names[] = { "", ".", "..", "a/b", "../x",
	    "a\\b", ".hv_fcopy", "a\001b", "line\nbreak" };

	setup();
	ATF_REQUIRE_EQ(0, symlink("../out", "in/link"));
	ATF_REQUIRE_EQ(0, symlink("../out/target", "in/tolink"));
	ATF_REQUIRE_EQ(0, system("echo x >in/file; echo keep >out/target"));
	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		ATF_CHECK_MSG(start(paths[i], "n", 1, HV_FCOPY_F_CREATE_PATH |
		    HV_FCOPY_F_OVERWRITE) == HV_FCOPY_E_DENIED, "%s",
		    paths[i]);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		ATF_CHECK_EQ(HV_FCOPY_E_DENIED, start("", names[i], 1, 0));
	/* A prefix of the name is not the directory. */
	snprintf(path, sizeof(path), "%s/inside", top);
	ATF_REQUIRE_EQ(0, mkdir(path, 0755));
	ATF_CHECK_EQ(HV_FCOPY_E_DENIED, start(path, "n", 1, 0));
	ATF_CHECK_EQ(HV_FCOPY_E_EXISTS, start("", "tolink", 1, 0));
	ATF_CHECK_EQ(HV_FCOPY_E_DENIED, start("", "tolink", 1,
	    HV_FCOPY_F_OVERWRITE));
	/* A directory that becomes a link meanwhile is still the old one. */
	ATF_REQUIRE_EQ(HV_FCOPY_S_OK, start("sub", "n", 1,
	    HV_FCOPY_F_CREATE_PATH));
	ATF_REQUIRE_EQ(0, system("mv in/sub in/moved; ln -s ../out in/sub"));
	ATF_REQUIRE_EQ(HV_FCOPY_S_OK, part(0, "x", 1));
	ATF_REQUIRE_EQ(HV_FCOPY_S_OK, simple(HV_FCOPY_COMPLETE));
	ATF_CHECK_STREQ("x", content("in/moved/n"));
	ATF_CHECK_STREQ("keep\n", content("out/target"));
	ATF_CHECK_EQ(0, system("test \"$(ls out)\" = target"));
	nothing_left();
}

CASE(wrong, "Parts outside the file, too few of them, out of turn")
{
	int i;

	setup();
	ATF_CHECK_EQ(HV_FCOPY_E_INVALIDARG, part(0, "x", 1));
	ATF_CHECK_EQ(HV_FCOPY_E_INVALIDARG, simple(HV_FCOPY_COMPLETE));
	ATF_CHECK_EQ(HV_FCOPY_S_OK, simple(HV_FCOPY_CANCEL));
	ATF_CHECK_EQ(HV_FCOPY_E_INVALIDARG, simple(99));
	ATF_REQUIRE_EQ(HV_FCOPY_S_OK, start("", "a", 5, 0));
	ATF_CHECK_EQ(HV_FCOPY_E_INVALIDARG, part(5, "x", 1));
	ATF_CHECK_EQ(HV_FCOPY_E_INVALIDARG, part(0, "x", 1));
	ATF_REQUIRE_EQ(HV_FCOPY_S_OK, start("", "a", 5, 0));
	ATF_CHECK_EQ(HV_FCOPY_E_INVALIDARG, part(~0ull, "x", 1));
	ATF_REQUIRE_EQ(HV_FCOPY_S_OK, start("", "a", 5, 0));
	ATF_CHECK_EQ(HV_FCOPY_E_INVALIDARG, part(0, "x", 6145));
	ATF_CHECK_EQ(HV_FCOPY_E_INVALIDARG, part(0, "x", ~0u));
	ATF_REQUIRE_EQ(HV_FCOPY_S_OK, start("", "a", 5, 0));
	ATF_REQUIRE_EQ(HV_FCOPY_S_OK, part(0, "1234", 4));
	ATF_CHECK_EQ(HV_FCOPY_E_FAIL, simple(HV_FCOPY_COMPLETE));
	ATF_CHECK_STREQ("(none)", content("in/a"));
	/* A start ends the copy before it; a cancel too. */
	ATF_REQUIRE_EQ(HV_FCOPY_S_OK, start("", "a", 5, 0));
	copy_ok("", "b", "b", 0);
	ATF_CHECK_STREQ("(none)", content("in/a"));
	ATF_REQUIRE_EQ(HV_FCOPY_S_OK, start("", "a", 1, 0));
	ATF_REQUIRE_EQ(HV_FCOPY_S_OK, part(0, "x", 1));
	ATF_CHECK_EQ(HV_FCOPY_S_OK, simple(HV_FCOPY_CANCEL));
	ATF_CHECK_EQ(HV_FCOPY_E_INVALIDARG, simple(HV_FCOPY_COMPLETE));
	ATF_CHECK_STREQ("(none)", content("in/a"));
	/* More holes than are counted. */
	ATF_REQUIRE_EQ(HV_FCOPY_S_OK, start("", "a", 1000, 0));
	for (i = 0; i < RANGES_MAX; i++)
		ATF_REQUIRE_EQ(HV_FCOPY_S_OK, part((uint64_t)i * 2 + 1, "x",
		    1));
	ATF_CHECK_EQ(HV_FCOPY_E_INVALIDARG, part(500, "x", 1));
	nothing_left();
}

CASE(no_space, "Too large for the disk: said at the start, or when it is full")
{
	struct rlimit rl = { 100, 100 };

	setup();
	signal(SIGXFSZ, SIG_IGN);
	ATF_CHECK_EQ(HV_FCOPY_E_DISK_FULL, start("", "a", 1ull << 60, 0));
	ATF_CHECK_EQ(HV_FCOPY_E_DISK_FULL, start("", "a", ~0ull, 0));
	ATF_REQUIRE_EQ(HV_FCOPY_S_OK, start("", "a", 300, 0));
	ATF_REQUIRE_EQ(0, setrlimit(RLIMIT_FSIZE, &rl));
	ATF_CHECK_EQ(HV_FCOPY_E_DISK_FULL, part(200, "x", 1));
	ATF_CHECK_EQ(HV_FCOPY_E_INVALIDARG, part(0, "x", 1));
	ATF_CHECK_STREQ("(none)", content("in/a"));
	nothing_left();
}

CASE(leftovers, "What a killed daemon left is gone at the next start")
{
	char path[PATH_MAX + 8];
	struct places again;

	setup();
	ATF_REQUIRE_EQ(HV_FCOPY_S_OK, start("", "a", 5, 0));
	ATF_REQUIRE_EQ(HV_FCOPY_S_OK, part(0, "12", 2));
	ATF_CHECK_EQ(0, system("test -n \"$(ls in/.hv_fcopy)\""));
	memset(&again, 0, sizeof(again));
	snprintf(path, sizeof(path), "%s/in", top);
	use(&again, path);
	nothing_left();
	ATF_CHECK_EQ(EINVAL, place_open(&again, "relative"));
	ATF_CHECK_EQ(ENOENT, place_open(&again, "/nonexistent/x"));
}

CASE(ranges, "Ranges in random order against a bit for each byte")
{
	static struct ranges r;
	static uint8_t bits[256];
	uint64_t from, to;
	int i, j, whole;

	srand(99);
	for (j = 0; j < 500; j++) {
		memset(&r, 0, sizeof(r));
		memset(bits, 0, sizeof(bits));
		for (i = 0; i < 60; i++) {
			from = (uint64_t)rand() % 256;
			to = from + (uint64_t)rand() % 40;
			to = to > 256 ? 256 : to;
			ATF_REQUIRE(ranges_add(&r, from, to));
			memset(bits + from, 1, to - from);
			whole = memchr(bits, 0, sizeof(bits)) == NULL;
			ATF_REQUIRE_EQ(whole, ranges_whole(&r, 256));
		}
	}
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, good);
	ATF_TP_ADD_TC(tp, exists);
	ATF_TP_ADD_TC(tp, escapes);
	ATF_TP_ADD_TC(tp, wrong);
	ATF_TP_ADD_TC(tp, no_space);
	ATF_TP_ADD_TC(tp, leftovers);
	ATF_TP_ADD_TC(tp, ranges);
	return (atf_no_error());
}
