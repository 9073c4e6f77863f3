/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * show_linux.c: the bus as text for people and as JSON for programs, where
 * libxo is not at hand: the same as show_freebsd.c makes.
 */

#include <inttypes.h>
#include <stdio.h>

#include "bus.h"

const char show_usage[] = "";

int
show_args(int argc, char **argv)
{
	(void)argv;
	return (argc);
}

static void
ring_text(const char *what, const struct bus_ring *r)
{
	if (r->known)
		printf("\t\t%s: %u bytes waiting, %u free, read %u, write %u, "
		    "%" PRIu64 " interrupts%s\n", what, r->used, r->room,
		    r->read, r->write, r->interrupts,
		    r->mask != 0 ? ", masked" : "");
}

static void
channel_text(const struct bus_channel *c, int verbose)
{
	if (c->sub < 0)
		printf("\tchannel %" PRIu32, c->id);
	else
		printf("\tchannel %" PRIu32 ", sub-channel %d", c->id, c->sub);
	if (c->cpu >= 0)
		printf(", CPU %d", c->cpu);
	printf("%s\n", c->monitor ? ", monitor page" : "");
	if (verbose > 1) {
		ring_text("from the host", &c->rx);
		ring_text("to the host", &c->tx);
	}
}

static void
show_text(const struct bus *b, int verbose)
{
	const struct bus_device *d;
	int i, j;

	if (verbose > 0)
		printf("VMBus %s, %d devices\n", b->version, b->count);
	for (i = 0; i < b->count; i++) {
		d = &b->devices[i];
		printf("%s: <%s> %s\n", d->name, d->desc,
		    bus_class_name(d->class));
		if (verbose == 0)
			continue;
		printf("\tclass %s, instance %s\n", d->class, d->instance);
		for (j = 0; j < d->nchannels; j++)
			channel_text(&d->channels[j], verbose);
	}
}

/* A string in JSON; what is no printable ASCII is escaped. */
static void
string(const char *name, const char *s, const char *after)
{
	printf("\"%s\": \"", name);
	for (; *s != '\0'; s++)
		if (*s == '"' || *s == '\\')
			printf("\\%c", *s);
		else if ((unsigned char)*s < 0x20 || (unsigned char)*s > 0x7e)
			printf("\\u%04x", (unsigned char)*s);
		else
			putchar(*s);
	printf("\"%s", after);
}

static void
ring_json(const char *name, const struct bus_ring *r)
{
	printf(", \"%s\": ", name);
	if (!r->known) {
		printf("null");
		return;
	}
	printf("{\"used\": %u, \"free\": %u, \"read\": %u, \"write\": %u, "
	    "\"masked\": %s, \"pending\": %u, \"features\": %u, "
	    "\"interrupts\": %" PRIu64 "}", r->used, r->room, r->read,
	    r->write, r->mask != 0 ? "true" : "false", r->pending, r->features,
	    r->interrupts);
}

static void
show_json(const struct bus *b)
{
	const struct bus_channel *c;
	const struct bus_device *d;
	int i, j;

	printf("{");
	string("version", b->version, ", \"devices\": [");
	for (i = 0; i < b->count; i++) {
		d = &b->devices[i];
		printf("%s\n  {", i > 0 ? "," : "");
		string("name", d->name, ", ");
		string("description", d->desc, ", ");
		string("class", d->class, ", ");
		string("class_name", bus_class_name(d->class), ", ");
		string("instance", d->instance, ",\n   \"channels\": [");
		for (j = 0; j < d->nchannels; j++) {
			c = &d->channels[j];
			printf("%s\n    {\"id\": %" PRIu32 ", \"sub\": ",
			    j > 0 ? "," : "", c->id);
			if (c->sub < 0)
				printf("null");
			else
				printf("%d", c->sub);
			printf(", \"cpu\": %d, \"monitor\": %s", c->cpu,
			    c->monitor ? "true" : "false");
			ring_json("rx", &c->rx);
			ring_json("tx", &c->tx);
			printf("}");
		}
		printf("]}");
	}
	printf("\n]}\n");
}

bool
show(const struct bus *b, bool json, int verbose)
{
	if (json)
		show_json(b);
	else
		show_text(b, verbose);
	return (fflush(stdout) == 0);
}
