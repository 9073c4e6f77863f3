/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * Builds the ACPI tables.  The DSDT is compiled by iasl when hvk is built; what
 * differs from guest to guest reaches it through a small block at the start.
 * Facts: the ACPI specification, 6.5, chapter 5.
 */
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <hvk/acpi.h>
#include <hvk/boot.h>

#include "dsdt.hex"		/* dsdt_aml_code[] */

#define	MAXCPU		254u
#define	ALIGN		64u		/* FACS wants it; for all */

#define	FADT_FIXED	(1u << 0 | 1u << 2 | 1u << 5 | 1u << 6 | 1u << 8 | \
	    1u << 10)	/* WBINVD, C1, no sleep button, no RTC wake, 32-bit */
			/* timer, reset register */
#define	IAPC_LEGACY	(1u << 0)
#define	IAPC_NO_VGA	(1u << 2)
#define	IAPC_NO_RTC	(1u << 5)
#define	MADT_PCAT	(1u << 0)
#define	INTI_LEVEL_HIGH	0x000du
#define	GAS_IO		1u

struct header {
	char		signature[4];
	uint32_t	length;
	uint8_t		revision;
	uint8_t		checksum;
	char		oem[6];
	char		oem_table[8];
	uint32_t	oem_revision;
	char		creator[4];
	uint32_t	creator_revision;
} __attribute__((packed));
static_assert(sizeof(struct header) == 36, "ACPI header");

/* dsdt.asl, field INFO. */
struct info {
	uint32_t	low_start;
	uint32_t	low_size;
	uint64_t	high_start;
	uint64_t	high_size;
	uint32_t	legacy;
} __attribute__((packed));

struct rsdp {
	char		signature[8];
	uint8_t		checksum;
	char		oem[6];
	uint8_t		revision;
	uint32_t	rsdt;
	uint32_t	length;
	uint64_t	xsdt;
	uint8_t		checksum_all;
	uint8_t		reserved[3];
} __attribute__((packed));
static_assert(sizeof(struct rsdp) == 36, "RSDP");

struct gas {
	uint8_t		space;
	uint8_t		bits;
	uint8_t		offset;
	uint8_t		access;
	uint64_t	address;
} __attribute__((packed));

struct fadt {
	struct header	h;
	uint32_t	facs;
	uint32_t	dsdt;
	uint8_t		reserved;
	uint8_t		profile;
	uint16_t	sci;
	uint32_t	smi_cmd;
	uint8_t		acpi_enable, acpi_disable, s4bios, pstate;
	uint32_t	pm1a_evt, pm1b_evt, pm1a_cnt, pm1b_cnt, pm2_cnt;
	uint32_t	pm_tmr, gpe0, gpe1;
	uint8_t		pm1_evt_len, pm1_cnt_len, pm2_cnt_len, pm_tmr_len;
	uint8_t		gpe0_len, gpe1_len, gpe1_base, cst;
	uint16_t	c2_latency, c3_latency, flush_size, flush_stride;
	uint8_t		duty_offset, duty_width, day_alarm, month_alarm;
	uint8_t		century;
	uint16_t	iapc;
	uint8_t		reserved2;
	uint32_t	flags;
	struct gas	reset;
	uint8_t		reset_value;
	uint16_t	arm;
	uint8_t		minor;
	uint64_t	x_facs, x_dsdt;
	struct gas	x_pm1a_evt, x_pm1b_evt, x_pm1a_cnt, x_pm1b_cnt;
	struct gas	x_pm2_cnt, x_pm_tmr, x_gpe0, x_gpe1;
	struct gas	sleep_control, sleep_status;
} __attribute__((packed));
static_assert(sizeof(struct fadt) == 268, "FADT of ACPI 5");

struct facs {
	char		signature[4];
	uint32_t	length;
	uint32_t	hardware;
	uint32_t	waking;
	uint32_t	lock;
	uint32_t	flags;
	uint64_t	x_waking;
	uint8_t		version;
	uint8_t		reserved[31];
} __attribute__((packed));
static_assert(sizeof(struct facs) == 64, "FACS");

struct madt_head {
	struct header	h;
	uint32_t	lapic;
	uint32_t	flags;
} __attribute__((packed));

struct madt_lapic {
	uint8_t		type, length, processor, id;
	uint32_t	flags;
} __attribute__((packed));

struct madt_ioapic {
	uint8_t		type, length, id, reserved;
	uint32_t	address;
	uint32_t	base;
} __attribute__((packed));

struct madt_override {
	uint8_t		type, length, bus, irq;
	uint32_t	gsi;
	uint16_t	flags;
} __attribute__((packed));

