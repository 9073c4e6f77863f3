/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * A machine that changes while it runs, with the host's help: a disk is plugged
 * in and pulled out, the controller is taken away and brought back, a channel's
 * interrupts move to another processor.
 */

#include "sys.h"

#define	CHANNELS	256u
#define	PATIENCE	30000u

static size_t
append(char *to, size_t at, const char *text)
{
	memcpy(to + at, text, length(text) + 1);
	return (at + length(text));
}

static size_t
append_number(char *to, size_t at, unsigned n)
{
	char digits[12];
	int i = 0;

	do {
		digits[i++] = (char)('0' + n % 10);
		n /= 10;
	} while (n != 0);
	while (i > 0)
		to[at++] = digits[--i];
	to[at] = '\0';
	return (at);
}

/* dev.storvsc.0.channel.<id>: there is one, which, or 0. */
static unsigned
find_channel(char *name)
{
	uint64_t value;
	size_t at;

	for (unsigned id = 1; id < CHANNELS; id++) {
		at = append(name, 0, "dev.storvsc.0.channel.");
		at = append_number(name, at, id);
		(void)append(name, at, ".cpu");
		if (sysctl_number(name, &value)) {
			name[at] = '\0';
			return (id);
		}
	}
	return (0);
}

/* Sub-channels on a machine of several processors, and a channel that moves. */
void
check_channels(void)
{
	uint64_t cpus = 0, now = 99, sub = 0;
	char name[96], other[96];
	unsigned id;
	size_t at;
	long error;

	(void)sysctl_number("hw.ncpu", &cpus);
	id = find_channel(name);
	if (id == 0 || cpus < 2) {
		say("channels: one processor, or no controller\n");
		return;
	}
	at = length(name);
	memcpy(other, name, at + 1);
	(void)append(other, at, ".sub.1.chanid");
	check("bus.subchannel", sysctl_number(other, &sub) && sub != 0,
	    "channel %u has sub-channel %lu", id, sub);
	(void)append(name, at, ".cpu");
	error = sysctl_set(name, 1);
	(void)sysctl_number(name, &now);
	check("bus.retarget", error == 0 && now == 1,
	    "channel %u to processor 1: error %ld, now %lu", id, -error, now);
	check_disk("/dev/da0");
	error = sysctl_set(name, 0);
	(void)sysctl_number(name, &now);
	check("bus.retarget", error == 0 && now == 0,
	    "channel %u to processor 0: error %ld, now %lu", id, -error, now);
}

void
check_changes(void)
{
	bool ok;

	say("@host plug\n");
	ok = disk_wait("/dev/da1", true, PATIENCE);
	check("disk.plug", ok, "da1 came");
	if (ok)
		check_disk("/dev/da1");
	say("@host pull\n");
	check("disk.pull", disk_wait("/dev/da1", false, PATIENCE), "da1 went");
	say("@host rescind\n");
	check("bus.rescind", disk_wait("/dev/da0", false, PATIENCE),
	    "da0 went with its controller");
	say("@host offer\n");
	check("bus.offer", disk_wait("/dev/da0", true, PATIENCE),
	    "da0 is back");
}
