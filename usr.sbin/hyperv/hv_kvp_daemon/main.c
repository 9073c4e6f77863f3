/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * main.c: hv_kvp_daemon(8): key-value pairs between this system and its
 * Hyper-V host. The process that reads what the host sends is nobody, in a
 * sandbox, and has the device, the directory of the pools and a socket to
 * hv_netconf, which stays root.
 */

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device.h"
#include "facts.h"
#include "log.h"
#include "message.h"
#include "privilege.h"
#include "sandbox.h"
#include "service.h"

#ifndef HV_LIBEXEC
#define	HV_LIBEXEC	"/usr/libexec/hyperv"
#endif

static void __attribute__((__noreturn__))
usage(void)
{
	fprintf(stderr, "usage: hv_kvp_daemon [-dn] [-D pooldir] [-f device] "
	    "[-k dir] [-P pidfile]\n"
	    "                     [-R root] [-U user] [-x helper]\n");
	exit(64);
}

static int
register_daemon(struct device *d, struct hv_kvp_msg *m)
{
	memset(m, 0, sizeof(*m));
	m->hdr.kvp_hdr.operation = HV_KVP_OP_REGISTER;
	if (device_write(d, m, sizeof(*m)) != (ssize_t)sizeof(*m)) {
		log_msg(LOG_ERR, "the driver does not take us: %s",
		    strerror(errno));
		return (-1);
	}
	return (0);
}

/* Until we are told to end, or the device goes. */
static int
serve(struct kvp *k, struct device *d, int stop)
{
	static struct hv_kvp_msg m;
	int next;

	if (register_daemon(d, &m) != 0)
		return (1);
	while ((next = service_next(d, stop, &m, sizeof(m))) > 0) {
		message_answer(k, &m);
		if (device_write(d, &m, sizeof(m)) != (ssize_t)sizeof(m) &&
		    errno == ENXIO)
			return (1);
	}
	return (next < 0);
}

struct paths {
	const char	*device, *pools, *kld, *root, *helper;
};

static void
open_all(struct kvp *k, struct device *d, const struct service *s,
    const struct paths *p)
{
	char *args[8];
	int error, n;

	n = 0;
	args[n++] = (char *)(uintptr_t)p->helper;
	if (s->debug)
		args[n++] = (char *)(uintptr_t)"-d";
	if (s->foreground)
		args[n++] = (char *)(uintptr_t)"-n";
	if (p->kld != NULL) {
		args[n++] = (char *)(uintptr_t)"-k";
		args[n++] = (char *)(uintptr_t)p->kld;
	}
	if (p->root != NULL) {
		args[n++] = (char *)(uintptr_t)"-R";
		args[n++] = (char *)(uintptr_t)p->root;
	}
	args[n] = NULL;
	error = helper_start(&k->helper, p->helper, args);
	if (error != 0)
		log_msg(LOG_ERR, "%s: %s; no addresses, no configuration by "
		    "the host", p->helper, strerror(error));
	if (device_open_wait(d, p->device) != 0) {
		log_msg(LOG_ERR, "%s: %s", p->device, strerror(errno));
		exit(1);
	}
}

/* What is open is what there is from here on. */
static void
confine(const struct kvp *k, const struct device *d, const struct service *s,
    const struct privilege *p)
{
	if (!privilege_drop(p)) {
		log_msg(LOG_ERR, "cannot become %s: %s", p->user,
		    strerror(errno));
		exit(1);
	}
	if (!sandbox_limit(d->fd, d->remote ? SANDBOX_SOCKET :
	    SANDBOX_DEVICE) || !sandbox_limit(k->pools.dir, SANDBOX_DIR) ||
	    !sandbox_limit(s->pidfd, SANDBOX_FILE) || (k->helper.fd >= 0 &&
	    !sandbox_limit(k->helper.fd, SANDBOX_SOCKET))) {
		log_msg(LOG_ERR, "sandbox: %s", strerror(errno));
		exit(1);
	}
	(void)sandbox_enter();
}

int
main(int argc, char **argv)
{
	struct service s = { .name = "hv_kvp_daemon",
	    .pidfile = "/var/run/hv_kvp_daemon.pid" };
	struct paths p = { "/dev/" HV_KVP_DEV_NAME, "/var/db/hyperv/pool",
	    NULL, NULL, HV_LIBEXEC "/hv_netconf" };
	struct privilege user;
	const char *name;
	struct kvp k;
	struct device d;
	int ch, error, status;

	name = NULL;
	while ((ch = getopt(argc, argv, "D:df:k:nP:R:U:x:")) != -1)
		switch (ch) {
		case 'D':
			p.pools = optarg;
			break;
		case 'd':
			s.debug = true;
			s.foreground = true;
			break;
		case 'f':
			p.device = optarg;
			break;
		case 'k':
			p.kld = optarg;
			break;
		case 'n':
			s.foreground = true;
			break;
		case 'P':
			s.pidfile = optarg;
			break;
		case 'R':
			p.root = optarg;
			break;
		case 'U':
			name = optarg;
			break;
		case 'x':
			p.helper = optarg;
			break;
		default:
			usage();
		}
	if (optind != argc)
		usage();
	service_take(&s);
	privilege_find(&user, name);
	error = pools_open(&k.pools, p.pools);
	if (error == 0 && user.change)
		error = pools_give(&k.pools, user.uid, user.gid);
	if (error != 0)
		errx(1, "%s: %s", p.pools, strerror(error));
	service_start(&s);
	open_all(&k, &d, &s, &p);
	facts_start();
	confine(&k, &d, &s, &user);
	log_msg(LOG_INFO, "serving %s from %s", p.device, p.pools);
	status = serve(&k, &d, s.stop);
	service_end(&s);
	return (status);
}
