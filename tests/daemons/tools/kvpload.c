/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * kvpload.c: kvpload DIR COUNT SEED: COUNT random key-value operations on a
 * running guest, asked of its host over DIR/hvk.sock, against a model of what
 * each pool must hold: every size of key and value up to the largest, every
 * kind of UTF-8 that UTF-16 has, one unit and two, and what is too long.
 *
 * kvpload DIR stress SEED: sets and deletes values that say by themselves
 * whether they are whole, whatever the answers are, until the host is gone.
 * kvpload check FILE: is the file of a pool, with whole values only?
 *
 * 0: all as it should be, a line of counts. 3: the host went away; 1:
 * something was wrong, and what.
 */

#include <sys/socket.h>
#include <sys/un.h>

#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define	POOLS		5
#define	MODEL_MAX	24
#define	KEY_UNITS	255	/* UTF-16, without the NUL */
#define	VALUE_UNITS	1023
#define	KEY_BYTES	511	/* UTF-8: what the device carries */
#define	VALUE_BYTES	2047

struct text {
	char	bytes[6400];
	size_t	len, units;
};

static struct {
	struct text	key, value;
} model[POOLS][MODEL_MAX];
static int model_n[POOLS];
static int sock;
static FILE *from;
static long done[6];	/* set, get, delete, missing, refused, listed */

static void __attribute__((__noreturn__, __format__(__printf__, 1, 2)))
die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

/* A character: the ends of every range that UTF-16 has, and common ones. */
static void
add_char(struct text *t)
{
	static const struct { const char *s; int units; } chars[] = {
		{ "a", 1 }, { "Z", 1 }, { " ", 1 }, { "\x7f", 1 },
		{ "\x01", 1 }, { "\"", 1 }, { "\\", 1 }, { ";", 1 },
		{ "\xc2\x80", 1 }, { "\xc3\xa9", 1 }, { "\xdf\xbf", 1 },
		{ "\xe0\xa0\x80", 1 }, { "\xe2\x82\xac", 1 },
		{ "\xed\x9f\xbf", 1 }, { "\xee\x80\x80", 1 },
		{ "\xef\xbf\xbf", 1 }, { "\xf0\x90\x80\x80", 2 },
		{ "\xf0\x9f\x98\x80", 2 }, { "\xf4\x8f\xbf\xbf", 2 },
	};
	int i;

	i = rand() % (int)(sizeof(chars) / sizeof(chars[0]));
	strcpy(t->bytes + t->len, chars[i].s);
	t->len += strlen(chars[i].s);
	t->units += (size_t)chars[i].units;
}

/* Sizes: small, anything, and around the limits in units or in bytes. */
static void
random_text(struct text *t, size_t units, size_t bytes)
{
	size_t want;

	memset(t, 0, sizeof(*t));
	switch (rand() % 5) {
	case 0:
		want = (size_t)rand() % 8;
		break;
	case 1:
		/* ASCII to the last unit, and one more. */
		want = units - 2 + (size_t)rand() % 4;
		memset(t->bytes, 'k', want);
		t->len = t->units = want;
		return;
	case 2:
		/* As many bytes as the device carries, about. */
		while (t->len + 4 < bytes && t->units + 2 < units)
			add_char(t);
		want = (size_t)rand() % 5;
		for (; want > 0; want--, t->len++, t->units++)
			t->bytes[t->len] = 'z';
		return;
	default:
		want = (size_t)rand() % (units / 4);
	}
	while (t->units < want)
		add_char(t);
}

static bool
fits(const struct text *t, size_t units, size_t bytes)
{
	return (t->units <= units && t->len <= bytes);
}

