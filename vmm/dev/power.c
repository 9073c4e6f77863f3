/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * ACPI's fixed registers (power management events and control, the timer), the
 * reset register of the FADT, and the older ways to reset a PC: port 0xcf9,
 * and, in the legacy profile, port 0x92 and the keyboard controller's 0xfe.
 *
 * Locking: `lock` guards the registers; line() is called with it held.
 *
 * Source of facts: ACPI specification 6.5, section 4.8; <hvk/boot.h> has where
 * the tables say the registers are.
 */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include <hvk/boot.h>

#include "dev.h"

#define	PM_HZ		3579545u
#define	PM1_PWRBTN	0x0100u
#define	PM1_STATUS	0x8731u		/* bits that writing 1 clears */
#define	CNT_SCI_EN	0x0001u
#define	CNT_SLP_TYP(v)	((v) >> 10 & 7u)
#define	CNT_SLP_EN	0x2000u
#define	I8042_RESET	0xfeu

struct dev_power {
	pthread_mutex_t	lock;
	struct dev_machine machine;
	bool		legacy;
	uint16_t	status;
	uint16_t	enable;
	uint16_t	control;
	bool		level;
};

static void
update(struct dev_power *p)
{
	bool level = (p->status & p->enable) != 0;

	if (level == p->level)
		return;
	p->level = level;
	p->machine.line(p->machine.arg, PLAT_SCI_IRQ, level);
}

static uint32_t
pm_timer(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((uint32_t)((uint64_t)ts.tv_sec * PM_HZ +
	    (uint64_t)ts.tv_nsec * PM_HZ / 1000000000u));
}

/* PM1 event block: 16 bits of status, 16 of enable. */
static uint32_t
event_read(void *arg, uint16_t offset, unsigned size)
{
	struct dev_power *p = arg;
	uint32_t both;

	pthread_mutex_lock(&p->lock);
	both = p->status | (uint32_t)p->enable << 16;
	pthread_mutex_unlock(&p->lock);
	return ((uint32_t)((uint64_t)both >> 8 * offset &
	    ((1ull << 8 * size) - 1)));
}

static void
event_write(void *arg, uint16_t offset, unsigned size, uint32_t value)
{
	struct dev_power *p = arg;
	uint32_t mask = (uint32_t)((1ull << 8 * size) - 1) << 8 * offset;

	value <<= 8 * offset;
	pthread_mutex_lock(&p->lock);
	p->status &= (uint16_t)~(value & mask & PM1_STATUS);
	if ((mask >> 16) != 0)
		p->enable = (uint16_t)((p->enable & ~(mask >> 16)) |
		    (value >> 16 & mask >> 16));
	update(p);
	pthread_mutex_unlock(&p->lock);
}

static uint32_t
control_read(void *arg, uint16_t offset, unsigned size)
{
	struct dev_power *p = arg;
	uint32_t v;

	(void)size;
	pthread_mutex_lock(&p->lock);
	v = (uint32_t)p->control | CNT_SCI_EN;
	pthread_mutex_unlock(&p->lock);
	return (v >> 8 * offset);
}

static void
control_write(void *arg, uint16_t offset, unsigned size, uint32_t value)
{
	struct dev_power *p = arg;
	uint32_t mask = (uint32_t)((1ull << 8 * size) - 1) << 8 * offset;
	bool sleep;

	value <<= 8 * offset;
	pthread_mutex_lock(&p->lock);
	p->control = (uint16_t)((p->control & ~mask) | (value & mask));
	sleep = (p->control & CNT_SLP_EN) != 0;
	p->control &= (uint16_t)~CNT_SLP_EN;	/* reads as 0 */
	value = CNT_SLP_TYP(p->control);
	pthread_mutex_unlock(&p->lock);
	/* No other sleep state is in the tables, so nothing else asks. */
	if (sleep && value == PLAT_S5_TYPE)
		p->machine.event(p->machine.arg, DEV_POWER_OFF);
}

static uint32_t
timer_read(void *arg, uint16_t offset, unsigned size)
{

	(void)arg;
	(void)size;
	return (pm_timer() >> 8 * offset);
}

