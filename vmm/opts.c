/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * A guest's description: dotted keys with checked values, from the command
 * line or a file (one key=value a line, # starts a comment).  The keys are in
 * opts.def.  Not locked: filled in before any thread starts.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <hvk/vmm.h>

enum opt_type {
	STRING, ENGINE, CPUS, SIZE, VERSION, BOOL, MS, COUNT, BACKEND, SECTOR,
	CONTROLLER, BYTES, US, NICKIND, MTU, SYNIC,
};

static const struct opt {
	const char	*key;
	enum opt_type	type;
	const char	*def;
	const char	*values;
	const char	*text;
} opts[] = {
#define	OPT(key, type, def, values, text)	{ key, type, def, values, text },
#include "opts.def"
#undef OPT
};
#define	NOPTS	(sizeof(opts) / sizeof(opts[0]))

#define	MAX_PAIRS	1024u
#define	MAX_DISKS	64u

struct pair {
	char		key[64];
	char		*value;
};

struct vmm_opts {
	struct pair	pair[MAX_PAIRS];
	uint32_t	n;
};

struct vmm_opts *
vmm_opts_new(void)
{

	return (calloc(1, sizeof(struct vmm_opts)));
}

void
vmm_opts_free(struct vmm_opts *o)
{
	uint32_t i;

	if (o == NULL)
		return;
	for (i = 0; i < o->n; i++)
		free(o->pair[i].value);
	free(o);
}

/* Does "disk.12.path" match "disk.N.path"? */
static bool
key_matches(const char *pattern, const char *key)
{

	for (; *pattern != '\0'; pattern++) {
		if (*pattern == 'N') {
			if (!isdigit((unsigned char)*key))
				return (false);
			/* At most two digits: MAX_DISKS. */
			key++;
			if (isdigit((unsigned char)*key))
				key++;
			continue;
		}
		if (*pattern != *key++)
			return (false);
	}
	return (*key == '\0');
}

static const struct opt *
opt_find(const char *key)
{
	size_t i;

	for (i = 0; i < NOPTS; i++)
		if (key_matches(opts[i].key, key))
			return (&opts[i]);
	return (NULL);
}

/* Edits between two short words, for "did you mean". */
static unsigned
distance(const char *a, const char *b)
{
	unsigned row[65], prev, cur, i, j;
	size_t la = strlen(a), lb = strlen(b);

	if (la > 64 || lb > 64)
		return (64);
	for (j = 0; j <= lb; j++)
		row[j] = j;
	for (i = 1; i <= la; i++) {
		prev = row[0];
		row[0] = i;
		for (j = 1; j <= lb; j++) {
			cur = row[j];
			row[j] = prev + (a[i - 1] != b[j - 1]);
			if (cur + 1 < row[j])
				row[j] = cur + 1;
			if (row[j - 1] + 1 < row[j])
				row[j] = row[j - 1] + 1;
			prev = cur;
		}
	}
	return (row[lb]);
}

static int
unknown_key(const char *key, char *err, size_t errlen)
{
	const char *best = NULL;
	unsigned d, least = 4;
	size_t i;

	for (i = 0; i < NOPTS; i++) {
		d = distance(key, opts[i].key);
		if (d < least) {
			least = d;
			best = opts[i].key;
		}
	}
	if (best != NULL)
		return (vmm_fail(err, errlen, -EINVAL,
		    "unknown key '%.64s'; did you mean '%s'?", key, best));
	return (vmm_fail(err, errlen, -EINVAL,
	    "unknown key '%.64s'; `hvk run --help` lists the keys", key));
}

int
vmm_parse_size(const char *s, uint64_t *out)
{
	unsigned long long v;
	unsigned shift = 0;
	char *end;

	if (!isdigit((unsigned char)*s))
		return (-EINVAL);
	errno = 0;
	v = strtoull(s, &end, 0);
	if (errno != 0)
		return (-EINVAL);
	switch (toupper((unsigned char)*end)) {
	case 'T': shift = 40; break;
	case 'G': shift = 30; break;
	case 'M': shift = 20; break;
	case 'K': shift = 10; break;
	case '\0': *out = v; return (0);
	default: return (-EINVAL);
	}
	end++;
	if (end[0] == 'i')
		end++;
	if (end[0] == 'B')
		end++;
	if (*end != '\0' || v > (UINT64_MAX >> shift))
		return (-EINVAL);
	*out = v << shift;
	return (0);
}

int
vmm_parse_version(const char *s, uint32_t *out)
{
	static const char *const known[] = { "2.4", "3.0", "4.0", "4.1", "5.0",
	    "5.1", "5.2", "5.3", "6.0" };
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(s, known[i]) == 0) {
			*out = (uint32_t)(s[0] - '0') << 16 |
			    (uint32_t)(s[2] - '0');
			return (0);
		}
	return (-EINVAL);
}

