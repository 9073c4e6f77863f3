/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * `hvk ctl nic ...': the command line as a request.  What the words mean is
 * checked by the host.
 */
#include <stdio.h>
#include <string.h>

#include <hvk/vmm.h>

#include "ctl.h"

#define	USAGE	"nic list|stat|add|remove|link|mac|vlan|offload|capture ..."

static int
request_add(json_t *req, const char *spec)
{
	const char *path;
	char err[VMM_ERRLEN];
	json_t *nic;

	nic = vmm_nic_parse(spec, err, sizeof(err));
	if (nic == NULL) {
		vmm_log("%s", err);
		return (EX_USAGE_);
	}
	path = json_string_value(json_object_get(nic, "path"));
	if (path != NULL && path[0] != '/') {
		char copy[VMM_ERRLEN];

		snprintf(copy, sizeof(copy), "%s", path);
		ctl_set_path(nic, "path", copy);
	}
	json_object_set_new(req, "nic", nic);
	return (0);
}

static int
request_link(json_t *req, int argc, char **argv)
{
	bool flap = argc >= 4 && strcmp(argv[3], "flap") == 0;
	uint64_t n = 1000;

	if (argc < 4 || argc > 5 || (!flap && strcmp(argv[3], "up") != 0 &&
	    strcmp(argv[3], "down") != 0) || (argc == 5 &&
	    vmm_parse_size(argv[4], &n) != 0))
		return (ctl_usage("nic link NAME up|down [BITS A SECOND], "
		    "nic link NAME flap [TIMES A SECOND]"));
	if (flap) {
		json_object_set_new(req, "flap", json_integer((json_int_t)n));
		return (0);
	}
	json_object_set_new(req, "up", json_boolean(strcmp(argv[3],
	    "up") == 0));
	if (argc == 5)
		json_object_set_new(req, "speed", json_integer((json_int_t)n));
	return (0);
}

int
ctl_request_nic(json_t *req, int argc, char **argv)
{
	char cmd[64];

	if (argc < 2)
		return (ctl_usage(USAGE));
	snprintf(cmd, sizeof(cmd), "nic %.40s", argv[1]);
	json_object_set_new(req, "cmd", json_string(cmd));
	if (strcmp(argv[1], "list") == 0 || strcmp(argv[1], "stat") == 0) {
		if (argc > 3)
			return (ctl_usage("nic list [NAME], nic stat [NAME]"));
		if (argc == 3)
			json_object_set_new(req, "name", json_string(argv[2]));
		return (0);
	}
	if (argc < 3)
		return (ctl_usage(USAGE));
	if (strcmp(argv[1], "add") == 0)
		return (argc == 3 ? request_add(req, argv[2]) :
		    ctl_usage("nic add SPEC"));
	json_object_set_new(req, "name", json_string(argv[2]));
	if (strcmp(argv[1], "remove") == 0)
		return (argc == 3 ? 0 : ctl_usage("nic remove NAME"));
	if (strcmp(argv[1], "link") == 0)
		return (request_link(req, argc, argv));
	if (strcmp(argv[1], "capture") == 0 && (argc == 4 || argc == 5)) {
		if (strcmp(argv[3], "off") != 0)
			ctl_set_path(req, "file", argv[3]);
		if (argc == 5)
			json_object_set_new(req, "what",
			    json_string(argv[4]));
		return (0);
	}
	if (argc != 4)
		return (ctl_usage(USAGE));
	if (strcmp(argv[1], "mac") == 0 || strcmp(argv[1], "vlan") == 0 ||
	    strcmp(argv[1], "offload") == 0)
		json_object_set_new(req, argv[1], json_string(argv[3]));
	else
		return (ctl_usage(USAGE));
	return (0);
}