static json_t *
ask(json_t *req)
{
	static char line[1 << 20];
	json_t *reply;
	char *text;
	size_t n;

	text = json_dumps(req, JSON_COMPACT);
	json_decref(req);
	n = strlen(text);
	if (send(sock, text, n, MSG_NOSIGNAL) != (ssize_t)n ||
	    send(sock, "\n", 1, MSG_NOSIGNAL) != 1 ||
	    fgets(line, sizeof(line), from) == NULL)
		exit(3);
	free(text);
	reply = json_loads(line, 0, NULL);
	if (reply == NULL)
		die("no JSON: %.100s", line);
	return (reply);
}

static json_t *
request(const char *cmd, const struct text *key, const struct text *value,
    int pool)
{
	json_t *req;
	char name[8];

	snprintf(name, sizeof(name), "%d", pool);
	req = json_pack("{s:s, s:s}", "cmd", cmd, "pool", name);
	if (key != NULL)
		json_object_set_new(req, "key", json_stringn(key->bytes,
		    key->len));
	if (value != NULL)
		json_object_set_new(req, "value", json_stringn(value->bytes,
		    value->len));
	return (req);
}

static bool
is_ok(const json_t *reply)
{
	return (json_is_true(json_object_get(reply, "ok")));
}

static int
find(int pool, const struct text *key)
{
	int i;

	for (i = 0; i < model_n[pool]; i++)
		if (strcmp(model[pool][i].key.bytes, key->bytes) == 0)
			return (i);
	return (-1);
}

static void
do_set(int pool)
{
	static struct text key, value;
	json_t *reply;
	bool good;
	int i;

	if (model_n[pool] > 0 && rand() % 2 == 0)
		key = model[pool][rand() % model_n[pool]].key;
	else
		random_text(&key, KEY_UNITS, KEY_BYTES);
	random_text(&value, VALUE_UNITS, VALUE_BYTES);
	i = find(pool, &key);
	if (i < 0 && model_n[pool] == MODEL_MAX)
		return;
	reply = ask(request("kvp set", &key, &value, pool));
	good = key.len > 0 && fits(&key, KEY_UNITS, KEY_BYTES) &&
	    fits(&value, VALUE_UNITS, VALUE_BYTES);
	if (is_ok(reply) != good)
		die("set: key of %zu bytes, %zu units, value of %zu, %zu: %s",
		    key.len, key.units, value.len, value.units,
		    json_dumps(reply, 0));
	json_decref(reply);
	done[good ? 0 : 4]++;
	if (!good)
		return;
	if (i < 0) {
		i = model_n[pool]++;
		model[pool][i].key = key;
	}
	model[pool][i].value = value;
}

static void
do_get(int pool)
{
	static struct text key;
	const char *value;
	json_t *reply;
	int i;

	i = model_n[pool] > 0 ? rand() % model_n[pool] : -1;
	if (i < 0 || rand() % 8 == 0) {
		strcpy(key.bytes, "nobody has this");
		key.len = strlen(key.bytes);
		reply = ask(request("kvp get", &key, NULL, pool));
		if (is_ok(reply))
			die("get: a key that nobody set: %s",
			    json_dumps(reply, 0));
		json_decref(reply);
		done[3]++;
		return;
	}
	reply = ask(request("kvp get", &model[pool][i].key, NULL, pool));
	value = json_string_value(json_object_get(reply, "value"));
	if (!is_ok(reply) || value == NULL ||
	    strcmp(value, model[pool][i].value.bytes) != 0)
		die("get: %.80s is not %.80s: %.300s", model[pool][i].key.bytes,
		    model[pool][i].value.bytes, json_dumps(reply, 0));
	json_decref(reply);
	done[1]++;
}

static void
do_delete(int pool)
{
	json_t *reply;
	int i, n;

	n = model_n[pool];
	if (n == 0)
		return;
	i = rand() % n;
	reply = ask(request("kvp delete", &model[pool][i].key, NULL, pool));
	if (!is_ok(reply))
		die("delete: %s", json_dumps(reply, 0));
	json_decref(reply);
	memmove(&model[pool][i], &model[pool][i + 1],
	    (size_t)(n - i - 1) * sizeof(model[0][0]));
	model_n[pool]--;
	done[2]++;
}