static void
ignore_write(void *arg, uint16_t offset, unsigned size, uint32_t value)
{

	(void)arg;
	(void)offset;
	(void)size;
	(void)value;
}

static uint32_t
zero_read(void *arg, uint16_t offset, unsigned size)
{

	(void)arg;
	(void)offset;
	(void)size;
	return (0);
}

static void
reset_write(void *arg, uint16_t offset, unsigned size, uint32_t value)
{
	struct dev_power *p = arg;

	(void)offset;
	(void)size;
	if ((value & 0xff) == PLAT_RESET_VALUE)
		p->machine.event(p->machine.arg, DEV_RESET);
}

/* 0xcf9: bit 2 set makes the reset. */
static void
cf9_write(void *arg, uint16_t offset, unsigned size, uint32_t value)
{
	struct dev_power *p = arg;

	(void)offset;
	(void)size;
	if ((value & 0x04) != 0)
		p->machine.event(p->machine.arg, DEV_RESET);
}

/* Port 0x92: bit 0 makes the reset, bit 1 is the A20 gate, always open. */
static uint32_t
port92_read(void *arg, uint16_t offset, unsigned size)
{

	(void)arg;
	(void)offset;
	(void)size;
	return (0x02);
}

static void
port92_write(void *arg, uint16_t offset, unsigned size, uint32_t value)
{
	struct dev_power *p = arg;

	(void)offset;
	(void)size;
	if ((value & 0x01) != 0)
		p->machine.event(p->machine.arg, DEV_RESET);
}

/* A keyboard controller without keyboard: only its reset line is there. */
static uint32_t
i8042_read(void *arg, uint16_t offset, unsigned size)
{

	(void)arg;
	(void)offset;
	(void)size;
	return (0xff);
}

static void
i8042_write(void *arg, uint16_t offset, unsigned size, uint32_t value)
{
	struct dev_power *p = arg;

	(void)offset;
	(void)size;
	if ((value & 0xff) == I8042_RESET)
		p->machine.event(p->machine.arg, DEV_RESET);
}

int
dev_power_ports(struct dev_power *p, struct dev_ports *t)
{
	const struct dev_port ports[] = {
		{ PLAT_PM1_EVT, 4, event_read, event_write, p },
		{ PLAT_PM1_CNT, 2, control_read, control_write, p },
		{ PLAT_PM_TMR, 4, timer_read, ignore_write, p },
		{ PLAT_RESET, 1, zero_read, reset_write, p },
		{ 0xcf9, 1, zero_read, cf9_write, p },
		{ 0x92, 1, port92_read, port92_write, p },
		{ 0x64, 1, i8042_read, i8042_write, p },
	};
	/*
	 * With the PIT this is its port B.  Without one nothing raises system
	 * errors, and so it says to a guest that asks why there was an NMI: an
	 * empty port would read as all of them at once.
	 */
	const struct dev_port reason = { PLAT_NMI_REASON, 1, zero_read,
	    ignore_write, p };
	unsigned i, n = p->legacy ? 7 : 5;
	int error = 0;

	for (i = 0; i < n && error == 0; i++)
		error = dev_ports_add(t, &ports[i]);
	if (error == 0 && !p->legacy)
		error = dev_ports_add(t, &reason);
	return (error);
}

bool
dev_power_button(struct dev_power *p)
{
	bool heard;

	pthread_mutex_lock(&p->lock);
	heard = (p->enable & PM1_PWRBTN) != 0;
	p->status |= PM1_PWRBTN;
	update(p);
	pthread_mutex_unlock(&p->lock);
	return (heard);
}

void
dev_power_reset(struct dev_power *p)
{

	pthread_mutex_lock(&p->lock);
	p->status = p->enable = p->control = 0;
	update(p);
	pthread_mutex_unlock(&p->lock);
}

struct dev_power *
dev_power_create(const struct dev_machine *machine, bool legacy)
{
	struct dev_power *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return (NULL);
	pthread_mutex_init(&p->lock, NULL);
	p->machine = *machine;
	p->legacy = legacy;
	return (p);
}

void
dev_power_destroy(struct dev_power *p)
{

	if (p == NULL)
		return;
	pthread_mutex_destroy(&p->lock);
	free(p);
}
