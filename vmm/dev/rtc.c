/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * The PC's real-time clock: the host's time in UTC, 24 hours, BCD, whatever
 * the guest writes to it.  No alarm, no periodic interrupt.  The other bytes
 * are memory.
 *
 * Locking: `lock` guards the index and the bytes.
 *
 * Source of facts: the data sheet of Motorola's MC146818.
 */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "dev.h"

#define	RTC_A		0x0au
#define	RTC_B		0x0bu
#define	RTC_C		0x0cu
#define	RTC_D		0x0du
#define	RTC_CENTURY	0x32u
#define	A_RATE		0x26u		/* 32.768 kHz, not updating */
#define	B_24H		0x02u
#define	D_VALID		0x80u

struct dev_rtc {
	pthread_mutex_t	lock;
	uint8_t		index;
	uint8_t		byte[128];
};

static uint8_t
bcd(int v)
{

	return ((uint8_t)((v / 10 % 10) << 4 | v % 10));
}

static uint8_t
read_byte(const struct dev_rtc *r)
{
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	switch (r->index) {
	case 0x00:
		return (bcd(tm.tm_sec));
	case 0x02:
		return (bcd(tm.tm_min));
	case 0x04:
		return (bcd(tm.tm_hour));
	case 0x06:
		return (bcd(tm.tm_wday + 1));
	case 0x07:
		return (bcd(tm.tm_mday));
	case 0x08:
		return (bcd(tm.tm_mon + 1));
	case 0x09:
		return (bcd(tm.tm_year % 100));
	case RTC_CENTURY:
		return (bcd((tm.tm_year + 1900) / 100));
	case RTC_A:
		return (A_RATE);
	case RTC_B:
		return (B_24H);
	case RTC_C:
		return (0);
	case RTC_D:
		return (D_VALID);
	default:
		return (r->byte[r->index]);
	}
}

static uint32_t
rtc_read(void *arg, uint16_t offset, unsigned size)
{
	struct dev_rtc *r = arg;
	uint32_t v;

	(void)size;
	pthread_mutex_lock(&r->lock);
	v = offset == 0 ? 0xff : read_byte(r);
	pthread_mutex_unlock(&r->lock);
	return (v);
}

static void
rtc_write(void *arg, uint16_t offset, unsigned size, uint32_t value)
{
	struct dev_rtc *r = arg;

	(void)size;
	pthread_mutex_lock(&r->lock);
	if (offset == 0)
		r->index = value & 0x7f;	/* bit 7 masks the NMI */
	else
		r->byte[r->index] = (uint8_t)value;
	pthread_mutex_unlock(&r->lock);
}

int
dev_rtc_ports(struct dev_rtc *r, struct dev_ports *t)
{
	const struct dev_port p = { 0x70, 2, rtc_read, rtc_write, r };

	return (dev_ports_add(t, &p));
}

struct dev_rtc *
dev_rtc_create(void)
{
	struct dev_rtc *r = calloc(1, sizeof(*r));

	tzset();	/* no file is read later, by a processor's thread */
	if (r != NULL)
		pthread_mutex_init(&r->lock, NULL);
	return (r);
}

void
dev_rtc_destroy(struct dev_rtc *r)
{

	if (r == NULL)
		return;
	pthread_mutex_destroy(&r->lock);
	free(r);
}
