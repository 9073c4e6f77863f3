/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * A guest's adapters out of its keys (net.N.*), and SPECs of them.
 * Not locked: like opts.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hvk/vmm.h>

#define	MAX_NICS	16u

static const char *const keys[] = { "backend", "mac", "queues", "mtu", "vlan",
    "link", "speed", "offload", "ifname", "netns", "path", "net", "hostfwd" };
#define	NKEYS	(sizeof(keys) / sizeof(keys[0]))

static const char *
nic_key(const struct vmm_opts *o, unsigned i, const char *what)
{
	char key[64];

	snprintf(key, sizeof(key), "net.%u.%s", i, what);
	return (vmm_opts_get(o, key));
}

/* Has anything been said of it?  mtu and such have a value in any case. */
static bool
nic_there(const struct vmm_opts *o, unsigned i)
{
	static const char *const said[] = { "backend", "mac", "queues",
	    "ifname", "netns", "path", "net", "hostfwd", "guest" };
	size_t k;

	for (k = 0; k < sizeof(said) / sizeof(said[0]); k++)
		if (nic_key(o, i, said[k]) != NULL)
			return (true);
	return (false);
}

static int
set(struct vmm_opts *o, unsigned i, const char *what, const char *value,
    char *err, size_t errlen)
{
	char key[64];

	snprintf(key, sizeof(key), "net.%u.%.32s", i, what);
	return (vmm_opts_set(o, key, value, err, errlen));
}

/* "tap:eth7": what is behind the colon depends on the kind. */
static int
set_kind(struct vmm_opts *o, unsigned i, char *field, char *err,
    size_t errlen)
{
	char *arg = strchr(field, ':');
	int error;

	if (arg != NULL)
		*arg++ = '\0';
	error = set(o, i, "backend", field, err, errlen);
	if (error != 0)
		return (vmm_fail(err, errlen, error, "'%.32s' is no back-end "
		    "of an adapter; use slirp, tap[:NAME] or pair:PATH",
		    field));
	if (arg == NULL)
		return (0);
	return (set(o, i, strcmp(field, "tap") == 0 ? "ifname" :
	    strcmp(field, "pair") == 0 ? "path" : "net", arg, err, errlen));
}

/* `name' may be NULL: then the key is not taken. */
static int
nic_spec(struct vmm_opts *o, const char *spec, char name[16], char *err,
    size_t errlen)
{
	char field[4200], *eq;
	unsigned i;
	int error;

	for (i = 0; i < MAX_NICS && nic_there(o, i); i++)
		continue;
	if (i == MAX_NICS)
		return (vmm_fail(err, errlen, -E2BIG, "more than %u adapters",
		    MAX_NICS));
	spec = vmm_spec_field(spec, field, sizeof(field));
	error = set_kind(o, i, field, err, errlen);
	while (error == 0 && spec != NULL) {
		spec = vmm_spec_field(spec, field, sizeof(field));
		eq = strchr(field, '=');
		if (eq != NULL)
			*eq++ = '\0';
		if (name != NULL && eq != NULL && strcmp(field, "name") == 0)
			snprintf(name, 16, "%.15s", eq);
		else
			error = set(o, i, field, eq != NULL ? eq : "yes", err,
			    errlen);
	}
	return (error);
}

int
vmm_opts_nic(struct vmm_opts *o, const char *spec, char *err, size_t errlen)
{

	return (nic_spec(o, spec, NULL, err, errlen));
}

static json_t *
nic_json(const struct vmm_opts *o, unsigned i)
{
	json_t *nic = json_object();
	const char *v;
	char key[64];
	uint64_t n;
	size_t k;

	json_object_set_new(nic, "backend", json_string("slirp"));
	for (k = 0; k < NKEYS; k++) {
		snprintf(key, sizeof(key), "net.%u.%s", i, keys[k]);
		v = vmm_opts_get(o, key);
		if (v == NULL)
			continue;
		if (strcmp(keys[k], "queues") == 0 ||
		    strcmp(keys[k], "mtu") == 0 ||
		    strcmp(keys[k], "speed") == 0) {
			if (vmm_parse_size(v, &n) == 0)
				json_object_set_new(nic, keys[k],
				    json_integer((json_int_t)n));
		} else if (strcmp(keys[k], "link") == 0)
			json_object_set_new(nic, "link", json_boolean(
			    vmm_opts_bool(o, key)));
		else
			json_object_set_new(nic, keys[k], json_string(v));
	}
	return (nic);
}

json_t *
vmm_opts_nics(const struct vmm_opts *o)
{
	json_t *list = json_array(), *nic;
	char name[16];
	unsigned i;

	for (i = 0; i < MAX_NICS; i++) {
		if (!nic_there(o, i))
			continue;
		nic = nic_json(o, i);
		snprintf(name, sizeof(name), "net%u", i);
		json_object_set_new(nic, "name", json_string(name));
		json_array_append_new(list, nic);
	}
	return (list);
}

json_t *
vmm_nic_parse(const char *spec, char *err, size_t errlen)
{
	struct vmm_opts *o = vmm_opts_new();
	json_t *nic = NULL;
	char name[16] = "";

	if (o != NULL && nic_spec(o, spec, name, err, errlen) == 0) {
		nic = nic_json(o, 0);
		if (name[0] != '\0')
			json_object_set_new(nic, "name", json_string(name));
	}
	vmm_opts_free(o);
	return (nic);
}