static int
parse_bool(const char *s)
{
	static const char *const yes[] = { "yes", "true", "on", "1" };
	static const char *const no[] = { "no", "false", "off", "0" };
	size_t i;

	for (i = 0; i < 4; i++) {
		if (strcasecmp(s, yes[i]) == 0)
			return (1);
		if (strcasecmp(s, no[i]) == 0)
			return (0);
	}
	return (-1);
}

static bool
in_range(const char *s, unsigned long min, unsigned long max)
{
	unsigned long v;
	char *end;

	if (!isdigit((unsigned char)*s))
		return (false);
	errno = 0;
	v = strtoul(s, &end, 10);
	return (errno == 0 && *end == '\0' && v >= min && v <= max);
}

static bool
controller_ok(const char *s)
{

	if (strncmp(s, "scsi", 4) == 0)
		return (in_range(s + 4, 0, 7));
	if (strncmp(s, "ide", 3) == 0)
		return (in_range(s + 3, 0, 1));
	return (false);
}

static bool
value_ok(enum opt_type type, const char *v)
{
	uint64_t size;
	uint32_t ver;

	switch (type) {
	case STRING:
		return (*v != '\0' && strlen(v) < 4096);
	case ENGINE:
		return (strcmp(v, "kld") == 0 || strcmp(v, "kvm") == 0);
	case CPUS:
		return (in_range(v, 1, VMM_MAXCPU));
	case SIZE:
		return (vmm_parse_size(v, &size) == 0 && size >= (16u << 20) &&
		    size <= (64ull << 30) && size % VMM_PAGE == 0);
	case VERSION:
		return (vmm_parse_version(v, &ver) == 0);
	case BOOL:
		return (parse_bool(v) >= 0);
	case MS:
		return (in_range(v, 1, 3600000));
	case COUNT:
		return (in_range(v, 0, 63));
	case BACKEND:
		return (strcmp(v, "raw") == 0 || strcmp(v, "nbd") == 0 ||
		    strcmp(v, "null") == 0);
	case SECTOR:
		return (strcmp(v, "512") == 0 || strcmp(v, "4096") == 0);
	case CONTROLLER:
		return (controller_ok(v));
	case BYTES:
		return (vmm_parse_size(v, &size) == 0 && size != 0);
	case SYNIC:
		return (strcmp(v, "auto") == 0 || strcmp(v, "kernel") == 0 ||
		    strcmp(v, "user") == 0);
	case US:
		return (in_range(v, 0, 1000000));
	case NICKIND:
		return (strcmp(v, "slirp") == 0 || strcmp(v, "tap") == 0 ||
		    strcmp(v, "pair") == 0);
	case MTU:
		return (in_range(v, 1500, 9202));
	}
	return (false);
}

static int
bad_value(const struct opt *o, const char *key, const char *value, char *err,
    size_t errlen)
{

	return (vmm_fail(err, errlen, -EINVAL,
	    "%s: '%.64s' is not a value for it; give %s%s", key, value,
	    o->values, o->type == SIZE ? " such as 256M (a multiple of 4K, "
	    "from 16M to 64G)" : ""));
}

int
vmm_opts_set(struct vmm_opts *o, const char *key, const char *value,
    char *err, size_t errlen)
{
	const struct opt *def = opt_find(key);
	char *copy;
	uint32_t i;

	if (def == NULL)
		return (unknown_key(key, err, errlen));
	if (!value_ok(def->type, value))
		return (bad_value(def, key, value, err, errlen));
	for (i = 0; i < o->n; i++)
		if (strcmp(o->pair[i].key, key) == 0)
			break;
	if (i == MAX_PAIRS)
		return (vmm_fail(err, errlen, -E2BIG, "too many keys"));
	copy = strdup(value);
	if (copy == NULL)
		return (vmm_fail(err, errlen, -ENOMEM, "out of memory"));
	free(o->pair[i].value);
	o->pair[i].value = copy;
	snprintf(o->pair[i].key, sizeof(o->pair[i].key), "%s", key);
	if (i == o->n)
		o->n++;
	return (0);
}

int
vmm_opts_assign(struct vmm_opts *o, const char *kv, char *err, size_t errlen)
{
	const char *eq = strchr(kv, '=');
	char key[64];

	if (eq == NULL || eq == kv)
		return (vmm_fail(err, errlen, -EINVAL,
		    "'%.64s' is not key=value", kv));
	if ((size_t)(eq - kv) >= sizeof(key))
		return (unknown_key(kv, err, errlen));
	memcpy(key, kv, (size_t)(eq - kv));
	key[eq - kv] = '\0';
	return (vmm_opts_set(o, key, eq + 1, err, errlen));
}

