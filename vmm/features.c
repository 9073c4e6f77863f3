/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * `hvk features` and `hvk proof`: the feature matrix, made of the records that
 * proofs leave when they run.  A record counts only while it belongs to the
 * programs and modules that are built now: its build id is a hash of them.
 * The rows are in features.def; nothing here can make one "yes".
 */
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <hvk/vmm.h>

#include "features_kernel.h"

enum {
	PAIR = 1, KLD = 2, LINUX = 4, FBSD = 8, BARE = 16,
	GUEST = KLD | LINUX | FBSD | BARE,
	BUILD = PAIR | GUEST,
};

static const char *const engine_names[] = { "pair", "kld", "linux", "fbsd",
	"bare" };
#define	NENGINES	5u

static const struct row {
	const char	*area;
	const char	*id;
	const char	*title;
	unsigned	engines;
} rows[] = {
#define	FEATURE(area, id, title, engines)	{ area, id, title, engines },
#include "features.def"
#undef FEATURE
};
#define	NROWS	(sizeof(rows) / sizeof(rows[0]))

/* What the records say about one row. */
struct result {
	unsigned	ran;		/* engines with a "yes" */
	unsigned	failed;
	unsigned	stale;		/* records of another build */
	char		figure[96];
	char		proof[192];
	unsigned	best;		/* worth of the figure: see take() */
};

static uint64_t
hash_file(uint64_t h, const char *path)
{
	unsigned char buf[65536];
	ssize_t n;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return (h * 31 + 1);
	/* FNV-1a: it tells builds apart, it keeps no secret. */
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		for (ssize_t i = 0; i < n; i++)
			h = (h ^ buf[i]) * 0x100000001b3ull;
	close(fd);
	return (h);
}

static int
is_module(const struct dirent *e)
{
	const char *dot = strrchr(e->d_name, '.');

	return (dot != NULL && strcmp(dot, ".ko") == 0);
}

static int
build_id(const char *bin, char out[17])
{
	struct dirent **list;
	uint64_t h = 0xcbf29ce484222325ull;
	char path[4500];
	int i, n;

	snprintf(path, sizeof(path), "%s/hvk", bin);
	h = hash_file(h, path);
	snprintf(path, sizeof(path), "%s/../modules", bin);
	n = scandir(path, &list, is_module, alphasort);
	for (i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/../modules/%s", bin,
		    list[i]->d_name);
		h = hash_file(h, path);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	snprintf(out, 17, "%016llx", (unsigned long long)h);
	return (0);
}

static const struct row *
row_find(const char *id)
{
	size_t i;

	for (i = 0; i < NROWS; i++)
		if (strcmp(rows[i].id, id) == 0)
			return (&rows[i]);
	return (NULL);
}

static int
engine_find(const char *name)
{
	unsigned i;

	for (i = 0; i < NENGINES; i++)
		if (strcmp(engine_names[i], name) == 0)
			return ((int)i);
	return (-1);
}

static const char *
str(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return (s != NULL ? s : "");
}

/* False for the mere number of tests, which stands where none printed one. */
static bool
is_measured(const char *figure)
{
	size_t n = strspn(figure, "0123456789");

	return (strcmp(figure + n, " test") != 0 &&
	    strcmp(figure + n, " tests") != 0);
}

/*
 * A figure that was measured is worth more than none, and a real guest's more
 * than that of a pair in one process.
 */
static void
take(struct result *r, unsigned bit, const json_t *rec)
{
	unsigned worth = bit;

	if (is_measured(str(rec, "figure")))
		worth |= 1u << NENGINES;
	if (strcmp(str(rec, "state"), "yes") != 0) {
		r->failed |= bit;
		snprintf(r->proof, sizeof(r->proof), "%s", str(rec, "proof"));
		snprintf(r->figure, sizeof(r->figure), "%s",
		    str(rec, "figure"));
		return;
	}
	r->ran |= bit;
	if (r->failed == 0 && worth >= r->best) {
		r->best = worth;
		snprintf(r->figure, sizeof(r->figure), "%s",
		    str(rec, "figure"));
		snprintf(r->proof, sizeof(r->proof), "%s", str(rec, "proof"));
	}
}

