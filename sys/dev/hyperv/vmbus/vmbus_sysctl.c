/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * sysctl(8): hw.vmbus.*, dev.vmbus.0.* and, below each device, its channels as
 * dev.<driver>.<unit>.channel.<id>, sub-channels as .sub.<index> of it.  The
 * names and forms are those of the base system, which scripts know.
 */

#include "vmbus_var.h"

#include <sys/smp.h>

HVK_SYSCTL_NODE(_hw, vmbus, CTLFLAG_RD | CTLFLAG_MPSAFE,
    "Hyper-V vmbus");

int vmbus_pin_evttask = 1;
SYSCTL_INT(_hw_vmbus, OID_AUTO, pin_evttask, CTLFLAG_RDTUN,
    &vmbus_pin_evttask, 0, "Pin event tasks to their respective CPU");

char vmbus_max_version[16];
SYSCTL_STRING(_hw_vmbus, OID_AUTO, max_version, CTLFLAG_RDTUN,
    vmbus_max_version, sizeof(vmbus_max_version),
    "Newest VMBus version to offer, as 5.2; empty: all");

/* 0: no limit.  What cannot be read is no limit either, and said so. */
uint32_t
vmbus_sysctl_max_version(void)
{
	const char *p = vmbus_max_version;
	u_int part[2], i;

	if (*p == '\0')
		return (0);
	part[0] = part[1] = 0;
	for (i = 0; *p != '\0'; p++) {
		if (*p == '.' && i == 0) {
			i++;
		} else if (*p >= '0' && *p <= '9' && part[i] < 1000) {
			part[i] = part[i] * 10 + (*p - '0');
		} else {
			printf("hw.vmbus.max_version: \"%s\" is not of the "
			    "form 5.2, ignored\n", vmbus_max_version);
			return (0);
		}
	}
	return (VMBUS_VERSION(part[0], part[1]));
}

static int
vmbus_sysctl_version(SYSCTL_HANDLER_ARGS)
{
	struct vmbus_softc *sc = arg1;
	char text[16];
	uint32_t version;

	(void)arg2;
	version = sc->sc_connected ? sc->sc_client->version : 0;
	snprintf(text, sizeof(text), "%u.%u", version >> 16, version & 0xffff);
	return (sysctl_handle_string(oidp, text, sizeof(text), req));
}

/* Counters of the client machine; arg2 is the offset in struct hvk_client. */
static int
vmbus_sysctl_client(SYSCTL_HANDLER_ARGS)
{
	struct vmbus_softc *sc = arg1;
	uint64_t value;

	mtx_lock(&sc->sc_lock);
	value = 0;
	if (sc->sc_client != NULL)
		value = *(uint64_t *)(void *)((char *)sc->sc_client + arg2);
	mtx_unlock(&sc->sc_lock);
	return (sysctl_handle_64(oidp, &value, 0, req));
}

void
vmbus_sysctl_attach(struct vmbus_softc *sc)
{
	static const struct {
		const char *name;
		size_t offset;
		const char *what;
	} counters[] = {
		{ "messages", offsetof(struct hvk_client, messages),
		    "control messages understood" },
		{ "rejected", offsetof(struct hvk_client, rejected),
		    "control messages that were unknown or malformed" },
		{ "unexpected", offsetof(struct hvk_client, unexpected),
		    "control messages that nobody had asked for" },
		{ "posts", offsetof(struct hvk_client, posts),
		    "control messages posted" },
		{ "post_retries", offsetof(struct hvk_client, post_retries),
		    "posts repeated because the host was short of something" },
		{ "timeouts", offsetof(struct hvk_client, timeouts),
		    "requests that the host never answered" }
	};
	struct sysctl_ctx_list *ctx;
	struct sysctl_oid_list *tree;
	size_t i;

	ctx = device_get_sysctl_ctx(sc->sc_dev);
	tree = SYSCTL_CHILDREN(device_get_sysctl_tree(sc->sc_dev));
	SYSCTL_ADD_PROC(ctx, tree, OID_AUTO, "version",
	    CTLTYPE_STRING | CTLFLAG_RD | CTLFLAG_MPSAFE, sc, 0,
	    vmbus_sysctl_version, "A", "vmbus version");
	SYSCTL_ADD_U64(ctx, tree, OID_AUTO, "leaked", CTLFLAG_RD,
	    &sc->sc_leaked, 0, "bytes that the host did not give back");
	for (i = 0; i < nitems(counters); i++)
		SYSCTL_ADD_PROC(ctx, tree, OID_AUTO, counters[i].name,
		    CTLTYPE_U64 | CTLFLAG_RD | CTLFLAG_MPSAFE, sc,
		    (intmax_t)counters[i].offset, vmbus_sysctl_client, "QU",
		    counters[i].what);
}

