/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * pool_test.c: the pools of hv_kvp_daemon(8): the format of their files, every
 * edge of key and value, a long random run against a model, other programs'
 * locks and rubbish, and a daemon killed at random points.
 */

#include <atf-c.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pool.h"

#define	CASE(name, text)						\
ATF_TC(name);								\
ATF_TC_HEAD(name, tc)							\
{									\
	atf_tc_set_md_var(tc, "descr", text);				\
}									\
ATF_TC_BODY(name, tc)

static struct pools ps;

static void
put_file(unsigned int pool, const void *data, size_t len)
{
	char name[64];
	FILE *f;

	snprintf(name, sizeof(name), "p/.kvp_pool_%u", pool);
	f = fopen(name, "w");
	ATF_REQUIRE(f != NULL && fwrite(data, 1, len, f) == len);
	fclose(f);
}

CASE(format, "Files, modes and records are those of FreeBSD's daemon")
{
	struct pool_record r;
	struct stat sb;
	char name[64], buf[3 * 2560];
	unsigned int i;
	FILE *f;

	ATF_REQUIRE_EQ(0, pools_open(&ps, "up/p"));
	ATF_REQUIRE_EQ(0, stat("up/p", &sb));
	ATF_CHECK_EQ(0700, sb.st_mode & 07777);
	for (i = 0; i < POOL_COUNT; i++) {
		snprintf(name, sizeof(name), "up/p/.kvp_pool_%u", i);
		ATF_REQUIRE_EQ(0, stat(name, &sb));
		ATF_CHECK_EQ(0600, sb.st_mode & 07777);
		ATF_CHECK_EQ(0, sb.st_size);
	}
	ATF_CHECK_EQ(0, pool_set(&ps, 1, "key", "value"));
	ATF_CHECK_EQ(0, pool_set(&ps, 1, "other", ""));
	f = fopen("up/p/.kvp_pool_1", "r");
	ATF_REQUIRE(f != NULL);
	ATF_REQUIRE_EQ(5120, fread(buf, 1, sizeof(buf), f));
	fclose(f);
	ATF_CHECK_STREQ("key", buf);
	ATF_CHECK_STREQ("value", buf + 512);
	ATF_CHECK_STREQ("other", buf + 2560);
	for (i = 4; i < 512; i++)
		ATF_REQUIRE_EQ(0, buf[i]);
	ATF_CHECK_EQ(0, pool_at(&ps, 1, 1, &r));
	ATF_CHECK_STREQ("other", r.key);
	ATF_CHECK_EQ(ENOENT, pool_at(&ps, 1, 2, &r));
	ATF_CHECK_EQ(ENOENT, pool_at(&ps, 1, ~0u, &r));
	ATF_CHECK_EQ(EINVAL, pool_at(&ps, POOL_COUNT, 0, &r));
	ATF_CHECK_EQ(EINVAL, pool_set(&ps, POOL_COUNT, "a", "b"));
}

CASE(edges, "Keys of 1 to 511 bytes, values of 0 to 2047; longer are refused")
{
	char key[POOL_KEY + 1], value[POOL_VALUE + 1];
	struct pool_record r;
	size_t n;

	ATF_REQUIRE_EQ(0, pools_open(&ps, "p"));
	memset(value, 'v', sizeof(value));
	value[POOL_VALUE - 1] = '\0';
	for (n = 1; n < POOL_KEY; n += n < 500 ? 37 : 1) {
		memset(key, 'k', sizeof(key));
		key[n] = '\0';
		ATF_REQUIRE_EQ(0, pool_set(&ps, 0, key, value + n));
		ATF_REQUIRE_EQ(0, pool_get(&ps, 0, key, &r));
		ATF_REQUIRE_STREQ(value + n, r.value);
	}
	memset(key, 'k', sizeof(key));
	key[POOL_KEY] = '\0';
	ATF_CHECK_EQ(EINVAL, pool_set(&ps, 0, key, ""));
	ATF_CHECK_EQ(EINVAL, pool_set(&ps, 0, "", "x"));
	ATF_CHECK_EQ(EINVAL, pool_get(&ps, 0, "", &r));
	ATF_CHECK_EQ(0, pool_set(&ps, 0, "v", value));
	ATF_CHECK_EQ(0, pool_get(&ps, 0, "v", &r));
	ATF_CHECK_EQ(POOL_VALUE - 1, strlen(r.value));
	memset(value, 'v', sizeof(value));
	value[POOL_VALUE] = '\0';
	ATF_CHECK_EQ(EINVAL, pool_set(&ps, 0, "v", value));
	/* A shorter value leaves nothing of the longer one. */
	ATF_CHECK_EQ(0, pool_set(&ps, 0, "v", "short"));
	ATF_CHECK_EQ(0, pool_get(&ps, 0, "v", &r));
	for (n = 5; n < POOL_VALUE; n++)
		ATF_REQUIRE_EQ(0, r.value[n]);
	/* A prefix is not the key. */
	ATF_CHECK_EQ(0, pool_set(&ps, 1, "hn10", "ten"));
	ATF_CHECK_EQ(ENOENT, pool_get(&ps, 1, "hn1", &r));
	ATF_CHECK_EQ(ENOENT, pool_delete(&ps, 1, "hn1"));
}

