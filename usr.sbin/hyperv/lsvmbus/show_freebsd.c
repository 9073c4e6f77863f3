/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * show_freebsd.c: the bus by libxo: text, and what --libxo asks for; the same
 * text and the same members as show_linux.c makes. A person sees as much as -v
 * says, a program is given everything. Facts: libxo(3), xo_format(5),
 * xo_options(7).
 */

#include <inttypes.h>
#include <stddef.h>

#include <libxo/xo.h>

#include "bus.h"

const char show_usage[] = "[--libxo options] ";

int
show_args(int argc, char **argv)
{
	return (xo_parse_args(argc, argv));
}

/* Text and HTML are read by people. */
static bool
for_people(void)
{
	xo_style_t style;

	style = xo_get_style(NULL);
	return (style == XO_STYLE_TEXT || style == XO_STYLE_HTML);
}

static void
boolean(const char *fmt, bool value)
{
	xo_emit(fmt, value ? "true" : "false");
}

static void
ring(const char *name, const char *what, const struct bus_ring *r)
{
	if (!r->known) {
		if (!for_people())
			xo_emit(name[0] == 'r' ? "{en:rx/null}" :
			    "{en:tx/null}");
		return;
	}
	xo_open_container(name);
	xo_emit("{P:\t\t}{Lc:/%s}{P: }{:used/%u} {N:bytes waiting}, "
	    "{:free/%u} {N:free}, {N:read} {:read/%u}, {N:write} {:write/%u}, "
	    "{:interrupts/%" PRIu64 "} {N:interrupts}", what, r->used, r->room,
	    r->read, r->write, r->interrupts);
	if (r->mask != 0)
		xo_emit(", {N:masked}");
	boolean("{en:masked/%s}", r->mask != 0);
	xo_emit("{e:pending/%u}{e:features/%u}\n", r->pending, r->features);
	xo_close_container(name);
}

static void
channel(const struct bus_channel *c, bool rings)
{
	xo_open_instance("channels");
	xo_emit("{P:\t}{N:channel} {k:id/%" PRIu32 "}", c->id);
	if (c->sub < 0)
		xo_emit("{en:sub/null}");
	else
		xo_emit(", {N:sub-channel} {:sub/%d}", c->sub);
	if (c->cpu >= 0)
		xo_emit(", {N:CPU} {:cpu/%d}", c->cpu);
	else
		xo_emit("{e:cpu/%d}", c->cpu);
	boolean("{en:monitor/%s}", c->monitor);
	if (c->monitor)
		xo_emit(", {N:monitor page}");
	xo_emit("\n");
	if (rings) {
		ring("rx", "from the host", &c->rx);
		ring("tx", "to the host", &c->tx);
	}
	xo_close_instance("channels");
}

static void
device(const struct bus_device *d, int verbose)
{
	int i;

	xo_open_instance("devices");
	xo_emit("{k:name/%s}: <{:description/%s}> {:class_name/%s}\n", d->name,
	    d->desc, bus_class_name(d->class));
	if (verbose > 0) {
		xo_emit("{P:\t}{N:class} {:class/%s}, {N:instance} "
		    "{:instance/%s}\n", d->class, d->instance);
		xo_open_list("channels");
		for (i = 0; i < d->nchannels; i++)
			channel(&d->channels[i], verbose > 1);
		xo_close_list("channels");
	}
	xo_close_instance("devices");
}

bool
show(const struct bus *b, bool json, int verbose)
{
	bool root;
	int i;

	if (json)
		xo_set_style(NULL, XO_STYLE_JSON);
	if (!for_people())
		verbose = 2;
	/* XML has one root; JSON's is nameless, as on Linux. */
	root = xo_get_style(NULL) == XO_STYLE_XML;
	if (root)
		xo_open_container("lsvmbus");
	if (verbose > 0)
		xo_emit("{N:VMBus} {d:version/%s}, {d:count/%d} {N:devices}\n",
		    b->version, b->count);
	xo_open_list("devices");
	for (i = 0; i < b->count; i++)
		device(&b->devices[i], verbose);
	xo_close_list("devices");
	/* Not before the list: libxo opens JSON with a list or a container. */
	xo_emit("{e:version/%s}", b->version);
	if (root)
		xo_close_container("lsvmbus");
	return (xo_finish() >= 0);
}
