/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * The ACPI tables: every pointer and checksum, and what Intel's disassembler
 * and interpreter make of them.
 */
#include <atf-c.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hvk/acpi.h>
#include <hvk/boot.h>

#define	BASE	PLAT_ACPI_BASE

static uint8_t block[PLAT_ACPI_SIZE];
static char err[256];

static struct acpi_config
config(void)
{

	return ((struct acpi_config){ .ncpus = 2, .legacy = true,
	    .base = BASE, .low = { 0xf8000000u, 0x08000000u },
	    .high = { 0x1000000000ull, 1ull << 29 } });
}

static uint64_t
get(const uint8_t *p, unsigned bytes)
{
	uint64_t v = 0;

	memcpy(&v, p, bytes);
	return (v);
}

/* A table by its guest address: signature and checksum are right. */
static const uint8_t *
table(uint64_t gpa, const char *signature)
{
	const uint8_t *p;
	uint64_t len, i;
	uint8_t sum = 0;

	ATF_REQUIRE(gpa >= BASE && gpa + 36 <= BASE + sizeof(block));
	p = block + (gpa - BASE);
	ATF_CHECK_MSG(memcmp(p, signature, 4) == 0, "no %s", signature);
	len = get(p + 4, 4);
	ATF_REQUIRE(gpa + len <= BASE + sizeof(block));
	for (i = 0; i < len; i++)
		sum = (uint8_t)(sum + p[i]);
	ATF_CHECK_MSG(sum == 0, "checksum of %s", signature);
	return (p);
}

static void
save(const char *name, const uint8_t *p)
{
	FILE *f = fopen(name, "w");

	ATF_REQUIRE(f != NULL);
	ATF_REQUIRE_EQ(fwrite(p, 1, get(p + 4, 4), f), get(p + 4, 4));
	fclose(f);
}

struct found {
	const uint8_t	*fadt, *madt, *dsdt;
};

static struct found
build(const struct acpi_config *c)
{
	const uint8_t *p, *x;
	uint8_t sum = 0;
	uint64_t rsdp;
	struct found f;
	unsigned i;

	memset(block, 0, sizeof(block));
	ATF_REQUIRE_EQ_MSG(acpi_build(c, block, sizeof(block), &rsdp, err,
	    sizeof(err)), 0, "%s", err);
	p = block + (rsdp - BASE);
	ATF_CHECK_EQ(rsdp % 16, 0);
	ATF_CHECK_EQ(memcmp(p, "RSD PTR ", 8), 0);
	for (i = 0; i < 20; i++)
		sum = (uint8_t)(sum + p[i]);
	ATF_CHECK_EQ(sum, 0);
	for (sum = 0, i = 0; i < 36; i++)
		sum = (uint8_t)(sum + p[i]);
	ATF_CHECK_EQ(sum, 0);
	x = table(get(p + 24, 8), "XSDT");
	ATF_REQUIRE_EQ(get(x + 4, 4), 36 + 16);
	f.fadt = table(get(x + 36, 8), "FACP");
	f.madt = table(get(x + 44, 8), "APIC");
	f.dsdt = table(get(f.fadt + 140, 8), "DSDT");
	ATF_CHECK_EQ(get(f.fadt + 40, 4), get(f.fadt + 140, 8));
	/* FACS: aligned, no checksum. */
	ATF_CHECK_EQ(get(f.fadt + 36, 4) % 64, 0);
	ATF_CHECK_EQ(memcmp(block + (get(f.fadt + 36, 4) - BASE), "FACS", 4),
	    0);
	return (f);
}

ATF_TC(tables);
ATF_TC_HEAD(tables, tc)
{
	atf_tc_set_md_var(tc, "descr", "FADT and MADT for both profiles and 1 "
	    "to 254 processors");
}
ATF_TC_BODY(tables, tc)
{
	static const uint32_t counts[] = { 1, 2, 64, 254 };
	struct acpi_config c = config();
	struct found f;
	const uint8_t *p;
	unsigned i, k, n;

	for (i = 0; i < 4; i++) {
		c.ncpus = counts[i];
		f = build(&c);
		ATF_CHECK_EQ(get(f.madt + 36, 4), PLAT_LAPIC);
		ATF_CHECK_EQ(get(f.madt + 40, 4), 1);
		for (n = 0, k = 44; k < get(f.madt + 4, 4); k += p[1]) {
			p = f.madt + k;
			ATF_REQUIRE(p[1] != 0);
			if (p[0] == 0) {
				ATF_CHECK_EQ(p[3], n);
				ATF_CHECK_EQ(get(p + 4, 4), 1);
				n++;
			} else if (p[0] == 1)
				ATF_CHECK_EQ(get(p + 4, 4), PLAT_IOAPIC);
			else if (p[0] == 2) {
				ATF_CHECK_EQ(p[3], PLAT_SCI_IRQ);
				ATF_CHECK_EQ(get(p + 4, 4), PLAT_SCI_IRQ);
				ATF_CHECK_EQ(get(p + 8, 2), 0xd);
			}
		}
		ATF_CHECK_EQ(n, counts[i]);
		ATF_CHECK_EQ(k, get(f.madt + 4, 4));
	}
	ATF_CHECK_EQ(get(f.fadt + 46, 2), PLAT_SCI_IRQ);
	ATF_CHECK_EQ(get(f.fadt + 56, 4), PLAT_PM1_EVT);
	ATF_CHECK_EQ(get(f.fadt + 64, 4), PLAT_PM1_CNT);
	ATF_CHECK_EQ(get(f.fadt + 76, 4), PLAT_PM_TMR);
	ATF_CHECK_EQ(get(f.fadt + 120, 8), PLAT_RESET);
	ATF_CHECK_EQ(f.fadt[128], PLAT_RESET_VALUE);
	ATF_CHECK_EQ(get(f.fadt + 109, 2), 5);		/* legacy, no VGA */
	c.legacy = false;
	f = build(&c);
	ATF_CHECK_EQ(get(f.madt + 40, 4), 0);
	ATF_CHECK_EQ(get(f.fadt + 109, 2), 0x24);	/* no RTC, no VGA */
}

