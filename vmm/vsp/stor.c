/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * A storage controller as a device on the bus: made, offered, opened, closed,
 * shown.  Locking: see stor_int.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <hvk/wire/vmbus.h>

#include "stor_int.h"

static int
stor_open(void *arg, struct vmm_channel *channel)
{
	struct vmm_stor *stor = arg;

	if (vmm_channel_index(channel) == 0) {
		hvk_storvsp_reset(&stor->vsp);
		stor->silent = false;
	}
	return (stor_worker_start(stor, channel));
}

static void
stor_close(void *arg, struct vmm_channel *channel)
{
	struct vmm_stor *stor = arg;
	uint16_t index = vmm_channel_index(channel);

	if (index < STOR_WORKERS && stor->worker[index] != NULL)
		stor_worker_stop(stor->worker[index]);
	if (index == 0)
		hvk_storvsp_reset(&stor->vsp);
}

static json_t *
worker_json(const struct stor_worker *w, uint32_t index)
{

	return (json_pack("{s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
	    "s:I, s:s}", "index", (int)index, "ios", (json_int_t)w->ios,
	    "kicks", (json_int_t)w->kicks, "signals", (json_int_t)w->signals,
	    "sleeps", (json_int_t)w->sleeps, "read_bytes",
	    (json_int_t)w->read_bytes, "write_bytes",
	    (json_int_t)w->write_bytes, "discards", (json_int_t)w->discards,
	    "flushes", (json_int_t)w->flushes, "errors",
	    (json_int_t)w->errors, "rejects", (json_int_t)w->rejects,
	    "engine", w->loop != NULL ? backend_loop_kind(w->loop) : ""));
}

static void
stor_info(void *arg, json_t *into)
{
	struct vmm_stor *stor = arg;
	json_t *disks = json_array(), *workers = json_array();
	char version[16];
	uint32_t i;

	pthread_rwlock_rdlock(&stor->table);
	for (i = 0; i < HVK_SCSI_LUNS; i++) {
		if (stor->disk[i] != NULL)
			json_array_append_new(disks,
			    stor_disk_json(stor->disk[i]));
	}
	pthread_rwlock_unlock(&stor->table);
	pthread_mutex_lock(&stor->lock);
	for (i = 0; i < STOR_WORKERS; i++) {
		if (stor->worker[i] != NULL)
			json_array_append_new(workers,
			    worker_json(stor->worker[i], i));
	}
	pthread_mutex_unlock(&stor->lock);
	snprintf(version, sizeof(version), "%u.%u", stor->vsp.version >> 8,
	    stor->vsp.version & 0xff);
	json_object_set_new(into, "protocol", json_string(version));
	json_object_set_new(into, "refused",
	    json_integer((json_int_t)stor->vsp.refused));
	json_object_set_new(into, "disks", disks);
	json_object_set_new(into, "queues", workers);
}

static const struct vmm_device_ops stor_ops = {
	.open = stor_open,
	.close = stor_close,
	.info = stor_info,
	.ctl = stor_ctl,
};

/* The instance tells controllers apart and stays the same between runs. */
static void
stor_instance(const struct vmm_stor *stor, struct hvk_guid *g)
{
	uint64_t h = 0x9e3779b97f4a7c15ull;
	const char *p;
	int i;

	for (p = stor->name; *p != '\0'; p++)
		h = (h ^ (uint8_t)*p) * 0x100000001b3ull;
	for (i = 0; i < 16; i++) {
		h = h * 6364136223846793005ull + 1442695040888963407ull;
		g->b[i] = (uint8_t)(h >> 56);
	}
	if (stor->ide) {	/* guests read path and target from here */
		g->b[4] = (uint8_t)atoi(stor->name + 3);
		g->b[5] = 0;
	}
}

