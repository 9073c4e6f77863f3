/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * A device that was rescinded goes on answering until the guest has heard of it
 * and lets go of its channels: guests wait, some of them for ever, for answers
 * to what they had sent before.  Not longer than LINGER_MS: a guest that hangs
 * holds nothing of the host's.
 *
 * Once the guest has let go its rings' memory may serve something else, so the
 * message with which it does so is complete only when the device has stopped.
 *
 * Locking: bus.h; all of it with the bus lock held.  bus_linger_wait is for
 * processors' threads, the rest for the bus thread.
 */
#include <time.h>

#include "bus.h"

#define	LINGER_MS	60000u
#define	CLOSE_MS	5000u		/* a message waits no longer */

/* Is the primary of its device being taken away, too, and still served? */
static bool
is_withdrawn(const struct vmm_channel *ch)
{
	const struct vmm_channel *p;

	for (p = ch->bus->channels; p != NULL; p = p->next)
		if (p->dev == ch->dev && p->index == 0 && p->open &&
		    p->rescinded)
			return (true);
	return (false);
}

bool
bus_linger(struct vmm_bus *bus, struct vmm_channel *ch)
{

	if (!ch->open || !ch->rescinded || !is_withdrawn(ch) ||
	    !hvk_server_waits(bus->server, ch->id))
		return (false);
	if (ch->linger_until == 0)
		bus->lingering++;
	ch->linger_until = vmm_deadline(LINGER_MS);
	return (true);
}

/* Sub-channels before their primary. */
static struct vmm_channel *
due(struct vmm_bus *bus)
{
	struct vmm_channel *ch, *primary = NULL;

	for (ch = bus->channels; ch != NULL; ch = ch->next) {
		if (ch->linger_until == 0 || (is_withdrawn(ch) &&
		    hvk_server_waits(bus->server, ch->id) &&
		    vmm_left_ms(ch->linger_until) > 0))
			continue;
		if (ch->index != 0)
			return (ch);
		primary = ch;
	}
	return (primary);
}

bool
bus_linger_next(struct vmm_bus *bus)
{
	struct vmm_channel *ch;
	hvk_channel_id id;

	ch = bus->lingering != 0 ? due(bus) : NULL;
	if (ch == NULL)
		return (false);
	id = ch->id;
	bus_channel_close(bus, ch);
	ch->linger_until = 0;
	bus->lingering--;
	hvk_server_close_done(bus->server, id);
	pthread_cond_broadcast(&bus->left);
	return (true);
}

uint64_t
bus_linger_deadline(const struct vmm_bus *bus)
{
	const struct vmm_channel *ch;
	uint64_t at = 0;

	if (bus->lingering == 0)
		return (0);
	for (ch = bus->channels; ch != NULL; ch = ch->next)
		if (ch->linger_until != 0 && (at == 0 ||
		    ch->linger_until < at))
			at = ch->linger_until;
	return (at);
}

static bool
any_leaving(struct vmm_bus *bus)
{
	const struct vmm_channel *ch;

	if (bus->lingering == 0)
		return (false);
	for (ch = bus->channels; ch != NULL; ch = ch->next)
		if (ch->linger_until != 0 &&
		    !hvk_server_waits(bus->server, ch->id))
			return (true);
	return (false);
}

void
bus_linger_wait(struct vmm_bus *bus)
{
	uint64_t at = vmm_deadline(CLOSE_MS);
	struct timespec ts = {
		.tv_sec = (time_t)(at / 1000000000u),
		.tv_nsec = (long)(at % 1000000000u),
	};

	while (any_leaving(bus) && vmm_left_ms(at) > 0)
		(void)pthread_cond_timedwait(&bus->left, &bus->lock, &ts);
}
