/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * main.c: hv_netconf: what hv_kvp_daemon(8) needs of the system and cannot
 * have in its sandbox: names, addresses, and static configuration. Started by
 * that daemon with a socket as descriptor 3; ends when that closes.
 *
 *	hv_netconf [-dn] [-k dir] [-R root]
 */

#include <sys/socket.h>

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "iface.h"
#include "log.h"
#include "request.h"
#include "sysctls.h"

static void
serve(void)
{
	static struct netconf_msg m;
	ssize_t n;

	for (;;) {
		n = recv(NETCONF_FD, &m, sizeof(m), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n != (ssize_t)sizeof(m))
			break;
		request_answer(&m);
		if (send(NETCONF_FD, &m, sizeof(m), 0) != (ssize_t)sizeof(m))
			break;
	}
}

int
main(int argc, char **argv)
{
	bool debug, foreground;
	int ch;

	debug = foreground = false;
	while ((ch = getopt(argc, argv, "dk:nR:")) != -1)
		switch (ch) {
		case 'd':
			debug = true;
			break;
		case 'k':
			sysctls_source(optarg);
			break;
		case 'n':
			foreground = true;
			break;
		case 'R':
			iface_root = optarg;
			break;
		default:
			fprintf(stderr, "usage: hv_netconf [-dn] [-k dir] "
			    "[-R root]\n");
			return (64);
		}
	/* The daemon is told to end; this ends with it, not before. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	log_open("hv_netconf", foreground, debug);
	request_begin();
	serve();
	return (0);
}
