/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * The devices of the kvm engine that are not on the VMBus, register by
 * register: serial port, power registers, clock, I/O APIC, table of ports.
 */
#include <atf-c.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <hvk/boot.h>

#include "dev/dev.h"

#define	TEST(name, descr)						\
	ATF_TC(name);							\
	ATF_TC_HEAD(name, tc) { atf_tc_set_md_var(tc, "descr", descr); } \
	ATF_TC_BODY(name, tc)

#define	COM	PLAT_COM1_PORT

struct bench {
	struct dev_machine m;
	struct dev_ports ports;
	struct dev_uart *uart;
	struct dev_power *power;
	bool		line[PLAT_IOAPIC_PINS];
	unsigned	rises[PLAT_IOAPIC_PINS];
	unsigned	events[8];
	unsigned	notified;
};

static void
on_line(void *arg, uint32_t gsi, bool level)
{
	struct bench *b = arg;

	ATF_REQUIRE(gsi < PLAT_IOAPIC_PINS);
	/* Only changes are told. */
	ATF_REQUIRE(b->line[gsi] != level);
	b->line[gsi] = level;
	b->rises[gsi] += level;
}

static void
on_event(void *arg, enum dev_event event)
{
	struct bench *b = arg;

	b->events[event]++;
}

static void
on_notify(void *arg)
{
	struct bench *b = arg;

	b->notified++;
}

static void
bench_init(struct bench *b, bool legacy)
{
	struct dev_port p;

	memset(b, 0, sizeof(*b));
	b->m = (struct dev_machine){ on_line, on_event, b };
	b->uart = dev_uart_create(&b->m, PLAT_COM1_IRQ);
	b->power = dev_power_create(&b->m, legacy);
	ATF_REQUIRE(b->uart != NULL && b->power != NULL);
	dev_uart_port(b->uart, COM, &p);
	ATF_REQUIRE_EQ(0, dev_ports_add(&b->ports, &p));
	ATF_REQUIRE_EQ(0, dev_power_ports(b->power, &b->ports));
}

static void
bench_free(struct bench *b)
{
	dev_uart_destroy(b->uart);
	dev_power_destroy(b->power);
}

static uint32_t
in(struct bench *b, uint16_t port)
{
	return (dev_ports_read(&b->ports, port, 1));
}

static void
out(struct bench *b, uint16_t port, uint32_t v)
{
	dev_ports_write(&b->ports, port, 1, v);
}

/* ---- ports */

TEST(ports, "nobody's ports read as ones; ranges do not overlap")
{
	struct bench b;
	struct dev_port p;
	unsigned i;

	bench_init(&b, false);
	ATF_CHECK_EQ(UINT32_MAX, dev_ports_read(&b.ports, 0x1234, 4));
	dev_ports_write(&b.ports, 0x1234, 4, 1);
	/* Not wholly inside: nobody's. */
	ATF_CHECK_EQ(UINT32_MAX, dev_ports_read(&b.ports, COM + 6, 4));
	ATF_CHECK_EQ(UINT32_MAX, dev_ports_read(&b.ports, COM - 1, 2));
	ATF_CHECK_EQ(UINT32_MAX, dev_ports_read(&b.ports, 0xffff, 4));
	dev_uart_port(b.uart, COM + 7, &p);
	ATF_CHECK_EQ(-EBUSY, dev_ports_add(&b.ports, &p));
	for (i = b.ports.n; i < DEV_PORTS; i++) {
		dev_uart_port(b.uart, (uint16_t)(0x2000 + 8 * i), &p);
		ATF_CHECK_EQ(0, dev_ports_add(&b.ports, &p));
	}
	dev_uart_port(b.uart, 0x3000, &p);
	ATF_CHECK_EQ(-ENOSPC, dev_ports_add(&b.ports, &p));
	/* Without the old devices their ports are nobody's. */
	ATF_CHECK_EQ(0xff, in(&b, 0x64) & 0xff);
	out(&b, 0x64, 0xfe);
	out(&b, 0x92, 1);
	ATF_CHECK_EQ(0, b.events[DEV_RESET]);
	bench_free(&b);
}

/* ---- serial port */

