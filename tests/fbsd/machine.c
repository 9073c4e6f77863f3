/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * What the kernel says of the machine: hypervisor, clock, devices; and time on
 * every processor.
 */

#include <sys/param.h>
#include <sys/cpuset.h>
#include <sys/time.h>

#include "sys.h"

#define	TURNS	200

static void
text(const char *check_name, const char *sysctl, const char *wanted)
{
	char value[128];
	bool have = sysctl_text(sysctl, value, sizeof(value));

	check(check_name, have && contains(value, wanted), "%s is %s", sysctl,
	    have ? value : "missing");
}

void
check_machine(void)
{
	static const char *const devices[] = {
		"vmbus.0", "storvsc.0", "hn.0", "hvheartbeat.0",
		"hvshutdown.0", "hvtimesync.0", "hvkvp.0", "hvvss.0",
		"hvkbd.0", "hvet.0",
	};
	char name[64], value[128];

	text("machine.guest", "kern.vm_guest", "hv");
	text("machine.clock", "kern.timecounter.hardware", "Hyper-V");
	if (sysctl_text("kern.version", value, sizeof(value)))
		say("kernel: %s", value);
	if (sysctl_text("dev.vmbus.0.version", value, sizeof(value)))
		check("machine.vmbus", true, "version %s", value);
	else
		check("machine.vmbus", false, "no vmbus0");
	for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
		size_t at = 4, j;

		memcpy(name, "dev.", 4);
		for (j = 0; devices[i][j] != '\0'; j++)
			name[at++] = devices[i][j];
		memcpy(name + at, ".%desc", 7);
		if (sysctl_text(name, value, sizeof(value)))
			say("device: %s <%s>\n", devices[i], value);
	}
}

static uint64_t
now_ns(void)
{
	struct timespec ts = { 0, 0 };

	(void)sys2(SYS_clock_gettime, CLOCK_MONOTONIC, &ts);
	return ((uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec);
}

/* Move from one processor to the next, and never see the clock go back. */
void
check_cpus(void)
{
	cpuset_t set;
	uint64_t last = 0, n = 0, t;
	unsigned backwards = 0, failed = 0;

	(void)sysctl_number("hw.ncpu", &n);
	for (unsigned i = 0; i < TURNS && n > 0; i++) {
		memset(&set, 0, sizeof(set));
		((unsigned char *)&set)[i % n / 8] = (unsigned char)(1u <<
		    (i % n % 8));
		if (sys6(SYS_cpuset_setaffinity, CPU_LEVEL_WHICH, CPU_WHICH_PID,
		    -1, sizeof(set), (long)&set, 0) != 0)
			failed++;
		t = now_ns();
		backwards += t < last;
		last = t;
	}
	check("machine.cpus", n > 0 && failed == 0, "%lu", n);
	check("machine.monotonic", backwards == 0, "%u moves, %u backwards",
	    TURNS, backwards);
}