/* The whole pool, in order. */
static void
do_list(int pool)
{
	const json_t *row;
	json_t *list, *reply;
	size_t i;

	reply = ask(request("kvp list", NULL, NULL, pool));
	list = json_object_get(reply, "pairs");
	if (!is_ok(reply) || json_array_size(list) != (size_t)model_n[pool])
		die("list: %zu, not %d: %.300s", json_array_size(list),
		    model_n[pool], json_dumps(reply, 0));
	json_array_foreach(list, i, row)
		if (strcmp(json_string_value(json_object_get(row, "key")),
		    model[pool][i].key.bytes) != 0 ||
		    strcmp(json_string_value(json_object_get(row, "value")),
		    model[pool][i].value.bytes) != 0)
			die("list: row %zu", i);
	json_decref(reply);
	done[5]++;
}

#define	CHECKED_MAX	1000

static void
checked_value(struct text *t, unsigned int n)
{
	memset(t, 0, sizeof(*t));
	t->len = (size_t)snprintf(t->bytes, sizeof(t->bytes), "%u:", n);
	while (t->len < 50 + n % (CHECKED_MAX - 50))
		t->bytes[t->len++] = (char)('a' + n % 26);
}

static void __attribute__((__noreturn__))
stress(void)
{
	static struct text key, value;
	unsigned int n;

	for (n = (unsigned int)rand() % 100000;; n++) {
		key.len = (size_t)snprintf(key.bytes, sizeof(key.bytes),
		    "key%u", n % 29);
		checked_value(&value, n);
		json_decref(ask(n % 5 == 0 ? request("kvp delete", &key, NULL,
		    0) : request("kvp set", &key, &value, 0)));
	}
}

static int
check(const char *path)
{
	struct { char key[512], value[2048]; } r;
	static struct text want;
	size_t n, got;
	FILE *f;

	f = fopen(path, "r");
	if (f == NULL)
		die("%s: %m", path);
	for (n = 0; (got = fread(&r, 1, sizeof(r), f)) == sizeof(r); n++) {
		checked_value(&want, (unsigned int)strtoul(r.value, NULL, 10));
		if (memcmp(r.key, "key", 3) != 0 ||
		    strncmp(want.bytes, r.value, sizeof(r.value)) != 0)
			die("record %zu: %.40s=%.40s", n, r.key, r.value);
	}
	if (got != 0)
		die("%zu bytes after record %zu", got, n);
	printf("%zu records\n", n);
	return (0);
}

int
main(int argc, char **argv)
{
	static const int writable[] = { 0, 1, 3, 4 };
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct timeval tv = { 60, 0 };
	long count, i;
	int pool;

	if (argc == 3 && strcmp(argv[1], "check") == 0)
		return (check(argv[2]));
	if (argc != 4)
		return (64);
	count = strtol(argv[2], NULL, 10);
	srand((unsigned int)abs(atoi(argv[3])));
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/hvk.sock", argv[1]);
	sock = socket(AF_UNIX, SOCK_STREAM, 0);
	setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	if (connect(sock, (struct sockaddr *)&sun, sizeof(sun)) != 0 ||
	    (from = fdopen(dup(sock), "r")) == NULL)
		return (3);
	if (strcmp(argv[2], "stress") == 0)
		stress();
	for (i = 0; i < count; i++) {
		pool = writable[rand() % 4];
		switch (rand() % 20) {
		case 0:
			do_list(pool);
			break;
		case 1 ... 4:
			do_delete(pool);
			break;
		case 5 ... 11:
			do_set(pool);
			break;
		default:
			do_get(pool);
		}
	}
	for (pool = 0; pool < 4; pool++)
		do_list(writable[pool]);
	printf("%ld operations: %ld set, %ld got, %ld deleted, %ld missing, "
	    "%ld refused, %ld lists\n", count, done[0], done[1], done[2],
	    done[3], done[4], done[5]);
	return (0);
}
