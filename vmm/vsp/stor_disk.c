/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * The disks of a controller: opening, the table by LUN, references, and the
 * administrator's commands.  Locking: see stor_int.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "stor_int.h"

/* FNV-1a: the same disk at the same LUN keeps its identity. */
static uint64_t
disk_id(const char *controller, uint32_t lun, const char *path)
{
	const char *parts[2] = { controller, path };
	uint64_t h = 0xcbf29ce484222325ull;
	const char *p;
	int i;

	for (i = 0; i < 2; i++) {
		for (p = parts[i]; *p != '\0'; p++)
			h = (h ^ (uint8_t)*p) * 0x100000001b3ull;
		h = (h ^ lun) * 0x100000001b3ull;
	}
	return (h);
}

void
stor_disk_ref(struct vmm_stor *stor, struct stor_disk *d)
{

	pthread_mutex_lock(&stor->lock);
	d->refs++;
	pthread_mutex_unlock(&stor->lock);
}

void
stor_disk_unref(struct vmm_stor *stor, struct stor_disk *d)
{
	bool last;

	pthread_mutex_lock(&stor->lock);
	last = --d->refs == 0;
	pthread_mutex_unlock(&stor->lock);
	if (!last)
		return;
	backend_close(d->backend);
	free(d);
}

struct stor_disk *
stor_disk_open(struct vmm_stor *stor, const json_t *in, char *err,
    size_t errlen)
{
	struct backend_info info;
	struct stor_disk *d;
	json_int_t sector;

	(void)stor;
	d = calloc(1, sizeof(*d));
	if (d == NULL) {
		vmm_fail(err, errlen, 0, "out of memory for a disk");
		return (NULL);
	}
	d->refs = 1;
	d->cdrom = json_is_true(json_object_get(in, "cdrom"));
	sector = json_integer_value(json_object_get(in, "sector"));
	if (sector == 0)
		sector = d->cdrom ? 2048 : 512;
	if (sector != 512 && sector != 4096 && sector != 2048) {
		vmm_fail(err, errlen, 0, "sectors of %" JSON_INTEGER_FORMAT
		    " bytes: use 512 or 4096", sector);
		free(d);
		return (NULL);
	}
	d->unit.sector = (uint32_t)sector;
	d->backend = backend_open(in, err, errlen);
	if (d->backend == NULL) {
		free(d);
		return (NULL);
	}
	backend_info(d->backend, &info);
	snprintf(d->path, sizeof(d->path), "%s", info.path);
	return (d);
}

/* The unit is made here, because its identity includes the LUN. */
static int
disk_unit(struct vmm_stor *stor, struct stor_disk *d)
{
	struct hvk_scsi_config c;
	struct backend_info info;
	char serial[24];

	backend_info(d->backend, &info);
	memset(&c, 0, sizeof(c));
	c.kind = d->cdrom ? HVK_SCSI_CDROM : HVK_SCSI_DISK;
	c.size = info.size;
	c.sector = d->unit.sector;
	c.physical = c.sector < 4096 && !d->cdrom ? 4096 : 0;
	c.max_transfer = STOR_TRANSFER;
	c.read_only = info.read_only;
	c.thin = info.discard;
	c.zeroes = info.discard_zeroes;
	c.rotational = info.rotational;
	c.id = disk_id(stor->name, d->lun, d->path);
	snprintf(serial, sizeof(serial), "%016" PRIx64, c.id);
	c.serial = serial;
	if (hvk_scsi_unit_init(&d->unit, &c) != HVK_OK)
		return (-EINVAL);
	hvk_scsi_attend(&d->unit, HVK_SCSI_UA_POWER_ON);
	return (0);
}

/* Into the table; lun -1: the first free one. */
int
stor_disk_insert(struct vmm_stor *stor, struct stor_disk *d, int lun,
    char *err, size_t errlen)
{
	int error = 0, max = stor->ide ? 1 : HVK_SCSI_LUNS;

	pthread_rwlock_wrlock(&stor->table);
	if (lun < 0) {
		for (lun = 0; lun < max && stor->disk[lun] != NULL; lun++)
			;
		if (lun == max)
			error = vmm_fail(err, errlen, -ENOSPC, "%s is full "
			    "(%d disks): use another controller", stor->name,
			    max);
	} else if (lun >= max) {
		error = vmm_fail(err, errlen, -EINVAL, "%s has LUNs 0 to %d",
		    stor->name, max - 1);
	} else if (stor->disk[lun] != NULL) {
		error = vmm_fail(err, errlen, -EEXIST, "%s LUN %d is taken by "
		    "%s; leave the LUN out to use a free one", stor->name, lun,
		    stor->disk[lun]->path);
	}
	if (error == 0) {
		d->lun = (uint32_t)lun;
		error = disk_unit(stor, d);
		if (error != 0)
			vmm_fail(err, errlen, error, "disk %s: unusable sector "
			    "size", d->path);
	}
	if (error == 0) {
		stor->disk[lun] = d;
		stor->luns |= 1ull << lun;
		stor->generation++;
	}
	pthread_rwlock_unlock(&stor->table);
	return (error);
}

