/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Channels: open, send, receive, close.  The rings themselves are the core's.
 *
 * The inbound ring is touched only by the channel's task (and by the interrupt
 * handler, which masks it), the outbound one under ch_txlock.  ch_tq is set
 * last when a channel opens and cleared first when it closes; after the barrier
 * and the drain that follow, nothing uses the rings any more and they may go.
 */

#include "vmbus_var.h"

#include <sys/proc.h>
#include <sys/smp.h>
#include <machine/atomic.h>

#define	TASK_ROUNDS	32	/* callbacks before other channels get a turn */
#define	RELEASE_EVERY	32	/* packets that may be kept from the host */

/* Wake the host for this channel. */
void
vmbus_chan_signal(struct vmbus_channel *chan)
{

	if (chan->ch_send != NULL)
		atomic_set_int(chan->ch_send, chan->ch_send_bit);
	if (chan->ch_monitor != NULL)
		atomic_set_int(chan->ch_monitor, chan->ch_monitor_bit);
	else
		(void)hyperv_signal_event(chan->ch_connection);
}

/* The host broke the rules on this channel: it is of no use any more. */
static void
vmbus_chan_break(struct vmbus_channel *chan, const char *how)
{

	if (atomic_swap_int(&chan->ch_broken, 1) != 0)
		return;
	device_printf(chan->ch_dev != NULL ? chan->ch_dev :
	    chan->ch_sc->sc_dev, "channel %u: the host broke the %s ring; "
	    "channel given up\n", chan->ch_id, how);
	vmbus_dev_broken(chan);
}

void
vmbus_chan_task(void *arg, int pending __unused)
{
	struct vmbus_channel *chan = arg;
	struct taskqueue *tq;
	int i;

	tq = chan->ch_tq;
	if (tq == NULL)
		return;
	for (i = 0; i < TASK_ROUNDS; i++) {
		hvk_ring_rx_mask(&chan->ch_rx);
		chan->ch_cb(chan, chan->ch_cbarg);
		if (hvk_ring_rx_release(&chan->ch_rx))
			vmbus_chan_signal(chan);
		chan->ch_taken = 0;
		if (chan->ch_broken || !hvk_ring_rx_unmask(&chan->ch_rx))
			return;
	}
	/* Still busy; the ring stays unmasked, which costs an interrupt. */
	taskqueue_enqueue(tq, &chan->ch_task);
}

void
vmbus_chan_poll(struct vmbus_channel *chan)
{

	if (chan->ch_tq != NULL)
		vmbus_chan_task(chan, 0);
}

void
vmbus_chan_kick(struct vmbus_channel *chan)
{
	struct taskqueue *tq;

	tq = chan->ch_tq;
	if (tq != NULL)
		taskqueue_enqueue(tq, &chan->ch_task);
}

int
vmbus_chan_recv(struct vmbus_channel *chan, void *buf, uint32_t cap,
    struct hvk_packet *packet)
{
	int error;

	if (chan->ch_broken)
		return (HVK_FATAL);
	error = hvk_ring_rx_next(&chan->ch_rx, buf, cap, packet);
	if (error == HVK_FATAL)
		vmbus_chan_break(chan, "inbound");
	else if (error == HVK_AGAIN || ++chan->ch_taken >= RELEASE_EVERY) {
		chan->ch_taken = 0;
		if (hvk_ring_rx_release(&chan->ch_rx))
			vmbus_chan_signal(chan);
	}
	return (error);
}

/*
 * Sending.  A packet that does not fit asks the host to tell when it would;
 * the answer is an event like any other, so the callback runs.
 */
static int
vmbus_chan_sent(struct vmbus_channel *chan, int error)
{
	bool signal;

	signal = false;
	if (error == HVK_OK) {
		signal = hvk_ring_tx_publish(&chan->ch_tx);
		if (chan->ch_txwaiting) {
			chan->ch_txwaiting = false;
			(void)hvk_ring_tx_want(&chan->ch_tx, 0);
		}
	}
	mtx_unlock(&chan->ch_txlock);
	if (signal)
		vmbus_chan_signal(chan);
	switch (error) {
	case HVK_OK:
		return (0);
	case HVK_AGAIN:
		return (EAGAIN);
	case HVK_FATAL:
		vmbus_chan_break(chan, "outbound");
		return (ENXIO);
	default:
		return (EMSGSIZE);
	}
}

