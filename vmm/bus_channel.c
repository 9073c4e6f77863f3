/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * Devices and their channels: offers, opening (the guest's ring pages mapped
 * one after the other), closing, rescinding, signalling.  Locking: see bus.h.
 */
#include <sys/eventfd.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus.h"

/* ---- offers; lock held */

static struct vmm_channel *
channel_find(struct vmm_device *dev, uint16_t index)
{
	struct vmm_channel *ch;

	for (ch = dev->bus->channels; ch != NULL; ch = ch->next)
		if (ch->dev == dev && ch->index == index && !ch->rescinded)
			return (ch);
	return (NULL);
}

static int
channel_offer(struct vmm_device *dev, uint16_t index)
{
	struct vmm_bus *bus = dev->bus;
	struct hvk_server_offer o;
	struct vmm_channel *ch;
	int error;

	if (channel_find(dev, index) != NULL)
		return (0);
	ch = calloc(1, sizeof(*ch));
	if (ch == NULL)
		return (-ENOMEM);
	ch->bus = bus;
	ch->dev = dev;
	ch->index = index;
	ch->kick = -1;
	memset(&o, 0, sizeof(o));
	o.type = dev->offer.type;
	o.instance = dev->offer.instance;
	o.subindex = index;
	o.flags = dev->offer.flags;
	o.mmio_mb = dev->offer.mmio_mb;
	o.order = dev->order;
	o.monitor = dev->offer.monitor && bus->conf.monitor;
	memcpy(o.user, dev->offer.user, sizeof(o.user));
	o.cookie = ch;
	error = hvk_server_offer(bus->server, &o, &ch->id);
	if (error != HVK_OK) {
		free(ch);
		return (error == HVK_NOSPACE ? -ENOSPC : -EBUSY);
	}
	ch->next = bus->channels;
	bus->channels = ch;
	bus_deliver(bus);
	bus_kick(bus);
	return (0);
}

static void
channel_rescind(struct vmm_channel *ch)
{

	if (ch->rescinded)
		return;
	ch->rescinded = true;
	(void)hvk_server_rescind(ch->bus->server, ch->id);
}

/* Sub-channels first, then their primary. */
static void
device_rescind(struct vmm_device *dev, bool primary)
{
	struct vmm_channel *ch;

	for (ch = dev->bus->channels; ch != NULL; ch = ch->next)
		if (ch->dev == dev && ch->index != 0)
			channel_rescind(ch);
	if (primary) {
		ch = channel_find(dev, 0);
		if (ch != NULL)
			channel_rescind(ch);
		dev->offered = false;
	}
	bus_deliver(dev->bus);
	bus_kick(dev->bus);
}

struct vmm_device *
bus_device_find(struct vmm_bus *bus, const char *name)
{
	struct vmm_device *dev;

	for (dev = bus->devices; dev != NULL; dev = dev->next)
		if (strcmp(dev->name, name) == 0)
			return (dev);
	return (NULL);
}

struct vmm_device *
vmm_device_offer(struct vmm_bus *bus, const struct vmm_offer *offer,
    const struct vmm_device_ops *ops, void *arg)
{
	struct vmm_device *dev, **tail;

	dev = calloc(1, sizeof(*dev));
	if (dev == NULL)
		return (NULL);
	dev->bus = bus;
	dev->ops = ops;
	dev->arg = arg;
	dev->offer = *offer;
	snprintf(dev->name, sizeof(dev->name), "%s", offer->name);
	dev->offer.name = dev->name;
	pthread_mutex_init(&dev->ops_lock, NULL);

	pthread_mutex_lock(&bus->lock);
	/* The guest sees devices in the order in which they are made. */
	for (tail = &bus->devices; *tail != NULL; tail = &(*tail)->next)
		dev->order = (*tail)->order + 1;
	if (bus_device_find(bus, dev->name) != NULL ||
	    channel_offer(dev, 0) != 0) {
		pthread_mutex_unlock(&bus->lock);
		pthread_mutex_destroy(&dev->ops_lock);
		free(dev);
		return (NULL);
	}
	dev->offered = true;
	*tail = dev;
	pthread_mutex_unlock(&bus->lock);
	return (dev);
}

