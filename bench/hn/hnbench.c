/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * hnbench.ko: frames from hn0 to hn1, whose host joins them.  A batch is handed
 * to hn0 by a task on the thread that also runs hn0's channel, and the next one
 * when hn1 has taken all of the last, so that a batch is one batch everywhere:
 * in the driver, in the ring, at the host, and in the other driver's callback.
 *
 *	hw.hnbench.len, .batch	bytes of a frame, frames of a batch
 *	hw.hnbench.run=N		send N batches, wait for them
 *	hw.hnbench.lost		frames that did not come, of all runs
 *
 * Locking: hb_mtx guards the counts; hb_m[] belongs to the task.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/bus.h>
#include <sys/kernel.h>
#include <sys/lock.h>
#include <sys/malloc.h>
#include <sys/mbuf.h>
#include <sys/module.h>
#include <sys/mutex.h>
#include <sys/socket.h>
#include <sys/sysctl.h>
#include <sys/taskqueue.h>

#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_var.h>

#include "hnbench.h"

#define	HB_BATCH	64
#define	HB_MAXLEN	9014
#define	HB_PATIENCE	30		/* seconds without a frame */

static SYSCTL_NODE(_hw, OID_AUTO, hnbench, CTLFLAG_RW | CTLFLAG_MPSAFE, 0,
    "benchmark of hn(4)");
static u_int hb_len = 64, hb_batch = 1, hb_lost;
SYSCTL_UINT(_hw_hnbench, OID_AUTO, len, CTLFLAG_RW, &hb_len, 0,
    "bytes of a frame");
SYSCTL_UINT(_hw_hnbench, OID_AUTO, batch, CTLFLAG_RW, &hb_batch, 0,
    "frames of a batch");
SYSCTL_UINT(_hw_hnbench, OID_AUTO, lost, CTLFLAG_RD, &hb_lost, 0,
    "frames that did not come");

static struct mtx hb_mtx;
MTX_SYSINIT(hnbench, &hb_mtx, "hnbench", MTX_DEF);
static u_int hb_batches;		/* still to be sent */
static u_int hb_missing;		/* of the batch under way */
static u_int hb_seen;			/* all */
static if_t hb_from, hb_to;
static if_input_fn_t hb_input_was;
static struct taskqueue *hb_tq;
static struct task hb_task;
static struct mbuf *hb_m[HB_BATCH];

/* A frame as the system's own send makes it: pages of at most 4 KiB. */
static struct mbuf *
hb_frame(u_int len)
{
	struct ether_header eh;
	struct mbuf *m, *n;
	u_int left;

	m = m_getm2(NULL, len, M_WAITOK, MT_DATA, M_PKTHDR);
	for (n = m, left = len; n != NULL; n = n->m_next) {
		n->m_len = MIN(left, (u_int)M_TRAILINGSPACE(n));
		memset(n->m_data, 0x5a, n->m_len);
		left -= n->m_len;
	}
	m->m_pkthdr.len = len;
	memcpy(eh.ether_dhost, if_getlladdr(hb_to), ETHER_ADDR_LEN);
	memcpy(eh.ether_shost, if_getlladdr(hb_from), ETHER_ADDR_LEN);
	/* Of no protocol: nobody looks into it. */
	eh.ether_type = htons(0x88b5);
	memcpy(m->m_data, &eh, sizeof(eh));
	return (m);
}

static void
hb_send(void *arg __unused, int pending __unused)
{
	u_int i;

	for (i = 0; i < hb_batch; i++)
		hb_m[i] = hb_frame(hb_len);
	for (i = 0; i < hb_batch; i++)
		(void)if_transmit(hb_from, hb_m[i]);
}

static void
hb_input(if_t ifp __unused, struct mbuf *m)
{
	bool next;

	if (m->m_pkthdr.len != (int)hb_len) {
		m_freem(m);
		return;
	}
	m_freem(m);
	mtx_lock(&hb_mtx);
	hb_seen++;
	next = false;
	if (hb_missing != 0 && --hb_missing == 0) {
		if (hb_batches != 0) {
			hb_batches--;
			hb_missing = hb_batch;
			next = true;
		} else
			wakeup(&hb_missing);
	}
	mtx_unlock(&hb_mtx);
	if (next)
		taskqueue_enqueue(hb_tq, &hb_task);
}

/* The first run finds the interfaces: they attach when they will. */
static int
hb_find(void)
{
	struct taskqueue *tq;

	if (hb_tq != NULL)
		return (0);
	tq = hnbench_taskqueue(0);
	hb_from = ifunit_ref("hn0");
	hb_to = ifunit_ref("hn1");
	if (tq == NULL || hb_from == NULL || hb_to == NULL) {
		if (hb_from != NULL)
			if_rele(hb_from);
		if (hb_to != NULL)
			if_rele(hb_to);
		printf("hnbench: there is no hn0 or hn1\n");
		return (ENXIO);
	}
	TASK_INIT(&hb_task, 0, hb_send, NULL);
	hb_input_was = if_getinputfn(hb_to);
	if_setinputfn(hb_to, hb_input);
	hb_tq = tq;
	return (0);
}

static int
hb_run(u_int batches)
{
	u_int seen;
	int error;

	if (hb_batch == 0 || hb_batch > HB_BATCH || batches == 0 ||
	    hb_len < ETHER_HDR_LEN || hb_len > HB_MAXLEN)
		return (EINVAL);
	error = hb_find();
	if (error != 0)
		return (error);
	mtx_lock(&hb_mtx);
	if (hb_missing != 0) {
		mtx_unlock(&hb_mtx);
		return (EBUSY);
	}
	hb_batches = batches - 1;
	hb_missing = hb_batch;
	mtx_unlock(&hb_mtx);
	taskqueue_enqueue(hb_tq, &hb_task);
	mtx_lock(&hb_mtx);
	error = 0;
	while (hb_missing != 0 && error == 0) {
		seen = hb_seen;
		error = msleep(&hb_missing, &hb_mtx, 0, "hnbench",
		    HB_PATIENCE * hz);
		if (error == EWOULDBLOCK && seen != hb_seen)
			error = 0;
	}
	if (error != 0) {
		hb_lost += hb_missing;
		hb_missing = hb_batches = 0;
	}
	mtx_unlock(&hb_mtx);
	return (error);
}

static int
hb_sysctl_run(SYSCTL_HANDLER_ARGS)
{
	u_int n;
	int error;

	n = 0;
	error = sysctl_handle_int(oidp, &n, 0, req);
	if (error != 0 || req->newptr == NULL)
		return (error);
	return (hb_run(n));
}
SYSCTL_PROC(_hw_hnbench, OID_AUTO, run, CTLTYPE_UINT | CTLFLAG_RW |
    CTLFLAG_MPSAFE, NULL, 0, hb_sysctl_run, "IU", "send so many batches");

static int
hb_event(module_t mod __unused, int what, void *arg __unused)
{

	switch (what) {
	case MOD_LOAD:
		return (0);
	case MOD_UNLOAD:
		if (hb_tq == NULL)
			return (0);
		if_setinputfn(hb_to, hb_input_was);
		taskqueue_drain(hb_tq, &hb_task);
		if_rele(hb_from);
		if_rele(hb_to);
		return (0);
	default:
		return (EOPNOTSUPP);
	}
}

static moduledata_t hb_module = { "hnbench", hb_event, NULL };
DECLARE_MODULE(hnbench, hb_module, SI_SUB_SMP, SI_ORDER_ANY);
MODULE_VERSION(hnbench, 1);
MODULE_DEPEND(hnbench, hn, 1, 2, 2);
