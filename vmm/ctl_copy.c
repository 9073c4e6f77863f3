/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * `hvk ctl copy': start the copying of a file into the guest, show how far it
 * is, and end it in good order when interrupted.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <hvk/vmm.h>

#include "ctl.h"

#define	LOOK_NS		50000000

static volatile sig_atomic_t interrupted;

static void
interrupt(int sig)
{

	(void)sig;
	interrupted = 1;
}

void
ctl_catch(void)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = interrupt;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
}

bool
ctl_interrupted(void)
{

	return (interrupted != 0);
}

void
ctl_progress(const char *what, uint64_t done, uint64_t size, bool last)
{
	static int shown;

	if (!isatty(STDERR_FILENO))
		return;
	if (!last) {
		fprintf(stderr, "\r%s: %3u %%, %llu of %llu MiB", what,
		    size == 0 ? 100u : (unsigned)(done * 100 / size),
		    (unsigned long long)done >> 20,
		    (unsigned long long)size >> 20);
		shown = 1;
	} else if (shown)
		fprintf(stderr, "\n");
}

static json_t *
step(const char *dir, const char *cmd)
{
	json_t *req = json_pack("{s:s}", "cmd", cmd), *reply;

	reply = ctl_exchange(dir, req);
	json_decref(req);
	return (reply);
}

static const json_t *
job(const json_t *reply)
{

	return (json_object_get(reply, "copy"));
}

static bool
is_copying(const json_t *reply)
{
	const char *state = json_string_value(json_object_get(job(reply),
	    "state"));

	return (state != NULL && strcmp(state, "copying") == 0);
}

/* Until it is over; the last status. */
static json_t *
follow(const char *dir)
{
	struct timespec ts = { 0, LOOK_NS };
	bool told = false;
	json_t *reply;

	for (;;) {
		reply = step(dir, "copy status");
		if (reply == NULL || !is_copying(reply))
			break;
		ctl_progress("copy", (uint64_t)json_integer_value(
		    json_object_get(job(reply), "done")),
		    (uint64_t)json_integer_value(json_object_get(job(reply),
		    "size")), false);
		json_decref(reply);
		if (ctl_interrupted() && !told) {
			told = true;
			json_decref(step(dir, "copy cancel"));
		}
		nanosleep(&ts, NULL);
	}
	ctl_progress("copy", 0, 0, true);
	return (reply);
}

static int
request(json_t *req, int argc, char **argv)
{
	char *full;
	int i;

	full = realpath(argv[1], NULL);
	json_object_set_new(req, "file", json_string(full != NULL ? full :
	    argv[1]));
	free(full);
	for (i = 2; i < argc; i++) {
		if (strcmp(argv[i], "overwrite") == 0 ||
		    strcmp(argv[i], "mkdirs") == 0)
			json_object_set_new(req, argv[i], json_true());
		else if (strncmp(argv[i], "path=", 5) == 0)
			json_object_set_new(req, "path",
			    json_string(argv[i] + 5));
		else if (strncmp(argv[i], "name=", 5) == 0)
			json_object_set_new(req, "name",
			    json_string(argv[i] + 5));
		else
			return (ctl_usage("copy FILE [path=DIR] [name=NAME] "
			    "[overwrite] [mkdirs]"));
	}
	return (0);
}

/* A failed copy is a failed command, whose reply says how far it came. */
static int
tell(json_t *reply, bool json)
{
	const char *error = json_string_value(json_object_get(job(reply),
	    "error"));

	if (error != NULL) {
		json_object_set_new(reply, "ok", json_false());
		json_object_set_new(reply, "error", json_string(error));
	}
	return (ctl_print(reply, json));
}

int
ctl_copy(const char *dir, bool json, int argc, char **argv)
{
	json_t *reply, *req;
	int status;

	if (argc < 2)
		return (ctl_usage("copy FILE [path=DIR] [name=NAME] "
		    "[overwrite] [mkdirs]"));
	if (argc == 2 && (strcmp(argv[1], "status") == 0 ||
	    strcmp(argv[1], "cancel") == 0)) {
		reply = step(dir, argv[1][0] == 's' ? "copy status" :
		    "copy cancel");
		status = reply != NULL ? ctl_print(reply, json) : EX_FAILED;
		json_decref(reply);
		return (status);
	}
	req = json_pack("{s:s}", "cmd", "copy start");
	status = request(req, argc, argv);
	if (status == 0) {
		ctl_catch();
		reply = ctl_exchange(dir, req);
		if (reply != NULL && json_is_true(json_object_get(reply,
		    "ok"))) {
			json_decref(reply);
			reply = follow(dir);
		}
		status = reply != NULL ? tell(reply, json) : EX_FAILED;
		json_decref(reply);
	}
	json_decref(req);
	return (status);
}
