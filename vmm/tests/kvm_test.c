/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * The kvm engine with a guest of a few instructions (kvm_guest.c), which needs
 * no more of KVM than that it is there: registers, hypercalls, messages,
 * timers by the model in user space; bad kernels; the ways in which a guest
 * ends.  Stock kernels are tests/kernels' business.
 */
#include <sys/stat.h>
#include <sys/wait.h>

#include <atf-c.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define	HVK	HVK_BUILD "/bin/hvk"
#define	GUEST	HVK_BUILD "/tests/vmm/kvm_guest"

#define	TEST(name, descr)						\
	ATF_TC(name);							\
	ATF_TC_HEAD(name, tc) { atf_tc_set_md_var(tc, "descr", descr);	\
	    atf_tc_set_md_var(tc, "timeout", "300"); }			\
	ATF_TC_BODY(name, tc)
#define	FEATURE_TEST(name, descr, feature)				\
	ATF_TC(name);							\
	ATF_TC_HEAD(name, tc) { atf_tc_set_md_var(tc, "descr", descr);	\
	    atf_tc_set_md_var(tc, "timeout", "300");			\
	    atf_tc_set_md_var(tc, "X-engine", "bare");			\
	    atf_tc_set_md_var(tc, "X-feature", feature); }		\
	ATF_TC_BODY(name, tc)

static char out[262144];

static void
need_kvm(void)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		atf_tc_skip("cannot open /dev/kvm: %s", strerror(errno));
	close(fd);
}

static void
slurp(const char *path)
{
	FILE *f = fopen(path, "re");
	size_t n;

	ATF_REQUIRE_MSG(f != NULL, "%s: %s", path, strerror(errno));
	n = fread(out, 1, sizeof(out) - 1, f);
	out[n] = '\0';
	fclose(f);
}

/* What hvk said is in `out`, its status is returned. */
static int
shell(const char *cmd)
{
	int status;

	printf("%s\n", cmd);
	status = system(cmd);
	slurp("all.txt");
	printf("%s", out);
	ATF_REQUIRE(WIFEXITED(status));
	return (WEXITSTATUS(status));
}

static int
hvk_run(const char *args)
{
	char cmd[2048];

	snprintf(cmd, sizeof(cmd), "timeout 200 %s run --dir $PWD/vm %s "
	    ">out.txt 2>err.txt </dev/null; s=$?; cat out.txt err.txt "
	    ">all.txt; exit $s", HVK, args);
	return (shell(cmd));
}

/* It is asked to stop once it, or the guest, has said `text` (two minutes at most). */
static int
hvk_run_until(const char *args, const char *text)
{
	char cmd[2048];

	snprintf(cmd, sizeof(cmd), "rm -f out.txt err.txt; %s run --dir $PWD/vm "
	    "%s >out.txt 2>err.txt </dev/null & p=$!; n=0; "
	    "until grep -qs '%s' out.txt err.txt || [ $n = 1200 ]; do "
	    "sleep 0.1; n=$((n + 1)); done; "
	    "kill -TERM $p; wait $p; s=$?; cat out.txt err.txt >all.txt; "
	    "exit $s", HVK, args, text);
	return (shell(cmd));
}

static bool
said(const char *text)
{
	return (strstr(out, text) != NULL);
}

/* The guest's own checks: all of them good, and it came to its end. */
static void
checks(const char *word, const char *more, unsigned least, const char *id)
{
	char args[512];
	const char *s;
	unsigned good = 0;

	need_kvm();
	snprintf(args, sizeof(args), "--kernel %s --cmdline %s --memory 64M "
	    "--cpus 1 -o kvm.synic=user %s", GUEST, word, more);
	ATF_CHECK_EQ(0, hvk_run(args));
	slurp("out.txt");
	ATF_CHECK_MSG(strstr(out, "bad ") == NULL, "a check fails");
	for (s = out; (s = strstr(s, "ok ")) != NULL; s += 3)
		good++;
	ATF_CHECK_MSG(good >= least, "%u checks of %u", good, least);
	ATF_CHECK(said("done\n"));
	if (id != NULL)
		printf("figure: %s %u checks\n", id, good);
	slurp("all.txt");
}

