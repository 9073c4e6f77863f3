/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * kldrun_test.c: runs kldrun with the module kldtest.ko and looks at what it
 * prints and how it ends.
 */

#include <atf-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static char output[65536];
static const char *variant = "";	/* or "-asan" */

/* Runs kldrun with arguments; its exit status, its output in `output`. */
static int
kldrun(const char *args)
{
	char cmd[2048];
	size_t n;
	FILE *f;
	int status;

	snprintf(cmd, sizeof(cmd), "timeout 200 %s%s %s 2>&1", KLDRUN, variant,
	    args);
	f = popen(cmd, "r");
	ATF_REQUIRE(f != NULL);
	n = fread(output, 1, sizeof(output) - 1, f);
	output[n] = '\0';
	status = pclose(f);
	ATF_REQUIRE_MSG(WIFEXITED(status), "kldrun died: %s", output);
	return (WEXITSTATUS(status));
}

static void
expect(const char *text)
{
	ATF_CHECK_MSG(strstr(output, text) != NULL, "no '%s' in:\n%s", text,
	    output);
}

#define	MODE(m)	"--once --env hw.kldtest.mode=" m " " MODDIR "/kldtest.ko"
#define	CASE(name, text)						\
ATF_TC(name);								\
ATF_TC_HEAD(name, tc)							\
{									\
	atf_tc_set_md_var(tc, "descr", text);				\
}									\
ATF_TC_BODY(name, tc)

static void
expect_checks(void)
{
	expect("kldtest0: <kldrun test device> on nexus0\n");
	expect("kldtest0: locks ok\n");
	expect("kldtest0: callout ok\n");
	expect("kldtest0: taskqueue ok\n");
	expect("kldtest0: rendezvous ok\n");
	expect("kldtest0: malloc ok\n");
	expect("kldtest0: busdma ok\n");
	expect("kldtest0: detached\n");
	expect("kldrun: nothing leaked: ");
}

CASE(interfaces, "Each kernel interface does what a module expects of it")
{
	ATF_CHECK_EQ(0, kldrun("--once " MODDIR "/kldtest.ko"));
	expect_checks();
}

CASE(one_cpu, "The same on a machine with one CPU")
{
	ATF_CHECK_EQ(0, kldrun("--once --cpus 1 " MODDIR "/kldtest.ko"));
	expect_checks();
}

CASE(bounce, "The same with every busdma load through bounce pages")
{
	ATF_CHECK_EQ(0, kldrun("--once --bounce " MODDIR "/kldtest.ko"));
	expect_checks();
}

CASE(leak, "Memory that a module keeps is named, with its caller")
{
	ATF_CHECK_EQ(5, kldrun(MODE("leak")));
	expect("1 allocation         100 bytes by kldtest.ko`");
	expect("kldrun: leaked: 1 of ");
}

CASE(kept, "Memory kept on purpose, as a note says, is told apart from leaks")
{
	ATF_CHECK_EQ(0, kldrun(MODE("kept")));
	expect("kldrun: kept: 3 pages the host may still hold\n");
	expect("kldrun: nothing leaked: ");
}

CASE(overrun, "A write past the end of an allocation is a panic at free")
{
	ATF_CHECK_EQ(3, kldrun(MODE("overrun")));
	expect("was written past its end; 100 bytes allocated by kldtest.ko`");
}

CASE(double_free, "A second free is a panic")
{
	ATF_CHECK_EQ(3, kldrun(MODE("doublefree")));
	expect("is free already");
}

CASE(recurse, "A mutex that is not recursive panics when locked twice")
{
	ATF_CHECK_EQ(3, kldrun(MODE("recurse")));
	expect("panic: mutex kldtest is not recursive and already held");
	expect("at kldtest.ko`kldtest_attach");
}

CASE(sleep_locked, "Sleeping with a mutex held is a panic")
{
	ATF_CHECK_EQ(3, kldrun(MODE("sleep")));
	expect("with non-sleepable lock \"kldtest\" held");
}

CASE(fault, "A wild pointer is a panic that names module and function")
{
	ATF_CHECK_EQ(3, kldrun(MODE("null")));
	expect("panic: page fault\n");
	expect("at kldtest.ko`kldtest_attach");
}

CASE(msr, "An MSR of Hyper-V faults where there is no Hyper-V")
{
	ATF_CHECK_EQ(3, kldrun(MODE("msr")));
	expect("panic: general protection fault\n");
}

