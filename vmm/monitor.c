/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * Monitored notification: the guest sets a bit in a page instead of making a
 * hypercall, and a thread looks at the page every 100 us while any open
 * channel has a monitor id.
 *
 * Source of facts: reference/wire.md section 6, "Monitor page".
 */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bus.h"

#define	PERIOD_NS	100000
#define	GROUPS		4u
#define	PENDING_AT	8u		/* of the first group */

/* One look: bus lock held, so that no channel closes meanwhile. */
static void
look(struct vmm_bus *bus, uint64_t page)
{
	struct vmm_channel *ch;
	uint64_t one = 1;
	uint32_t *word, bits, g, id;
	uint8_t *base;

	base = guest_mem_view(bus->machine->mem, page, VMM_PAGE);
	if (base == NULL)
		return;
	for (g = 0; g < GROUPS; g++) {
		word = (uint32_t *)(void *)(base + PENDING_AT + 8 * g);
		if (__atomic_load_n(word, __ATOMIC_RELAXED) == 0)
			continue;
		bits = __atomic_exchange_n(word, 0, __ATOMIC_SEQ_CST);
		for (; bits != 0; bits &= bits - 1) {
			id = g * 32 + (uint32_t)__builtin_ctz(bits);
			ch = atomic_load(&bus->monitored[id]);
			if (ch == NULL)
				continue;
			atomic_fetch_add_explicit(&ch->monitor_kicks, 1,
			    memory_order_relaxed);
			if (write(ch->kick, &one, sizeof(one)) < 0)
				one = 1;	/* full: it is awake */
		}
	}
}

static bool
anything(struct vmm_bus *bus, uint64_t page)
{
	const uint8_t *base = guest_mem_view(bus->machine->mem, page,
	    VMM_PAGE);
	uint32_t g, any = 0;

	if (base == NULL)
		return (false);
	for (g = 0; g < GROUPS; g++)
		any |= __atomic_load_n((const uint32_t *)(const void *)(base +
		    PENDING_AT + 8 * g), __ATOMIC_RELAXED);
	return (any != 0);
}

static void *
monitor_main(void *arg)
{
	struct vmm_bus *bus = arg;
	struct timespec ts = { 0, PERIOD_NS };
	uint64_t page;

	while (!atomic_load_explicit(&bus->monitor_quit,
	    memory_order_relaxed)) {
		page = atomic_load(&bus->monitor_page);
		ts.tv_nsec = page != 0 && atomic_load(&bus->monitors) != 0 ?
		    PERIOD_NS : 100 * PERIOD_NS;
		if (page != 0 && anything(bus, page)) {
			pthread_mutex_lock(&bus->lock);
			look(bus, page);
			pthread_mutex_unlock(&bus->lock);
		}
		nanosleep(&ts, NULL);
	}
	return (NULL);
}

int
monitor_add(struct vmm_bus *bus, struct vmm_channel *ch)
{
	int error;

	if (ch->monitor >= HVK_SERVER_MONITORS)
		return (0);
	if (!bus->monitor_started) {
		error = vmm_thread(&bus->monitor_thread, "monitor",
		    monitor_main, bus);
		if (error != 0)
			return (error);
		bus->monitor_started = true;
	}
	atomic_store(&bus->monitored[ch->monitor], ch);
	atomic_fetch_add(&bus->monitors, 1);
	return (0);
}

void
monitor_remove(struct vmm_bus *bus, struct vmm_channel *ch)
{

	if (ch->monitor >= HVK_SERVER_MONITORS ||
	    atomic_load(&bus->monitored[ch->monitor]) != ch)
		return;
	atomic_store(&bus->monitored[ch->monitor], NULL);
	atomic_fetch_sub(&bus->monitors, 1);
}

void
monitor_pages(struct vmm_bus *bus, uint64_t guest_to_host)
{

	atomic_store(&bus->monitor_page, guest_to_host);
}

void
monitor_stop(struct vmm_bus *bus)
{

	atomic_store(&bus->monitor_quit, true);
	if (bus->monitor_started)
		pthread_join(bus->monitor_thread, NULL);
	bus->monitor_started = false;
}