/* The model: what each pool must hold, in order. */
#define	MODEL_MAX	40
static struct pool_record model[POOL_COUNT][MODEL_MAX];
static int model_n[POOL_COUNT];

static void
random_text(char *buf, size_t max)
{
	static const char *const bits[] = { "a", "Z", "0", " ", ";", "\xc3\xa9",
	    "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xed\x9f\xbf", "\xef\xbf\xbd",
	    "\x7f", "$(x)", "'\"" };
	size_t n, want;
	const char *b;

	want = (size_t)rand() % max;
	if (rand() % 4 == 0)
		want = max - 1;
	for (n = 0;;) {
		b = bits[rand() % (int)(sizeof(bits) / sizeof(bits[0]))];
		if (n + strlen(b) > want)
			break;
		strcpy(buf + n, b);
		n += strlen(b);
	}
	buf[n] = '\0';
}

static int
model_find(unsigned int pool, const char *key)
{
	int i;

	for (i = 0; i < model_n[pool]; i++)
		if (strcmp(model[pool][i].key, key) == 0)
			return (i);
	return (-1);
}

static void
model_set(unsigned int pool)
{
	struct pool_record r;
	int i;

	memset(&r, 0, sizeof(r));
	if (model_n[pool] > 0 && rand() % 2 == 0)
		strcpy(r.key, model[pool][rand() % model_n[pool]].key);
	else
		random_text(r.key, POOL_KEY);
	random_text(r.value, POOL_VALUE);
	i = model_find(pool, r.key);
	if (i < 0 && model_n[pool] == MODEL_MAX)
		return;
	ATF_REQUIRE_EQ(r.key[0] == '\0' ? EINVAL : 0,
	    pool_set(&ps, pool, r.key, r.value));
	if (r.key[0] != '\0')
		model[pool][i < 0 ? model_n[pool]++ : i] = r;
}

static void
model_delete(unsigned int pool)
{
	int i, n;

	n = model_n[pool];
	if (n == 0) {
		ATF_REQUIRE_EQ(ENOENT, pool_delete(&ps, pool, "none"));
		return;
	}
	i = rand() % n;
	ATF_REQUIRE_EQ(0, pool_delete(&ps, pool, model[pool][i].key));
	memmove(&model[pool][i], &model[pool][i + 1],
	    (size_t)(n - i - 1) * sizeof(model[0][0]));
	model_n[pool]--;
}

static void
model_read(unsigned int pool)
{
	struct pool_record r;
	int i;

	i = rand() % (MODEL_MAX + 1);
	if (i >= model_n[pool]) {
		ATF_REQUIRE_EQ(ENOENT, pool_at(&ps, pool, (uint32_t)i, &r));
		return;
	}
	ATF_REQUIRE_EQ(0, pool_at(&ps, pool, (uint32_t)i, &r));
	ATF_REQUIRE_EQ(0, memcmp(&r, &model[pool][i], sizeof(r)));
	ATF_REQUIRE_EQ(0, pool_get(&ps, pool, model[pool][i].key, &r));
	ATF_REQUIRE_EQ(0, memcmp(&r, &model[pool][i], sizeof(r)));
}

CASE(random_run, "10,000 operations with every kind of UTF-8, against a model")
{
	unsigned int pool;
	int i;

	srand(20261124);
	ATF_REQUIRE_EQ(0, pools_open(&ps, "p"));
	for (i = 0; i < 10000; i++) {
		pool = (unsigned int)rand() % POOL_COUNT;
		switch (rand() % 4) {
		case 0:
			model_set(pool);
			break;
		case 1:
			model_delete(pool);
			break;
		default:
			model_read(pool);
		}
	}
}

CASE(full, "A pool has at most POOL_MAX records; then keys can only change")
{
	static struct pool_record all[POOL_MAX + 1];
	struct pool_record r;
	int i;

	ATF_REQUIRE_EQ(0, pools_open(&ps, "p"));
	for (i = 0; i <= POOL_MAX; i++)
		snprintf(all[i].key, sizeof(all[i].key), "key%d", i);
	put_file(3, all, POOL_MAX * sizeof(all[0]));
	ATF_CHECK_EQ(ENOSPC, pool_set(&ps, 3, "new", "x"));
	ATF_CHECK_EQ(0, pool_set(&ps, 3, "key0", "x"));
	ATF_CHECK_EQ(0, pool_delete(&ps, 3, "key4095"));
	ATF_CHECK_EQ(0, pool_set(&ps, 3, "new", "x"));
	ATF_CHECK_EQ(0, pool_at(&ps, 3, POOL_MAX - 1, &r));
	ATF_CHECK_STREQ("new", r.key);
	/* A file that is longer than any pool of ours is read as far. */
	put_file(3, all, sizeof(all));
	ATF_CHECK_EQ(ENOENT, pool_get(&ps, 3, "key4096", &r));
	ATF_CHECK_EQ(0, pool_get(&ps, 3, "key4095", &r));
}