json_t *
stor_disk_json(struct stor_disk *d)
{
	struct backend_info info;

	backend_info(d->backend, &info);
	return (json_pack("{s:i, s:s, s:s, s:I, s:i, s:b, s:b, s:b, s:b}",
	    "lun", (int)d->lun, "path", d->path, "backend", info.kind,
	    "size", (json_int_t)(d->unit.sectors << d->unit.shift), "sector",
	    (int)d->unit.sector, "readonly", d->unit.read_only, "cdrom",
	    d->cdrom, "direct", info.direct, "discard", d->unit.thin));
}

/* Tell the guest, on the primary channel. */
static void
disk_notify(struct vmm_stor *stor, uint32_t ops)
{
	struct stor_worker *w;

	pthread_mutex_lock(&stor->lock);
	w = stor->worker[0];
	if (w != NULL && __atomic_load_n(&stor->vsp.phase,
	    __ATOMIC_ACQUIRE) == HVK_STORVSP_READY)
		atomic_fetch_or(&w->notices, ops);
	for (uint32_t i = 0; i < STOR_WORKERS; i++) {
		if (stor->worker[i] != NULL)
			stor_worker_wake(stor->worker[i]);
	}
	pthread_mutex_unlock(&stor->lock);
}

static void
disk_attend_all(struct vmm_stor *stor, uint32_t attention)
{
	uint32_t i;

	for (i = 0; i < HVK_SCSI_LUNS; i++) {
		if (stor->disk[i] != NULL)
			hvk_scsi_attend(&stor->disk[i]->unit, attention);
	}
}

/* By "lun" or "path"; table held. */
static struct stor_disk *
disk_find(struct vmm_stor *stor, const json_t *in, char *err, size_t errlen)
{
	const json_t *lun = json_object_get(in, "lun");
	const char *path = json_string_value(json_object_get(in, "path"));
	json_int_t n;
	uint32_t i;

	if (json_is_integer(lun)) {
		n = json_integer_value(lun);
		if (n >= 0 && n < HVK_SCSI_LUNS && stor->disk[n] != NULL)
			return (stor->disk[n]);
		vmm_fail(err, errlen, 0, "%s has no LUN %" JSON_INTEGER_FORMAT
		    "; `hvk ctl disk list` shows what it has", stor->name, n);
		return (NULL);
	}
	for (i = 0; path != NULL && i < HVK_SCSI_LUNS; i++) {
		if (stor->disk[i] != NULL &&
		    strcmp(stor->disk[i]->path, path) == 0)
			return (stor->disk[i]);
	}
	vmm_fail(err, errlen, 0, path != NULL ? "%s has no disk %s; `hvk ctl "
	    "disk list` shows what it has" : "%s: name a disk by its LUN or "
	    "path%s", stor->name, path != NULL ? path : "");
	return (NULL);
}

static int
ctl_list(struct vmm_stor *stor, json_t *out)
{
	json_t *list = json_array();
	uint32_t i;

	pthread_rwlock_rdlock(&stor->table);
	for (i = 0; i < HVK_SCSI_LUNS; i++) {
		if (stor->disk[i] != NULL)
			json_array_append_new(list,
			    stor_disk_json(stor->disk[i]));
	}
	pthread_rwlock_unlock(&stor->table);
	json_object_set_new(out, "controller", json_string(stor->name));
	json_object_set_new(out, "disks", list);
	return (0);
}

static void
json_answer(json_t *out, struct stor_disk *d)
{
	json_t *o = stor_disk_json(d);

	json_object_update(out, o);
	json_decref(o);
}

static int
ctl_add(struct vmm_stor *stor, const json_t *in, json_t *out, char *err,
    size_t errlen)
{
	const json_t *spec = json_object_get(in, "disk"), *lun;
	struct stor_disk *d;
	int error;

	if (!json_is_object(spec))
		spec = in;
	d = stor_disk_open(stor, spec, err, errlen);
	if (d == NULL)
		return (-EINVAL);
	lun = json_object_get(spec, "lun");
	error = stor_disk_insert(stor, d, json_is_integer(lun) ?
	    (int)json_integer_value(lun) : -1, err, errlen);
	if (error != 0) {
		stor_disk_unref(stor, d);
		return (error);
	}
	json_answer(out, d);
	pthread_rwlock_rdlock(&stor->table);
	disk_attend_all(stor, HVK_SCSI_UA_LUNS);
	pthread_rwlock_unlock(&stor->table);
	disk_notify(stor, 1u << HVK_VSTOR_ENUMERATE_BUS);
	return (0);
}

