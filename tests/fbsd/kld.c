/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The kernel's linker: which files are loaded, whose drivers they took the
 * place of, and that they can go and come back.
 */

#include <sys/param.h>
#include <sys/errno.h>
#include <sys/linker.h>
#include <sys/module.h>

#include "sys.h"

#define	MODULES	"/boot/modules/"

/* In the order in which they load. */
static const char *const files[] = {
	"hv_vmbus.ko", "hv_storvsc.ko", "hv_netvsc.ko", "hv_utils.ko",
	"hv_kvp.ko", "hv_vss.ko", "hv_fcopy.ko", "hv_balloon.ko",
	"hv_input.ko", "hv_video.ko", "hv_pcib.ko", "hv_sock.ko",
};
#define	NFILES	(sizeof(files) / sizeof(files[0]))

static int
file_id(const char *name)
{
	return ((int)sys1(SYS_kldfind, name));
}

bool
modules_loaded(void)
{
	return (file_id("hv_vmbus.ko") > 0);
}

/* Which file a module is from: the kernel's own, or one of ours. */
static void
owner(const char *module, char *text, size_t size)
{
	static struct kld_file_stat st;
	int id, mod;

	text[0] = '\0';
	mod = (int)sys1(SYS_modfind, module);
	if (mod < 0)
		return;
	for (id = (int)sys1(SYS_kldnext, 0); id > 0;
	    id = (int)sys1(SYS_kldnext, id)) {
		for (int m = (int)sys1(SYS_kldfirstmod, id); m > 0;
		    m = (int)sys1(SYS_modfnext, m)) {
			if (m != mod)
				continue;
			memset(&st, 0, sizeof(st));
			st.version = sizeof(st);
			if (sys2(SYS_kldstat, id, &st) == 0)
				for (size_t i = 0; i + 1 < size &&
				    (i == 0 || text[i - 1] != '\0'); i++)
					text[i] = st.name[i];
			return;
		}
	}
}

static void
one_owner(const char *module, const char *wanted)
{
	char name[64];

	owner(module, name, sizeof(name));
	check("module.owner", equal(name, wanted), "%s is from %s", module,
	    name[0] != '\0' ? name : "nowhere");
}

/*
 * The kernel's own driver has the bus: ours must be kept out, whole, and leave
 * nothing behind.
 */
static void
check_late(void)
{
	char name[64];
	long id;

	id = sys1(SYS_kldload, MODULES "hv_vmbus.ko");
	if (id == -ENOENT) {
		say("kld: no modules in the memory root\n");
		return;
	}
	owner("acpi_syscontainer/vmbus", name, sizeof(name));
	check("module.late", id < 0 && file_id("hv_vmbus.ko") < 0 &&
	    equal(name, "kernel"), "refused with error %ld, vmbus is from %s",
	    -id, name);
}

void
check_modules(void)
{
	static struct kld_file_stat st;
	int id;

	for (id = (int)sys1(SYS_kldnext, 0); id > 0;
	    id = (int)sys1(SYS_kldnext, id)) {
		memset(&st, 0, sizeof(st));
		st.version = sizeof(st);
		if (sys2(SYS_kldstat, id, &st) == 0)
			say("kld: %d %s refs %d size %lu\n", id, st.name,
			    st.refs, st.size);
	}
	if (!modules_loaded()) {
		check_late();
		return;
	}
	one_owner("acpi_syscontainer/vmbus", "hv_vmbus.ko");
	if (file_id("hv_storvsc.ko") > 0)
		one_owner("vmbus/storvsc", "hv_storvsc.ko");
	if (file_id("hv_netvsc.ko") > 0)
		one_owner("vmbus/hn", "hv_netvsc.ko");
}

static bool
load(const char *name)
{
	char path[64] = MODULES;
	size_t at = length(path);
	long id;

	for (size_t i = 0; i <= length(name) && at + i < sizeof(path); i++)
		path[at + i] = name[i];
	id = sys1(SYS_kldload, path);
	check("module.load", id > 0, "%s: %ld", name, id);
	return (id > 0);
}

/* A disk that nobody has open, its driver, then the bus: away and back. */
void
check_reload(void)
{
	bool was[NFILES];
	long error;
	int id;

	for (size_t i = NFILES; i-- > 0;) {
		id = file_id(files[i]);
		was[i] = id > 0;
		if (!was[i])
			continue;
		error = sys1(SYS_kldunload, id);
		check("module.unload", error == 0 && file_id(files[i]) < 0,
		    "%s: error %ld", files[i], -error);
	}
	check("module.gone", disk_wait("/dev/da0", false, 10000),
	    "da0 went with its driver");
	for (size_t i = 0; i < NFILES; i++)
		if (was[i])
			(void)load(files[i]);
	check("module.back", disk_wait("/dev/da0", true, 30000),
	    "da0 is back");
}
