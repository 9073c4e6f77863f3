/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * hvk: the front door of the host.  One program, one table of subcommands.
 * Exit status: 0 done, 1 failed, 2 wrong usage.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <hvk/vmm.h>

static int	cmd_help(int, char **);
static int	cmd_version(int, char **);

static const struct command {
	const char	*name;
	int		(*run)(int, char **);
	const char	*text;
} commands[] = {
	{ "run", cmd_run, "run a guest" },
	{ "ctl", cmd_ctl, "ask or tell a running guest's host" },
	{ "features", cmd_features, "print the feature matrix, from proofs" },
	{ "proof", cmd_proof, "record the result of a proof" },
	{ "version", cmd_version, "print the version" },
	{ "help", cmd_help, "explain a command" },
};
#define	NCOMMANDS	(sizeof(commands) / sizeof(commands[0]))

static void
usage(FILE *f)
{
	size_t i;

	fprintf(f, "usage: hvk COMMAND [options]\n\n"
	    "A Hyper-V compatible host for FreeBSD's integration services.\n\n"
	    "Commands:\n");
	for (i = 0; i < NCOMMANDS; i++)
		fprintf(f, "  %-10s %s\n", commands[i].name, commands[i].text);
	fprintf(f, "\n`hvk COMMAND --help` explains one. Examples:\n"
	    "  hvk run disk.img             attach disk.img to a guest\n"
	    "  hvk ctl info                 see what it is doing\n"
	    "  hvk ctl disk add more.img    plug in another disk\n"
	    "  hvk features                 what works, with figures\n");
}

static const struct command *
find(const char *name)
{
	size_t i;

	for (i = 0; i < NCOMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return (&commands[i]);
	return (NULL);
}

static int
cmd_help(int argc, char **argv)
{
	char *help[] = { argv[0], (char *)(uintptr_t)"--help", NULL };
	const struct command *c;

	if (argc < 2) {
		usage(stdout);
		return (EX_OK_);
	}
	c = find(argv[1]);
	if (c == NULL || c->run == cmd_help || c->run == cmd_version) {
		usage(c == NULL ? stderr : stdout);
		return (c == NULL ? EX_USAGE_ : EX_OK_);
	}
	return (c->run(2, help));
}

static int
cmd_version(int argc, char **argv)
{

	(void)argc;
	(void)argv;
	printf("hvk %s\n", VMM_VERSION);
	return (EX_OK_);
}

int
vmm_self_dir(char *path, size_t len)
{
	ssize_t n = readlink("/proc/self/exe", path, len - 1);
	char *slash;

	if (n <= 0)
		return (-1);
	path[n] = '\0';
	slash = strrchr(path, '/');
	if (slash == NULL || slash == path)
		return (-1);
	*slash = '\0';
	return (0);
}

int
main(int argc, char **argv)
{
	const struct command *c;

	if (argc < 2) {
		usage(stderr);
		return (EX_USAGE_);
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return (cmd_help(1, argv));
	if (strcmp(argv[1], "--version") == 0)
		return (cmd_version(1, argv));
	c = find(argv[1]);
	if (c == NULL) {
		fprintf(stderr, "hvk: no command '%s'; `hvk help` lists "
		    "them\n", argv[1]);
		return (EX_USAGE_);
	}
	return (c->run(argc - 1, argv + 1));
}
