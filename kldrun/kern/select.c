/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * select.c: selrecord(9) and knlist(9). Who selects is a connection to a
 * character device: it learns of an event by its eventfd and asks the driver
 * again. Knotes are whatever a module attaches; kldrun has no kqueue(2).
 *
 * sel_lock guards the lists in every selinfo.
 */

#include "cdev_var.h"

static struct os_lock sel_lock;

void
selrecord(struct thread *td, struct selinfo *sip)
{
	struct cdev_conn *c;
	int i;

	c = ((struct kthr *)td)->conn;
	if (c == NULL)
		return;
	os_lock(&sel_lock);
	if (sip->si_tdlist.tqh_last == NULL)
		TAILQ_INIT(&sip->si_tdlist);
	for (i = 0; i < CONN_SELECTS; i++)
		if (c->sel[i].sip == sip || c->sel[i].sip == NULL)
			break;
	if (i == CONN_SELECTS)
		panic("kldrun: a d_poll selects on more than %d events",
		    CONN_SELECTS);
	if (c->sel[i].sip == NULL) {
		c->sel[i].sip = sip;
		c->sel[i].conn = c;
		TAILQ_INSERT_TAIL(&sip->si_tdlist, &c->sel[i], link);
	}
	os_unlock(&sel_lock);
}

void
conn_forget_selects(struct cdev_conn *c)
{
	int i;

	os_lock(&sel_lock);
	for (i = 0; i < CONN_SELECTS; i++)
		if (c->sel[i].sip != NULL) {
			TAILQ_REMOVE(&c->sel[i].sip->si_tdlist, &c->sel[i],
			    link);
			c->sel[i].sip = NULL;
		}
	os_unlock(&sel_lock);
}

void
selwakeup(struct selinfo *sip)
{
	struct selfd *s;

	os_lock(&sel_lock);
	while (sip->si_tdlist.tqh_last != NULL &&
	    (s = TAILQ_FIRST(&sip->si_tdlist)) != NULL) {
		TAILQ_REMOVE(&sip->si_tdlist, s, link);
		s->sip = NULL;
		os_event_signal(s->conn->event);
	}
	os_unlock(&sel_lock);
}

void
selwakeuppri(struct selinfo *sip, int pri)
{
	selwakeup(sip);
}

void
seldrain(struct selinfo *sip)
{
	selwakeup(sip);
}

/* knlist(9) */

static void
kl_mtx_lock(void *arg)
{
	mtx_lock((struct mtx *)arg);
}

static void
kl_mtx_unlock(void *arg)
{
	mtx_unlock((struct mtx *)arg);
}

static void
kl_mtx_assert(void *arg, int what)
{
}

static struct mtx kl_default;
MTX_SYSINIT(kl_default, &kl_default, "common lock for knlists", MTX_DEF);

void
knlist_init(struct knlist *knl, void *lock, void (*lockf)(void *),
    void (*unlockf)(void *), void (*assertf)(void *, int))
{
	knl->kl_lockarg = lock != NULL ? lock : &kl_default;
	knl->kl_lock = lockf != NULL ? lockf : kl_mtx_lock;
	knl->kl_unlock = unlockf != NULL ? unlockf : kl_mtx_unlock;
	knl->kl_assert_lock = assertf != NULL ? assertf : kl_mtx_assert;
	knl->kl_autodestroy = 0;
	SLIST_INIT(&knl->kl_list);
}

void
knlist_init_mtx(struct knlist *knl, struct mtx *lock)
{
	knlist_init(knl, lock, NULL, NULL, NULL);
}

void
knlist_destroy(struct knlist *knl)
{
	if (!SLIST_EMPTY(&knl->kl_list))
		printf("WARNING: destroying knlist w/ knotes on it!\n");
	SLIST_INIT(&knl->kl_list);
}

int
knlist_empty(struct knlist *knl)
{
	return (SLIST_EMPTY(&knl->kl_list));
}

void
knlist_add(struct knlist *knl, struct knote *kn, int islocked)
{
	if (!islocked)
		knl->kl_lock(knl->kl_lockarg);
	SLIST_INSERT_HEAD(&knl->kl_list, kn, kn_selnext);
	kn->kn_knlist = knl;
	if (!islocked)
		knl->kl_unlock(knl->kl_lockarg);
}

void
knlist_remove(struct knlist *knl, struct knote *kn, int islocked)
{
	if (!islocked)
		knl->kl_lock(knl->kl_lockarg);
	SLIST_REMOVE(&knl->kl_list, kn, knote, kn_selnext);
	kn->kn_knlist = NULL;
	if (!islocked)
		knl->kl_unlock(knl->kl_lockarg);
}

void
knlist_cleardel(struct knlist *knl, struct thread *td, int islocked,
    int killkn)
{
	struct knote *kn;

	if (!islocked)
		knl->kl_lock(knl->kl_lockarg);
	while ((kn = SLIST_FIRST(&knl->kl_list)) != NULL) {
		SLIST_REMOVE_HEAD(&knl->kl_list, kn_selnext);
		kn->kn_knlist = NULL;
		kn->kn_flags |= EV_EOF | EV_ONESHOT;
	}
	if (!islocked)
		knl->kl_unlock(knl->kl_lockarg);
}

void
knote(struct knlist *knl, long hint, int lockflags)
{
	struct knote *kn;

	if ((lockflags & KNF_LISTLOCKED) == 0)
		knl->kl_lock(knl->kl_lockarg);
	SLIST_FOREACH(kn, &knl->kl_list, kn_selnext)
		if (kn->kn_fop->f_event(kn, hint) != 0)
			kn->kn_status |= KN_ACTIVE;
	if ((lockflags & KNF_LISTLOCKED) == 0)
		knl->kl_unlock(knl->kl_lockarg);
}
