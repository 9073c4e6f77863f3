/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * An I/O APIC of 24 pins for the profile without old devices: there KVM keeps
 * the local APICs only, since with an I/O APIC it would make a PIC too.  An
 * interrupt leaves it as a message to a local APIC; a level-triggered one waits
 * for its end, which KVM reports for the vectors that it was told of.
 *
 * Locking: `lock` guards everything; the callbacks are made with it held.
 *
 * Source of facts: the data sheet of Intel's 82093AA.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <hvk/boot.h>

#include "dev.h"

#define	SELECT		0x00u
#define	WINDOW		0x10u
#define	REG_ID		0x00u
#define	REG_VERSION	0x01u
#define	REG_ARB		0x02u
#define	REG_TABLE	0x10u
#define	VERSION		(0x11u | (PLAT_IOAPIC_PINS - 1) << 16)

#define	RTE_VECTOR	0xffull
#define	RTE_MODE	0x700ull
#define	RTE_LOGICAL	(1ull << 11)
#define	RTE_STATUS	(1ull << 12)
#define	RTE_REMOTE_IRR	(1ull << 14)
#define	RTE_LEVEL	(1ull << 15)
#define	RTE_MASKED	(1ull << 16)
#define	RTE_READ_ONLY	(RTE_STATUS | RTE_REMOTE_IRR)

struct dev_ioapic {
	pthread_mutex_t	lock;
	struct dev_ioapic_ops ops;
	uint32_t	select;
	uint32_t	id;
	uint64_t	entry[PLAT_IOAPIC_PINS];
	uint32_t	lines;		/* high ones */
};

static struct dev_message
message(uint64_t e)
{
	struct dev_message m;

	m.address = 0xfee00000u | (uint32_t)(e >> 56) << 12 |
	    ((e & RTE_LOGICAL) != 0 ? 4u : 0);
	m.data = (uint32_t)(e & (RTE_VECTOR | RTE_MODE | RTE_LEVEL)) |
	    ((e & RTE_LEVEL) != 0 ? 1u << 14 : 0);
	return (m);
}

static void
deliver(struct dev_ioapic *a, unsigned pin)
{
	uint64_t *e = &a->entry[pin];
	struct dev_message m = message(*e);

	if ((*e & RTE_MASKED) != 0)
		return;
	if ((*e & RTE_LEVEL) != 0) {
		if ((*e & RTE_REMOTE_IRR) != 0)
			return;
		*e |= RTE_REMOTE_IRR;
	}
	a->ops.send(a->ops.arg, &m);
}

/* What KVM has to know: which vectors' ends we want to hear of. */
static void
tell_routes(struct dev_ioapic *a)
{
	struct dev_message m[PLAT_IOAPIC_PINS];
	unsigned i;

	for (i = 0; i < PLAT_IOAPIC_PINS; i++) {
		memset(&m[i], 0, sizeof(m[i]));
		if ((a->entry[i] & RTE_MASKED) == 0)
			m[i] = message(a->entry[i]);
	}
	a->ops.routes(a->ops.arg, m, PLAT_IOAPIC_PINS);
}

static void
write_entry(struct dev_ioapic *a, unsigned pin, bool high, uint32_t value)
{
	uint64_t old = a->entry[pin], *e = &a->entry[pin];

	if (high)
		*e = (*e & UINT32_MAX) | (uint64_t)value << 32;
	else
		*e = (*e & ~(uint64_t)UINT32_MAX) |
		    (value & ~(uint32_t)RTE_READ_ONLY) |
		    (old & RTE_READ_ONLY);
	/* An edge waits for nothing. */
	if ((*e & RTE_LEVEL) == 0)
		*e &= ~RTE_REMOTE_IRR;
	if (((old | *e) & RTE_LEVEL) != 0 && old != *e)
		tell_routes(a);
	if ((*e & RTE_LEVEL) != 0 && (a->lines >> pin & 1) != 0)
		deliver(a, pin);
}

static uint32_t
read_window(const struct dev_ioapic *a)
{
	uint32_t n = a->select - REG_TABLE;

	if (a->select == REG_ID || a->select == REG_ARB)
		return (a->id);
	if (a->select == REG_VERSION)
		return (VERSION);
	if (a->select < REG_TABLE || n / 2 >= PLAT_IOAPIC_PINS)
		return (0);
	return ((uint32_t)(a->entry[n / 2] >> (n % 2 != 0 ? 32 : 0)));
}

uint32_t
dev_ioapic_read(struct dev_ioapic *a, uint32_t offset)
{
	uint32_t value = 0;

	pthread_mutex_lock(&a->lock);
	if (offset == SELECT)
		value = a->select;
	else if (offset == WINDOW)
		value = read_window(a);
	pthread_mutex_unlock(&a->lock);
	return (value);
}

void
dev_ioapic_write(struct dev_ioapic *a, uint32_t offset, uint32_t value)
{
	uint32_t n;

	pthread_mutex_lock(&a->lock);
	n = a->select - REG_TABLE;
	if (offset == SELECT)
		a->select = value & 0xff;
	else if (offset == WINDOW && a->select == REG_ID)
		a->id = value & 0x0f000000u;
	else if (offset == WINDOW && a->select >= REG_TABLE &&
	    n / 2 < PLAT_IOAPIC_PINS)
		write_entry(a, n / 2, n % 2 != 0, value);
	pthread_mutex_unlock(&a->lock);
}

void
dev_ioapic_line(struct dev_ioapic *a, uint32_t pin, bool level)
{
	uint32_t bit = 1u << pin;
	bool rose;

	if (pin >= PLAT_IOAPIC_PINS)
		return;
	pthread_mutex_lock(&a->lock);
	rose = level && (a->lines & bit) == 0;
	a->lines = level ? a->lines | bit : a->lines & ~bit;
	/*
	 * A line that rises is told again, were the end of the last one never
	 * reported: one interrupt too many is better than none.
	 */
	if (rose) {
		a->entry[pin] &= ~RTE_REMOTE_IRR;
		deliver(a, pin);
	}
	pthread_mutex_unlock(&a->lock);
}

void
dev_ioapic_eoi(struct dev_ioapic *a, uint8_t vector)
{
	unsigned i;

	pthread_mutex_lock(&a->lock);
	for (i = 0; i < PLAT_IOAPIC_PINS; i++) {
		if ((a->entry[i] & RTE_REMOTE_IRR) == 0 ||
		    (a->entry[i] & RTE_VECTOR) != vector)
			continue;
		a->entry[i] &= ~RTE_REMOTE_IRR;
		if ((a->lines >> i & 1) != 0)
			deliver(a, i);
	}
	pthread_mutex_unlock(&a->lock);
}

void
dev_ioapic_reset(struct dev_ioapic *a)
{
	unsigned i;

	pthread_mutex_lock(&a->lock);
	a->select = a->id = a->lines = 0;
	for (i = 0; i < PLAT_IOAPIC_PINS; i++)
		a->entry[i] = RTE_MASKED;
	pthread_mutex_unlock(&a->lock);
}

struct dev_ioapic *
dev_ioapic_create(const struct dev_ioapic_ops *ops)
{
	struct dev_ioapic *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return (NULL);
	pthread_mutex_init(&a->lock, NULL);
	a->ops = *ops;
	dev_ioapic_reset(a);
	return (a);
}

void
dev_ioapic_destroy(struct dev_ioapic *a)
{

	if (a == NULL)
		return;
	pthread_mutex_destroy(&a->lock);
	free(a);
}
