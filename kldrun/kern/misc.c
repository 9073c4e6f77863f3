/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * misc.c: smaller kernel interfaces: eventhandler(9), counter(9),
 * configuration hooks, root mount holds and devctl.
 */

#include "kern.h"
#include <sys/bus.h>
#include <sys/conf.h>
#include <sys/counter.h>
#include <sys/devctl.h>
#include <sys/eventhandler.h>
#include <sys/mount.h>
#include <sys/smp.h>
#include <sys/sysctl.h>

/* The canary of modules that are built with a stack protector. */
long __stack_chk_guard[8] = { 0x00000aff0d0a0d00, };

void __stack_chk_fail(void);
void
__stack_chk_fail(void)
{
	panic("stack overflow detected; backtrace may be corrupted");
}

/* eventhandler(9): lists are kldrun's and live for ever. */

static TAILQ_HEAD(, eventhandler_list) eh_lists =
    TAILQ_HEAD_INITIALIZER(eh_lists);
static struct os_lock eh_lock;

static struct eventhandler_list *
eh_list(const char *name, bool create)
{
	struct eventhandler_list *l;

	os_lock(&eh_lock);
	TAILQ_FOREACH(l, &eh_lists, el_link)
		if (strcmp(l->el_name, name) == 0)
			break;
	if (l == NULL && create) {
		l = os_alloc(sizeof(*l));
		memset(l, 0, sizeof(*l));
		l->el_name = os_alloc(strlen(name) + 1);
		strcpy(l->el_name, name);
		TAILQ_INIT(&l->el_entries);
		mtx_init(&l->el_lock, "eventhandler list", NULL, MTX_DEF);
		TAILQ_INSERT_TAIL(&eh_lists, l, el_link);
	}
	os_unlock(&eh_lock);
	return (l);
}

struct eventhandler_list *
eventhandler_create_list(const char *name)
{
	return (eh_list(name, true));
}

/* Returns with the list locked. */
struct eventhandler_list *
eventhandler_find_list(const char *name)
{
	struct eventhandler_list *l;

	l = eh_list(name, false);
	if (l != NULL)
		mtx_lock(&l->el_lock);
	return (l);
}

eventhandler_tag
eventhandler_register(struct eventhandler_list *l, const char *name,
    void *func, void *arg, int priority)
{
	struct eventhandler_entry_generic {
		struct eventhandler_entry ee;
		void *func;
	} *e;
	struct eventhandler_entry *at;

	if (l == NULL)
		l = eh_list(name, true);
	e = os_alloc(sizeof(*e));
	memset(e, 0, sizeof(*e));
	e->ee.ee_priority = priority;
	e->ee.ee_arg = arg;
	e->func = func;
	mtx_lock(&l->el_lock);
	TAILQ_FOREACH(at, &l->el_entries, ee_link)
		if (at->ee_priority > priority)
			break;
	if (at != NULL)
		TAILQ_INSERT_BEFORE(at, &e->ee, ee_link);
	else
		TAILQ_INSERT_TAIL(&l->el_entries, &e->ee, ee_link);
	mtx_unlock(&l->el_lock);
	return (&e->ee);
}

void
kld_panic_handlers(int howto)
{
	struct eventhandler_entry *e;
	struct eventhandler_list *l;

	TAILQ_FOREACH(l, &eh_lists, el_link)
		if (strcmp(l->el_name, "shutdown_pre_sync") == 0)
			break;
	if (l == NULL)
		return;
	TAILQ_FOREACH(e, &l->el_entries, ee_link)
		if (e->ee_priority != EHE_DEAD_PRIORITY)
			((struct eventhandler_entry_shutdown_pre_sync *)e)->
			    eh_func(e->ee_arg, howto);
}

void
eventhandler_prune_list(struct eventhandler_list *l)
{
	struct eventhandler_entry *e, *next;

	TAILQ_FOREACH_SAFE(e, &l->el_entries, ee_link, next)
		if (e->ee_priority == EHE_DEAD_PRIORITY) {
			TAILQ_REMOVE(&l->el_entries, e, ee_link);
			os_free(e);
		}
	wakeup(l);
}