static int
stor_offer(struct vmm_stor *stor, struct vmm_bus *bus)
{
	static const struct hvk_guid scsi = HVK_GUID_SCSI, ide = HVK_GUID_IDE;
	struct hvk_vstor_ide_user user;
	struct vmm_offer offer;

	memset(&offer, 0, sizeof(offer));
	offer.type = stor->ide ? ide : scsi;
	stor_instance(stor, &offer.instance);
	offer.name = stor->name;
	offer.flags = HVK_OFFER_ENUMERATE;
	offer.monitor = true;	/* given only with vmbus.monitor=yes */
	if (stor->ide) {
		memset(&user, 0, sizeof(user));
		user.target = (uint8_t)atoi(stor->name + 3);
		user.flags = HVK_VSTOR_USER_IDE;
		memcpy(offer.user, &user, sizeof(user));
	}
	stor->device = vmm_device_offer(bus, &offer, &stor_ops, stor);
	return (stor->device == NULL ? -EBUSY : 0);
}

static int
stor_disks(struct vmm_stor *stor, const json_t *disks, char *err,
    size_t errlen)
{
	struct stor_disk *d;
	const json_t *in, *lun;
	size_t i;
	int error;

	json_array_foreach(disks, i, in) {
		d = stor_disk_open(stor, in, err, errlen);
		if (d == NULL)
			return (-EINVAL);
		lun = json_object_get(in, "lun");
		error = stor_disk_insert(stor, d, json_is_integer(lun) ?
		    (int)json_integer_value(lun) : -1, err, errlen);
		if (error != 0) {
			stor_disk_unref(stor, d);
			return (error);
		}
	}
	return (0);
}

struct vmm_stor *
vmm_stor_create(struct vmm_bus *bus, const json_t *in, char *err,
    size_t errlen)
{
	const char *name = json_string_value(json_object_get(in, "name"));
	const char *type = json_string_value(json_object_get(in, "type"));
	const json_t *poll_us = json_object_get(in, "poll_us");
	struct hvk_storvsp_config c;
	struct vmm_stor *stor;
	json_int_t n;

	stor = calloc(1, sizeof(*stor));
	if (stor == NULL) {
		vmm_fail(err, errlen, 0, "out of memory for a controller");
		return (NULL);
	}
	snprintf(stor->name, sizeof(stor->name), "%s",
	    name != NULL ? name : "scsi0");
	stor->ide = type != NULL && strcmp(type, "ide") == 0;
	stor->poll_max_ns = 1000ull * (uint64_t)(json_is_integer(poll_us) ?
	    json_integer_value(poll_us) : STOR_POLL_US);
	n = json_integer_value(json_object_get(in, "subchannels"));
	memset(&c, 0, sizeof(c));
	c.max_transfer = STOR_TRANSFER;
	c.max_subchannels = (uint16_t)(n < 0 ? 0 : n >= STOR_WORKERS ?
	    STOR_WORKERS - 1 : n);
	c.ide = stor->ide;
	(void)hvk_storvsp_init(&stor->vsp, &c);
	pthread_rwlock_init(&stor->table, NULL);
	pthread_mutex_init(&stor->lock, NULL);
	if (stor_disks(stor, json_object_get(in, "disks"), err, errlen) != 0) {
		vmm_stor_destroy(stor);
		return (NULL);
	}
	if (stor_offer(stor, bus) != 0) {
		vmm_fail(err, errlen, 0, "%s cannot be offered: the name is "
		    "taken or the bus is full", stor->name);
		vmm_stor_destroy(stor);
		return (NULL);
	}
	return (stor);
}

void
vmm_stor_destroy(struct vmm_stor *stor)
{
	uint32_t i;

	if (stor == NULL)
		return;
	for (i = 0; i < HVK_SCSI_LUNS; i++) {
		if (stor->disk[i] != NULL)
			stor_disk_unref(stor, stor->disk[i]);
	}
	pthread_rwlock_destroy(&stor->table);
	pthread_mutex_destroy(&stor->lock);
	free(stor);
}
