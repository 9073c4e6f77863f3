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
	fprintf(stderr, "usage: lsvmbus %s[-v | -vv | --json] [-k dir]\n",
	    show_usage);
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
	bool done, json;

	json = false;
	verbose = 0;
	argc = show_args(argc, argv);
	if (argc < 0)
		usage();
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
	done = show(&b, json, verbose);
	bus_free(&b);
	return (done ? 0 : 1);
}