TEST(uart_output, "what is written comes out in order; a full queue is busy")
{
	uint8_t buf[100000];
	struct bench b;
	unsigned i;
	size_t n;

	bench_init(&b, true);
	dev_uart_notify(b.uart, on_notify, &b);
	ATF_CHECK_EQ(0x60, in(&b, COM + 5));
	for (i = 0; i < 65536; i++)
		out(&b, COM, i * 7);
	ATF_CHECK_EQ(1, b.notified);
	ATF_CHECK_EQ(0, in(&b, COM + 5) & 0x20);
	out(&b, COM, 'x');		/* it did not look: lost */
	out(&b, COM + 1, 2);
	ATF_CHECK(!b.line[PLAT_COM1_IRQ]);
	n = dev_uart_output(b.uart, buf, 10);
	ATF_REQUIRE_EQ(10, n);
	ATF_CHECK_EQ(0x20, in(&b, COM + 5) & 0x20);
	ATF_CHECK(b.line[PLAT_COM1_IRQ]);
	n += dev_uart_output(b.uart, buf + 10, sizeof(buf) - 10);
	ATF_REQUIRE_EQ(65536, n);
	for (i = 0; i < n; i++)
		ATF_REQUIRE_EQ((uint8_t)(i * 7), buf[i]);
	ATF_CHECK_EQ(0, dev_uart_output(b.uart, buf, sizeof(buf)));
	bench_free(&b);
}

TEST(uart_input, "input waits in the FIFO, interrupts, and overruns nothing")
{
	struct bench b;
	unsigned i;

	bench_init(&b, true);
	dev_uart_notify(b.uart, on_notify, &b);
	ATF_CHECK(dev_uart_input(b.uart, 'a'));
	ATF_CHECK(!dev_uart_input(b.uart, 'b'));	/* no FIFO yet */
	ATF_CHECK_EQ(1, in(&b, COM + 5) & 1);
	ATF_CHECK_EQ('a', in(&b, COM));
	ATF_CHECK_EQ(1, b.notified);		/* 'b' may come now */
	out(&b, COM + 2, 1);
	out(&b, COM + 1, 1);
	for (i = 0; i < 16; i++)
		ATF_CHECK(dev_uart_input(b.uart, (uint8_t)('A' + i)));
	ATF_CHECK(!dev_uart_input(b.uart, 'z'));
	ATF_CHECK(b.line[PLAT_COM1_IRQ]);
	ATF_CHECK_EQ(0xc4, in(&b, COM + 2));
	for (i = 0; i < 16; i++)
		ATF_CHECK_EQ('A' + i, in(&b, COM));
	ATF_CHECK(!b.line[PLAT_COM1_IRQ]);
	ATF_CHECK_EQ(0xc1, in(&b, COM + 2));
	ATF_CHECK_EQ(2, b.notified);
	ATF_CHECK_EQ(0, in(&b, COM));		/* nothing there */
	/* Clearing the FIFO throws away, and asks for more. */
	ATF_CHECK(dev_uart_input(b.uart, '1'));
	out(&b, COM + 2, 3);
	ATF_CHECK_EQ(0, in(&b, COM + 5) & 1);
	bench_free(&b);
}

TEST(uart_registers, "registers keep what is written; loop-back; reset")
{
	struct bench b;

	bench_init(&b, true);
	out(&b, COM + 7, 0x5a);
	ATF_CHECK_EQ(0x5a, in(&b, COM + 7));
	out(&b, COM + 3, 0x83);
	out(&b, COM, 0x0c);
	out(&b, COM + 1, 0x01);
	ATF_CHECK_EQ(0x0c, in(&b, COM));
	ATF_CHECK_EQ(0x01, in(&b, COM + 1));
	out(&b, COM + 3, 0x03);
	ATF_CHECK_EQ(0, in(&b, COM + 1));
	ATF_CHECK_EQ(0xb0, in(&b, COM + 6));
	/* How a driver finds out that it is one: outputs come back. */
	out(&b, COM + 4, 0x1a);
	ATF_CHECK_EQ(0x90, in(&b, COM + 6));
	out(&b, COM, 'q');
	ATF_CHECK(!dev_uart_input(b.uart, 'x'));
	ATF_CHECK_EQ('q', in(&b, COM));
	out(&b, COM + 4, 0);
	/* The transmitter's interrupt: once enabled, until it was read. */
	out(&b, COM + 1, 2);
	ATF_CHECK(b.line[PLAT_COM1_IRQ]);
	ATF_CHECK_EQ(0x02, in(&b, COM + 2));
	ATF_CHECK(!b.line[PLAT_COM1_IRQ]);
	ATF_CHECK_EQ(0x01, in(&b, COM + 2));
	out(&b, COM, 'w');
	ATF_CHECK(b.line[PLAT_COM1_IRQ]);
	dev_uart_reset(b.uart);
	ATF_CHECK(!b.line[PLAT_COM1_IRQ]);
	ATF_CHECK_EQ(0, in(&b, COM + 7));
	/* Two registers at once. */
	dev_ports_write(&b.ports, COM + 6, 2, 0x7700);
	ATF_CHECK_EQ(0x77, dev_ports_read(&b.ports, COM + 6, 2) >> 8);
	bench_free(&b);
}

