/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * da.c: the disks and optical drives that a scan finds: what they are, how
 * large, what they can do, and what a FreeBSD console says about them. A disk
 * with a serial number that was seen before gets its old unit again.
 *
 * Locking: cam_var.h. `names' is only used by the scan thread.
 */

#include "cam_var.h"

#define	SHUTDOWN_NS	3000000000ull	/* for clients to end their requests */

u_int da_timeout_s = 60;
u_int da_retry_count = 4;

SYSCTL_DECL(_kern_cam);
SYSCTL_NODE(_kern_cam, OID_AUTO, da, CTLFLAG_RD | CTLFLAG_MPSAFE, NULL,
    "CAM Direct Access Disk driver");
SYSCTL_UINT(_kern_cam_da, OID_AUTO, default_timeout, CTLFLAG_RWTUN,
    &da_timeout_s, 0, "Normal I/O timeout (in seconds)");
SYSCTL_UINT(_kern_cam_da, OID_AUTO, retry_count, CTLFLAG_RWTUN,
    &da_retry_count, 0, "Normal I/O retry count");

/* Who had which unit. */
static struct da_name {
	char serial[64];
	bool used, busy;
} names[2][DA_MAX_UNITS];

static struct mtx da_list_mtx;
static struct da *da_units[2][DA_MAX_UNITS];	/* for the report */

static int
da_unit_get(bool optical, const char *serial)
{
	struct da_name *n;
	int i, fresh;

	fresh = -1;
	for (i = 0; i < DA_MAX_UNITS; i++) {
		n = &names[optical][i];
		if (n->used && !n->busy && serial[0] != '\0' &&
		    strcmp(n->serial, serial) == 0)
			break;
		if (fresh < 0 && (!n->used || (!n->busy &&
		    n->serial[0] == '\0')))
			fresh = i;
	}
	if (i == DA_MAX_UNITS)
		i = fresh;
	if (i < 0)
		return (-1);
	n = &names[optical][i];
	n->used = n->busy = true;
	strlcpy(n->serial, serial, sizeof(n->serial));
	return (i);
}

static uint32_t
da_be16(const uint8_t *p)
{
	return ((uint32_t)p[0] << 8 | p[1]);
}

static uint32_t
da_be32(const uint8_t *p)
{
	return (da_be16(p) << 16 | da_be16(p + 2));
}

static uint64_t
da_be64(const uint8_t *p)
{
	return ((uint64_t)da_be32(p) << 32 | da_be32(p + 4));
}

static void
da_text(char *out, const uint8_t *in, uint32_t len, uint32_t size)
{
	uint32_t i, n;

	n = 0;
	for (i = 0; i < len && n + 1 < size; i++)
		if (in[i] > ' ' && in[i] < 0x7f)
			out[n++] = in[i];
		else if (n > 0)
			out[n++] = ' ';
	while (n > 0 && out[n - 1] == ' ')
		n--;
	out[n] = '\0';
}

/* A page of vital product data; its length without the header, 0: none. */
static uint32_t
da_vpd(struct da *da, uint8_t page, uint8_t *data, uint32_t size)
{
	uint8_t cdb[6] = { INQUIRY, SI_EVPD, page, 0, size };
	struct cam_reply r;

	memset(data, 0, size);
	if (cam_scsi(da->path, cdb, sizeof(cdb), data, size, false, &r) != 0 ||
	    r.length < 4 || data[1] != page)
		return (0);
	return (MIN(da_be16(data + 2), r.length - 4));
}

/* The serial number names the disk; else its device identification does. */
static void
da_identify(struct da *da, char *serial, uint32_t size)
{
	uint8_t data[252];
	uint32_t i, len, n;

	len = da_vpd(da, 0x80, data, sizeof(data));
	if (len > 0)
		da_text(serial, data + 4, len, size);
	if (serial[0] != '\0')
		return;
	len = da_vpd(da, 0x83, data, sizeof(data));
	if (len < 8)
		return;
	n = MIN(data[7], MIN(len - 4, 28));
	for (i = 0; i < n; i++)
		snprintf(serial + 2 * i, size - 2 * i, "%02x", data[8 + i]);
}

static void
da_limits(struct da *da)
{
	uint8_t data[64];

	if (da_vpd(da, 0xb2, data, sizeof(data)) >= 2) {
		da->unmap = (data[5] & 0x80) != 0;
		da->write_same_unmap = (data[5] & 0x40) != 0;
	}
	if (da_vpd(da, 0xb0, data, sizeof(data)) >= 40) {
		da->unmap_lbas = da_be32(data + 20);
		da->unmap_descs = da_be32(data + 24);
		da->same_lbas = da_be64(data + 36);
	}
	if (da->unmap_lbas == 0)
		da->unmap = false;
}

static void
da_write_protect(struct da *da)
{
	uint8_t cdb[6] = { MODE_SENSE_6, 0x08, 0x3f, 0, 192 };
	struct cam_reply r;
	uint8_t data[192];

	if (cam_scsi(da->path, cdb, sizeof(cdb), data, sizeof(data), false,
	    &r) == 0 && r.length >= 4)
		da->read_only = (data[2] & 0x80) != 0;
}

static int
da_capacity(struct da *da)
{
	uint8_t cdb16[16] = { SERVICE_ACTION_IN, SRC16_SERVICE_ACTION };
	uint8_t cdb10[10] = { READ_CAPACITY };
	struct cam_reply r;
	uint8_t data[32];
	uint64_t sectors;
	uint32_t sector;

	cdb16[13] = sizeof(data);
	if (!da->optical && cam_scsi(da->path, cdb16, 16, data, sizeof(data),
	    false, &r) == 0 && r.length >= 12) {
		sectors = da_be64(data) + 1;
		sector = da_be32(data + 8);
	} else if (cam_scsi(da->path, cdb10, 10, data, 8, false, &r) == 0 &&
	    r.length >= 8) {
		sectors = (uint64_t)da_be32(data) + 1;
		sector = da_be32(data + 4);
	} else
		return (r.error != 0 ? r.error : EIO);
	if (sector < 512 || sector > 65536 || (sector & (sector - 1)) != 0 ||
	    sectors == 0 || sectors > (1ull << 62) / sector)
		return (EINVAL);
	mtx_lock(&da->mtx);
	da->sectors = sectors;
	da->sector = sector;
	da->stale_size = false;
	mtx_unlock(&da->mtx);
	return (0);
}

static void
da_print_size(const struct da *da)
{
	printf("%s: %juMB (%ju %u byte sectors)\n", da->name,
	    (uintmax_t)((da->sectors * da->sector) >> 20),
	    (uintmax_t)da->sectors, da->sector);
}

static void
da_announce(const struct da *da, int error)
{
	static const char *revs[] = { "", "CCS", "SCSI-2", "SPC", "SPC-2",
	    "SPC-3", "SPC-4", "SPC-5" };
	struct cam_sim *sim;

	sim = da->bus->sim;
	printf("%s at %s%u bus %u scbus%u target %d lun %d\n", da->name,
	    sim->sim_name, sim->unit_number, sim->bus_id, sim->path_id,
	    (int)da->path->target, (int)da->path->lun);
	printf("%s: <%s %s %s> %s %s %s SCSI device\n", da->name, da->vendor,
	    da->product, da->revision, da->optical ? "Removable" : "Fixed",
	    da->optical ? "CD-ROM" : "Direct Access",
	    da->version < nitems(revs) ? revs[da->version] : "");
	if (da->serial[0] != '\0')
		printf("%s: Serial Number %s\n", da->name, da->serial);
	printf("%s: %u.%03uMB/s transfers\n", da->name,
	    da->bus->cpi.base_transfer_speed / 1000,
	    da->bus->cpi.base_transfer_speed % 1000);
	printf("%s: Command Queueing enabled\n", da->name);
	if (da->read_only && !da->optical)
		printf("%s: Write Protected\n", da->name);
	if (error == 0)
		da_print_size(da);
	else
		printf("%s: Attempt to query device size failed: %s\n",
		    da->name, error == ENXIO ? "NOT READY, Medium not present" :
		    kld_strerror(error));
}

void
da_found(struct cam_bus *bus, target_id_t target, lun_id_t lun,
    const uint8_t *inquiry, uint32_t length __unused)
{
	struct da *da;
	int error, type;

	type = inquiry[0] & 0x1f;
	if (type != T_DIRECT && type != T_CDROM)
		return;
	da = malloc(sizeof(*da), M_KLDRUN, M_WAITOK | M_ZERO);
	mtx_init(&da->mtx, "da", NULL, MTX_DEF);
	da->bus = bus;
	da->path = cam_path_new(bus, target, lun);
	da->optical = type == T_CDROM;
	da->read_only = da->optical;
	da->version = inquiry[2] & 7;
	da->refs = 1;
	da_text(da->vendor, inquiry + 8, 8, sizeof(da->vendor));
	da_text(da->product, inquiry + 16, 16, sizeof(da->product));
	da_text(da->revision, inquiry + 32, 4, sizeof(da->revision));
	da_identify(da, da->serial, sizeof(da->serial));
	da->unit = da_unit_get(da->optical, da->serial);
	if (da->unit < 0 || da->path == NULL) {
		printf("da: too many disks\n");
		da_release(da);
		return;
	}
	snprintf(da->name, sizeof(da->name), "%s%d", da->optical ? "cd" : "da",
	    da->unit);
	if (!da->optical) {
		da_limits(da);
		da_write_protect(da);
	}
	error = da_capacity(da);
	if (da->sector != 0)
		da->zeroes = malloc(da->sector, M_KLDRUN, M_WAITOK | M_ZERO);
	da_announce(da, error);
	mtx_lock(&bus->mtx);
	TAILQ_INSERT_TAIL(&bus->disks, da, link);
	mtx_unlock(&bus->mtx);
	mtx_lock(&da_list_mtx);
	da_units[da->optical][da->unit] = da;
	mtx_unlock(&da_list_mtx);
	if (da->sector != 0)
		da->nbd = nbd_export(da);
}

/*
 * A scan found a disk where this one was: false if it is another one.  Has its
 * size changed?
 */
bool
da_check(struct da *da)
{
	char serial[sizeof(da->serial)];
	uint8_t cdb[6] = { TEST_UNIT_READY };
	struct cam_reply r;
	uint64_t old;
	int tries;

	for (tries = 0; tries < 4; tries++) {
		(void)cam_scsi(da->path, cdb, sizeof(cdb), NULL, 0, false, &r);
		if (r.key != 6)
			break;
	}
	memset(serial, 0, sizeof(serial));
	da_identify(da, serial, sizeof(serial));
	if (strcmp(serial, da->serial) != 0)
		return (false);
	old = da->sectors;
	if (da_capacity(da) != 0 || da->sectors == old)
		return (true);
	xpt_print(da->path, "Capacity data has changed\n");
	da_print_size(da);
	if (da->nbd == NULL && da->sector != 0)
		da->nbd = nbd_export(da);
	return (true);
}

void
da_hold(struct da *da)
{
	mtx_lock(&da->mtx);
	da->refs++;
	mtx_unlock(&da->mtx);
}

void
da_release(struct da *da)
{
	bool last;

	mtx_lock(&da->mtx);
	last = --da->refs == 0;
	mtx_unlock(&da->mtx);
	if (!last)
		return;
	if (da->unit >= 0 && da->name[0] != '\0') {
		names[da->optical][da->unit].busy = false;
		printf("(%s:%s%u:%u:%d:%d): Periph destroyed\n", da->name,
		    da->bus->sim->sim_name, da->bus->sim->unit_number,
		    da->bus->sim->bus_id, (int)da->path->target,
		    (int)da->path->lun);
	}
	if (da->path != NULL)
		xpt_free_path(da->path);
	mtx_destroy(&da->mtx);
	free(da->zeroes, M_KLDRUN);
	free(da, M_KLDRUN);
}

/* Of those who want to end the export, one does. */
static void *
da_take_export(struct da *da)
{
	void *ex;

	mtx_lock(&da->mtx);
	ex = da->nbd;
	da->nbd = NULL;
	mtx_unlock(&da->mtx);
	return (ex);
}

/* The disk is gone: its requests fail, its clients are sent away. */
void
da_lost(struct da *da)
{
	struct cam_bus *bus;
	void *ex;

	bus = da->bus;
	mtx_lock(&bus->mtx);
	if (da->gone) {
		mtx_unlock(&bus->mtx);
		return;
	}
	da->gone = true;
	TAILQ_REMOVE(&bus->disks, da, link);
	mtx_unlock(&bus->mtx);
	mtx_lock(&da_list_mtx);
	da_units[da->optical][da->unit] = NULL;
	mtx_unlock(&da_list_mtx);
	printf("%s at %s%u bus %u scbus%u target %d lun %d\n", da->name,
	    bus->sim->sim_name, bus->sim->unit_number, bus->sim->bus_id,
	    bus->sim->path_id, (int)da->path->target, (int)da->path->lun);
	printf("%s: <%s %s %s> s/n %s detached\n", da->name, da->vendor,
	    da->product, da->revision, da->serial);
	ex = da_take_export(da);
	if (ex != NULL)
		(void)nbd_unexport(da, ex, ~(os_u64)0);
	da_release(da);
}

/* The disk at an address, with a reference, or NULL. */
struct da *
da_of(struct cam_bus *bus, target_id_t target, lun_id_t lun)
{
	struct da *da;

	mtx_lock(&bus->mtx);
	TAILQ_FOREACH(da, &bus->disks, link)
		if (da->path->target == target && da->path->lun == lun)
			break;
	if (da != NULL)
		da_hold(da);
	mtx_unlock(&bus->mtx);
	return (da);
}

static void
da_boot(void *arg __unused)
{
	mtx_init(&da_list_mtx, "disks", NULL, MTX_DEF);
}
SYSINIT(da_boot, SI_SUB_LOCK, SI_ORDER_ANY, da_boot, NULL);

/* For `kldrun devices': one line a disk. */
void
kld_disks_report(void (*out)(void *, const char *), void *arg)
{
	struct kld_out o = { out, arg };
	struct da *da;
	int i, k;

	for (k = 0; k < 2; k++)
		for (i = 0; i < DA_MAX_UNITS; i++) {
			mtx_lock(&da_list_mtx);
			da = da_units[k][i];
			if (da != NULL)
				da_hold(da);
			mtx_unlock(&da_list_mtx);
			if (da == NULL)
				continue;
			kld_outf(&o, "%s at %s%u lun %d: <%s %s %s> %juMB "
			    "(%ju %u byte sectors)%s, reads %lu, writes %lu, "
			    "errors %lu, retries %lu, timeouts %lu\n", da->name,
			    da->bus->sim->sim_name, da->bus->sim->unit_number,
			    (int)da->path->lun, da->vendor, da->product,
			    da->revision,
			    (uintmax_t)(da->sectors * da->sector >> 20),
			    (uintmax_t)da->sectors, da->sector,
			    da->read_only ? " read-only" : "", da->reads,
			    da->writes, da->errors, da->retries, da->timeouts);
			da_release(da);
		}
}

/* A disk that is lost meanwhile leaves its export to us. */
static void
da_unexport(struct da *da, os_u64 until)
{
	void *ex;
	bool gone;

	do {
		ex = da_take_export(da);
		if (ex == NULL || nbd_unexport(da, ex, until))
			return;
		mtx_lock(&da->mtx);
		da->nbd = ex;
		mtx_unlock(&da->mtx);
		mtx_lock(&da->bus->mtx);
		gone = da->gone;
		mtx_unlock(&da->bus->mtx);
		until = ~(os_u64)0;
	} while (gone);
}

/*
 * Before devices are detached: send the clients away.  Those whose requests the
 * host does not answer go when the detach ends these.
 */
void
kld_disks_shutdown(void)
{
	struct da *da;
	os_u64 until;
	int i, k;

	until = os_monotonic_ns() + SHUTDOWN_NS;
	for (k = 0; k < 2; k++)
		for (i = 0; i < DA_MAX_UNITS; i++) {
			mtx_lock(&da_list_mtx);
			da = da_units[k][i];
			if (da != NULL)
				da_hold(da);
			mtx_unlock(&da_list_mtx);
			if (da == NULL)
				continue;
			da_unexport(da, until);
			da_release(da);
		}
}
