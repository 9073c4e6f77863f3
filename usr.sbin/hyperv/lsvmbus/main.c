/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * main.c: lsvmbus(8): lists the devices of vmbus(4).
 */

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus.h"
#include "sysctls.h"

static void __attribute__((__noreturn__))
usage(void)
{
	fprintf(stderr, "usage: lsvmbus [-v | -vv | --json] [-k dir]\n");
	exit(64);
}

int
main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 }
	};
	struct bus b;
	int ch, error, verbose;
	bool json;

	json = false;
	verbose = 0;
	while ((ch = getopt_long(argc, argv, "jk:v", longs, NULL)) != -1)
		switch (ch) {
		case 'j':
			json = true;
			break;
		case 'k':
			sysctls_source(optarg);
			break;
		case 'v':
			verbose++;
			break;
		default:
			usage();
		}
	if (optind != argc)
		usage();
	error = bus_read(&b);
	if (error == ENOENT)
		errx(1, "there is no vmbus here");
	if (error != 0)
		errx(1, "sysctl: %s", strerror(error));
	if (json)
		show_json(&b);
	else
		show_text(&b, verbose);
	bus_free(&b);
	return (fflush(stdout) == 0 ? 0 : 1);
}