/* No room: true when there is some after all. */
static bool
vmbus_chan_want(struct vmbus_channel *chan, uint32_t bytes)
{

	if (hvk_ring_tx_want(&chan->ch_tx, bytes))
		return (true);
	chan->ch_txwaiting = true;
	return (false);
}

int
vmbus_chan_send(struct vmbus_channel *chan, uint64_t txid,
    bool want_completion, const void *data, uint32_t len)
{
	int error;

	if (vmbus_chan_tx_lock(chan) == NULL)
		return (ENXIO);
	do {
		error = hvk_tx_inband(&chan->ch_tx, txid, want_completion,
		    data, len);
	} while (error == HVK_AGAIN && !chan->ch_txwaiting &&
	    vmbus_chan_want(chan, HVK_DESCRIPTOR_SIZE + hvk_align8(len)));
	return (vmbus_chan_sent(chan, error));
}

int
vmbus_chan_send_completion(struct vmbus_channel *chan, uint64_t txid,
    const void *data, uint32_t len)
{
	int error;

	if (vmbus_chan_tx_lock(chan) == NULL)
		return (ENXIO);
	do {
		error = hvk_tx_completion(&chan->ch_tx, txid, data, len);
	} while (error == HVK_AGAIN && !chan->ch_txwaiting &&
	    vmbus_chan_want(chan, HVK_DESCRIPTOR_SIZE + hvk_align8(len)));
	return (vmbus_chan_sent(chan, error));
}

int
vmbus_chan_send_gpa(struct vmbus_channel *chan, uint64_t txid,
    bool want_completion, const struct hvk_gpa_range *ranges, uint32_t n,
    const void *data, uint32_t len)
{
	uint32_t bytes, i;
	int error;

	bytes = HVK_DESCRIPTOR_SIZE + 8 + hvk_align8(len);
	for (i = 0; i < n; i++)
		bytes += 8 + 8 * ranges[i].npfn;
	if (vmbus_chan_tx_lock(chan) == NULL)
		return (ENXIO);
	do {
		error = hvk_tx_gpa_direct(&chan->ch_tx, txid, want_completion,
		    ranges, n, data, len);
	} while (error == HVK_AGAIN && !chan->ch_txwaiting &&
	    vmbus_chan_want(chan, bytes));
	return (vmbus_chan_sent(chan, error));
}

struct hvk_ring_tx *
vmbus_chan_tx_lock(struct vmbus_channel *chan)
{

	mtx_lock(&chan->ch_txlock);
	if (!chan->ch_txok || chan->ch_broken || chan->ch_revoked) {
		mtx_unlock(&chan->ch_txlock);
		return (NULL);
	}
	if (chan->ch_txwaiting) {
		/* A stale wish would only cost signals: ask again if needed. */
		chan->ch_txwaiting = false;
		(void)hvk_ring_tx_want(&chan->ch_tx, 0);
	}
	return (&chan->ch_tx);
}

void
vmbus_chan_tx_unlock(struct vmbus_channel *chan)
{
	bool signal;

	signal = hvk_ring_tx_publish(&chan->ch_tx);
	mtx_unlock(&chan->ch_txlock);
	if (signal)
		vmbus_chan_signal(chan);
}

static int
vmbus_chan_ring_init(struct vmbus_channel *chan,
    const struct vmbus_chan_open_args *args)
{
	char *base = chan->ch_ring.vm_addr;
	char *rx;

	rx = base + PAGE_SIZE + args->tx_size;
	if (hvk_ring_tx_init(&chan->ch_tx, base, base + PAGE_SIZE,
	    args->tx_size, true) != HVK_OK ||
	    hvk_ring_rx_init(&chan->ch_rx, rx, rx + PAGE_SIZE, args->rx_size,
	    true) != HVK_OK)
		return (EINVAL);
	return (0);
}

