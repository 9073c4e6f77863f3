/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * What the monitor handed over (PVH start information), and pages.  The largest
 * piece of memory below 4 GiB is used from the end of the image, or from its
 * beginning; freed runs of pages are kept on a list by size.
 * Facts: Xen's public interface, hvm/start_info.h.
 */

#include "port.h"

#define	START_MAGIC	0x336ec578u
#define	MAP_MAX		128u
#define	MAP_RAM		1u
#define	PAGE		4096u

struct port_start_info {
	uint32_t	magic;
	uint32_t	version;
	uint32_t	flags;
	uint32_t	nmodules;
	uint64_t	modules;
	uint64_t	command_line;
	uint64_t	rsdp;
	uint64_t	map;		/* version 1 */
	uint32_t	nmap;
	uint32_t	reserved;
};

struct map_entry {
	uint64_t	addr;
	uint64_t	size;
	uint32_t	type;
	uint32_t	reserved;
};

struct free_run {
	struct free_run	*next;
	uint32_t	 pages;
};

extern char image_end[];

static char command_line[256];
static uint64_t rsdp;
static uint64_t next_page, last_page;
static struct free_run *free_runs;

void
port_memory_init(uint64_t where)
{
	const struct port_start_info *si = (const void *)(uintptr_t)where;
	const struct map_entry *map;
	uint64_t end, start, best = 0;
	const char *text;

	if (where == 0 || where >> 32 != 0 || si->magic != START_MAGIC)
		port_stop("no start information");
	rsdp = si->rsdp;
	text = (const char *)(uintptr_t)si->command_line;
	for (uint32_t i = 0; text != NULL && i + 1 < sizeof(command_line) &&
	    text[i] != '\0'; i++)
		command_line[i] = text[i];
	if (si->version < 1 || si->map == 0 || si->map >> 32 != 0)
		port_stop("no memory map");
	map = (const void *)(uintptr_t)si->map;
	for (uint32_t i = 0; i < si->nmap && i < MAP_MAX; i++) {
		if (map[i].type != MAP_RAM || map[i].addr >> 32 != 0)
			continue;
		start = (map[i].addr + PAGE - 1) & ~(uint64_t)(PAGE - 1);
		end = map[i].addr + map[i].size;
		if (end > 0xc0000000u)
			end = 0xc0000000u;
		/* Not below the image: the monitor's tables may be there. */
		if (start < (uint64_t)(uintptr_t)image_end)
			start = (uint64_t)(uintptr_t)image_end;
		if (end > start && end - start > best) {
			best = end - start;
			next_page = start;
			last_page = end & ~(uint64_t)(PAGE - 1);
		}
	}
	if (best < 8u * 1024 * 1024)
		port_stop("less than 8 MiB of memory");
	/* What the start information points to may lie behind the image. */
	next_page += 1024 * 1024;
}

const char *
port_command_line(void)
{
	return (command_line);
}

uint64_t
port_rsdp(void)
{
	return (rsdp);
}

void *
port_pages(uint32_t n)
{
	struct free_run **link, *run;
	void *pages;

	for (link = &free_runs; (run = *link) != NULL; link = &run->next)
		if (run->pages == n)
			break;
	if (run != NULL) {
		*link = run->next;
		pages = run;
	} else {
		if ((last_page - next_page) / PAGE < n)
			port_stop("out of memory");
		pages = (void *)(uintptr_t)next_page;
		next_page += (uint64_t)n * PAGE;
	}
	hvk_zero(pages, (size_t)n * PAGE);
	return (pages);
}

void
port_pages_free(void *pages, uint32_t n)
{
	struct free_run *run = pages;

	if (pages == NULL || n == 0)
		return;
	run->pages = n;
	run->next = free_runs;
	free_runs = run;
}
