/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * `hvk features --kernel' with the daemons: what an administrator of the host
 * asks of them, by `hvk ctl', when the guest's first process (tests/fbsd) says
 * the word.  One thread; a guest that does not answer costs PATIENCE seconds.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <hvk/vmm.h>

#include "features_kernel.h"
#include "program.h"

#define	PATIENCE	40		/* seconds */
#define	WORDS		8

struct ask {
	const struct features_host *h;
	json_t		*reply;		/* of the last question, or NULL */
	char		text[96];	/* what there is to say about it */
};

/* hvk ctl WORD...; true when it did it. */
static bool
ctl(struct ask *a, const char *const words[])
{
	char hvk[4200], vm[4300], out[32768];
	char *argv[WORDS + 6] = { hvk, "ctl", "--dir", vm, "--json" };
	const char *error;
	size_t i;
	int status;

	snprintf(hvk, sizeof(hvk), "%s", a->h->hvk);
	snprintf(vm, sizeof(vm), "%s", a->h->vm);
	for (i = 0; i < WORDS && words[i] != NULL; i++)
		argv[5 + i] = (char *)(uintptr_t)words[i];
	argv[5 + i] = NULL;
	status = program_output(argv, out, sizeof(out));
	json_decref(a->reply);
	a->reply = json_loads(out, JSON_DISABLE_EOF_CHECK, NULL);
	error = json_string_value(json_object_get(a->reply, "error"));
	snprintf(a->text, sizeof(a->text), "%s", error != NULL ? error :
	    "no answer");
	return (status == 0 && a->reply != NULL);
}

#define	CTL(a, ...)	ctl((a), (const char *const []){ __VA_ARGS__, NULL })

/* With the text, or with what was wrong. */
static void
tell(struct ask *a, const char *check, bool ok, const char *text)
{

	a->h->note(a->h->arg, check, ok, ok || text[0] != '\0' ? text :
	    a->text);
}

static void
nap(void)
{
	struct timespec ts = { 0, 300000000 };

	nanosleep(&ts, NULL);
}

/* A value of the guest's own pool; it may take the daemon a while to start. */
static const char *
fact(struct ask *a, const char *key)
{
	uint64_t end = vmm_now_ns() + PATIENCE * 1000000000ull;
	const char *v = NULL;

	while (v == NULL && vmm_now_ns() < end) {
		if (CTL(a, "kvp", "get", key, "pool=auto"))
			v = json_string_value(json_object_get(a->reply,
			    "value"));
		if (v == NULL)
			nap();
	}
	return (v);
}

static void
kvp(struct ask *a)
{
	char os[32] = "", text[80] = "";
	const char *v;
	bool ok;

	v = fact(a, "OSName");
	if (v != NULL) {
		snprintf(os, sizeof(os), "%s", v);
		v = fact(a, "OSVersion");
	}
	if (v != NULL)
		snprintf(text, sizeof(text), "OSName %s, OSVersion %.32s", os,
		    v);
	tell(a, "kvp.facts", v != NULL && strcmp(os, "FreeBSD") == 0 &&
	    *v != '\0', text);
	ok = CTL(a, "kvp", "set", "hvk.key", "gr\303\274\303\237e");
	tell(a, "kvp.set", ok, ok ? "the host's key" : "");
}

/* The addresses of its first adapter. */
static bool
addresses(struct ask *a, char *text, size_t len)
{
	const char *v = NULL;

	if (CTL(a, "ip", "get", "net0"))
		v = json_string_value(json_object_get(json_object_get(a->reply,
		    "ip"), "addresses"));
	snprintf(text, len, "%s", v != NULL ? v : "");
	return (v != NULL);
}

static void
ip(struct ask *a)
{
	char text[80];

	tell(a, "ip.get", addresses(a, text, sizeof(text)) &&
	    strstr(text, "10.0.2.15") != NULL, text);
}

/* A static address, which comes, and the old one goes. */
static void
ip_set(struct ask *a)
{
	char text[80] = "";

	tell(a, "ip.set", CTL(a, "ip", "set", "net0", "addresses=10.0.2.77",
	    "masks=/24", "gateways=10.0.2.2", "dns=10.0.2.3") &&
	    addresses(a, text, sizeof(text)) &&
	    strstr(text, "10.0.2.77") != NULL &&
	    strstr(text, "10.0.2.15") == NULL, text);
}

static void
copy(struct ask *a)
{
	uint64_t words[4096];
	char path[4300];
	bool ok;
	int fd;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		words[i] = i * 0x9e3779b97f4a7c15ull;
	snprintf(path, sizeof(path), "%s/copied", a->h->dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ok = fd >= 0 && write(fd, words, sizeof(words)) == sizeof(words);
	if (fd >= 0)
		close(fd);
	ok = ok && CTL(a, "copy", path);
	tell(a, "copy.file", ok, ok ? "32 KiB to the guest" : "");
}

/* A file system of the guest's kind on a disk of its own. */
static void
plug_ufs(struct ask *a)
{
	char dir[4300], image[4300], spec[4400];
	char *argv[] = { "makefs", "-t", "ffs", "-B", "le", "-o", "version=1",
	    "-s", "32m", image, dir, NULL };
	int out;

	snprintf(dir, sizeof(dir), "%s/ufs", a->h->dir);
	snprintf(image, sizeof(image), "%s/ufs.img", a->h->dir);
	snprintf(spec, sizeof(spec), "%s,lun=2", image);
	out = program_quiet();
	if (program_run(argv) == 0)
		(void)CTL(a, "disk", "add", spec);
	program_loud(out);
}

/* Frozen for a while, so that the guest's writer must feel it; then copied. */
static void
backup(struct ask *a)
{
	char dir[4300], spec[4400];
	struct timespec hold = { 3, 0 };
	bool ok;

	snprintf(dir, sizeof(dir), "%s/backup", a->h->dir);
	ok = CTL(a, "backup", "freeze", "hold=30");
	if (ok) {
		nanosleep(&hold, NULL);
		ok = CTL(a, "backup", "thaw");
	}
	tell(a, "backup.freeze", ok, ok ? "frozen for 3 s" : "");
	ok = CTL(a, "backup", dir);
	tell(a, "backup.copy", ok, ok ? "the disks are copied" : "");
	snprintf(spec, sizeof(spec), "%s/scsi0-lun2.img,lun=3", dir);
	if (ok)
		(void)CTL(a, "disk", "add", spec);
}

bool
features_daemons(const struct features_host *h, const char *word)
{
	static const struct {
		const char *word;
		void	(*fn)(struct ask *);
	} words[] = {
		{ "kvp", kvp },
		{ "ip", ip },
		{ "ipset", ip_set },
		{ "copy", copy },
		{ "ufs", plug_ufs },
		{ "backup", backup },
	};
	struct ask a = { .h = h };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i].word, word) == 0) {
			words[i].fn(&a);
			json_decref(a.reply);
			return (true);
		}
	return (false);
}