/*
 * A ring's shared state, as the host can see and change it: read once, for
 * show.  arg2: 0 outbound, 1 inbound.
 */
struct ring_state {
	uint32_t	read;
	uint32_t	write;
	uint32_t	mask;
	uint32_t	pending;
	uint32_t	feature;
	uint32_t	used;
	uint32_t	room;
};

static uint64_t
vmbus_sysctl_ring(struct vmbus_channel *chan, bool rx, struct ring_state *st)
{
	const volatile struct hvk_ring_header *hdr;
	uint32_t size;

	hdr = rx ? chan->ch_rx.hdr : chan->ch_tx.hdr;
	size = rx ? chan->ch_rx.size : chan->ch_tx.size;
	st->read = hdr->read;
	st->write = hdr->write;
	st->mask = hdr->mask;
	st->pending = hdr->pending;
	st->feature = hdr->features;
	st->used = st->write >= st->read ? st->write - st->read :
	    st->write + size - st->read;
	st->room = size - st->used;
	return (rx ? chan->ch_events : chan->ch_tx.signals);
}

static int
vmbus_sysctl_state(SYSCTL_HANDLER_ARGS)
{
	struct ring_state st;
	char text[256];
	uint64_t count;

	count = vmbus_sysctl_ring(arg1, arg2 != 0, &st);
	snprintf(text, sizeof(text), "intrcnt:%ju rindex:%u windex:%u "
	    "imask:%u psndsz:%u fvalue:%u ravail:%u wavail:%u",
	    (uintmax_t)count, st.read, st.write, st.mask, st.pending,
	    st.feature, st.used, st.room);
	return (sysctl_handle_string(oidp, text, sizeof(text), req));
}

static int
vmbus_sysctl_state_bin(SYSCTL_HANDLER_ARGS)
{
	struct ring_state st;

	(void)vmbus_sysctl_ring(arg1, arg2 != 0, &st);
	return (sysctl_handle_opaque(oidp, &st, sizeof(st), req));
}

static int
vmbus_sysctl_mnf(SYSCTL_HANDLER_ARGS)
{
	struct vmbus_channel *chan = arg1;
	int mnf;

	(void)arg2;
	mnf = chan->ch_monitor != NULL;
	return (sysctl_handle_int(oidp, &mnf, 0, req));
}

/* Writing it moves the channel. */
static int
vmbus_sysctl_cpu(SYSCTL_HANDLER_ARGS)
{
	struct vmbus_channel *chan = arg1;
	int cpu, error;

	(void)arg2;
	cpu = chan->ch_cpu;
	error = sysctl_handle_int(oidp, &cpu, 0, req);
	if (error != 0 || req->newptr == NULL || cpu == chan->ch_cpu)
		return (error);
	return (vmbus_chan_retarget(chan, cpu));
}