TEST(registers, "synthetic registers: values, faults, pages that are "
    "refused by name")
{
	checks("registers", "", 28, NULL);
	ATF_CHECK(said("refused, its page is outside memory"));
	ATF_CHECK(said("refused, another register has that page"));
	ATF_CHECK(said("refused, the register cannot be written"));
	ATF_CHECK(said("the guest switched itself off"));
}

TEST(hypercalls, "hypercalls: each mistake has its status")
{
	checks("hypercalls", "", 11, NULL);
}

TEST(messages, "contact and offers, with an explicit end of interrupt")
{
	checks("vmbus", "", 9, NULL);
	ATF_CHECK(said("guest speaks VMBus 4.0"));
}

TEST(auto_eoi, "contact and offers, with interrupts that end themselves")
{
	checks("autoeoi", "-o hyperv.autoeoi=yes", 10, NULL);
	ATF_CHECK(said("guest speaks VMBus 4.0"));
}

FEATURE_TEST(timers, "synthetic timers: direct and by message", "core.time")
{
	checks("timers", "", 13, "core.time");
}

TEST(no_timers, "timers that are not offered do not exist")
{
	need_kvm();
	(void)hvk_run_until("--kernel " GUEST " --cmdline timers --memory 64M "
	    "--cpus 1 -o kvm.synic=user -o kvm.stimers=no", "bad periodic");
	slurp("out.txt");
	ATF_CHECK(said("bad periodic"));
}

TEST(flood, "messages without end and without sense; then the bus answers")
{
	checks("flood", "", 9, NULL);
	ATF_CHECK(said("more of these are only counted"));
}

FEATURE_TEST(gap, "there is no memory in the MMIO gap and none beyond memory",
    "core.mmiogap")
{
	checks("nothing", "--mmio-gap 1G", 4, "core.mmiogap");
	/* The same address is memory when the gap begins above it. */
	ATF_CHECK_EQ(0, hvk_run("--kernel " GUEST " --cmdline nothing "
	    "--memory 3400M --mmio-gap 512M --cpus 1"));
	ATF_CHECK(said("bad no-memory\n"));
}

FEATURE_TEST(crash, "the guest's last words are kept; a text outside memory is "
    "none", "core.crash")
{
	checks("crash", "", 2, "core.crash");
	ATF_CHECK(said("the guest reports a crash: kernel panic: on purpose "
	    "(0x1111 "));
	ATF_CHECK(said("the guest reports a crash: no text"));
	ATF_CHECK(said("10 crash reports: no more of them are reported"));
	slurp("vm/crash.txt");
	ATF_CHECK_STREQ("first line\nkernel panic: on purpose\n", out);
}

/* Commands while a guest waits: $HVK ctl, then its end. */
static int
hvk_ctl_while(const char *word, const char *more, const char *commands)
{
	char cmd[2048];

	snprintf(cmd, sizeof(cmd), "rm -f out.txt; " HVK
	    " run --dir $PWD/vm --kernel " GUEST
	    " --cmdline %s --memory 64M --cpus 2 -o kvm.synic=user %s "
	    "-o reboot=no >out.txt 2>err.txt </dev/null & p=$!; n=0; "
	    "until grep -qs ready out.txt || [ $n = 1200 ]; do sleep 0.1; "
	    "n=$((n + 1)); done; hvk() { " HVK " ctl --dir $PWD/vm \"$@\"; }; "
	    "{ %s; } >ctl.txt 2>&1; wait $p; s=$?; cat out.txt err.txt ctl.txt "
	    ">all.txt; exit $s", word, more, commands);
	return (shell(cmd));
}

FEATURE_TEST(nmi, "hvk ctl nmi reaches a guest whose interrupts are off",
    "core.nmi")
{
	need_kvm();
	ATF_CHECK_EQ(0, hvk_ctl_while("NMI", "", "hvk nmi"));
	ATF_CHECK(said("ok nmi\ndone\n"));
	printf("figure: core.nmi 1 delivered\n");
}