static char *
trim(char *s)
{
	char *end;

	while (isspace((unsigned char)*s))
		s++;
	end = s + strlen(s);
	while (end > s && isspace((unsigned char)end[-1]))
		*--end = '\0';
	return (s);
}

int
vmm_opts_file(struct vmm_opts *o, const char *path, char *err, size_t errlen)
{
	char line[4300], why[VMM_ERRLEN], *s, *eq;
	unsigned lineno = 0;
	int error = 0;
	FILE *f;

	f = fopen(path, "re");
	if (f == NULL)
		return (vmm_fail(err, errlen, -errno, "cannot read %s: %s",
		    path, strerror(errno)));
	while (error == 0 && fgets(line, sizeof(line), f) != NULL) {
		lineno++;
		s = trim(line);
		if (*s == '\0' || *s == '#')
			continue;
		eq = strchr(s, '=');
		if (eq == NULL) {
			error = vmm_fail(why, sizeof(why), -EINVAL,
			    "'%.64s' is not key=value", s);
			break;
		}
		*eq = '\0';
		error = vmm_opts_set(o, trim(s), trim(eq + 1), why,
		    sizeof(why));
	}
	fclose(f);
	if (error != 0)
		vmm_fail(err, errlen, 0, "%s:%u: %.400s", path, lineno, why);
	return (error);
}

static const char *
raw_get(const struct vmm_opts *o, const char *key)
{
	uint32_t i;

	for (i = 0; i < o->n; i++)
		if (strcmp(o->pair[i].key, key) == 0)
			return (o->pair[i].value);
	return (NULL);
}

const char *
vmm_opts_get(const struct vmm_opts *o, const char *key)
{
	const char *v = raw_get(o, key);
	const struct opt *def;

	if (v != NULL)
		return (v);
	def = opt_find(key);
	return (def != NULL && *def->def != '\0' ? def->def : NULL);
}

int
vmm_opts_append(struct vmm_opts *o, const char *what, const char *value,
    char *err, size_t errlen)
{
	char key[64];
	unsigned i;

	for (i = 0; i < 100; i++) {
		snprintf(key, sizeof(key), "%s.%u", what, i);
		if (raw_get(o, key) == NULL)
			return (vmm_opts_set(o, key, value, err, errlen));
	}
	return (vmm_fail(err, errlen, -E2BIG, "more than 100 of %s", what));
}

uint64_t
vmm_opts_num(const struct vmm_opts *o, const char *key)
{
	const char *v = vmm_opts_get(o, key);
	uint64_t n = 0;

	if (v != NULL)
		(void)vmm_parse_size(v, &n);
	return (n);
}

bool
vmm_opts_bool(const struct vmm_opts *o, const char *key)
{
	const char *v = vmm_opts_get(o, key);

	return (v != NULL && parse_bool(v) == 1);
}

/* ---- disks */

static bool
is_uri(const char *s)
{

	return (strncmp(s, "nbd:", 4) == 0 || strncmp(s, "nbds:", 5) == 0 ||
	    strncmp(s, "nbd+unix:", 9) == 0 ||
	    strncmp(s, "nbds+unix:", 10) == 0);
}

/*
 * The next field of a SPEC up to a comma, ",," being a comma in it.  Returns
 * what follows, NULL at the end.
 */
const char *
vmm_spec_field(const char *s, char *out, size_t len)
{
	size_t n = 0;

	for (; *s != '\0'; s++) {
		if (*s == ',') {
			if (s[1] != ',')
				break;
			s++;
		}
		if (n + 1 < len)
			out[n++] = *s;
	}
	out[n] = '\0';
	return (*s == ',' ? s + 1 : NULL);
}

int
vmm_opts_disk(struct vmm_opts *o, const char *spec, bool cdrom, char *err,
    size_t errlen)
{
	char field[4200], key[64], *eq;
	unsigned i;
	int error;

	for (i = 0; i < MAX_DISKS; i++) {
		snprintf(key, sizeof(key), "disk.%u.path", i);
		if (raw_get(o, key) == NULL)
			break;
	}
	if (i == MAX_DISKS)
		return (vmm_fail(err, errlen, -E2BIG,
		    "more than %u disks", MAX_DISKS));
	spec = vmm_spec_field(spec, field, sizeof(field));
	error = vmm_opts_set(o, key, field, err, errlen);
	if (error == 0 && cdrom) {
		snprintf(key, sizeof(key), "disk.%u.cdrom", i);
		error = vmm_opts_set(o, key, "yes", err, errlen);
	}
	while (error == 0 && spec != NULL) {
		spec = vmm_spec_field(spec, field, sizeof(field));
		eq = strchr(field, '=');
		if (eq != NULL)
			*eq = '\0';
		snprintf(key, sizeof(key), "disk.%u.%.32s", i, field);
		error = vmm_opts_set(o, key, eq != NULL ? eq + 1 : "yes", err,
		    errlen);
	}
	return (error);
}

