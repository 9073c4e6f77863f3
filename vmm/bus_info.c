/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * What the bus tells `hvk ctl`: info, channels, stat.  All of it is put
 * together under the bus lock; a device's own part under its ops lock.
 */
#include <errno.h>
#include <string.h>

#include <hvk/guid.h>

#include "bus.h"

#define	MAX_DEVICES	128

static void
set_int(json_t *o, const char *key, uint64_t v)
{

	json_object_set_new(o, key, json_integer((json_int_t)v));
}

static void
set_str(json_t *o, const char *key, const char *v)
{

	json_object_set_new(o, key, json_string(v));
}

/* A counter that its owner changes without a lock. */
static uint64_t
counter(const uint64_t *p)
{

	return (__atomic_load_n(p, __ATOMIC_RELAXED));
}

static void
set_version(json_t *o, uint32_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "%u.%u", v >> 16, v & 0xffff);
	set_str(o, "version", v != 0 ? text : "none");
}

static json_t *
refusals(struct vmm_bus *bus)
{
	json_t *o = json_object();
	uint32_t i, n;

	for (i = 1; i < HVK_REFUSE_MAX; i++) {
		n = hvk_server_refusals(bus->server, (enum hvk_refusal)i);
		if (n != 0)
			set_int(o, hvk_refusal_name((enum hvk_refusal)i), n);
	}
	return (o);
}

static json_t *
register_refusals(struct vmm_bus *bus)
{
	json_t *o = json_object();
	uint32_t i, n;

	for (i = 1; i < HVK_HV_REFUSE_MAX; i++) {
		n = atomic_load(&bus->hv_refused[i]);
		if (n != 0)
			set_int(o, hvk_hv_refusal_text((enum hvk_hv_refusal)i),
			    n);
	}
	return (o);
}

static json_t *
vmbus_info(struct vmm_bus *bus)
{
	struct hvk_server_info si;
	json_t *o = json_object();
	char text[24];

	hvk_server_info(bus->server, &si);
	set_version(o, si.connected ? si.version : 0);
	set_str(o, "state", si.disconnecting ? "disconnecting" :
	    si.connected ? "connected" : "idle");
	snprintf(text, sizeof(text), "%#llx",
	    (unsigned long long)hvk_hv_os_id(&bus->hv));
	set_str(o, "guest_os_id", text);
	set_int(o, "channels", si.channels);
	set_int(o, "gpadls", si.gpadls);
	set_int(o, "gpadl_pages", si.pfns);
	set_int(o, "messages_in", si.messages_in);
	set_int(o, "messages_out", si.messages_out);
	set_int(o, "messages_waiting", hvk_server_waiting(bus->server));
	json_object_set_new(o, "refused", refusals(bus));
	json_object_set_new(o, "registers_refused", register_refusals(bus));
	if (bus->crashed)
		set_str(o, "crash", bus->crash);
	return (o);
}

static const char *
fault_text(const struct fault *f)
{

	return (vmm_fault_name((enum vmm_fault)atomic_load(&f->kind)));
}

/*
 * Offered again, but the guest has not let go of the channel that was rescinded:
 * the offer waits, for ever if the rescind was lost.
 */
bool
bus_device_held(const struct vmm_device *dev)
{
	struct hvk_server_channel sc;
	struct vmm_channel *ch;

	if (!dev->offered)
		return (false);
	for (ch = dev->bus->channels; ch != NULL; ch = ch->next)
		if (ch->dev == dev && ch->index == 0 && ch->rescinded &&
		    hvk_server_channel(dev->bus->server, ch->id, &sc) ==
		    HVK_OK && sc.revoked)
			return (true);
	return (false);
}

static json_t *
device_info(struct vmm_device *dev)
{
	bool held = bus_device_held(dev);
	const char *class = hvk_guid_class(&dev->offer.type);
	json_t *o = json_object();
	struct vmm_channel *ch;
	unsigned n = 0, open = 0;
	char guid[HVK_GUID_TEXT];

	for (ch = dev->bus->channels; ch != NULL; ch = ch->next)
		if (ch->dev == dev) {
			n++;
			open += ch->open;
		}
	set_str(o, "name", dev->name);
	set_str(o, "class", class != NULL ? class : "other");
	hvk_guid_format(&dev->offer.instance, guid);
	set_str(o, "instance", guid);
	set_str(o, "state", !dev->offered ? "rescinded" : held ? "held" :
	    open > 0 ? "open" : "offered");
	if (held)
		set_int(o, "held_ms", (vmm_now_ns() - dev->offered_at) /
		    1000000);
	set_int(o, "channels", n);
	set_int(o, "open", open);
	set_str(o, "fault", fault_text(&dev->fault));
	set_int(o, "faults", atomic_load(&dev->fault.injected));
	return (o);
}

