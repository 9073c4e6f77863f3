/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * bus.c: see bus.h. Facts: dev.vmbus.0.version; dev.DRIVER.UNIT.%parent,
 * %desc and %pnpinfo ("classid=GUID deviceid=GUID"); below each device
 * channel.ID.{cpu,mnf,br.rx.state,br.tx.state}, and the same below
 * channel.ID.sub.INDEX with chanid.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bus.h"
#include "sysctls.h"

#define	MAX_DEVICES	1024
#define	MAX_CHANNELS	4096		/* of one device */

static void *
grow(void *list, int count, size_t size)
{
	void *more;

	/* 16, 32, 64... */
	if (count < 16 ? count != 0 : (count & (count - 1)) != 0)
		return (list);
	more = realloc(list, size * (size_t)(count < 16 ? 16 : count * 2));
	if (more == NULL) {
		fprintf(stderr, "lsvmbus: out of memory\n");
		exit(1);
	}
	return (more);
}

static struct bus_device *
device_of(struct bus *b, const char *name)
{
	struct bus_device *d;
	int i;

	for (i = b->count - 1; i >= 0; i--)
		if (strcmp(b->devices[i].name, name) == 0)
			return (&b->devices[i]);
	if (b->count == MAX_DEVICES)
		return (NULL);
	b->devices = grow(b->devices, b->count, sizeof(*d));
	d = &b->devices[b->count++];
	memset(d, 0, sizeof(*d));
	snprintf(d->name, sizeof(d->name), "%s", name);
	return (d);
}

static struct bus_channel *
channel_of(struct bus_device *d, uint32_t primary, int sub)
{
	struct bus_channel *c;
	int i;

	for (i = 0; i < d->nchannels; i++)
		if (d->channels[i].sub == sub)
			return (&d->channels[i]);
	if (d->nchannels == MAX_CHANNELS)
		return (NULL);
	d->channels = grow(d->channels, d->nchannels, sizeof(*c));
	c = &d->channels[d->nchannels++];
	memset(c, 0, sizeof(*c));
	c->sub = sub;
	c->id = sub < 0 ? primary : 0;
	c->cpu = -1;
	return (c);
}

static void
ring(struct bus_ring *r, const char *value)
{
	unsigned long long n;

	r->known = sscanf(value, "intrcnt:%llu rindex:%u windex:%u imask:%u "
	    "psndsz:%u fvalue:%u ravail:%u wavail:%u", &n, &r->read, &r->write,
	    &r->mask, &r->pending, &r->features, &r->used, &r->room) == 8;
	r->interrupts = n;
}

static void
channel_value(struct bus_device *d, const char *name, const char *value)
{
	struct bus_channel *c;
	unsigned int id;
	int end, sub;

	end = 0;
	if (sscanf(name, "channel.%u.%n", &id, &end) != 1 || end == 0)
		return;
	name += end;
	sub = -1;
	end = 0;
	if (sscanf(name, "sub.%d.%n", &sub, &end) == 1 && end != 0)
		name += end;
	else
		sub = -1;
	c = channel_of(d, id, sub);
	if (c == NULL)
		return;
	if (strcmp(name, "cpu") == 0)
		c->cpu = atoi(value);
	else if (strcmp(name, "mnf") == 0)
		c->monitor = atoi(value) != 0;
	else if (strcmp(name, "chanid") == 0)
		c->id = (uint32_t)strtoul(value, NULL, 10);
	else if (strcmp(name, "br.rx.state") == 0)
		ring(&c->rx, value);
	else if (strcmp(name, "br.tx.state") == 0)
		ring(&c->tx, value);
}

static void
guid(char to[BUS_GUID], const char *info, const char *key)
{
	const char *p;

	p = strstr(info, key);
	if (p != NULL)
		snprintf(to, BUS_GUID, "%.*s",
		    (int)strspn(p + strlen(key), "0123456789abcdefABCDEF-"),
		    p + strlen(key));
}