ATF_TC(refused);
ATF_TC_HEAD(refused, tc)
{
	atf_tc_set_md_var(tc, "descr", "windows and sizes that cannot be");
}
ATF_TC_BODY(refused, tc)
{
	struct acpi_config c = config();
	uint64_t rsdp;

#define	REFUSED(word) do {						\
	ATF_CHECK(acpi_build(&c, block, sizeof(block), &rsdp, err,	\
	    sizeof(err)) < 0);						\
	ATF_CHECK_MSG(strstr(err, word) != NULL, "%s", err);		\
	c = config();							\
} while (0)
	c.ncpus = 0;
	REFUSED("processors");
	c.ncpus = 255;
	REFUSED("processors");
	c.low.start = PLAT_IOAPIC;
	REFUSED("MMIO gap");
	c.low.size = 0;
	REFUSED("MMIO gap");
	c.low.size = UINT64_MAX;
	REFUSED("MMIO gap");
	c.high.start = 0x80000000u;
	REFUSED("MMIO window");
	c.high.size = UINT64_MAX;
	REFUSED("MMIO window");
	ATF_CHECK_EQ(acpi_build(&c, block, 512, &rsdp, err, sizeof(err)),
	    -ENOSPC);
}

static void
run(const char *cmd)
{
	char line[512];

	snprintf(line, sizeof(line), "%s >out 2>&1", cmd);
	ATF_CHECK_MSG(system(line) == 0, "%s (see below)", cmd);
	if (system("cat out") != 0)
		atf_tc_fail("no output");
}

static void
says(const char *pattern)
{
	char line[512];

	snprintf(line, sizeof(line), "grep -q -E '%s' out", pattern);
	ATF_CHECK_MSG(system(line) == 0, "not said: %s", pattern);
}

ATF_TC(disassembled);
ATF_TC_HEAD(disassembled, tc)
{
	atf_tc_set_md_var(tc, "descr", "iasl reads every table without a "
	    "complaint");
	atf_tc_set_md_var(tc, "require.progs", "iasl");
}
ATF_TC_BODY(disassembled, tc)
{
	struct acpi_config c = config();
	struct found f = build(&c);

	save("fadt.dat", f.fadt);
	save("madt.dat", f.madt);
	save("dsdt.dat", f.dsdt);
	run("iasl -d fadt.dat && cat fadt.dsl");
	says("PM Timer Block Address : 00000608");
	says("SCI Interrupt : 0009");
	says("Reset Register Supported .V2. : 1");
	run("iasl -d madt.dat && cat madt.dsl");
	says("PC-AT Compatibility : 1");
	says("Local Apic ID : 01");
	says("Source : 09");
	run("iasl -d dsdt.dat && cat dsdt.dsl");
	says("Device \\(VMBS\\)");
	says("\"VMBUS\"");
	says("Name \\(_S5, Package");
	says("EisaId \\(\"PNP0501\"\\)");
}

ATF_TC(interpreted);
ATF_TC_HEAD(interpreted, tc)
{
	atf_tc_set_md_var(tc, "descr", "the interpreter's _CRS has the windows "
	    "that the block names, its _S5 the platform's type");
	atf_tc_set_md_var(tc, "require.progs", "acpiexec");
}
ATF_TC_BODY(interpreted, tc)
{
	struct acpi_config c = config();
	struct found f = build(&c);

	save("dsdt.dat", f.dsdt);
	/* Every byte of the block reads as 0x31 here. */
	run("acpiexec -fv 0x31 -b 'resources \\_SB.VMOD' dsdt.dat");
	says("Address Minimum : *0*31313131");
	says("Address Maximum : *0*62626261");
	says("Address Length : *0*31313131");
	says("Address Minimum : 3131313131313131");
	says("Address Maximum : 6262626262626261");
	run("acpiexec -fv 0x31 -b 'execute \\_SB.RTC._STA' dsdt.dat");
	says("Integer.*0000000F");
	run("acpiexec -fv 0 -b 'execute \\_SB.RTC._STA' dsdt.dat");
	says("Integer.*= 0+$");
	run("acpiexec -b 'execute \\_SB.VMOD.VMBS._HID' dsdt.dat");
	says("VMBUS");
	run("acpiexec -b 'execute \\_S5' dsdt.dat");
	says("Integer.*= 0+5$");
	ATF_CHECK_EQ(PLAT_S5_TYPE, 5);
	/* And the block that a kernel will read. */
	ATF_CHECK_EQ(get(block, 4), 0xf8000000u);
	ATF_CHECK_EQ(get(block + 4, 4), PLAT_IOAPIC - 0xf8000000u);
	ATF_CHECK_EQ(get(block + 8, 8), 0x1000000000ull);
	ATF_CHECK_EQ(get(block + 16, 8), 1ull << 29);
	ATF_CHECK_EQ(get(block + 24, 4), 1);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, tables);
	ATF_TP_ADD_TC(tp, refused);
	ATF_TP_ADD_TC(tp, disassembled);
	ATF_TP_ADD_TC(tp, interpreted);
	return (atf_no_error());
}