/* How this channel tells the host, as the offer said. */
static void
vmbus_chan_signal_init(struct vmbus_channel *chan)
{
	struct vmbus_softc *sc = chan->ch_sc;
	const struct hvk_client_chan *cc = chan->ch_client;
	struct hvk_interrupt_page *page = sc->sc_intr_mem.vm_addr;
	struct hvk_monitor_page *monitor = sc->sc_monitor_mem[1].vm_addr;

	chan->ch_connection = cc->connection_id;
	chan->ch_send = NULL;
	chan->ch_monitor = NULL;
	if (!cc->dedicated || cc->monitored) {
		chan->ch_send = (volatile u_int *)(void *)page->to_host +
		    chan->ch_id / 32;
		chan->ch_send_bit = 1u << (chan->ch_id % 32);
	}
	if (cc->monitored) {
		chan->ch_monitor = (volatile u_int *)
		    &monitor->group[cc->monitor_id / 32].pending;
		chan->ch_monitor_bit = 1u << (cc->monitor_id % 32);
	}
}

/*
 * Opening and closing one channel exclude each other: a driver may be opening a
 * sub-channel while its device is being taken away.  Both end by themselves.
 */
static void
vmbus_chan_claim(struct vmbus_channel *chan)
{
	struct vmbus_softc *sc = chan->ch_sc;

	mtx_lock(&sc->sc_lock);
	while (chan->ch_claimed)
		msleep_sbt(&chan->ch_claimed, &sc->sc_lock, 0, "hvclaim",
		    SBT_1S, 0, 0);
	chan->ch_claimed = true;
	mtx_unlock(&sc->sc_lock);
}

static void
vmbus_chan_unclaim(struct vmbus_channel *chan)
{
	struct vmbus_softc *sc = chan->ch_sc;

	mtx_lock(&sc->sc_lock);
	chan->ch_claimed = false;
	wakeup(&chan->ch_claimed);
	mtx_unlock(&sc->sc_lock);
}

/* Ask the host to open, and wait for its answer. */
static int
vmbus_chan_open_host(struct vmbus_channel *chan,
    const struct vmbus_chan_open_args *args)
{
	struct vmbus_softc *sc = chan->ch_sc;
	struct hvk_client_open open;
	struct vmbus_wait wait;
	int error;

	memset(&open, 0, sizeof(open));
	open.ring_gpadl = chan->ch_gpadl->handle;
	open.rx_page = 1 + args->tx_size / PAGE_SIZE;
	open.vcpu = sc->sc_pcpu[chan->ch_cpu].vp_vcpu;
	open.data = args->udata;
	open.len = args->udlen;
	memset(&wait, 0, sizeof(wait));

	mtx_lock(&sc->sc_lock);
	error = HVK_STATE;
	if (chan->ch_client != NULL && !chan->ch_revoked) {
		chan->ch_openwait = &wait;
		error = hvk_client_open(sc->sc_client, chan->ch_client, &open,
		    vmbus_now());
		if (error == HVK_OK)
			vmbus_conn_wait(sc, &wait);
		chan->ch_openwait = NULL;
	}
	mtx_unlock(&sc->sc_lock);
	if (error != HVK_OK)
		return (error == HVK_RANGE ? EINVAL : ENXIO);
	switch (wait.vw_event.status) {
	case HVK_CLIENT_OK:
		return (0);
	case HVK_CLIENT_REVOKED:
		return (ENXIO);
	case HVK_CLIENT_TIMEOUT:
		return (ETIMEDOUT);
	default:
		return (EIO);
	}
}

/* Nothing is sent, received or called any more after this. */
static void
vmbus_chan_quiesce(struct vmbus_channel *chan)
{
	struct taskqueue *tq;

	mtx_lock(&chan->ch_txlock);
	chan->ch_txok = false;
	mtx_unlock(&chan->ch_txlock);
	tq = chan->ch_tq;
	atomic_store_rel_ptr((volatile uintptr_t *)&chan->ch_tq, 0);
	vmbus_isr_barrier();
	if (tq != NULL)
		taskqueue_drain(tq, &chan->ch_task);
	taskqueue_drain(chan->ch_sc->sc_gonetq, &chan->ch_gonetask);
}