/* ---- power */

TEST(power, "off, reset by each way, the button by its enable bit")
{
	struct bench b;

	bench_init(&b, true);
	ATF_CHECK_EQ(1, dev_ports_read(&b.ports, PLAT_PM1_CNT, 2));
	dev_ports_write(&b.ports, PLAT_PM1_CNT, 2, PLAT_S5_TYPE << 10);
	ATF_CHECK_EQ(0, b.events[DEV_POWER_OFF]);
	dev_ports_write(&b.ports, PLAT_PM1_CNT, 2, 3 << 10 | 1 << 13);
	ATF_CHECK_EQ(0, b.events[DEV_POWER_OFF]);
	dev_ports_write(&b.ports, PLAT_PM1_CNT, 2, PLAT_S5_TYPE << 10 |
	    1 << 13);
	ATF_CHECK_EQ(1, b.events[DEV_POWER_OFF]);
	ATF_CHECK_EQ(PLAT_S5_TYPE << 10 | 1,
	    dev_ports_read(&b.ports, PLAT_PM1_CNT, 2));
	/* Byte by byte does it too. */
	out(&b, PLAT_PM1_CNT + 1, (PLAT_S5_TYPE << 10 | 1 << 13) >> 8);
	ATF_CHECK_EQ(2, b.events[DEV_POWER_OFF]);
	out(&b, PLAT_RESET, PLAT_RESET_VALUE + 1);
	ATF_CHECK_EQ(0, b.events[DEV_RESET]);
	out(&b, PLAT_RESET, PLAT_RESET_VALUE);
	out(&b, 0xcf9, 2);
	out(&b, 0xcf9, 6);
	out(&b, 0x92, 2);
	out(&b, 0x92, 3);
	out(&b, 0x64, 0xd1);
	out(&b, 0x64, 0xfe);
	ATF_CHECK_EQ(4, b.events[DEV_RESET]);

	ATF_CHECK(!dev_power_button(b.power));
	ATF_CHECK(!b.line[PLAT_SCI_IRQ]);
	dev_ports_write(&b.ports, PLAT_PM1_EVT + 2, 2, 0x100);
	ATF_CHECK(b.line[PLAT_SCI_IRQ]);	/* it is still pressed */
	ATF_CHECK_EQ(0x100, dev_ports_read(&b.ports, PLAT_PM1_EVT, 2));
	dev_ports_write(&b.ports, PLAT_PM1_EVT, 2, 0x100);
	ATF_CHECK(!b.line[PLAT_SCI_IRQ]);
	ATF_CHECK(dev_power_button(b.power));
	ATF_CHECK(b.line[PLAT_SCI_IRQ]);
	/* All 32 bits at once: status is cleared, the enable bit stays. */
	dev_ports_write(&b.ports, PLAT_PM1_EVT, 4, 0x01000100);
	ATF_CHECK(!b.line[PLAT_SCI_IRQ]);
	ATF_CHECK_EQ(0x01000000, dev_ports_read(&b.ports, PLAT_PM1_EVT, 4));
	ATF_CHECK(dev_power_button(b.power));
	dev_power_reset(b.power);
	ATF_CHECK(!b.line[PLAT_SCI_IRQ]);
	ATF_CHECK_EQ(0, dev_ports_read(&b.ports, PLAT_PM1_EVT, 4));
	bench_free(&b);

	/* Without legacy devices: no system error, whatever is asked for. */
	bench_init(&b, false);
	out(&b, PLAT_NMI_REASON, 0xff);
	ATF_CHECK_EQ(0, dev_ports_read(&b.ports, PLAT_NMI_REASON, 1));
	out(&b, 0x64, 0xfe);
	ATF_CHECK_EQ(0, b.events[DEV_RESET]);
	bench_free(&b);
}