struct madt_nmi {
	uint8_t		type, length, processor;
	uint16_t	flags;
	uint8_t		lint;
} __attribute__((packed));

struct out {
	uint8_t		*buf;
	size_t		len;
	size_t		used;
	uint64_t	base;
	bool		full;
};

static int fail(char *, size_t, int, const char *, ...)
    __attribute__((format(printf, 4, 5)));

static int
fail(char *err, size_t errlen, int ret, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, errlen, fmt, ap);
	va_end(ap);
	return (ret);
}

static uint8_t
checksum(const void *p, size_t len)
{
	const uint8_t *b = p;
	uint8_t sum = 0;
	size_t i;

	for (i = 0; i < len; i++)
		sum = (uint8_t)(sum + b[i]);
	return ((uint8_t)-sum);
}

static void
header(struct header *h, const char *signature, size_t len, uint8_t revision)
{

	memcpy(h->signature, signature, 4);
	h->length = (uint32_t)len;
	h->revision = revision;
	memcpy(h->oem, "HVKIT ", 6);
	memcpy(h->oem_table, "HVKVM   ", 8);
	h->oem_revision = 1;
	memcpy(h->creator, "HVK ", 4);
	h->creator_revision = 1;
}

/* Append a block, aligned; its guest address. */
static uint64_t
put(struct out *o, const void *p, size_t len)
{
	size_t at = (o->used + ALIGN - 1) / ALIGN * ALIGN;

	if (at > o->len || len > o->len - at) {
		o->full = true;
		return (0);
	}
	memcpy(o->buf + at, p, len);
	o->used = at + len;
	return (o->base + at);
}

static struct gas
io(uint32_t port, uint8_t bytes)
{

	return ((struct gas){ .space = GAS_IO, .bits = (uint8_t)(bytes * 8),
	    .access = bytes == 4 ? 3 : bytes, .address = port });
}

static uint64_t
put_fadt(struct out *o, const struct acpi_config *c, uint64_t facs,
    uint64_t dsdt)
{
	struct fadt f;

	memset(&f, 0, sizeof(f));
	header(&f.h, "FACP", sizeof(f), 5);
	f.facs = (uint32_t)facs;
	f.dsdt = (uint32_t)dsdt;
	f.x_dsdt = dsdt;
	f.sci = PLAT_SCI_IRQ;
	f.pm1a_evt = PLAT_PM1_EVT;
	f.pm1_evt_len = 4;
	f.pm1a_cnt = PLAT_PM1_CNT;
	f.pm1_cnt_len = 2;
	f.pm_tmr = PLAT_PM_TMR;
	f.pm_tmr_len = 4;
	f.c2_latency = 0xfff;		/* there is no C2, no C3 */
	f.c3_latency = 0xfff;
	f.iapc = IAPC_NO_VGA;
	f.iapc |= c->legacy ? IAPC_LEGACY : IAPC_NO_RTC;
	f.flags = FADT_FIXED;
	f.reset = io(PLAT_RESET, 1);
	f.reset_value = PLAT_RESET_VALUE;
	f.minor = 1;
	f.x_pm1a_evt = io(PLAT_PM1_EVT, 4);
	f.x_pm1a_cnt = io(PLAT_PM1_CNT, 2);
	f.x_pm_tmr = io(PLAT_PM_TMR, 4);
	f.h.checksum = checksum(&f, sizeof(f));
	return (put(o, &f, sizeof(f)));
}

static uint64_t
put_madt(struct out *o, const struct acpi_config *c)
{
	struct {
		uint8_t		b[sizeof(struct madt_head) + MAXCPU *
		    sizeof(struct madt_lapic) + sizeof(struct madt_ioapic) +
		    sizeof(struct madt_override) + sizeof(struct madt_nmi)];
	} m;
	struct madt_head head;
	struct madt_lapic cpu = { 0, sizeof(cpu), 0, 0, 1 };
	struct madt_ioapic ioapic = { 1, sizeof(ioapic), 0, 0,
	    (uint32_t)PLAT_IOAPIC, 0 };
	struct madt_override sci = { 2, sizeof(sci), 0, PLAT_SCI_IRQ,
	    PLAT_SCI_IRQ, INTI_LEVEL_HIGH };
	struct madt_nmi nmi = { 4, sizeof(nmi), 0xff, 0, 1 };
	size_t n = sizeof(head);
	uint32_t i;

	for (i = 0; i < c->ncpus; i++, n += sizeof(cpu)) {
		cpu.processor = (uint8_t)i;
		cpu.id = (uint8_t)i;
		memcpy(m.b + n, &cpu, sizeof(cpu));
	}
	memcpy(m.b + n, &ioapic, sizeof(ioapic));
	n += sizeof(ioapic);
	memcpy(m.b + n, &sci, sizeof(sci));
	n += sizeof(sci);
	memcpy(m.b + n, &nmi, sizeof(nmi));
	n += sizeof(nmi);
	memset(&head, 0, sizeof(head));
	header(&head.h, "APIC", n, 4);
	head.lapic = (uint32_t)PLAT_LAPIC;
	head.flags = c->legacy ? MADT_PCAT : 0;
	memcpy(m.b, &head, sizeof(head));
	head.h.checksum = checksum(m.b, n);
	memcpy(m.b, &head, sizeof(head));
	return (put(o, m.b, n));
}