static void
load(const char *dir, const char *build, struct result res[])
{
	const struct row *row;
	struct dirent *e;
	char path[4500];
	const char *dot;
	json_t *rec;
	DIR *d;
	int eng;

	d = opendir(dir);
	if (d == NULL)
		return;
	while ((e = readdir(d)) != NULL) {
		dot = strrchr(e->d_name, '.');
		if (dot == NULL || strcmp(dot, ".json") != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		rec = json_load_file(path, 0, NULL);
		row = row_find(str(rec, "id"));
		eng = engine_find(str(rec, "engine"));
		if (row == NULL || eng < 0) {
			vmm_log("%s is no proof record; remove it", path);
		} else if (strcmp(str(rec, "build"), build) != 0) {
			res[row - rows].stale |= 1u << eng;
		} else
			take(&res[row - rows], 1u << eng, rec);
		json_decref(rec);
	}
	closedir(d);
}

static const char *
state(const struct row *row, const struct result *r)
{

	if (r->failed != 0)
		return ("failed");
	return ((r->ran & row->engines) != 0 ? "yes" : "not yet");
}

static void
engines_text(unsigned bits, char *out, size_t len)
{
	unsigned i;

	out[0] = '\0';
	for (i = 0; i < NENGINES; i++)
		if (bits & 1u << i) {
			if (out[0] != '\0')
				strncat(out, ",", len - strlen(out) - 1);
			strncat(out, engine_names[i], len - strlen(out) - 1);
		}
}

static int
print_json(const struct result res[])
{
	json_t *all = json_array(), *engines;
	unsigned i, k;
	int error;

	for (i = 0; i < NROWS; i++) {
		engines = json_array();
		for (k = 0; k < NENGINES; k++)
			if (res[i].ran & 1u << k)
				json_array_append_new(engines,
				    json_string(engine_names[k]));
		json_array_append_new(all, json_pack(
		    "{s:s, s:s, s:s, s:o, s:s, s:s}", "id", rows[i].id,
		    "title", rows[i].title, "state", state(&rows[i], &res[i]),
		    "engines", engines, "figure", res[i].figure, "proof",
		    res[i].proof));
	}
	error = json_dumpf(all, stdout, JSON_INDENT(1));
	printf("\n");
	json_decref(all);
	return (error == 0 ? EX_OK_ : EX_FAILED);
}

static int
print_table(const struct result res[])
{
	unsigned i, yes = 0, failed = 0, stale = 0;
	const char *area = "", *st;
	char engines[64];

	for (i = 0; i < NROWS; i++) {
		if (strcmp(area, rows[i].area) != 0) {
			area = rows[i].area;
			printf("%s%s\n", i > 0 ? "\n" : "", area);
		}
		st = state(&rows[i], &res[i]);
		yes += strcmp(st, "yes") == 0;
		failed += res[i].failed != 0;
		stale += res[i].stale != 0 && res[i].ran == 0;
		engines_text(res[i].ran, engines, sizeof(engines));
		printf("  %-18s %-40s %-8s %-9s %s\n", rows[i].id,
		    rows[i].title, st, engines, res[i].figure);
	}
	printf("\n%u of %zu rows proved, %u failed.", yes, NROWS, failed);
	if (stale > 0)
		printf(" %u have proofs of another build: run `make run` and "
		    "`make test` again.", stale);
	printf("\n");
	return (EX_OK_);
}

static int
proof_dir(char *bin, size_t binlen, char *dir, size_t len, char build[17])
{
	const char *env = getenv("HVK_PROOF_DIR");

	if (vmm_self_dir(bin, binlen) != 0) {
		vmm_log("cannot find my own binary in /proc/self/exe");
		return (-1);
	}
	if (env != NULL && *env != '\0')
		snprintf(dir, len, "%s", env);
	else
		snprintf(dir, len, "%s/../proof", bin);
	return (build_id(bin, build));
}

static void
features_help(void)
{

	printf("usage: hvk features [--json]\n"
	    "       hvk features --kernel FILE [--modules DIR] [--mfsroot IMAGE] "
	    "[--root DIR]\n"
	    "           [--cpus N] [--log FILE] [--seconds N] [--keep] "
	    "[-- RUN-OPTION...]\n\n"
	    "Prints every row of the feature matrix. A row is \"yes\" only if a "
	    "proof of it\nran and passed with exactly the programs and modules "
	    "that are built now, on an\nengine that counts for it; the figure "
	    "was measured by that proof. \"failed\": a\nproof ran and failed. "
	    "\"not yet\": none ran.\n\n"
	    "Engines: pair (guest and host machines in one process), kld (the "
	    "FreeBSD modules\nin kldrun), linux (a stock Linux kernel), fbsd "
	    "(a real FreeBSD kernel), bare\n(the freestanding port).\n\n"
	    "With --kernel a FreeBSD kernel for amd64 is booted on the kvm "
	    "engine, with the\nmodules of DIR preloaded, and every proof that "
	    "can run on it is run first. Without\n--modules its own drivers are "
	    "tried, and nothing is recorded. The memory root is\nmade by "
	    "makefs unless given, with the files of --root DIR in it; where "
	    "these are the\ndaemons, they are tried too. What follows -- goes to `hvk run`.\n\n"
	    "Proofs are recorded by `make run` and `make test` in build/proof "
	    "(HVK_PROOF_DIR).\n\nExamples:\n"
	    "  make run && hvk features\n"
	    "  hvk features --kernel /boot/kernel/kernel --modules modules/\n"
	    "  hvk features --json | jq '.[] | select(.state == \"yes\")'\n");
}

static int
print_all(bool json)
{
	struct result res[NROWS];
	char bin[4096], dir[4200], build[17];

	memset(res, 0, sizeof(res));
	if (proof_dir(bin, sizeof(bin), dir, sizeof(dir), build) != 0)
		return (EX_FAILED);
	load(dir, build, res);
	return (json ? print_json(res) : print_table(res));
}

static bool
seconds(const char *text, unsigned *value)
{
	unsigned long n;
	char *end;

	n = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || n == 0 || n > 86400)
		return (false);
	*value = (unsigned)n;
	return (true);
}