int
vmm_subchannels_offer(struct vmm_device *dev, uint16_t count)
{
	struct vmm_bus *bus = dev->bus;
	uint16_t i;
	int error = 0;

	if (count > BUS_SUBCHANNELS)
		return (-ERANGE);
	pthread_mutex_lock(&bus->lock);
	if (!dev->offered)
		error = -ENODEV;
	for (i = 1; i <= count && error == 0; i++)
		error = channel_offer(dev, i);
	pthread_mutex_unlock(&bus->lock);
	return (error);
}

void
vmm_device_rescind(struct vmm_device *dev)
{
	struct vmm_bus *bus = dev->bus;

	pthread_mutex_lock(&bus->lock);
	device_rescind(dev, true);
	pthread_mutex_unlock(&bus->lock);
}

int
vmm_bus_rescind(struct vmm_bus *bus, const char *name, char *err,
    size_t errlen)
{
	struct vmm_device *dev;
	int error = 0;

	pthread_mutex_lock(&bus->lock);
	dev = bus_device_find(bus, name);
	if (dev == NULL)
		error = vmm_fail(err, errlen, -ENOENT, "no device '%.32s'; "
		    "`hvk ctl info` lists them", name);
	else if (!dev->offered)
		error = vmm_fail(err, errlen, -EALREADY, "%s is rescinded "
		    "already; `hvk ctl offer %s` brings it back", name, name);
	else
		device_rescind(dev, true);
	pthread_mutex_unlock(&bus->lock);
	return (error);
}

int
vmm_bus_rescind_channel(struct vmm_bus *bus, const char *name, int64_t index,
    char *err, size_t errlen)
{
	struct vmm_channel *ch = NULL;
	struct vmm_device *dev;
	int error = 0;

	pthread_mutex_lock(&bus->lock);
	dev = bus_device_find(bus, name);
	if (dev != NULL && index > 0 && index <= BUS_SUBCHANNELS)
		ch = channel_find(dev, (uint16_t)index);
	if (dev == NULL)
		error = vmm_fail(err, errlen, -ENOENT, "no device '%.32s'; "
		    "`hvk ctl info` lists them", name);
	else if (ch == NULL)
		error = vmm_fail(err, errlen, -ENOENT, "%s has no sub-channel "
		    "%lld; `hvk ctl channels` lists them", name,
		    (long long)index);
	else {
		channel_rescind(ch);
		bus_deliver(bus);
		bus_kick(bus);
	}
	pthread_mutex_unlock(&bus->lock);
	return (error);
}

int
vmm_bus_reoffer(struct vmm_bus *bus, const char *name, json_t *out,
    char *err, size_t errlen)
{
	struct vmm_device *dev;
	int error = 0;

	pthread_mutex_lock(&bus->lock);
	dev = bus_device_find(bus, name);
	if (dev == NULL)
		error = vmm_fail(err, errlen, -ENOENT, "no device '%.32s'; "
		    "`hvk ctl info` lists them", name);
	else if (dev->offered)
		error = vmm_fail(err, errlen, -EALREADY,
		    "%s is offered already", name);
	else {
		error = channel_offer(dev, 0);
		if (error != 0)
			vmm_fail(err, errlen, 0, "cannot offer %s: %s", name,
			    strerror(-error));
		dev->offered = error == 0;
		dev->offered_at = vmm_now_ns();
		if (bus_device_held(dev))
			json_object_set_new(out, "waits", json_string("the "
			    "guest still has the rescinded one; `hvk ctl info` "
			    "shows state held until it lets go"));
	}
	pthread_mutex_unlock(&bus->lock);
	return (error);
}