static uint64_t
put_xsdt(struct out *o, uint64_t fadt, uint64_t madt)
{
	struct {
		struct header	h;
		uint64_t	table[2];
	} __attribute__((packed)) x;

	memset(&x, 0, sizeof(x));
	header(&x.h, "XSDT", sizeof(x), 1);
	x.table[0] = fadt;
	x.table[1] = madt;
	x.h.checksum = checksum(&x, sizeof(x));
	return (put(o, &x, sizeof(x)));
}

/* The block that dsdt.asl reads.  The window ends below the IOAPIC. */
static int
info(const struct acpi_config *c, struct info *i, char *err, size_t errlen)
{
	uint64_t end = c->low.start + c->low.size;

	if (end > PLAT_IOAPIC)
		end = PLAT_IOAPIC;
	if (c->low.size > 1ull << 32 || c->low.start < 1u << 20 ||
	    c->low.start >= end)
		return (fail(err, errlen, -EINVAL, "an MMIO gap of %llu MiB "
		    "at %#llx has no room below %#llx",
		    (unsigned long long)(c->low.size >> 20),
		    (unsigned long long)c->low.start,
		    (unsigned long long)PLAT_IOAPIC));
	if (c->high.size != 0 && (c->high.start < 1ull << 32 ||
	    c->high.start + c->high.size < c->high.start))
		return (fail(err, errlen, -EINVAL, "an MMIO window of %llu MiB "
		    "at %#llx is not above 4 GiB",
		    (unsigned long long)(c->high.size >> 20),
		    (unsigned long long)c->high.start));
	memset(i, 0, sizeof(*i));
	i->low_start = (uint32_t)c->low.start;
	i->low_size = (uint32_t)(end - c->low.start);
	i->high_start = c->high.start;
	i->high_size = c->high.size;
	i->legacy = c->legacy;
	return (0);
}

int
acpi_build(const struct acpi_config *c, uint8_t *buf, size_t len,
    uint64_t *rsdp, char *err, size_t errlen)
{
	struct out o = { .buf = buf, .len = len, .base = c->base };
	struct rsdp r = { .signature = { 'R', 'S', 'D', ' ', 'P', 'T', 'R',
	    ' ' }, .oem = { 'H', 'V', 'K', 'I', 'T', ' ' }, .revision = 2,
	    .length = sizeof(r) };
	struct facs facs = { .signature = { 'F', 'A', 'C', 'S' },
	    .length = sizeof(facs), .version = 2 };
	struct info i;
	uint64_t dsdt, fadt, madt;
	size_t at;
	int error;

	if (c->ncpus == 0 || c->ncpus > MAXCPU)
		return (fail(err, errlen, -EINVAL, "%u processors: 1 to %u",
		    c->ncpus, MAXCPU));
	error = info(c, &i, err, errlen);
	if (error != 0)
		return (error);
	put(&o, &i, sizeof(i));
	/* The RSDP is found by its address or by a search; it comes first. */
	*rsdp = put(&o, &r, sizeof(r));
	at = (size_t)(*rsdp - c->base);
	dsdt = put(&o, dsdt_aml_code, sizeof(dsdt_aml_code));
	fadt = put_fadt(&o, c, put(&o, &facs, sizeof(facs)), dsdt);
	madt = put_madt(&o, c);
	r.xsdt = put_xsdt(&o, fadt, madt);
	if (o.full || c->base + len > 1ull << 32)
		return (fail(err, errlen, -ENOSPC, "%zu bytes at %#llx hold no "
		    "ACPI tables", len, (unsigned long long)c->base));
	r.checksum = checksum(&r, 20);
	r.checksum_all = checksum(&r, sizeof(r));
	memcpy(buf + at, &r, sizeof(r));
	return (0);
}