void
vmm_bus_info(struct vmm_bus *bus, json_t *into)
{
	struct vmm_device *dev, *list[MAX_DEVICES];
	json_t *devices = json_array(), *o;
	unsigned i, n = 0;

	pthread_mutex_lock(&bus->lock);
	json_object_set_new(into, "vmbus", vmbus_info(bus));
	set_str(json_object_get(into, "vmbus"), "fault",
	    fault_text(&bus->fault));
	for (dev = bus->devices; dev != NULL && n < MAX_DEVICES;
	    dev = dev->next) {
		json_array_append_new(devices, device_info(dev));
		list[n++] = dev;
	}
	pthread_mutex_unlock(&bus->lock);
	/* Devices stay until the bus goes; their ops need the lock dropped. */
	for (i = 0; i < n; i++) {
		if (list[i]->ops->info == NULL)
			continue;
		o = json_array_get(devices, i);
		pthread_mutex_lock(&list[i]->ops_lock);
		list[i]->ops->info(list[i]->arg, o);
		pthread_mutex_unlock(&list[i]->ops_lock);
	}
	json_object_set_new(into, "devices", devices);
}

static json_t *
channel_info(struct vmm_bus *bus, struct vmm_channel *ch)
{
	struct hvk_server_channel sc;
	json_t *o = json_object();

	set_str(o, "device", ch->dev->name);
	set_int(o, "index", ch->index);
	if (hvk_server_channel(bus->server, ch->id, &sc) == HVK_OK) {
		set_int(o, "relid", sc.relid);
		set_str(o, "state", sc.revoked ? "rescinded" :
		    hvk_channel_state_name(sc.state));
		set_int(o, "connection", sc.conn);
		set_int(o, "gpadls", sc.gpadls);
	}
	if (ch->open) {
		set_int(o, "vp", atomic_load(&ch->vp));
		set_int(o, "rx_ring", ch->rx_size);
		set_int(o, "tx_ring", ch->tx_size);
		if (ch->monitor != HVK_SERVER_NO_MONITOR)
			set_int(o, "monitor", ch->monitor);
	}
	return (o);
}

/* The list is kept newest first: show it in the order of device and index. */
static void
add_sorted(json_t *list, json_t *o)
{
	const char *dev = json_string_value(json_object_get(o, "device"));
	json_int_t index = json_integer_value(json_object_get(o, "index"));
	json_t *e;
	size_t i;
	int d;

	json_array_foreach(list, i, e) {
		d = strcmp(json_string_value(json_object_get(e, "device")),
		    dev);
		if (d > 0 || (d == 0 && json_integer_value(
		    json_object_get(e, "index")) > index))
			break;
	}
	json_array_insert_new(list, i, o);
}

void
vmm_bus_channels(struct vmm_bus *bus, json_t *into)
{
	json_t *list = json_array();
	struct vmm_channel *ch;

	pthread_mutex_lock(&bus->lock);
	for (ch = bus->channels; ch != NULL; ch = ch->next)
		add_sorted(list, channel_info(bus, ch));
	pthread_mutex_unlock(&bus->lock);
	json_object_set_new(into, "channels", list);
}

static json_t *
channel_stat(struct vmm_channel *ch)
{
	json_t *o = json_object();

	set_str(o, "device", ch->dev->name);
	set_int(o, "index", ch->index);
	set_int(o, "rx_packets", counter(&ch->rx.packets));
	set_int(o, "rx_bytes", counter(&ch->rx.bytes));
	set_int(o, "tx_packets", counter(&ch->tx.packets));
	set_int(o, "tx_bytes", counter(&ch->tx.bytes));
	set_int(o, "tx_full", counter(&ch->tx.full));
	set_int(o, "signals", atomic_load(&ch->signals));
	set_int(o, "interrupts", atomic_load(&ch->interrupts));
	set_int(o, "slow_kicks", atomic_load(&ch->slow_kicks));
	set_int(o, "monitor_kicks", atomic_load(&ch->monitor_kicks));
	return (o);
}

void
vmm_bus_stat(struct vmm_bus *bus, json_t *into)
{
	json_t *list = json_array();
	struct vmm_channel *ch;

	pthread_mutex_lock(&bus->lock);
	for (ch = bus->channels; ch != NULL; ch = ch->next)
		if (ch->open)
			add_sorted(list, channel_stat(ch));
	pthread_mutex_unlock(&bus->lock);
	json_object_set_new(into, "channels", list);
}

int
vmm_bus_device_ctl(struct vmm_bus *bus, const char *name, const char *cmd,
    const json_t *in, json_t *out, char *err, size_t errlen)
{
	struct vmm_device *dev;
	int error;

	pthread_mutex_lock(&bus->lock);
	dev = bus_device_find(bus, name);
	pthread_mutex_unlock(&bus->lock);
	if (dev == NULL)
		return (vmm_fail(err, errlen, -ENOENT, "no device '%.32s'; "
		    "`hvk ctl info` lists them", name));
	if (dev->ops->ctl == NULL)
		return (vmm_fail(err, errlen, -ENOTSUP,
		    "%s does not know '%s'", name, cmd));
	err[0] = '\0';
	pthread_mutex_lock(&dev->ops_lock);
	error = dev->ops->ctl(dev->arg, cmd, in, out, err, errlen);
	pthread_mutex_unlock(&dev->ops_lock);
	if (error != 0 && err[0] == '\0')
		vmm_fail(err, errlen, 0, "%s: %s: %s", name, cmd,
		    strerror(-error));
	return (error);
}
