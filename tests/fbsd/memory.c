/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * A machine whose memory has a gap for devices: the kernel uses what is above
 * it as well as what is below, and every page of both holds what is written.
 */

#include <sys/mman.h>

#include "sys.h"

#define	GIB4	0x100000000ull
#define	PAGE	4096ull
#define	SPARE	(64ull << 20)		/* for the kernel */

/* The number behind a word, or 0; *text moves behind it. */
static uint64_t
hex_after(const char **text, const char *word)
{
	uint64_t v = 0;
	const char *p = *text;
	size_t n = length(word);

	for (; *p != '\0' && memcmp(p, word, n) != 0; p++)
		if (length(p) < n)
			return (0);
	if (*p == '\0')
		return (0);
	for (p += n; *p == ' ' || *p == 'x' || *p == '0';)
		p++;
	for (;; p++) {
		if (*p >= '0' && *p <= '9')
			v = v << 4 | (uint64_t)(*p - '0');
		else if (*p >= 'a' && *p <= 'f')
			v = v << 4 | (uint64_t)(*p - 'a' + 10);
		else
			break;
	}
	*text = p;
	return (v);
}

/* How much of the kernel's memory is above 4 GiB, and how much below. */
static void
segments(uint64_t *low, uint64_t *high)
{
	static char text[8192];
	const char *p = text;
	uint64_t end, start;

	*low = *high = 0;
	if (!sysctl_text("vm.phys_segs", text, sizeof(text)))
		return;
	while ((start = hex_after(&p, "start:")) != 0 &&
	    (end = hex_after(&p, "end:")) > start) {
		if (start >= GIB4)
			*high += end - start;
		else
			*low += end - start;
	}
}

void
check_memory(void)
{
	uint64_t bytes, free = 0, high, low, n;
	unsigned wrong = 0;
	uint64_t *at;

	segments(&low, &high);
	say("memory: %lu MiB below 4 GiB, %lu MiB above\n", low >> 20,
	    high >> 20);
	if (high == 0)
		return;			/* nobody asked for a gap */
	(void)sysctl_number("vm.stats.vm.v_free_count", &free);
	bytes = free * PAGE > SPARE ? free * PAGE - SPARE : 0;
	at = (uint64_t *)sys6(SYS_mmap, 0, (long)bytes, PROT_READ | PROT_WRITE,
	    MAP_ANON | MAP_PRIVATE, -1, 0);
	if ((long)at <= 0) {
		check("memory.gap", false, "mmap of %lu MiB: error %ld",
		    bytes >> 20, -(long)at);
		return;
	}
	/* Of each page one word, of its own: no two may be the same memory. */
	for (n = 0; n < bytes / PAGE; n++)
		at[n * PAGE / 8 + n % 512] = n * 0x9e3779b97f4a7c15ull;
	for (n = 0; n < bytes / PAGE; n++)
		wrong += at[n * PAGE / 8 + n % 512] !=
		    n * 0x9e3779b97f4a7c15ull;
	(void)sys2(SYS_munmap, at, bytes);
	check("memory.gap", wrong == 0 && bytes > low,
	    "%lu MiB above 4 GiB; %lu MiB in use at once, %u pages wrong",
	    high >> 20, bytes >> 20, wrong);
}