/* The list is locked by eventhandler_find_list(). */
static void
eh_deregister(struct eventhandler_list *l, eventhandler_tag tag, bool wait)
{
	struct eventhandler_entry *e;

	TAILQ_FOREACH(e, &l->el_entries, ee_link)
		if (tag == NULL || e == tag)
			e->ee_priority = EHE_DEAD_PRIORITY;
	if (l->el_runcount == 0)
		eventhandler_prune_list(l);
	else
		while (wait && l->el_runcount > 0)
			msleep(l, &l->el_lock, 0, "evhrm", 0);
	mtx_unlock(&l->el_lock);
}

void
eventhandler_deregister(struct eventhandler_list *l, eventhandler_tag tag)
{
	eh_deregister(l, tag, true);
}

void
eventhandler_deregister_nowait(struct eventhandler_list *l,
    eventhandler_tag tag)
{
	eh_deregister(l, tag, false);
}

/*
 * counter(9): the inlined add is gs-relative, and each thread has its own
 * struct pcpu page; so a counter has one cell per thread slot, a page apart.
 */
#define	CELLS	(PAGE_SIZE / sizeof(uint64_t))
static struct os_lock counter_lock;
static char *counter_base;
static uint8_t counter_used[CELLS];

static uint64_t *
counter_cell(counter_u64_t c, int slot)
{
	return ((uint64_t *)((char *)kld_pcpu + (uintptr_t)c +
	    (uintptr_t)slot * PAGE_SIZE));
}

counter_u64_t
counter_u64_alloc(int flags)
{
	u_int i;

	os_lock(&counter_lock);
	if (counter_base == NULL)
		counter_base = os_reserve((u_long)KLD_MAXTHREADS * PAGE_SIZE);
	for (i = 0; i < CELLS && counter_used[i]; i++)
		continue;
	if (i == CELLS)
		panic("kldrun: more than %zu counters", CELLS);
	counter_used[i] = 1;
	os_unlock(&counter_lock);
	counter_u64_t c = (counter_u64_t)(void *)(counter_base +
	    i * sizeof(uint64_t) - (uintptr_t)kld_pcpu);
	counter_u64_zero(c);
	return (c);
}

void
counter_u64_free(counter_u64_t c)
{
	if (c == NULL)
		return;
	os_lock(&counter_lock);
	counter_used[((char *)counter_cell(c, 0) - counter_base) /
	    sizeof(uint64_t)] = 0;
	os_unlock(&counter_lock);
}

void
counter_u64_zero(counter_u64_t c)
{
	int i;

	for (i = 0; i < KLD_MAXTHREADS; i++)
		if (*counter_cell(c, i) != 0)
			*counter_cell(c, i) = 0;
}

uint64_t
counter_u64_fetch(counter_u64_t c)
{
	uint64_t sum;
	int i;

	for (i = 0, sum = 0; i < KLD_MAXTHREADS; i++)
		sum += *counter_cell(c, i);
	return (sum);
}

/* Configuration hooks: kldrun has interrupts from the start. */

int
config_intrhook_establish(struct intr_config_hook *hook)
{
	hook->ich_state = ICHS_RUNNING;
	hook->ich_func(hook->ich_arg);
	return (0);
}

void
config_intrhook_disestablish(struct intr_config_hook *hook)
{
	hook->ich_state = ICHS_DONE;
}

int
config_intrhook_drain(struct intr_config_hook *hook)
{
	return (ICHS_DONE);
}

/* Nothing mounts a root here; boot waits for holds before READY. */
static volatile int root_holds;

struct root_hold_token *
root_mount_hold(const char *identifier)
{
	char *t;

	t = os_alloc(strlen(identifier) + 1);
	strcpy(t, identifier);
	atomic_add_int(&root_holds, 1);
	return ((struct root_hold_token *)t);
}

void
root_mount_rel(struct root_hold_token *h)
{
	if (h == NULL)
		return;
	os_free(h);
	atomic_subtract_int(&root_holds, 1);
}

int kld_root_holds(void);
int
kld_root_holds(void)
{
	return (root_holds);
}

/* devctl: what devd(8) would be told goes to the console when verbose. */

bool
devctl_process_running(void)
{
	return (false);
}

void
devctl_notify(const char *system, const char *subsystem, const char *type,
    const char *data)
{
	if (bootverbose)
		printf("devctl: !system=%s subsystem=%s type=%s %s\n", system,
		    subsystem, type, data != NULL ? data : "");
}