int
cmd_features(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "kernel", required_argument, NULL, 'k' },
		{ "modules", required_argument, NULL, 'm' },
		{ "mfsroot", required_argument, NULL, 'r' },
		{ "root", required_argument, NULL, 'R' },
		{ "cpus", required_argument, NULL, 'c' },
		{ "log", required_argument, NULL, 'l' },
		{ "seconds", required_argument, NULL, 's' },
		{ "keep", no_argument, NULL, 'K' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct features_kernel f = { .cpus = "2", .seconds = 600 };
	bool json = false;
	int c, status = EX_OK_, table;

	while ((c = getopt_long(argc, argv, "h", longopts, NULL)) != -1)
		switch (c) {
		case 'j':
			json = true;
			break;
		case 'k':
			f.kernel = optarg;
			break;
		case 'm':
			f.modules = optarg;
			break;
		case 'r':
			f.mfsroot = optarg;
			break;
		case 'R':
			f.root = optarg;
			break;
		case 'c':
			f.cpus = optarg;
			break;
		case 'l':
			f.log = optarg;
			break;
		case 's':
			if (seconds(optarg, &f.seconds))
				break;
			vmm_log("--seconds %s: a number from 1 to 86400",
			    optarg);
			return (EX_USAGE_);
		case 'K':
			f.keep = true;
			break;
		case 'h':
			features_help();
			return (EX_OK_);
		default:
			return (EX_USAGE_);
		}
	f.more = argv + optind;
	f.nmore = argc - optind;
	if (f.kernel == NULL && (f.nmore != 0 || f.modules != NULL ||
	    f.mfsroot != NULL || f.root != NULL)) {
		vmm_log("features takes no argument without --kernel; see "
		    "`hvk features --help`");
		return (EX_USAGE_);
	}
	if (f.kernel != NULL)
		status = features_kernel(&f);
	table = print_all(json);
	return (status != EX_OK_ ? status : table);
}

static void
proof_help(void)
{

	printf("usage: hvk proof ID ENGINE yes|failed FIGURE PROOFNAME\n\n"
	    "Records that a proof of a feature row ran, for `hvk features`. "
	    "FIGURE is what the\nproof measured, with its unit; PROOFNAME names "
	    "the test or script that ran.\nFor scripts: it proves nothing by "
	    "itself.\n\nExample:\n"
	    "  hvk proof stor.trim kld yes \"64 MiB of holes\" "
	    "tests/run/trim\n");
}

/* The record's file: one per row, engine and proof. */
static void
record_path(char *path, size_t len, const char *dir, char **argv)
{
	size_t n;

	n = (size_t)snprintf(path, len, "%s/", dir);
	snprintf(path + n, len - n, "%s.%s.%s.json", argv[1], argv[2],
	    argv[5]);
	for (; path[n] != '\0'; n++)
		if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		    "0123456789._-", path[n]) == NULL)
			path[n] = '_';
}

int
cmd_proof(int argc, char **argv)
{
	char bin[4096], dir[4200], build[17], path[4700], tmp[4720];
	json_t *rec;
	int error;

	if (argc == 2 && (strcmp(argv[1], "--help") == 0 ||
	    strcmp(argv[1], "-h") == 0)) {
		proof_help();
		return (EX_OK_);
	}
	if (argc != 6) {
		vmm_log("proof takes 5 arguments; see `hvk proof --help`");
		return (EX_USAGE_);
	}
	if (row_find(argv[1]) == NULL || engine_find(argv[2]) < 0 ||
	    (strcmp(argv[3], "yes") != 0 && strcmp(argv[3], "failed") != 0) ||
	    strlen(argv[5]) > 180) {
		vmm_log("proof: '%s %s %s' is no row, engine and state; "
		    "`hvk features` lists the rows", argv[1], argv[2],
		    argv[3]);
		return (EX_USAGE_);
	}
	if (proof_dir(bin, sizeof(bin), dir, sizeof(dir), build) != 0)
		return (EX_FAILED);
	if (mkdir(dir, 0777) != 0 && errno != EEXIST) {
		vmm_log("cannot make %s: %s", dir, strerror(errno));
		return (EX_FAILED);
	}
	record_path(path, sizeof(path), dir, argv);
	snprintf(tmp, sizeof(tmp), "%s.%d", path, (int)getpid());
	rec = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "id", argv[1],
	    "engine", argv[2], "state", argv[3], "figure", argv[4], "proof",
	    argv[5], "build", build);
	error = rec == NULL || json_dump_file(rec, tmp, JSON_INDENT(1)) != 0 ||
	    rename(tmp, path) != 0;
	json_decref(rec);
	if (error) {
		vmm_log("cannot write %s: %s", path, strerror(errno));
		unlink(tmp);
		return (EX_FAILED);
	}
	return (EX_OK_);
}
