/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * bus.h: the devices of vmbus(4) as the sysctl tree shows them.
 */

#ifndef LSVMBUS_BUS_H
#define	LSVMBUS_BUS_H

#include <stdbool.h>
#include <stdint.h>

#define	BUS_GUID	40

struct bus_ring {
	bool		known;
	uint64_t	interrupts;
	uint32_t	read, write, mask, pending, features, used, room;
};

struct bus_channel {
	int		sub;		/* -1: the primary channel */
	uint32_t	id;
	int		cpu;
	bool		monitor;
	struct bus_ring	rx, tx;
};

struct bus_device {
	char		name[40];	/* "storvsc0" */
	char		desc[80];
	char		parent[32];
	char		class[BUS_GUID], instance[BUS_GUID];
	int		nchannels;
	struct bus_channel *channels;
};

struct bus {
	char		version[16];
	int		count;
	struct bus_device *devices;	/* in the order of their channels */
};

/* 0, or an errno; ENOENT: there is no vmbus. */
int	bus_read(struct bus *);
/* Its parts: one name and value of the tree into a struct bus; then once. */
void	bus_value(void *, const char *name, const char *value);
void	bus_sort(struct bus *);
void	bus_free(struct bus *);
/* What a class is, or "unknown". */
const char *bus_class_name(const char *guid);

/*
 * How it is shown: by libxo where the system has it (show_freebsd.c), otherwise
 * by ourselves (show_linux.c). show_args takes options of its own out of the
 * command line; the number that is left, or negative after a complaint.
 */
extern const char show_usage[];
int	show_args(int argc, char **argv);
bool	show(const struct bus *, bool json, int verbose);

#endif