void
bus_value(void *arg, const char *name, const char *value)
{
	char driver[24], full[40];
	struct bus_device *d;
	struct bus *b;
	unsigned int unit;
	int end;

	b = arg;
	if (strcmp(name, "dev.vmbus.0.version") == 0) {
		snprintf(b->version, sizeof(b->version), "%s", value);
		return;
	}
	end = 0;
	if (sscanf(name, "dev.%23[^.].%u.%n", driver, &unit, &end) != 2 ||
	    end == 0)
		return;
	snprintf(full, sizeof(full), "%.23s%u", driver, unit % 100000);
	name += end;
	if (strcmp(name, "%parent") != 0 && strcmp(name, "%desc") != 0 &&
	    strcmp(name, "%pnpinfo") != 0 &&
	    strncmp(name, "channel.", 8) != 0)
		return;
	d = device_of(b, full);
	if (d == NULL)
		return;
	if (strcmp(name, "%parent") == 0)
		snprintf(d->parent, sizeof(d->parent), "%s", value);
	else if (strcmp(name, "%desc") == 0)
		snprintf(d->desc, sizeof(d->desc), "%s", value);
	else if (strcmp(name, "%pnpinfo") == 0) {
		guid(d->class, value, "classid=");
		guid(d->instance, value, "deviceid=");
	} else
		channel_value(d, name, value);
}

static int
by_channel(const void *x, const void *y)
{
	const struct bus_channel *a, *b;

	a = x;
	b = y;
	return (a->sub < b->sub ? -1 : a->sub > b->sub);
}

static uint32_t
first_channel(const struct bus_device *d)
{
	return (d->nchannels > 0 && d->channels[0].sub < 0 ?
	    d->channels[0].id : ~0u);
}

static int
by_device(const void *x, const void *y)
{
	uint32_t a, b;

	a = first_channel(x);
	b = first_channel(y);
	return (a < b ? -1 : a > b ? 1 : strcmp(
	    ((const struct bus_device *)x)->name,
	    ((const struct bus_device *)y)->name));
}

int
bus_read(struct bus *b)
{
	int error;

	memset(b, 0, sizeof(*b));
	error = sysctls_walk("dev", bus_value, b);
	if (error != 0)
		return (error);
	bus_sort(b);
	return (b->version[0] != '\0' ? 0 : ENOENT);
}

void
bus_sort(struct bus *b)
{
	int i, n;

	for (i = n = 0; i < b->count; i++) {
		if (strncmp(b->devices[i].parent, "vmbus", 5) == 0 &&
		    b->devices[i].class[0] != '\0') {
			if (b->devices[i].nchannels > 0)
				qsort(b->devices[i].channels,
				    (size_t)b->devices[i].nchannels,
				    sizeof(struct bus_channel), by_channel);
			b->devices[n++] = b->devices[i];
		} else
			free(b->devices[i].channels);
	}
	b->count = n;
	if (n > 0)
		qsort(b->devices, (size_t)n, sizeof(struct bus_device),
		    by_device);
}

void
bus_free(struct bus *b)
{
	int i;

	for (i = 0; i < b->count; i++)
		free(b->devices[i].channels);
	free(b->devices);
	memset(b, 0, sizeof(*b));
}

const char *
bus_class_name(const char *g)
{
	static const struct {
		const char *guid, *name;
	} list[] = {
		{ "f8615163-df3e-46c5-913f-f2d2f965ed0e", "network adapter" },
		{ "ba6163d9-04a1-4d29-b605-72e2ffb1dc7f", "SCSI controller" },
		{ "32412632-86cb-44a2-9b5c-50d1417354f5", "IDE controller" },
		{ "2f9bcc4a-0069-4af3-b76b-6fd0be528cda", "Fibre Channel" },
		{ "0e0b6031-5213-4934-818b-38d90ced39db", "shutdown" },
		{ "9527e630-d0ae-497b-adce-e80ab0175caf",
		    "time synchronisation" },
		{ "57164f39-9115-4e78-ab55-382f3bd5422d", "heartbeat" },
		{ "a9a0f4e7-5a45-4d96-b827-8a841e8c03e6", "key-value pairs" },
		{ "35fa2e29-ea23-4236-96ae-3a6ebacba440", "backup" },
		{ "34d14be3-dee4-41c8-9ae7-6b174977c192", "file copy" },
		{ "525074dc-8985-46e2-8057-a307dc18a502", "dynamic memory" },
		{ "cfa8b69e-5b4a-4cc0-b98b-8ba1a1f3f95a", "mouse" },
		{ "f912ad6d-2b17-48ea-bd65-f927a61c7684", "keyboard" },
		{ "da0a7802-e377-4aac-8e77-0558eb1073f8", "video" },
		{ "44c4f61d-4444-4400-9d52-802e27ede19f", "PCI pass-through" },
	};
	size_t i;

	for (i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		if (strcasecmp(list[i].guid, g) == 0)
			return (list[i].name);
	return ("unknown");
}