TEST(commands, "what hvk ctl says and does on this engine")
{
	need_kvm();
	ATF_CHECK_EQ(4, hvk_ctl_while("NMI", "", "hvk info; hvk channels; "
	    "hvk reset"));
	ATF_CHECK(said("engine             kvm"));
	ATF_CHECK(said("synic              user"));
	ATF_CHECK(said("profile            legacy"));
	ATF_CHECK(said(GUEST "\n"));
	ATF_CHECK(said("reset by hvk ctl; it is not started again"));
	/* Nobody answers it, and nobody listens to the power button. */
	ATF_CHECK_EQ(0, hvk_ctl_while("NMI", "", "hvk shutdown"));
	ATF_CHECK(said("the guest does not listen to its power button"));
}

static void
lines(const char *word, const char *more)
{
	need_kvm();
	ATF_CHECK_EQ(0, hvk_ctl_while(word, more, "hvk shutdown"));
	/* All else went well, but the level was told only once. */
	if (*more != '\0' && said("bad level\n    want 0x2, got 0x1\nok button"))
		atf_tc_skip("this KVM does not report the end of interrupts");
	ATF_CHECK(!said("bad "));
	ATF_CHECK(said("the power button is pressed"));
	ATF_CHECK(said("ok button\ndone\n"));
}

TEST(lines, "an edge from the serial port, a level from the power button")
{
	lines("lines", "");
}

TEST(lines_gen2, "the same with our own I/O APIC; no PIC, no clock")
{
	lines("gen2", "--gen2");
	ATF_CHECK(said("ok pic\n"));
}

TEST(reset, "a reset starts again, or ends with status 4; a triple fault ends "
    "with 3")
{
	need_kvm();
	ATF_CHECK_EQ(4, hvk_run("--kernel " GUEST " --cmdline Reset --memory "
	    "64M --cpus 1 -o kvm.synic=user -o reboot=no"));
	ATF_CHECK(said("the guest was reset; it is not started again"));
	ATF_CHECK_EQ(3, hvk_run("--kernel " GUEST " --cmdline Triple --memory "
	    "64M --cpus 1 -o kvm.synic=user"));
	ATF_CHECK(said("triple fault of processor 0"));
	(void)hvk_run_until("--kernel " GUEST " --cmdline Reset --memory 64M "
	    "--cpus 1 -o kvm.synic=user", "it starts again");
	ATF_CHECK(said("the guest was reset; it starts again"));
}

TEST(stop, "a guest that does not listen is stopped")
{
	need_kvm();
	ATF_CHECK_EQ(0, hvk_run_until("--kernel " GUEST " --cmdline Loop "
	    "--memory 64M --cpus 2 -o kvm.synic=user", "engine kvm"));
	ATF_CHECK(said("the guest does not listen to its power button"));
}

TEST(console, "the serial port takes input that is no terminal's")
{
	need_kvm();
	/* A guest that is not ready throws away what came before. */
	ATF_CHECK_EQ(0, system("{ n=0; until grep -qs ready out.txt || "
	    "[ $n = 1200 ]; do sleep 0.1; n=$((n + 1)); done; "
	    "echo 'typed in.'; } | timeout 200 " HVK
	    " run --dir $PWD/vm --kernel " GUEST " --cmdline echo --memory "
	    "64M --cpus 1 -o kvm.synic=user >out.txt"));
	slurp("out.txt");
	ATF_CHECK(said("ready\ntyped in.\ndone\n"));
	ATF_CHECK_EQ(0, access("vm/console.log", R_OK));
	slurp("vm/console.log");
	ATF_CHECK(said("ready\ntyped in.\ndone\n"));
}

/* Read from the terminal until `text` came, or a minute is over. */
static bool
wait_for(int fd, size_t *len, const char *text)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;
	int i;

	for (i = 0; i < 600; i++) {
		out[*len] = '\0';
		if (said(text))
			return (true);
		if (poll(&p, 1, 100) <= 0)
			continue;
		n = read(fd, out + *len, sizeof(out) - 1 - *len);
		if (n <= 0)
			break;
		*len += (size_t)n;
	}
	out[*len] = '\0';
	printf("%s\n", out);
	return (said(text));
}

static void
type(int fd, const char *keys)
{
	ATF_REQUIRE_EQ((ssize_t)strlen(keys), write(fd, keys, strlen(keys)));
}

