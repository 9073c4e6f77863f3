/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Knobs and counters of storvsc(4).  The names under hw.storvsc and the first
 * group under dev.storvsc.N are those that FreeBSD has had since 2016.
 *
 * Locking: counters are read without a lock; a reader may see one that is a
 * few requests old.
 */

#include "storvsc_var.h"

HVK_SYSCTL_NODE(_hw, storvsc, CTLFLAG_RD | CTLFLAG_MPSAFE,
    "Hyper-V storage interface");

u_int storvsc_use_win8ext_flags = 1;
SYSCTL_UINT(_hw_storvsc, OID_AUTO, use_win8ext_flags, CTLFLAG_RW,
    &storvsc_use_win8ext_flags, 0, "Use win8 extension flags or not");

u_int storvsc_use_pim_unmapped = 1;
SYSCTL_UINT(_hw_storvsc, OID_AUTO, use_pim_unmapped, CTLFLAG_RDTUN,
    &storvsc_use_pim_unmapped, 0, "Optimize storvsc by using unmapped I/O");

static u_int storvsc_ringbuffer_size = 64 * PAGE_SIZE;
SYSCTL_UINT(_hw_storvsc, OID_AUTO, ringbuffer_size, CTLFLAG_RDTUN,
    &storvsc_ringbuffer_size, 0, "Hyper-V storage ringbuffer size");

static u_int storvsc_max_io = 512;
SYSCTL_UINT(_hw_storvsc, OID_AUTO, max_io, CTLFLAG_RDTUN, &storvsc_max_io, 0,
    "Hyper-V storage max io limit");

static int storvsc_chan_cnt = 0;
SYSCTL_INT(_hw_storvsc, OID_AUTO, chan_cnt, CTLFLAG_RDTUN, &storvsc_chan_cnt,
    0, "# of channels to use");

u_int
storvsc_tunable_max_io(void)
{
	return (MIN(MAX(storvsc_max_io, 1), HVK_STORVSC_MAX_QUEUE));
}

/* At least what one request of the largest size needs, many times over. */
uint32_t
storvsc_tunable_ring_size(void)
{
	return (round_page(MIN(MAX(storvsc_ringbuffer_size, 4 * PAGE_SIZE),
	    4096 * PAGE_SIZE)));
}

/* All channels, the primary one included. */
u_int
storvsc_tunable_channels(void)
{
	if (storvsc_chan_cnt > 0 && storvsc_chan_cnt < mp_ncpus)
		return (MIN(storvsc_chan_cnt, STORVSC_MAX_CHANNELS));
	return (MIN(mp_ncpus, STORVSC_MAX_CHANNELS));
}

/* arg2 is the offset of a u_long in struct storvsc_chan: the sum of all. */
static int
storvsc_sysctl_sum(SYSCTL_HANDLER_ARGS)
{
	struct storvsc_softc *sc = arg1;
	u_long *counter, sum;
	int error, i;

	sum = 0;
	for (i = 0; i < sc->sc_nchan; i++)
		sum += *(u_long *)((char *)sc->sc_chan[i] + arg2);
	error = sysctl_handle_long(oidp, &sum, 0, req);
	if (error != 0 || req->newptr == NULL)
		return (error);
	for (i = 0; i < sc->sc_nchan; i++) {
		counter = (u_long *)((char *)sc->sc_chan[i] + arg2);
		*counter = i == 0 ? sum : 0;
	}
	return (0);
}

/* arg2 is the offset of a uint64_t in struct storvsc_chan: the sum of all. */
static int
storvsc_sysctl_sum64(SYSCTL_HANDLER_ARGS)
{
	struct storvsc_softc *sc = arg1;
	uint64_t sum;
	int i;

	sum = 0;
	for (i = 0; i < sc->sc_nchan; i++)
		sum += *(uint64_t *)((char *)sc->sc_chan[i] + arg2);
	return (sysctl_handle_64(oidp, &sum, 0, req));
}

static int
storvsc_sysctl_version(SYSCTL_HANDLER_ARGS)
{
	struct storvsc_softc *sc = arg1;
	char text[16];

	(void)arg2;
	snprintf(text, sizeof(text), "%u.%u", sc->sc_ctl.version >> 8,
	    sc->sc_ctl.version & 0xff);
	return (sysctl_handle_string(oidp, text, sizeof(text), req));
}

static int
storvsc_sysctl_inflight(SYSCTL_HANDLER_ARGS)
{
	struct storvsc_softc *sc = arg1;
	u_int n;
	int i;

	(void)arg2;
	n = 0;
	for (i = 0; i < sc->sc_nchan; i++)
		n += sc->sc_chan[i]->ch_queue.busy;
	return (sysctl_handle_int(oidp, &n, 0, req));
}

