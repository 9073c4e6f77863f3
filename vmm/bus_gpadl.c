/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * Memory that a guest lends to a device by a GPADL: its pages, for the device
 * to use until the guest tears it down.
 * Locking: see bus.h; the list of pages belongs to the device.
 */
#include <errno.h>
#include <stdlib.h>

#include "bus.h"

struct vmm_pages *
vmm_channel_gpadl(struct vmm_channel *ch, uint32_t gpadl)
{
	struct vmm_bus *bus = ch->bus;
	struct hvk_gpadl_range r;
	struct vmm_pages *p = NULL;
	uint64_t *pfn = NULL;
	uint32_t i;

	pthread_mutex_lock(&bus->lock);
	if (hvk_server_gpadl_range(bus->server, ch->id, gpadl, 0, &r) ==
	    HVK_OK && r.npfn != 0 && r.len != 0) {
		pfn = calloc(r.npfn, sizeof(*pfn));
		p = malloc(sizeof(*p) + r.npfn * sizeof(p->page[0]));
		if (pfn != NULL && hvk_server_gpadl_pfns(bus->server, ch->id,
		    gpadl, 0, 0, pfn, r.npfn) != r.npfn) {
			free(pfn);
			pfn = NULL;
		}
	}
	pthread_mutex_unlock(&bus->lock);
	for (i = 0; p != NULL && pfn != NULL && i < r.npfn; i++) {
		p->page[i] = guest_mem_view(bus->machine->mem,
		    pfn[i] * VMM_PAGE, VMM_PAGE);
		if (p->page[i] == NULL) {
			free(pfn);
			pfn = NULL;
		}
	}
	if (p == NULL || pfn == NULL) {
		free(p);
		free(pfn);
		return (NULL);
	}
	free(pfn);
	p->n = r.npfn;
	p->offset = r.offset;
	/* Never past its pages, whatever the range said. */
	p->len = r.len;
	if (p->len > (uint64_t)r.npfn * VMM_PAGE - r.offset)
		p->len = (uint32_t)((uint64_t)r.npfn * VMM_PAGE - r.offset);
	return (p);
}

/* The guest takes its memory back; lock held, dropped meanwhile. */
void
bus_gpadl_gone(struct vmm_bus *bus, struct vmm_channel *ch, uint32_t gpadl)
{
	struct vmm_device *dev = ch->dev;

	if (dev->ops->gpadl_gone == NULL)
		return;
	pthread_mutex_unlock(&bus->lock);
	pthread_mutex_lock(&dev->ops_lock);
	dev->ops->gpadl_gone(dev->arg, ch, gpadl);
	pthread_mutex_unlock(&dev->ops_lock);
	pthread_mutex_lock(&bus->lock);
}