TEST(terminal, "keys of a terminal go to the guest, but for the escape key's")
{
	size_t len = 0;
	int fd, status;
	pid_t pid;

	need_kvm();
	pid = forkpty(&fd, NULL, NULL, NULL);
	ATF_REQUIRE(pid >= 0);
	if (pid == 0) {
		execl(HVK, "hvk", "run", "--dir", "vm", "--kernel", GUEST,
		    "--cmdline", "echo", "--memory", "64M", "--cpus", "1",
		    "-o", "kvm.synic=user", (char *)NULL);
		_exit(125);
	}
	ATF_CHECK(wait_for(fd, &len, "ready"));
	type(fd, "a\003b");		/* an interrupt key is a key */
	ATF_CHECK(wait_for(fd, &len, "a\003b"));
	type(fd, "\001\001c");
	ATF_CHECK(wait_for(fd, &len, "\001c"));
	type(fd, "\001h");
	ATF_CHECK(wait_for(fd, &len, "Ctrl-A then x quits"));
	type(fd, "\001c");
	ATF_CHECK(wait_for(fd, &len, "hvk ctl --dir vm info"));
	type(fd, "\001p");
	ATF_CHECK(wait_for(fd, &len, "does not listen to the power button"));
	type(fd, "\001x");
	ATF_CHECK(wait_for(fd, &len, "quit by the escape key"));
	ATF_REQUIRE_EQ(pid, waitpid(pid, &status, 0));
	ATF_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	close(fd);
}

TEST(gen2, "the profile without the old devices")
{
	checks("hypercalls", "--gen2", 11, NULL);
}

static void
refused(const char *args, const char *why)
{
	ATF_CHECK_EQ(1, hvk_run(args));
	ATF_CHECK_MSG(said(why), "not said: %s", why);
}

TEST(bad_kernels, "a file that is no kernel is refused in one line")
{
	need_kvm();
	ATF_REQUIRE_EQ(0, system("echo hello >text; : >empty; mkdir folder; "
	    "head -c 200 " GUEST " >cut; cp " GUEST " other; "
	    "printf '\\267' | dd of=other bs=1 seek=18 conv=notrunc "
	    "2>/dev/null; truncate -s 1G huge"));
	refused("--kernel text", "text");
	refused("--kernel empty", "empty");
	refused("--kernel folder", "folder");
	refused("--kernel cut", "cut");
	refused("--kernel nowhere", "nowhere");
	refused("--kernel " HVK, HVK);
	refused("--kernel other", "for another machine");
	refused("--kernel huge", "huge");
	refused("--memory 64M --kernel " GUEST " --initrd huge",
	    "does not fit");
	ATF_CHECK(!said("signal"));
}

TEST(bad_keys, "what the engine cannot do is said before anything runs")
{
	need_kvm();
	ATF_CHECK_EQ(2, hvk_run("--kernel " GUEST " -o kvm.synic=maybe"));
	ATF_CHECK(said("kvm.synic: 'maybe' is not a value for it; give "
	    "auto|kernel|user"));
	refused("--kernel " GUEST " --mmio-gap 1K", "the gap is at least 64M");
	refused("--kernel " GUEST " --mmio-gap 64M@1G", "ends at 4G");
	refused("--kernel " GUEST " --mmio-gap x", "neither SIZE nor");
	refused("-o engine=kvm", "needs a kernel; give --kernel FILE");
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, registers);
	ATF_TP_ADD_TC(tp, hypercalls);
	ATF_TP_ADD_TC(tp, messages);
	ATF_TP_ADD_TC(tp, auto_eoi);
	ATF_TP_ADD_TC(tp, timers);
	ATF_TP_ADD_TC(tp, no_timers);
	ATF_TP_ADD_TC(tp, flood);
	ATF_TP_ADD_TC(tp, gap);
	ATF_TP_ADD_TC(tp, crash);
	ATF_TP_ADD_TC(tp, nmi);
	ATF_TP_ADD_TC(tp, commands);
	ATF_TP_ADD_TC(tp, lines);
	ATF_TP_ADD_TC(tp, lines_gen2);
	ATF_TP_ADD_TC(tp, reset);
	ATF_TP_ADD_TC(tp, stop);
	ATF_TP_ADD_TC(tp, console);
	ATF_TP_ADD_TC(tp, terminal);
	ATF_TP_ADD_TC(tp, gen2);
	ATF_TP_ADD_TC(tp, bad_kernels);
	ATF_TP_ADD_TC(tp, bad_keys);
	return (atf_no_error());
}