static void
storvsc_sysctl_sums(struct storvsc_softc *sc, struct sysctl_ctx_list *ctx,
    struct sysctl_oid_list *child)
{
	static const struct {
		const char	*name;
		size_t		 offset;
		const char	*descr;
	} row[] = {
		{ "timeouts", offsetof(struct storvsc_chan, ch_queue.timeouts),
		    "requests that the host did not answer in time" },
		{ "unknown", offsetof(struct storvsc_chan, ch_queue.unknown),
		    "answers to requests that never were" },
		{ "stale", offsetof(struct storvsc_chan, ch_queue.stale),
		    "answers that came twice or after a reset" },
		{ "malformed", offsetof(struct storvsc_chan,
		    ch_queue.malformed), "answers that made no sense" }
	};
	u_int i;

	for (i = 0; i < nitems(row); i++)
		SYSCTL_ADD_PROC(ctx, child, OID_AUTO, row[i].name,
		    CTLTYPE_U64 | CTLFLAG_RD | CTLFLAG_MPSAFE, sc,
		    row[i].offset, storvsc_sysctl_sum64, "QU", row[i].descr);
}

static void
storvsc_sysctl_channel(struct storvsc_chan *ch, struct sysctl_ctx_list *ctx,
    struct sysctl_oid *tree)
{
	struct sysctl_oid *node;
	char name[16];

	snprintf(name, sizeof(name), "%u", vmbus_chan_id(ch->ch_chan));
	node = SYSCTL_ADD_NODE(ctx, SYSCTL_CHILDREN(tree), OID_AUTO, name,
	    CTLFLAG_RD | CTLFLAG_MPSAFE, NULL, "");
	if (node == NULL)
		return;
	SYSCTL_ADD_ULONG(ctx, SYSCTL_CHILDREN(node), OID_AUTO, "send_req",
	    CTLFLAG_RD, &ch->ch_send_req,
	    "# of request sending from this channel");
	SYSCTL_ADD_ULONG(ctx, SYSCTL_CHILDREN(node), OID_AUTO, "ring_full",
	    CTLFLAG_RD, &ch->ch_ring_full,
	    "requests that waited for room in the ring");
}

void
storvsc_sysctl_attach(struct storvsc_softc *sc)
{
	struct sysctl_ctx_list *ctx;
	struct sysctl_oid_list *child;
	struct sysctl_oid *tree;
	int i;

	ctx = &sc->sc_sysctl;
	child = SYSCTL_CHILDREN(device_get_sysctl_tree(sc->sc_dev));
	SYSCTL_ADD_PROC(ctx, child, OID_AUTO, "data_bio_cnt",
	    CTLTYPE_ULONG | CTLFLAG_RW | CTLFLAG_MPSAFE, sc,
	    offsetof(struct storvsc_chan, ch_bio), storvsc_sysctl_sum, "LU",
	    "# of bio data block");
	SYSCTL_ADD_PROC(ctx, child, OID_AUTO, "data_vaddr_cnt",
	    CTLTYPE_ULONG | CTLFLAG_RW | CTLFLAG_MPSAFE, sc,
	    offsetof(struct storvsc_chan, ch_vaddr), storvsc_sysctl_sum, "LU",
	    "# of vaddr data block");
	SYSCTL_ADD_PROC(ctx, child, OID_AUTO, "data_sg_cnt",
	    CTLTYPE_ULONG | CTLFLAG_RW | CTLFLAG_MPSAFE, sc,
	    offsetof(struct storvsc_chan, ch_sg), storvsc_sysctl_sum, "LU",
	    "# of sg data block");
	storvsc_sysctl_sums(sc, ctx, child);
	SYSCTL_ADD_U64(ctx, child, OID_AUTO, "resets", CTLFLAG_RD,
	    &sc->sc_ctl.resets, 0, "bus resets sent");
	SYSCTL_ADD_U64(ctx, child, OID_AUTO, "resets_failed", CTLFLAG_RD,
	    &sc->sc_ctl.resets_failed, 0, "bus resets without an answer");
	SYSCTL_ADD_U64(ctx, child, OID_AUTO, "rescans", CTLFLAG_RD,
	    &sc->sc_ctl.rescans, 0, "rescans that the host asked for");
	SYSCTL_ADD_U64(ctx, child, OID_AUTO, "rejected", CTLFLAG_RD,
	    &sc->sc_ctl.rejected, 0, "messages that made no sense");
	SYSCTL_ADD_PROC(ctx, child, OID_AUTO, "protocol",
	    CTLTYPE_STRING | CTLFLAG_RD | CTLFLAG_MPSAFE, sc, 0,
	    storvsc_sysctl_version, "A", "storage protocol agreed on");
	SYSCTL_ADD_PROC(ctx, child, OID_AUTO, "inflight",
	    CTLTYPE_UINT | CTLFLAG_RD | CTLFLAG_MPSAFE, sc, 0,
	    storvsc_sysctl_inflight, "IU", "requests with the host");
	SYSCTL_ADD_UINT(ctx, child, OID_AUTO, "maxio", CTLFLAG_RD,
	    &sc->sc_maxio, 0, "bytes in one request at most");

	tree = SYSCTL_ADD_NODE(ctx, child, OID_AUTO, "channel",
	    CTLFLAG_RD | CTLFLAG_MPSAFE, NULL, "");
	if (tree == NULL)
		return;
	for (i = 0; i < sc->sc_nchan; i++)
		storvsc_sysctl_channel(sc->sc_chan[i], ctx, tree);
}