static int
ctl_remove(struct vmm_stor *stor, const json_t *in, json_t *out, char *err,
    size_t errlen)
{
	struct stor_disk *d;

	pthread_rwlock_wrlock(&stor->table);
	d = disk_find(stor, in, err, errlen);
	if (d != NULL) {
		json_answer(out, d);
		d->removed = true;
		stor->disk[d->lun] = NULL;
		stor->luns &= ~(1ull << d->lun);
		stor->generation++;
		disk_attend_all(stor, HVK_SCSI_UA_LUNS);
	}
	pthread_rwlock_unlock(&stor->table);
	if (d == NULL)
		return (-ENOENT);
	stor_disk_unref(stor, d);
	disk_notify(stor, 1u << HVK_VSTOR_REMOVE_DEVICE |
	    1u << HVK_VSTOR_ENUMERATE_BUS);
	return (0);
}

/* "+64M", "2G" or a number; 0 with one line if it is none. */
static uint64_t
parse_size(const json_t *size, uint64_t now, char *err, size_t errlen)
{
	const char *text = json_string_value(size);
	uint64_t n;
	bool more;

	if (json_is_integer(size) && json_integer_value(size) > 0)
		return ((uint64_t)json_integer_value(size));
	more = text != NULL && *text == '+';
	if (text == NULL || vmm_parse_size(text + more, &n) != 0 || n == 0 ||
	    (more && n > INT64_MAX - now) || n > INT64_MAX) {
		vmm_fail(err, errlen, 0, "'%s' is not a size; write +64M, 2G "
		    "or a number of bytes", text != NULL ? text : "");
		return (0);
	}
	return (more ? now + n : n);
}

static int
ctl_resize(struct vmm_stor *stor, const json_t *in, json_t *out, char *err,
    size_t errlen)
{
	const json_t *size = json_object_get(in, "size");
	struct stor_disk *d;
	uint64_t n;
	int error = -ENOENT;

	pthread_rwlock_wrlock(&stor->table);
	d = disk_find(stor, in, err, errlen);
	if (d != NULL) {
		error = 0;
		if (size != NULL && !json_is_null(size)) {
			n = parse_size(size, backend_refresh(d->backend), err,
			    errlen);
			error = n == 0 ? -EINVAL : backend_resize(d->backend,
			    n, err, errlen);
		}
		if (error == 0) {
			hvk_scsi_resize(&d->unit, backend_refresh(d->backend));
			json_answer(out, d);
		}
	}
	pthread_rwlock_unlock(&stor->table);
	if (error == 0)
		disk_notify(stor, 1u << HVK_VSTOR_ENUMERATE_BUS);
	return (error);
}

static int
ctl_tray(struct vmm_stor *stor, const json_t *in, json_t *out, bool insert,
    char *err, size_t errlen)
{
	struct stor_disk *d;
	int error = 0;

	pthread_rwlock_wrlock(&stor->table);
	d = disk_find(stor, in, err, errlen);
	if (d == NULL)
		error = -ENOENT;
	else if (!d->cdrom)
		error = vmm_fail(err, errlen, -EINVAL, "%s LUN %u is no "
		    "CD-ROM; use disk remove", stor->name, d->lun);
	else if (insert)
		hvk_scsi_insert(&d->unit, backend_refresh(d->backend));
	else
		hvk_scsi_eject(&d->unit);
	if (error == 0)
		json_answer(out, d);
	pthread_rwlock_unlock(&stor->table);
	return (error);
}

int
stor_ctl(void *arg, const char *cmd, const json_t *in, json_t *out, char *err,
    size_t errlen)
{
	struct vmm_stor *stor = arg;

	if (strcmp(cmd, "disk list") == 0)
		return (ctl_list(stor, out));
	if (strcmp(cmd, "disk add") == 0)
		return (ctl_add(stor, in, out, err, errlen));
	if (strcmp(cmd, "disk remove") == 0)
		return (ctl_remove(stor, in, out, err, errlen));
	if (strcmp(cmd, "disk resize") == 0)
		return (ctl_resize(stor, in, out, err, errlen));
	if (strcmp(cmd, "disk eject") == 0)
		return (ctl_tray(stor, in, out, false, err, errlen));
	if (strcmp(cmd, "disk insert") == 0)
		return (ctl_tray(stor, in, out, true, err, errlen));
	return (vmm_fail(err, errlen, -EOPNOTSUPP, "%s: no command '%s'; it "
	    "has disk list, add, remove, resize, eject, insert", stor->name,
	    cmd));
}
