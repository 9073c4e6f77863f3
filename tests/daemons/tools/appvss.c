/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * appvss.c: appvss DEVICE [OPERATION]: an application that wants to be asked
 * before a backup, as hv_vss(4) describes it: answers each request, says which
 * it was, and refuses OPERATION (check, freeze or thaw).
 */

#include <stdio.h>
#include <string.h>

#include "device.h"
#include "hv_snapshot.h"

int
main(int argc, char **argv)
{
	static const char *const names[] = { "none", "check", "freeze",
	    "thaw" };
	struct hv_vss_opt_msg m;
	struct device d;
	const char *name;

	if (argc < 2 || device_open_wait(&d, argv[1]) != 0) {
		perror(argc > 1 ? argv[1] : "appvss");
		return (1);
	}
	printf("ready\n");
	fflush(stdout);
	while ((device_wait(&d, -1, -1) & DEVICE_READY) != 0) {
		memset(&m, 0, sizeof(m));
		if (device_ioctl(&d, IOCHVVSSREAD, &m) != 0)
			break;
		if (m.status != VSS_SUCCESS)
			continue;
		name = m.opt < HV_VSS_COUNT ? names[m.opt] : "unknown";
		printf("%s\n", name);
		fflush(stdout);
		m.status = argc > 2 && strcmp(argv[2], name) == 0 ? VSS_FAIL :
		    VSS_SUCCESS;
		if (device_ioctl(&d, IOCHVVSSWRITE, &m) != 0)
			break;
	}
	return (0);
}
