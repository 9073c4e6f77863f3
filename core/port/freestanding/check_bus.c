/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Messages: each version of VMBus that the core speaks is offered to the host
 * by itself, then the newest that it took is used; offers; unload.
 */

#include <hvk/guid.h>
#include <hvk/wire/vmbus.h>

#include "check.h"

static const uint32_t versions[] = {
	HVK_VERSION(2, 4), HVK_VERSION(3, 0), HVK_VERSION(4, 0),
	HVK_VERSION(4, 1), HVK_VERSION(5, 0), HVK_VERSION(5, 1),
	HVK_VERSION(5, 2), HVK_VERSION(5, 3),
};

/* Returns the newest version that the host takes, 0 for none. */
static uint32_t
negotiate(void)
{
	char text[96];
	uint32_t agreed, best = 0;
	int at = 0;
	bool sane = true;

	text[0] = '\0';
	for (uint32_t i = 0; i < HVK_COUNT(versions); i++) {
		switch (bus_connect(versions[i], &agreed)) {
		case HVK_CLIENT_OK:
			sane = sane && agreed == versions[i];
			best = agreed;
			at += port_snprintf(text + at, sizeof(text) -
			    (size_t)at, " %u.%u", agreed >> 16,
			    agreed & 0xffff);
			sane = sane && bus_disconnect() == HVK_CLIENT_OK;
			break;
		case HVK_CLIENT_REFUSED:
			break;
		default:
			if (best == 0)
				return (0);
			/* 5.0 and later go to another connection. */
			break;
		}
	}
	check("bus.versions", sane && best != 0, "accepted:%s", text);
	return (best);
}

static void
offers(void)
{
	struct hvk_client_chan *cc;
	const char *name;
	char text[HVK_GUID_TEXT];
	uint32_t n = 0;
	bool done;

	done = bus_offers();
	for (uint32_t relid = 1; relid <= bus_relid_max; relid++) {
		cc = hvk_client_find(&bus_client, relid);
		if (cc == NULL)
			continue;
		n++;
		name = hvk_guid_class(&cc->type);
		hvk_guid_format(&cc->instance, text);
		port_printf("offer %u %s %s\n", cc->relid,
		    name != NULL ? name : "unknown", text);
	}
	check("bus.offers", done, "%u channels, %lu messages", n,
	    bus_client.messages);
	check("bus.sane", bus_client.rejected == 0,
	    "%lu messages made no sense", bus_client.rejected);
}

void
check_bus(void)
{
	uint32_t agreed, best;

	best = negotiate();
	if (best == 0) {
		if (check_option("vmbus", "required"))
			check("bus.connect", false, "no VMBus here");
		else
			check_skip("bus.connect", "no VMBus here");
		return;
	}
	if (bus_connect(best, &agreed) != HVK_CLIENT_OK) {
		check("bus.connect", false, "not a second time");
		return;
	}
	check("bus.connect", agreed == best, "version %u.%u", agreed >> 16,
	    agreed & 0xffff);
	offers();
}

void
check_unload(void)
{
	enum hvk_client_status status = bus_disconnect();

	check("bus.unload", status == HVK_CLIENT_OK, "status %u", status);
}