CASE(rubbish, "Files cut off anywhere, without ends of strings, links")
{
	char junk[4 * 2560];
	struct pool_record r;
	size_t n;

	ATF_REQUIRE_EQ(0, pools_open(&ps, "p"));
	for (n = 0; n < sizeof(junk); n += 511) {
		memset(junk, 'j', sizeof(junk));
		put_file(0, junk, n);
		ATF_CHECK_EQ(n < 2560 ? ENOENT : 0, pool_at(&ps, 0, 0, &r));
		ATF_CHECK_EQ(ENOENT, pool_get(&ps, 0, "k", &r));
		ATF_CHECK_EQ(0, pool_set(&ps, 0, "k", "v"));
		ATF_CHECK_EQ(0, pool_get(&ps, 0, "k", &r));
		ATF_CHECK_STREQ("v", r.value);
		ATF_CHECK_EQ(0, pool_at(&ps, 0, (uint32_t)(n / 2560), &r));
	}
	/* A link that somebody put there is not followed. */
	ATF_REQUIRE_EQ(0, unlink("p/.kvp_pool_2"));
	ATF_REQUIRE_EQ(0, symlink("/etc/passwd", "p/.kvp_pool_2"));
	ATF_CHECK(pool_set(&ps, 2, "k", "v") != 0);
	ATF_CHECK(pool_at(&ps, 2, 0, &r) != 0);
}

CASE(locks, "Another program's lock is waited for, not for ever")
{
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct pool_record r;
	int fd[2], lock;
	pid_t child;
	char c;

	ATF_REQUIRE_EQ(0, pools_open(&ps, "p"));
	ATF_REQUIRE_EQ(0, pool_set(&ps, 1, "k", "v"));
	ATF_REQUIRE_EQ(0, pipe(fd));
	child = fork();
	if (child == 0) {
		lock = open("p/.kvp_pool_1", O_RDWR);
		if (fcntl(lock, F_SETLK, &fl) != 0)
			_exit(1);
		(void)!write(fd[1], "x", 1);
		pause();
	}
	ATF_REQUIRE_EQ(1, read(fd[0], &c, 1));
	ATF_CHECK_EQ(EBUSY, pool_set(&ps, 1, "k", "w"));
	ATF_CHECK_EQ(0, pool_set(&ps, 0, "k", "w"));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	ATF_CHECK_EQ(0, pool_get(&ps, 1, "k", &r));
	ATF_CHECK_STREQ("v", r.value);
}

/* Values that say by themselves whether they are whole. */
static void
checked_value(char *buf, unsigned int n)
{
	size_t i, len;

	len = (size_t)snprintf(buf, POOL_VALUE, "%u:", n);
	for (i = len; i < 200 + n % 1800; i++)
		buf[i] = (char)('a' + n % 26);
	buf[i] = '\0';
}

static void
check_whole(void)
{
	char want[POOL_VALUE];
	struct pool_record r;
	struct stat sb;
	uint32_t i;

	ATF_REQUIRE_EQ(0, stat("p/.kvp_pool_0", &sb));
	ATF_REQUIRE_EQ(0, sb.st_size % 2560);
	for (i = 0; pool_at(&ps, 0, i, &r) == 0; i++) {
		checked_value(want, (unsigned int)strtoul(r.value, NULL, 10));
		ATF_REQUIRE_STREQ(want, r.value);
		ATF_REQUIRE_EQ(0, memcmp(r.key, "key", 3));
	}
	ATF_REQUIRE_EQ((off_t)i * 2560, sb.st_size);
}

CASE(killed, "kill -9 at 200 random points: the pool is whole every time")
{
	char key[32], value[POOL_VALUE];
	struct timespec nap = { 0, 0 };
	unsigned int n, round;
	pid_t child;

	srand(4711);
	ATF_REQUIRE_EQ(0, pools_open(&ps, "p"));
	for (round = 0; round < 200; round++) {
		child = fork();
		if (child == 0)
			for (n = round * 1000;; n++) {
				snprintf(key, sizeof(key), "key%u", n % 23);
				checked_value(value, n);
				if (n % 7 == 0)
					(void)pool_delete(&ps, 0, key);
				else if (pool_set(&ps, 0, key, value) != 0)
					_exit(1);
			}
		nap.tv_nsec = rand() % 20000000;
		nanosleep(&nap, NULL);
		kill(child, SIGKILL);
		ATF_REQUIRE_EQ(child, waitpid(child, NULL, 0));
		check_whole();
		ATF_REQUIRE_EQ(0, pools_open(&ps, "p"));
	}
	ATF_CHECK(access("p/.kvp_pool_0.new", F_OK) != 0);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, format);
	ATF_TP_ADD_TC(tp, edges);
	ATF_TP_ADD_TC(tp, random_run);
	ATF_TP_ADD_TC(tp, full);
	ATF_TP_ADD_TC(tp, rubbish);
	ATF_TP_ADD_TC(tp, locks);
	ATF_TP_ADD_TC(tp, killed);
	return (atf_no_error());
}
