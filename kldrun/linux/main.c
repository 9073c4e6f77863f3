/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * main.c: kldrun's command line, kernel environment, start and end.
 */

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "linux.h"

#define	STANDALONE_CPUS	4
#define	STANDALONE_MEM	(256ul << 20)
#define	SETTLE_NS	100000000ul
#define	SETTLE_MAX_NS	30000000000ul

int kld_root_holds(void);

static const char *run_dir, *module_dir;
static bool bounce;
static int stop_fd = -1;

static struct env {
	struct env *next;
	char *name, *value;
} *env_list;

static const char usage[] =
    "usage: kldrun [--vm-fd N] [--dir DIR] [--modules DIR] [--env NAME=VALUE]\n"
    "              [--cpus N] [--bounce] [--once] MODULE.ko...\n"
    "       kldrun --dir DIR sysctl [-a | NAME | NAME=VALUE]...\n"
    "       kldrun --dir DIR ifconfig [-a | IF [WORD [VALUE]]...]\n"
    "       kldrun --dir DIR devices | leaks | symbols | help\n"
    "\n"
    "Loads FreeBSD kernel modules into this process, attaches their devices\n"
    "and runs them until SIGTERM; then detaches, unloads and reports leaks.\n"
    "  --vm-fd N      join the host (hvk run) on socket N; without it there is\n"
    "                 no hypervisor and 4 CPUs\n"
    "  --dir DIR      run directory: kld.sock and the sockets of disks\n"
    "  --modules DIR  where MODULE.ko is when it has no slash\n"
    "  --env N=V      a variable of the kernel environment (tunable or hint)\n"
    "  --cpus N       CPUs without a host\n"
    "  --bounce       force every busdma load through bounce pages\n"
    "  --once         stop as soon as boot has settled\n";

void
env_set(const char *assignment)
{
	struct env *e;
	char *eq;

	e = os_alloc(sizeof(*e));
	e->name = strdup(assignment);
	eq = e->name != NULL ? strchr(e->name, '=') : NULL;
	if (eq == NULL) {
		fprintf(stderr, "kldrun: --env %s: want NAME=VALUE\n",
		    assignment);
		exit(KLD_EXIT_USAGE);
	}
	*eq = '\0';
	e->value = eq + 1;
	e->next = env_list;
	env_list = e;
}

int
os_env_get(const char *name, char *buf, os_u64 len)
{
	struct env *e;

	for (e = env_list; e != NULL; e = e->next)
		if (strcmp(e->name, name) == 0) {
			snprintf(buf, len, "%s", e->value);
			return (0);
		}
	return (-1);
}

const char *
os_run_dir(void)
{
	return (run_dir);
}

int
os_bounce_forced(void)
{
	return (bounce);
}

void
main_stop(void)
{
	uint64_t one;

	one = 1;
	(void)!write(stop_fd, &one, sizeof(one));
}

static void
on_stop(int sig)
{
	(void)sig;
	main_stop();
}

static void
print_text(void *arg, const char *s)
{
	(void)arg;
	os_console_write(s, strlen(s));
}

static int
load_one(const char *name)
{
	struct module_file *m;
	char path[4096];
	void *file;

	if (strchr(name, '/') == NULL && module_dir != NULL)
		snprintf(path, sizeof(path), "%s/%s", module_dir, name);
	else
		snprintf(path, sizeof(path), "%s", name);
	m = loader_load(path);
	if (m == NULL)
		return (-1);
	return (kld_module_loaded(&m->image, &file));
}

/* Attach goes on behind boot: holds of the root mount say for how long. */
static void
settle(void)
{
	os_u64 now, quiet, start;

	start = quiet = os_monotonic_ns();
	for (now = start; now - start < SETTLE_MAX_NS;
	    now = os_monotonic_ns()) {
		if (kld_root_holds() > 0)
			quiet = now;
		if (now - quiet > SETTLE_NS)
			return;
		os_sleep_until(now + 10000000);
	}
	fprintf(stderr, "kldrun: boot did not settle within %lu s\n",
	    SETTLE_MAX_NS / 1000000000);
}

static int
run(int argc, char **argv, int vmfd, int cpus, bool once)
{
	struct sigaction sa;
	uint64_t n;
	int failed, i, leaks, status;

	stop_fd = eventfd(0, EFD_CLOEXEC);
	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_stop;
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	if ((vmfd >= 0 ? machine_join(vmfd) :
	    machine_standalone(cpus, STANDALONE_MEM)) != 0)
		return (KLD_EXIT_HOST);
	kld_boot();
	trap_init();
	kld_interrupt_thread_start(os_ncpus());
	for (i = 0; i < argc; i++)
		if (load_one(argv[i]) != 0)
			return (KLD_EXIT_LOAD);
	failed = kld_boot_finish();
	if (run_dir != NULL && ctl_serve(run_dir) != 0)
		return (KLD_EXIT_HOST);
	settle();
	machine_ready();
	if (!once)
		while (read(stop_fd, &n, sizeof(n)) != sizeof(n))
			if (errno != EINTR)
				break;
	failed += kld_shutdown();
	leaks = kld_leak_report(1, print_text, NULL);
	status = leaks != 0 ? KLD_EXIT_LEAK : failed != 0 ? KLD_EXIT_LOAD : 0;
	return (status);
}

static bool
is_client_command(const char *s)
{
	return (strcmp(s, "sysctl") == 0 || strcmp(s, "ifconfig") == 0 ||
	    strcmp(s, "devices") == 0 ||
	    strcmp(s, "leaks") == 0 || strcmp(s, "symbols") == 0 ||
	    strcmp(s, "help") == 0);
}

static int
bad_usage(const char *what, const char *arg)
{
	fprintf(stderr, "kldrun: %s%s\n%s", what, arg, usage);
	return (KLD_EXIT_USAGE);
}

int
main(int argc, char **argv)
{
	const char *opt;
	bool once;
	int cpus, i, vmfd;

	vmfd = -1;
	once = false;
	cpus = STANDALONE_CPUS;
	for (i = 1; i < argc && argv[i][0] == '-'; i++) {
		opt = argv[i];
		if (strcmp(opt, "--bounce") == 0)
			bounce = true;
		else if (strcmp(opt, "--once") == 0)
			once = true;
		else if (strcmp(opt, "--help") == 0) {
			fputs(usage, stdout);
			return (0);
		} else if (i + 1 >= argc)
			return (bad_usage("unknown option or no value: ", opt));
		else if (strcmp(opt, "--vm-fd") == 0)
			vmfd = atoi(argv[++i]);
		else if (strcmp(opt, "--dir") == 0)
			run_dir = argv[++i];
		else if (strcmp(opt, "--modules") == 0)
			module_dir = argv[++i];
		else if (strcmp(opt, "--env") == 0)
			env_set(argv[++i]);
		else if (strcmp(opt, "--cpus") == 0)
			cpus = atoi(argv[++i]);
		else
			return (bad_usage("unknown option: ", opt));
	}
	if (i == argc)
		return (bad_usage("no module named", ""));
	if (cpus < 1 || cpus > 64)
		return (bad_usage("--cpus: 1 to 64", ""));
	if (is_client_command(argv[i])) {
		if (strcmp(argv[i], "help") == 0 && run_dir == NULL) {
			fputs(usage, stdout);
			return (0);
		}
		if (run_dir == NULL)
			return (bad_usage("--dir DIR is needed for ",
			    argv[i]));
		return (ctl_client(run_dir, argc - i, argv + i));
	}
	os_exit(run(argc - i, argv + i, vmfd, cpus, once));
}