/* Take the ring back from the host, or leave it there. */
static void
vmbus_chan_ring_free(struct vmbus_channel *chan)
{
	struct vmbus_softc *sc = chan->ch_sc;
	bool safe;

	safe = true;
	if (chan->ch_gpadl != NULL) {
		safe = vmbus_gpadl_destroy(chan, chan->ch_gpadl) == 0;
		chan->ch_gpadl = NULL;
	}
	if (safe) {
		vmbus_mem_free(&chan->ch_ring);
	} else {
		vmbus_mem_leak(sc, &chan->ch_ring, "ring");
		chan->ch_kept = true;
		if (chan->ch_primary != NULL)
			chan->ch_primary->ch_kept = true;
	}
}

/* Close one channel, whatever state it is in; claimed. */
static void
vmbus_chan_undo(struct vmbus_channel *chan)
{
	struct vmbus_softc *sc = chan->ch_sc;

	if (!chan->ch_opened)
		return;
	vmbus_sysctl_chan_free(chan);
	vmbus_chan_quiesce(chan);
	mtx_lock(&sc->sc_lock);
	if (chan->ch_client != NULL) {
		(void)hvk_client_close(sc->sc_client, chan->ch_client);
		vmbus_conn_run(sc);
	}
	mtx_unlock(&sc->sc_lock);
	vmbus_chan_ring_free(chan);
	chan->ch_opened = false;
}

static int
vmbus_chan_do_open(struct vmbus_channel *chan,
    const struct vmbus_chan_open_args *args)
{
	struct vmbus_softc *sc = chan->ch_sc;
	uint64_t *pfn;
	uint32_t npfn;
	int error;

	if (chan->ch_opened)
		return (EBUSY);
	if (chan->ch_revoked)
		return (ENXIO);
	if (args->cb == NULL || args->udlen > HVK_USER_DATA ||
	    args->tx_size == 0 || args->rx_size == 0 ||
	    args->tx_size > 16 * 1024 * 1024 ||
	    args->rx_size > 15 * 1024 * 1024 ||
	    (args->tx_size | args->rx_size) & PAGE_MASK)
		return (EINVAL);

	vmbus_mem_alloc(&chan->ch_ring, 2 * PAGE_SIZE +
	    (vm_size_t)args->tx_size + args->rx_size);
	pfn = vmbus_mem_pfns(&chan->ch_ring, &npfn);
	error = vmbus_gpadl_create(chan, pfn, npfn, &chan->ch_gpadl);
	free(pfn, M_VMBUS);
	if (error == 0)
		error = vmbus_chan_ring_init(chan, args);
	if (error != 0) {
		vmbus_chan_ring_free(chan);
		return (error);
	}

	chan->ch_cb = args->cb;
	chan->ch_gone = args->gone;
	chan->ch_cbarg = args->cbarg;
	chan->ch_taken = 0;
	chan->ch_kept = false;
	chan->ch_told = false;
	chan->ch_broken = 0;
	chan->ch_txwaiting = false;
	mtx_lock(&sc->sc_lock);
	if (chan->ch_client != NULL)
		vmbus_chan_signal_init(chan);
	mtx_unlock(&sc->sc_lock);
	/* The host may speak before it answers. */
	chan->ch_opened = true;
	chan->ch_txok = true;
	atomic_store_rel_ptr((volatile uintptr_t *)&chan->ch_tq,
	    (uintptr_t)sc->sc_pcpu[chan->ch_cpu].vp_event_tq);
	error = vmbus_chan_open_host(chan, args);
	if (error != 0) {
		if (bootverbose)
			device_printf(sc->sc_dev,
			    "channel %u: open failed, error %d\n", chan->ch_id,
			    error);
		vmbus_chan_undo(chan);
		return (error);
	}
	vmbus_sysctl_chan(chan);
	return (0);
}

int
vmbus_chan_open(struct vmbus_channel *chan,
    const struct vmbus_chan_open_args *args)
{
	int error;

	vmbus_chan_claim(chan);
	error = vmbus_chan_do_open(chan, args);
	vmbus_chan_unclaim(chan);
	return (error);
}