TEST(timer, "the ACPI timer counts 3.58 million a second")
{
	struct timespec ts = { 0, 20000000 }, t0, t1;
	struct bench b;
	uint32_t a, c;
	double want;

	bench_init(&b, false);
	clock_gettime(CLOCK_MONOTONIC, &t0);
	a = dev_ports_read(&b.ports, PLAT_PM_TMR, 4);
	nanosleep(&ts, NULL);
	c = dev_ports_read(&b.ports, PLAT_PM_TMR, 4);
	clock_gettime(CLOCK_MONOTONIC, &t1);
	want = ((double)(t1.tv_sec - t0.tv_sec) + 1e-9 *
	    (double)(t1.tv_nsec - t0.tv_nsec)) * 3579545;
	/* Read between the two looks at the clock: never more than those. */
	ATF_CHECK_MSG(c - a > 0 && c - a <= want + 2, "%u of %f", c - a, want);
	ATF_CHECK(c - a >= 0.02 * 3579545 - 2);
	bench_free(&b);
}

/* ---- clock */

static int
bcd(struct dev_ports *t, unsigned index)
{
	uint32_t v;

	dev_ports_write(t, 0x70, 1, index | 0x80);
	v = dev_ports_read(t, 0x71, 1);
	ATF_CHECK((v & 15) <= 9 && v >> 4 <= 9);
	return ((int)(v >> 4) * 10 + (int)(v & 15));
}

TEST(clock, "the clock has the time in UTC, and memory beside it")
{
	struct dev_ports t = { .n = 0 };
	struct dev_rtc *r = dev_rtc_create();
	time_t before, after, got;
	struct tm tm;

	ATF_REQUIRE(r != NULL);
	ATF_REQUIRE_EQ(0, dev_rtc_ports(r, &t));
	do {			/* not while it changes */
		before = time(NULL);
		memset(&tm, 0, sizeof(tm));
		tm.tm_sec = bcd(&t, 0);
		tm.tm_min = bcd(&t, 2);
		tm.tm_hour = bcd(&t, 4);
		tm.tm_mday = bcd(&t, 7);
		tm.tm_mon = bcd(&t, 8) - 1;
		tm.tm_year = bcd(&t, 9) + 100 * bcd(&t, 0x32) - 1900;
		after = time(NULL);
	} while (before != after);
	got = timegm(&tm);
	ATF_CHECK_EQ(before, got);
	ATF_CHECK_EQ(tm.tm_wday + 1, bcd(&t, 6));
	dev_ports_write(&t, 0x70, 1, 0x0d);
	ATF_CHECK_EQ(0x80, dev_ports_read(&t, 0x71, 1));
	dev_ports_write(&t, 0x70, 1, 0x0a);
	ATF_CHECK_EQ(0, dev_ports_read(&t, 0x71, 1) & 0x80);
	dev_ports_write(&t, 0x70, 1, 0x7f);
	dev_ports_write(&t, 0x71, 1, 0xa5);
	ATF_CHECK_EQ(0xa5, dev_ports_read(&t, 0x71, 1));
	dev_rtc_destroy(r);
}

/* ---- I/O APIC */

struct wires {
	struct dev_message last;
	unsigned	sent;
	struct dev_message route[PLAT_IOAPIC_PINS];
	unsigned	told;
};

static void
on_send(void *arg, const struct dev_message *m)
{
	struct wires *w = arg;

	w->last = *m;
	w->sent++;
}

static void
on_routes(void *arg, const struct dev_message *m, unsigned n)
{
	struct wires *w = arg;

	ATF_REQUIRE_EQ(PLAT_IOAPIC_PINS, n);
	memcpy(w->route, m, sizeof(w->route));
	w->told++;
}

static void
entry(struct dev_ioapic *a, unsigned pin, uint32_t low, uint32_t high)
{
	dev_ioapic_write(a, 0, 0x10 + 2 * pin + 1);
	dev_ioapic_write(a, 0x10, high);
	dev_ioapic_write(a, 0, 0x10 + 2 * pin);
	dev_ioapic_write(a, 0x10, low);
}