/* ---- open and close; bus thread */

static void
channel_unmap(struct vmm_channel *ch)
{

	guest_mem_unmap(ch->bus->machine->mem, ch->rings, ch->pages, ch->runs);
	ch->rings = NULL;
	if (ch->kick >= 0)
		close(ch->kick);
	ch->kick = -1;
}

/* Map both rings and look at their headers; lock not held. */
static int
channel_map(struct vmm_channel *ch, const uint64_t *pfn, uint32_t pages,
    uint32_t offset)
{
	uint8_t *in, *out;

	ch->pages = pages;
	ch->rx_size = (offset - 1) * VMM_PAGE;
	ch->tx_size = (pages - offset - 1) * VMM_PAGE;
	ch->rings = guest_mem_map(ch->bus->machine->mem, pfn, pages,
	    &ch->runs);
	if (ch->rings == NULL)
		return (-errno);
	ch->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ch->kick < 0)
		return (-errno);
	in = ch->rings;
	out = in + (size_t)offset * VMM_PAGE;
	if (hvk_ring_rx_init(&ch->rx, in, in + VMM_PAGE, ch->rx_size,
	    false) != HVK_OK)
		return (-EPROTO);
	if (hvk_ring_tx_init(&ch->tx, out, out + VMM_PAGE, ch->tx_size,
	    false) != HVK_OK)
		return (-EPROTO);
	return (0);
}

/* The pages of the ring GPADL; lock held. */
static uint64_t *
ring_pages(struct vmm_bus *bus, const struct hvk_server_event *ev)
{
	uint32_t n = ev->open.pages;
	uint64_t *pfn;

	/* Both rings have a header and at least one page of data. */
	if (ev->open.offset < 2 || n < 4 || ev->open.offset > n - 2)
		return (NULL);
	pfn = calloc(n, sizeof(*pfn));
	if (pfn != NULL && hvk_server_gpadl_pfns(bus->server, ev->channel,
	    ev->open.gpadl, 0, 0, pfn, n) != n) {
		free(pfn);
		return (NULL);
	}
	return (pfn);
}

static int
device_open(struct vmm_channel *ch)
{
	struct vmm_device *dev = ch->dev;
	int error;

	pthread_mutex_lock(&dev->ops_lock);
	error = dev->ops->open(dev->arg, ch);
	pthread_mutex_unlock(&dev->ops_lock);
	return (error);
}

static void
set_doorbell(struct vmm_channel *ch, int fd)
{
	struct vmm_machine *m = ch->bus->machine;

	/* If the machine takes no doorbell the signal comes as an exit. */
	(void)m->ops->doorbell(m->arg, ch->conn, fd);
}

void
bus_channel_open(struct vmm_bus *bus, const struct hvk_server_event *ev)
{
	struct vmm_channel *ch = ev->cookie;
	uint64_t *pfn = ring_pages(bus, ev);
	int error = -EINVAL;

	ch->conn = ev->open.conn;
	ch->flag = ev->open.flag;
	ch->sint = ev->open.sint;
	ch->monitor = ev->open.monitor;
	atomic_store(&ch->vp, ev->open.vp);
	pthread_mutex_unlock(&bus->lock);
	if (pfn != NULL)
		error = channel_map(ch, pfn, ev->open.pages, ev->open.offset);
	free(pfn);
	if (error == 0) {
		set_doorbell(ch, ch->kick);
		error = device_open(ch);
		if (error != 0)
			set_doorbell(ch, -1);
	}
	if (error != 0) {
		if (bus_talk(bus, SAY_OPEN))
			vmm_log("%s channel %u: cannot open: %s",
			    ch->dev->name, ch->index, error == -ERANGE ?
			    "its ring is outside memory" : error == -EPROTO ?
			    "its ring's indices are broken" :
			    strerror(-error));
		channel_unmap(ch);
	}
	pthread_mutex_lock(&bus->lock);
	if (error == 0) {
		ch->open = true;
		monitor_add(bus, ch);
	}
	(void)hvk_server_open_done(bus->server, ev->channel, error == 0 ?
	    HVK_STATUS_OK : HVK_STATUS_FAIL);
}

