/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The first process of a FreeBSD kernel under test: runs the checks, one line
 * each on the console, and switches off.  It is the whole userland, in a memory
 * root that tests/fbsd/mfsroot.sh makes; `hvk features --kernel' reads its
 * lines.  "@host WORD" asks the host for something.
 *
 * The kernel environment chooses: hvk.checks=machine,modules,disk,grow,
 * channels,changes,net,services,daemons,reload,memory,crashes (without it all but
 * the last two); hvk.end=poweroff|shutdown|reboot|stay.
 */

#include <sys/fcntl.h>
#include <sys/reboot.h>

#include "sys.h"

void	start(void) __attribute__((__noreturn__));
__asm__(".globl _start\n"
    "_start:\n"
    "	xorl %ebp, %ebp\n"
    "	andq $-16, %rsp\n"
    "	call start\n");

static char wanted[128];

static bool
want(const char *name)
{
	return (wanted[0] == '\0' || contains(wanted, name));
}

static void
console(void)
{
	long fd;

	for (int i = 0; i < 100; i++) {
		fd = sys3(SYS_open, "/dev/console", O_RDWR, 0);
		if (fd >= 0)
			break;
		sleep_ms(100);
	}
	(void)sys2(SYS_dup2, fd, 0);
	(void)sys2(SYS_dup2, fd, 1);
	(void)sys2(SYS_dup2, fd, 2);
}

static void
end(void)
{
	char how[32];
	int flags = RB_POWEROFF;

	(void)environment("hvk.end", how, sizeof(how));
	if (equal(how, "shutdown"))
		check_shutdown();
	check_report();
	if (equal(how, "reboot"))
		flags = RB_AUTOBOOT;
	while (equal(how, "stay"))
		sleep_ms(1000);
	(void)sys0(SYS_sync);
	(void)sys1(SYS_reboot, flags);
}

void
start(void)
{
	console();
	(void)environment("hvk.checks", wanted, sizeof(wanted));
	say("init: checks %s\n", wanted[0] != '\0' ? wanted : "all");
	if (want("machine"))
		check_machine();
	if (want("machine"))
		check_cpus();
	if (want("modules"))
		check_modules();
	if (want("disk") && disk_wait("/dev/da0", true, 30000))
		check_disk("/dev/da0");
	if (want("grow"))
		check_grow("/dev/da0");
	if (want("channels") && modules_loaded())
		check_channels();
	if (want("changes") && modules_loaded())
		check_changes();
	if (wanted[0] != '\0' && want("memory"))
		check_memory();
	if (wanted[0] != '\0' && want("crashes"))
		check_crashes();
	if (want("net"))
		check_net("hn0");
	if (want("services"))
		check_services();
	if (want("daemons") && modules_loaded())
		check_daemons();
	if (want("reload") && modules_loaded()) {
		check_reload();
		check_disk("/dev/da0");
	}
	end();
	for (;;)
		sleep_ms(1000);
}