CASE(asan, "A module built with AddressSanitizer is caught in the act")
{
	variant = "-asan";
	ATF_CHECK_EQ(0, kldrun("--once " MODDIR "/asan.ko"));
	expect_checks();
	ATF_CHECK_EQ(66, kldrun("--once --env hw.kldtest.mode=overrun " MODDIR
	    "/asan.ko"));
	expect("ERROR: AddressSanitizer: ");
	expect("WRITE of size 1");
}

CASE(missing_symbol, "An import that kldrun lacks is one line with its name")
{
	ATF_CHECK_EQ(2, kldrun("--once " MODDIR "/missing.ko"));
	ATF_CHECK_STREQ("kldrun: missing.ko needs 'kldtest_nobody_has_this', "
	    "which kldrun does not provide\n", output);
}

CASE(missing_module, "A dependency that is not there is refused")
{
	ATF_CHECK_EQ(2, kldrun("--once " MODDIR "/depends.ko"));
	expect("KLD depends.ko: depends on kldtest_other - not available");
}

CASE(not_a_module, "A file that is no module is refused in one line")
{
	ATF_CHECK_EQ(2, kldrun("--once /etc/passwd"));
	expect("kldrun: /etc/passwd: is not a FreeBSD amd64 kernel module\n");
	ATF_CHECK_EQ(2, kldrun("--once /nonexistent.ko"));
	expect("kldrun: cannot open /nonexistent.ko: No such file");
}

CASE(truncated, "A module cut off anywhere is refused, never a crash")
{
	char args[512];
	int i, status;

	for (i = 1; i < 20; i++) {
		snprintf(args, sizeof(args), "--help >/dev/null; head -c "
		    "$(($(stat -c %%s %s/kldtest.ko) * %d / 20)) %s/kldtest.ko "
		    ">cut.ko; %s --once cut.ko", MODDIR, i, MODDIR, KLDRUN);
		status = kldrun(args);
		ATF_CHECK_MSG(status == 2, "cut at %d/20: status %d: %s", i,
		    status, output);
	}
}

CASE(sysctl, "kldrun sysctl reads and sets; devices shows the tree")
{
	ATF_REQUIRE_EQ(0, system(KLDRUN " --dir d "
	    MODDIR "/kldtest.ko >log 2>&1 & echo $! >pid; for i in $(seq 600);"
	    " do test -S d/kld.sock && break; sleep 0.1; done"));
	ATF_CHECK_EQ(0, kldrun("--dir d sysctl hw.kldtest.number"));
	ATF_CHECK_STREQ("hw.kldtest.number: 7\n", output);
	ATF_CHECK_EQ(0, kldrun("--dir d sysctl hw.kldtest.number=42"));
	ATF_CHECK_STREQ("hw.kldtest.number: 42\n", output);
	ATF_CHECK_EQ(0, kldrun("--dir d sysctl dev.kldtest.0.%desc"));
	ATF_CHECK_STREQ("dev.kldtest.0.%desc: kldrun test device\n", output);
	ATF_CHECK_EQ(1, kldrun("--dir d sysctl hw.nothing"));
	expect("unknown oid 'hw.nothing'");
	ATF_CHECK_EQ(0, kldrun("--dir d devices"));
	expect("nexus0\n  kldtest0 <kldrun test device>\n");
	ATF_CHECK_EQ(0, system("kill -TERM $(cat pid); for i in $(seq 600); do "
	    "kill -0 $(cat pid) 2>/dev/null || break; sleep 0.1; done; "
	    "grep -q 'nothing leaked' log"));
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, interfaces);
	ATF_TP_ADD_TC(tp, one_cpu);
	ATF_TP_ADD_TC(tp, bounce);
	ATF_TP_ADD_TC(tp, leak);
	ATF_TP_ADD_TC(tp, kept);
	ATF_TP_ADD_TC(tp, overrun);
	ATF_TP_ADD_TC(tp, double_free);
	ATF_TP_ADD_TC(tp, recurse);
	ATF_TP_ADD_TC(tp, sleep_locked);
	ATF_TP_ADD_TC(tp, fault);
	ATF_TP_ADD_TC(tp, msr);
	ATF_TP_ADD_TC(tp, asan);
	ATF_TP_ADD_TC(tp, missing_symbol);
	ATF_TP_ADD_TC(tp, missing_module);
	ATF_TP_ADD_TC(tp, not_a_module);
	ATF_TP_ADD_TC(tp, truncated);
	ATF_TP_ADD_TC(tp, sysctl);
	return (atf_no_error());
}