static void
vmbus_sysctl_rings(struct vmbus_channel *chan, struct sysctl_oid *tree,
    const char *name, int rx)
{
	struct sysctl_ctx_list *ctx = &chan->ch_sysctl_ctx;
	struct sysctl_oid *node;

	node = SYSCTL_ADD_NODE(ctx, SYSCTL_CHILDREN(tree), OID_AUTO, name,
	    CTLFLAG_RD | CTLFLAG_MPSAFE, NULL, "");
	if (node == NULL)
		return;
	SYSCTL_ADD_PROC(ctx, SYSCTL_CHILDREN(node), OID_AUTO, "state",
	    CTLTYPE_STRING | CTLFLAG_RD | CTLFLAG_MPSAFE, chan, rx,
	    vmbus_sysctl_state, "A", "ring state");
	SYSCTL_ADD_PROC(ctx, SYSCTL_CHILDREN(node), OID_AUTO, "state_bin",
	    CTLTYPE_OPAQUE | CTLFLAG_RD | CTLFLAG_MPSAFE, chan, rx,
	    vmbus_sysctl_state_bin, "IU", "ring state, seven numbers");
}

static struct sysctl_oid *
vmbus_sysctl_node(struct sysctl_ctx_list *ctx, struct sysctl_oid *parent,
    const char *name)
{

	if (parent == NULL)
		return (NULL);
	return (SYSCTL_ADD_NODE(ctx, SYSCTL_CHILDREN(parent), OID_AUTO, name,
	    CTLFLAG_RD | CTLFLAG_MPSAFE, NULL, ""));
}

void
vmbus_sysctl_chan(struct vmbus_channel *chan)
{
	struct sysctl_ctx_list *ctx = &chan->ch_sysctl_ctx;
	struct sysctl_oid *node, *br;
	char name[16];

	sysctl_ctx_init(ctx);
	chan->ch_sysctl_tree = NULL;
	if (chan->ch_dev == NULL)
		return;
	node = vmbus_sysctl_node(ctx, device_get_sysctl_tree(chan->ch_dev),
	    "channel");
	snprintf(name, sizeof(name), "%u", chan->ch_primary != NULL ?
	    chan->ch_primary->ch_id : chan->ch_id);
	node = vmbus_sysctl_node(ctx, node, name);
	if (chan->ch_primary != NULL) {
		node = vmbus_sysctl_node(ctx, node, "sub");
		snprintf(name, sizeof(name), "%u", chan->ch_subidx);
		node = vmbus_sysctl_node(ctx, node, name);
	}
	if (node == NULL)
		return;
	chan->ch_sysctl_tree = node;
	if (chan->ch_primary != NULL)
		SYSCTL_ADD_UINT(ctx, SYSCTL_CHILDREN(node), OID_AUTO, "chanid",
		    CTLFLAG_RD, &chan->ch_id, 0, "channel id");
	SYSCTL_ADD_PROC(ctx, SYSCTL_CHILDREN(node), OID_AUTO, "cpu",
	    CTLTYPE_INT | CTLFLAG_RW | CTLFLAG_MPSAFE, chan, 0,
	    vmbus_sysctl_cpu, "I", "owner CPU id");
	SYSCTL_ADD_PROC(ctx, SYSCTL_CHILDREN(node), OID_AUTO, "mnf",
	    CTLTYPE_INT | CTLFLAG_RD | CTLFLAG_MPSAFE, chan, 0,
	    vmbus_sysctl_mnf, "I", "has monitor notification facilities");
	br = vmbus_sysctl_node(ctx, node, "br");
	if (br != NULL) {
		vmbus_sysctl_rings(chan, br, "rx", 1);
		vmbus_sysctl_rings(chan, br, "tx", 0);
	}
}

void
vmbus_sysctl_chan_free(struct vmbus_channel *chan)
{

	if (chan->ch_sysctl_tree == NULL)
		return;
	chan->ch_sysctl_tree = NULL;
	sysctl_ctx_free(&chan->ch_sysctl_ctx);
}

struct sysctl_oid *
vmbus_chan_sysctl_tree(struct vmbus_channel *chan)
{

	return (chan->ch_sysctl_tree);
}

struct sysctl_ctx_list *
vmbus_chan_sysctl_ctx(struct vmbus_channel *chan)
{

	return (&chan->ch_sysctl_ctx);
}
