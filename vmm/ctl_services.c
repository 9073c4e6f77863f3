/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * `hvk ctl' commands of the integration services: from words to a request, for
 * most.  Those that take several requests are in ctl_backup.c and ctl_copy.c.
 */
#include <stdio.h>
#include <string.h>

#include <hvk/vmm.h>

#include "ctl.h"

void
ctl_services_help(void)
{

	printf("  shutdown [force] [reason=TEXT]   power the guest off in good "
	    "order\n"
	    "  restart [force] [reason=TEXT]    restart it\n"
	    "  heartbeat                  does the guest live?\n"
	    "  time [sync | sample]       send it the time now; how that "
	    "went\n"
	    "  kvp list [pool=POOL]       keys and values the guest has\n"
	    "  kvp get KEY [pool=POOL]    of the first pool that has it\n"
	    "  kvp set KEY VALUE [pool=POOL] [type=u32|u64]   in external\n"
	    "  kvp delete KEY [pool=POOL]\n"
	    "  ip get ADAPTER             addresses of net0, or of a MAC "
	    "address\n"
	    "  ip set ADAPTER [addresses=A[;A]...] [masks=...] [gateways=...]\n"
	    "         [dns=...] [dhcp=yes]\n"
	    "  backup check|freeze [hold=SECONDS]|thaw   one step of it\n"
	    "  backup DIR                 freeze, copy the disks to DIR, thaw\n"
	    "  copy FILE [path=DIR] [name=NAME] [overwrite] [mkdirs]   into "
	    "the guest\n"
	    "  lsvmbus                    devices and channels, as the guest "
	    "sees them\n");
}

static int
request_shutdown(json_t *req, int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++) {
		if (strcmp(argv[i], "force") == 0 ||
		    strcmp(argv[i], "hibernate") == 0)
			json_object_set_new(req, argv[i], json_true());
		else if (strncmp(argv[i], "reason=", 7) == 0)
			json_object_set_new(req, "reason",
			    json_string(argv[i] + 7));
		else
			return (ctl_usage("shutdown|restart [force] "
			    "[reason=TEXT]"));
	}
	json_object_set_new(req, "cmd", json_string(argv[0]));
	return (0);
}

static int
request_time(json_t *req, int argc, char **argv)
{

	if (argc > 2 || (argc == 2 && strcmp(argv[1], "sync") != 0 &&
	    strcmp(argv[1], "sample") != 0))
		return (ctl_usage("time [sync | sample]"));
	json_object_set_new(req, "cmd", argc == 1 ? json_string("time") :
	    json_sprintf("time %s", argv[1]));
	return (0);
}

static int
request_heartbeat(json_t *req, int argc, char **argv)
{

	if (argc != 1)
		return (ctl_usage("heartbeat"));
	json_object_set_new(req, "cmd", json_string(argv[0]));
	return (0);
}

/* WORD=VALUE: true if it is one of `words'. */
static bool
assign(json_t *req, const char *arg, const char *const *words)
{
	const char *eq = strchr(arg, '=');
	size_t n;

	for (; eq != NULL && *words != NULL; words++) {
		n = strlen(*words);
		if (n == (size_t)(eq - arg) && strncmp(arg, *words, n) == 0) {
			json_object_set_new(req, *words, json_string(eq + 1));
			return (true);
		}
	}
	return (false);
}

/* Text of the command line that is no UTF-8 cannot be sent. */
static bool
set_text(json_t *req, const char *key, const char *text)
{
	json_t *v = json_string(text);

	if (v == NULL) {
		vmm_log("'%s' is not UTF-8", text);
		return (false);
	}
	json_object_set_new(req, key, v);
	return (true);
}

static int
request_kvp(json_t *req, int argc, char **argv)
{
	static const char *const words[] = { "pool", "type", NULL };
	static const struct { const char *verb; int args; } verbs[] = {
		{ "list", 0 }, { "get", 1 }, { "delete", 1 }, { "set", 2 },
	};
	size_t v;
	int i;

	for (v = 0; argc > 1 && v < 4; v++)
		if (strcmp(argv[1], verbs[v].verb) == 0)
			break;
	if (argc < 2 || v == 4 || argc < 2 + verbs[v].args)
		return (ctl_usage("kvp list | get KEY | set KEY VALUE | "
		    "delete KEY [pool=POOL] [type=u32|u64]"));
	json_object_set_new(req, "cmd", json_sprintf("kvp %s", argv[1]));
	if ((verbs[v].args > 0 && !set_text(req, "key", argv[2])) ||
	    (verbs[v].args > 1 && !set_text(req, "value", argv[3])))
		return (EX_USAGE_);
	for (i = 2 + verbs[v].args; i < argc; i++)
		if (!assign(req, argv[i], words))
			return (ctl_usage("kvp ... [pool=POOL] "
			    "[type=string|u32|u64]"));
	return (0);
}

