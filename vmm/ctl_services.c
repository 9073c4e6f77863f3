/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * `hvk ctl' commands of the integration services: from words to a request.
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
	    "went\n");
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

static const struct {
	const char	*word;
	int		(*request)(json_t *, int, char **);
} verbs[] = {
	{ "shutdown", request_shutdown },
	{ "restart", request_shutdown },
	{ "heartbeat", request_heartbeat },
	{ "time", request_time },
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
	json_t *reply, *req = json_object();
	int status;

	status = verbs[verb(argv[0])].request(req, argc, argv);
	if (status == 0) {
		reply = ctl_exchange(dir, req);
		status = reply != NULL ? ctl_print(reply, json) : EX_FAILED;
		json_decref(reply);
	}
	json_decref(req);
	return (status);
}