TEST(ioapic, "edges once, levels until they end, nothing when masked")
{
	struct wires w = { .sent = 0 };
	struct dev_ioapic_ops ops = { on_send, on_routes, &w };
	struct dev_ioapic *a = dev_ioapic_create(&ops);
	unsigned i;

	ATF_REQUIRE(a != NULL);
	dev_ioapic_write(a, 0, 1);
	ATF_CHECK_EQ(0x170011, dev_ioapic_read(a, 0x10));
	for (i = 0; i < PLAT_IOAPIC_PINS; i++) {
		dev_ioapic_write(a, 0, 0x10 + 2 * i);
		ATF_CHECK_EQ(0x10000, dev_ioapic_read(a, 0x10));
		dev_ioapic_line(a, i, true);
		dev_ioapic_line(a, i, false);
	}
	ATF_CHECK_EQ(0, w.sent);
	/* An edge: each rise, whatever its end. */
	entry(a, 4, 0x51, 3u << 24);
	dev_ioapic_line(a, 4, true);
	dev_ioapic_line(a, 4, true);
	ATF_CHECK_EQ(1, w.sent);
	ATF_CHECK_EQ(0xfee03000, w.last.address);
	ATF_CHECK_EQ(0x51, w.last.data);
	dev_ioapic_line(a, 4, false);
	dev_ioapic_line(a, 4, true);
	ATF_CHECK_EQ(2, w.sent);
	ATF_CHECK_EQ(0, w.told);
	/* A level that was high before: at once; again after each end. */
	dev_ioapic_line(a, 9, true);
	entry(a, 9, 0x62 | 1 << 15 | 1 << 11, 0);
	ATF_CHECK_EQ(3, w.sent);
	ATF_CHECK_EQ(0xfee00004, w.last.address);
	ATF_CHECK_EQ(0x62 | 1 << 15 | 1 << 14, w.last.data);
	ATF_CHECK(w.told > 0);
	ATF_CHECK_EQ(w.last.data, w.route[9].data);
	ATF_CHECK_EQ(1u << 14, dev_ioapic_read(a, 0x10) & 1u << 14);
	dev_ioapic_eoi(a, 0x51);
	ATF_CHECK_EQ(3, w.sent);
	dev_ioapic_eoi(a, 0x62);
	ATF_CHECK_EQ(4, w.sent);
	dev_ioapic_line(a, 9, false);
	dev_ioapic_eoi(a, 0x62);
	ATF_CHECK_EQ(4, w.sent);
	ATF_CHECK_EQ(0, dev_ioapic_read(a, 0x10) & 1u << 14);
	/* Status bits are not the guest's to write. */
	entry(a, 9, 0x62 | 1 << 15 | 1 << 14 | 1 << 12, 0);
	ATF_CHECK_EQ(0x62 | 1 << 15, dev_ioapic_read(a, 0x10));
	/* Masked while it is high: when it is open again. */
	entry(a, 9, 0x62 | 1 << 15 | 1 << 16, 0);
	ATF_CHECK_EQ(0, w.route[9].data);
	dev_ioapic_line(a, 9, true);
	ATF_CHECK_EQ(4, w.sent);
	entry(a, 9, 0x62 | 1 << 15, 0);
	ATF_CHECK_EQ(5, w.sent);
	/* Beyond the table. */
	dev_ioapic_line(a, PLAT_IOAPIC_PINS, true);
	dev_ioapic_line(a, UINT32_MAX, true);
	for (i = 0x10 + 2 * PLAT_IOAPIC_PINS; i < 0x100; i++) {
		dev_ioapic_write(a, 0, i);
		dev_ioapic_write(a, 0x10, 0x33);
		ATF_CHECK_EQ(0, dev_ioapic_read(a, 0x10));
	}
	ATF_CHECK_EQ(5, w.sent);
	ATF_CHECK_EQ(0, dev_ioapic_read(a, 0x20));
	dev_ioapic_destroy(a);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, ports);
	ATF_TP_ADD_TC(tp, uart_output);
	ATF_TP_ADD_TC(tp, uart_input);
	ATF_TP_ADD_TC(tp, uart_registers);
	ATF_TP_ADD_TC(tp, power);
	ATF_TP_ADD_TC(tp, timer);
	ATF_TP_ADD_TC(tp, clock);
	ATF_TP_ADD_TC(tp, ioapic);
	return (atf_no_error());
}