void
bus_channel_close(struct vmm_bus *bus, struct vmm_channel *ch)
{
	struct vmm_device *dev = ch->dev;
	uint64_t one = 1;

	/* Sub-channels do not outlive the open primary. */
	if (ch->index == 0)
		device_rescind(dev, false);
	if (!ch->open)
		return;
	monitor_remove(bus, ch);
	pthread_mutex_unlock(&bus->lock);
	set_doorbell(ch, -1);
	/* A worker that hangs in a read of its eventfd gets on. */
	if (write(ch->kick, &one, sizeof(one)) < 0)
		one = 0;
	pthread_mutex_lock(&dev->ops_lock);
	dev->ops->close(dev->arg, ch);
	pthread_mutex_unlock(&dev->ops_lock);
	pthread_mutex_lock(&bus->lock);
	ch->open = false;
	channel_unmap(ch);
}

void
bus_channel_modify(struct vmm_bus *bus, const struct hvk_server_event *ev)
{
	struct vmm_channel *ch = ev->cookie;

	atomic_store(&ch->vp, ev->modify.vp);
	(void)hvk_server_modify_done(bus->server, ev->channel, HVK_STATUS_OK);
	/* What was signalled to the old processor is signalled again. */
	if (ch->open)
		vmm_channel_signal(ch);
}

void
bus_channel_released(struct vmm_bus *bus, struct vmm_channel *ch)
{
	struct vmm_channel **p;

	for (p = &bus->channels; *p != NULL; p = &(*p)->next)
		if (*p == ch) {
			*p = ch->next;
			free(ch);
			return;
		}
}

void
bus_channel_free_all(struct vmm_bus *bus)
{
	struct vmm_channel *ch;
	struct vmm_device *dev;

	while ((ch = bus->channels) != NULL) {
		bus->channels = ch->next;
		channel_unmap(ch);
		free(ch);
	}
	while ((dev = bus->devices) != NULL) {
		bus->devices = dev->next;
		pthread_mutex_destroy(&dev->ops_lock);
		free(dev);
	}
}

/* ---- what a worker uses */

struct hvk_ring_rx *
vmm_channel_rx(struct vmm_channel *ch)
{

	return (&ch->rx);
}

struct hvk_ring_tx *
vmm_channel_tx(struct vmm_channel *ch)
{

	return (&ch->tx);
}

int
vmm_channel_kick_fd(struct vmm_channel *ch)
{

	return (ch->kick);
}

void
vmm_channel_signal(struct vmm_channel *ch)
{
	struct vmm_machine *m = ch->bus->machine;
	struct hvk_hv_irq irq;
	uint32_t vp = atomic_load_explicit(&ch->vp, memory_order_acquire);

	atomic_fetch_add_explicit(&ch->signals, 1, memory_order_relaxed);
	if (!hvk_hv_signal(&ch->bus->hv, vp, ch->sint, ch->flag,
	    &ch->bus->view, &irq))
		return;
	atomic_fetch_add_explicit(&ch->interrupts, 1, memory_order_relaxed);
	m->ops->interrupt(m->arg, &irq);
}

uint16_t
vmm_channel_index(struct vmm_channel *ch)
{

	return (ch->index);
}

bool
vmm_channel_rescinded(struct vmm_channel *ch)
{

	return (ch->rescinded);
}

struct guest_mem *
vmm_channel_mem(struct vmm_channel *ch)
{

	return (ch->bus->machine->mem);
}

enum vmm_fault
vmm_channel_fault(struct vmm_channel *ch, uint32_t *arg)
{

	return (fault_take(&ch->dev->fault, arg));
}