static int
request_ip(json_t *req, int argc, char **argv)
{
	static const char *const words[] = { "addresses", "masks", "gateways",
	    "dns", NULL };
	int i;

	if (argc < 3 || (strcmp(argv[1], "get") != 0 &&
	    strcmp(argv[1], "set") != 0) ||
	    (argc > 3 && argv[1][0] == 'g'))
		return (ctl_usage("ip get ADAPTER | set ADAPTER addresses=..."));
	json_object_set_new(req, "cmd", json_sprintf("ip %s", argv[1]));
	json_object_set_new(req, "adapter", json_string(argv[2]));
	for (i = 3; i < argc; i++) {
		if (strcmp(argv[i], "dhcp=yes") == 0)
			json_object_set_new(req, "dhcp", json_true());
		else if (!assign(req, argv[i], words) &&
		    strcmp(argv[i], "dhcp=no") != 0)
			return (ctl_usage("ip set ADAPTER addresses=A[;A]... "
			    "[masks=...] [gateways=...] [dns=...] "
			    "[dhcp=yes]"));
	}
	return (0);
}

static const struct {
	const char	*word;
	int		(*request)(json_t *, int, char **);
	int		(*run)(const char *dir, bool json, int, char **);
} verbs[] = {
	{ "shutdown", request_shutdown, NULL },
	{ "restart", request_shutdown, NULL },
	{ "heartbeat", request_heartbeat, NULL },
	{ "time", request_time, NULL },
	{ "kvp", request_kvp, NULL },
	{ "ip", request_ip, NULL },
	{ "backup", NULL, ctl_backup },
	{ "copy", NULL, ctl_copy },
	{ "lsvmbus", NULL, ctl_lsvmbus },
};
#define	NVERBS	(sizeof(verbs) / sizeof(verbs[0]))

static size_t
verb(const char *cmd)
{
	size_t i;

	for (i = 0; i < NVERBS && strcmp(verbs[i].word, cmd) != 0; i++)
		continue;
	return (i);
}

bool
ctl_services_knows(const char *cmd)
{

	return (verb(cmd) < NVERBS);
}

int
ctl_services(const char *dir, bool json, int argc, char **argv)
{
	size_t v = verb(argv[0]);
	json_t *reply, *req;
	int status;

	if (verbs[v].run != NULL)
		return (verbs[v].run(dir, json, argc, argv));
	req = json_object();
	status = verbs[v].request(req, argc, argv);
	if (status == 0) {
		reply = ctl_exchange(dir, req);
		status = reply != NULL ? ctl_print(reply, json) : EX_FAILED;
		json_decref(reply);
	}
	json_decref(req);
	return (status);
}

/* ---- lsvmbus */

static const json_t *
device_named(const json_t *info, const char *name)
{
	const json_t *dev;
	size_t i;

	json_array_foreach(json_object_get(info, "devices"), i, dev)
		if (strcmp(json_string_value(json_object_get(dev, "name")),
		    name) == 0)
			return (dev);
	return (NULL);
}

static json_t *
merge(const json_t *info, const json_t *channels)
{
	static const char *const keys[] = { "index", "state", "vp",
	    "rx_ring", "tx_ring" };
	json_t *list = json_array(), *row;
	const json_t *ch, *dev;
	const char *name;
	size_t at, i, k;

	json_array_foreach(json_object_get(channels, "channels"), i, ch) {
		name = json_string_value(json_object_get(ch, "device"));
		dev = name != NULL ? device_named(info, name) : NULL;
		row = json_object();
		json_object_set(row, "id", json_object_get(ch, "relid"));
		json_object_set(row, "device", json_object_get(ch, "device"));
		json_object_set(row, "class", json_object_get(dev, "class"));
		json_object_set(row, "instance",
		    json_object_get(dev, "instance"));
		for (k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
			json_object_set(row, keys[k],
			    json_object_get(ch, keys[k]));
		/* In the order of their ids, as lsvmbus(8) has them. */
		for (at = json_array_size(list); at > 0 && json_integer_value(
		    json_object_get(json_array_get(list, at - 1), "id")) >
		    json_integer_value(json_object_get(row, "id")); at--)
			continue;
		json_array_insert_new(list, at, row);
	}
	return (list);
}

int
ctl_lsvmbus(const char *dir, bool json, int argc, char **argv)
{
	json_t *req, *info, *channels = NULL, *out;
	int status = EX_FAILED;

	(void)argv;
	if (argc != 1)
		return (ctl_usage("lsvmbus"));
	req = json_pack("{s:s}", "cmd", "info");
	info = ctl_exchange(dir, req);
	if (info != NULL) {
		json_object_set_new(req, "cmd", json_string("channels"));
		channels = ctl_exchange(dir, req);
	}
	if (channels != NULL) {
		out = json_pack("{s:o, s:b}", "channels",
		    merge(info, channels), "ok", 1);
		status = ctl_print(out, json);
		json_decref(out);
	}
	json_decref(channels);
	json_decref(info);
	json_decref(req);
	return (status);
}