static const char *
disk_key(const struct vmm_opts *o, unsigned i, const char *what)
{
	char key[64];

	snprintf(key, sizeof(key), "disk.%u.%s", i, what);
	return (vmm_opts_get(o, key));
}

static json_t *
disk_json(const struct vmm_opts *o, unsigned i)
{
	const char *path = disk_key(o, i, "path");
	const char *backend = disk_key(o, i, "backend");
	const char *lun = disk_key(o, i, "lun");
	const char *size = disk_key(o, i, "size");
	uint64_t bytes;
	bool cdrom = parse_bool(disk_key(o, i, "cdrom")) == 1;
	json_t *d;

	if (backend == NULL)
		backend = is_uri(path) ? "nbd" : "raw";
	d = json_pack("{s:s, s:s, s:b, s:b, s:i, s:b, s:s}",
	    "path", path, "backend", backend,
	    "readonly", cdrom || parse_bool(disk_key(o, i, "readonly")) == 1,
	    "direct", parse_bool(disk_key(o, i, "direct")) == 1,
	    "sector", cdrom ? 2048 : atoi(disk_key(o, i, "sector")),
	    "cdrom", cdrom, "controller", disk_key(o, i, "controller"));
	if (d != NULL && lun != NULL)
		json_object_set_new(d, "lun", json_integer(atoi(lun)));
	if (d != NULL && size != NULL && vmm_parse_size(size, &bytes) == 0)
		json_object_set_new(d, "size",
		    json_integer((json_int_t)bytes));
	return (d);
}

json_t *
vmm_disk_parse(const char *spec, bool cdrom, char *err, size_t errlen)
{
	struct vmm_opts *o = vmm_opts_new();
	json_t *d = NULL;

	if (o != NULL && vmm_opts_disk(o, spec, cdrom, err, errlen) == 0)
		d = disk_json(o, 0);
	vmm_opts_free(o);
	return (d);
}

static json_t *
controller_get(json_t *list, const struct vmm_opts *o, const char *name)
{
	const char *sub = vmm_opts_get(o, "scsi.subchannels");
	bool ide = strncmp(name, "ide", 3) == 0;
	json_t *c, *disks;
	size_t i;
	int n;

	json_array_foreach(list, i, c)
		if (strcmp(json_string_value(json_object_get(c, "name")),
		    name) == 0)
			return (json_object_get(c, "disks"));
	n = sub != NULL ? atoi(sub) : (int)vmm_opts_num(o, "cpus") - 1;
	disks = json_array();
	c = json_pack("{s:s, s:s, s:i, s:o}", "name", name,
	    "type", ide ? "ide" : "scsi", "subchannels", ide ? 0 : n,
	    "disks", disks);
	if (vmm_opts_get(o, "storage.poll") != NULL)
		json_object_set_new(c, "poll_us", json_integer(
		    (json_int_t)vmm_opts_num(o, "storage.poll")));
	json_array_append_new(list, c);
	return (disks);
}

json_t *
vmm_opts_controllers(const struct vmm_opts *o, char *err, size_t errlen)
{
	json_t *list = json_array(), *d;
	char key[64];
	unsigned i;

	/* The SCSI controller is there even without a disk: for disk add. */
	controller_get(list, o, "scsi0");
	for (i = 0; i < 100; i++) {
		snprintf(key, sizeof(key), "disk.%u.", i);
		for (uint32_t k = 0; k < o->n; k++)
			if (strncmp(o->pair[k].key, key, strlen(key)) == 0)
				goto found;
		continue;
found:
		if (disk_key(o, i, "path") == NULL) {
			json_decref(list);
			vmm_fail(err, errlen, 0, "disk.%u has no path; add "
			    "-o disk.%u.path=FILE", i, i);
			return (NULL);
		}
		d = disk_json(o, i);
		json_array_append_new(controller_get(list, o,
		    disk_key(o, i, "controller")), d);
	}
	return (list);
}

void
vmm_opts_help(void)
{
	char left[64];
	size_t i;

	for (i = 0; i < NOPTS; i++) {
		snprintf(left, sizeof(left), "%s=%s", opts[i].key,
		    opts[i].values);
		printf("  %-34s %s%s%s%s\n", left, opts[i].text,
		    *opts[i].def != '\0' ? " (default " : "", opts[i].def,
		    *opts[i].def != '\0' ? ")" : "");
	}
}