void
vmbus_chan_shut(struct vmbus_channel *chan)
{

	vmbus_chan_claim(chan);
	vmbus_chan_undo(chan);
	vmbus_chan_unclaim(chan);
}

int
vmbus_chan_close(struct vmbus_channel *chan)
{
	struct vmbus_softc *sc = chan->ch_sc;
	struct vmbus_channel *sub;

	if (chan->ch_primary == NULL) {
		mtx_lock(&sc->sc_lock);
		do {
			TAILQ_FOREACH(sub, &chan->ch_subs, ch_link)
				if (sub->ch_opened)
					break;
			if (sub != NULL) {
				mtx_unlock(&sc->sc_lock);
				vmbus_chan_shut(sub);
				mtx_lock(&sc->sc_lock);
			}
		} while (sub != NULL);
		mtx_unlock(&sc->sc_lock);
	}
	vmbus_chan_shut(chan);
	return (chan->ch_kept ? ETIMEDOUT : 0);
}

void
vmbus_chan_cpu_set(struct vmbus_channel *chan, int cpu)
{

	if (!chan->ch_opened && cpu >= 0 && cpu <= (int)mp_maxid &&
	    !CPU_ABSENT(cpu))
		chan->ch_cpu = cpu;
}

/*
 * The host first, then our side: between the two, events arrive on the new CPU
 * and are handled on the old one, which is only slower.
 */
int
vmbus_chan_retarget(struct vmbus_channel *chan, int cpu)
{
	struct vmbus_softc *sc = chan->ch_sc;
	struct vmbus_wait wait;
	struct taskqueue *old;
	int error;

	if (cpu < 0 || cpu > (int)mp_maxid || CPU_ABSENT(cpu))
		return (EINVAL);
	memset(&wait, 0, sizeof(wait));
	mtx_lock(&sc->sc_lock);
	error = HVK_STATE;
	if (chan->ch_client != NULL && chan->ch_opened &&
	    chan->ch_modwait == NULL) {
		chan->ch_modwait = &wait;
		error = hvk_client_modify(sc->sc_client, chan->ch_client,
		    sc->sc_pcpu[cpu].vp_vcpu, vmbus_now());
		if (error == HVK_OK)
			vmbus_conn_wait(sc, &wait);
		chan->ch_modwait = NULL;
	}
	mtx_unlock(&sc->sc_lock);
	if (error != HVK_OK)
		return (error == HVK_RANGE ? EOPNOTSUPP : ENXIO);
	if (wait.vw_event.status != HVK_CLIENT_OK)
		return (wait.vw_event.status == HVK_CLIENT_TIMEOUT ?
		    ETIMEDOUT : EIO);
	/* A task must never be on two queues. */
	old = chan->ch_tq;
	if (old == NULL)
		return (ENXIO);
	atomic_store_rel_ptr((volatile uintptr_t *)&chan->ch_tq, 0);
	vmbus_isr_barrier();
	taskqueue_drain(old, &chan->ch_task);
	chan->ch_cpu = cpu;
	atomic_store_rel_ptr((volatile uintptr_t *)&chan->ch_tq,
	    (uintptr_t)sc->sc_pcpu[cpu].vp_event_tq);
	/* For what came while nobody listened. */
	vmbus_chan_kick(chan);
	return (0);
}

uint32_t
vmbus_chan_id(const struct vmbus_channel *chan)
{

	return (chan->ch_id);
}

bool
vmbus_chan_is_primary(const struct vmbus_channel *chan)
{

	return (chan->ch_primary == NULL);
}

uint16_t
vmbus_chan_subidx(const struct vmbus_channel *chan)
{

	return (chan->ch_subidx);
}

const uint8_t *
vmbus_chan_user_data(const struct vmbus_channel *chan)
{

	return (chan->ch_user);
}

device_t
vmbus_chan_device(const struct vmbus_channel *chan)
{

	return (chan->ch_dev);
}

bool
vmbus_chan_is_revoked(const struct vmbus_channel *chan)
{

	return (chan->ch_revoked != 0);
}

int
vmbus_chan_cpu(const struct vmbus_channel *chan)
{

	return (chan->ch_cpu);
}
