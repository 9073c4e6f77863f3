/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * `hvk features --kernel': a FreeBSD kernel that the user has is booted with the
 * modules that the user built for it, and its first process (tests/fbsd) runs
 * the checks.  What it prints becomes records of the engine "fbsd".
 *
 * The guest is not trusted: of its lines only known names count, and their text
 * is kept short and printable.  What a check says about the disk is compared
 * with the disk's file.
 */
#include <sys/stat.h>
#include <sys/wait.h>

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <hvk/vmm.h>

#include "features_kernel.h"
#include "program.h"

#define	MODULES_MAX	32u
#define	ARGS_MAX	128u
#define	DISK_SIZE	(64ll << 20)
#define	WRITTEN_AT	(1ll << 20)	/* by the guest: see tests/fbsd/disk.c */

extern char **environ;

/* A check's name, and the row of the matrix that it proves. */
static const struct proof {
	const char	*check;
	const char	*row;
} proofs[] = {
	{ "machine.vmbus", "core.versions" },
	{ "machine.clock", "core.time" },
	{ "machine.monotonic", "core.time" },
	{ "crash.panic", "core.crash" },
	{ "crash.nmi", "core.nmi" },
	{ "memory.gap", "core.mmiogap" },
	{ "module.unload", "core.unload" },
	{ "module.load", "core.unload" },
	{ "module.back", "core.unload" },
	{ "disk.verify", "stor.basic" },
	{ "disk.trim", "stor.trim" },
	{ "disk.grow", "stor.resize" },
	{ "disk.plug", "stor.hotplug" },
	{ "disk.pull", "stor.hotplug" },
	{ "bus.subchannel", "stor.subchannel" },
	{ "bus.retarget", "core.retarget" },
	{ "bus.rescind", "core.rescind" },
	{ "bus.offer", "core.rescind" },
	{ "net.ping", "net.basic" },
	{ "service.heartbeat", "ic.heartbeat" },
	{ "service.shutdown", "ic.shutdown" },
	{ "kvp.facts", "ic.kvp" },
	{ "kvp.set", "ic.kvp" },
	{ "daemon.kvp", "ic.kvp" },
	{ "copy.file", "ic.fcopy" },
	{ "daemon.copy", "ic.fcopy" },
	{ "ip.set", "net.staticip" },
	{ "daemon.address", "net.staticip" },
	{ "backup.freeze", "stor.backup" },
	{ "daemon.frozen", "stor.backup" },
	{ "daemon.backup", "stor.backup" },
	{ "daemon.fsck", "stor.backup" },
	{ "daemon.lsvmbus", "core.lsvmbus" },
};
#define	NPROOFS	(sizeof(proofs) / sizeof(proofs[0]))

struct run {
	const struct features_kernel *f;
	char		bin[4096];	/* where our programs are */
	char		dir[4200];	/* of this run */
	char		*args[ARGS_MAX];
	unsigned	nargs;
	FILE		*log;
	unsigned	passed;
	unsigned	failed;
	bool		ours;		/* our modules drive the devices */
	bool		reporting;	/* its lines are the results */
	bool		over;		/* the guest has said all */
	bool		dying;		/* it is to panic, and start again */
	unsigned	lives;		/* that ended so */
	struct {
		unsigned passed, failed;
		char	text[96];
	} result[NPROOFS];
};

static bool
arg(struct run *r, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (r->nargs + 1 >= ARGS_MAX)
		return (false);
	va_start(ap, fmt);
	n = vasprintf(&r->args[r->nargs], fmt, ap);
	va_end(ap);
	if (n < 0)
		return (false);
	r->args[++r->nargs] = NULL;
	return (true);
}

static int
is_module(const struct dirent *e)
{
	const char *dot = strrchr(e->d_name, '.');

	return (dot != NULL && strcmp(dot, ".ko") == 0);
}

/* Every .ko of the folder: preloaded, and in the memory root. */
static int
add_modules(struct run *r)
{
	struct dirent **list;
	char from[4500], to[4500];
	int error = 0, i, n;

	if (r->f->modules == NULL)
		return (0);
	n = scandir(r->f->modules, &list, is_module, alphasort);
	if (n <= 0 || n > (int)MODULES_MAX) {
		vmm_log("%s: %s", r->f->modules, n < 0 ? strerror(errno) :
		    n == 0 ? "no modules (*.ko) there" : "too many modules");
		return (-1);
	}
	for (i = 0; i < n; i++) {
		snprintf(from, sizeof(from), "%s/%s", r->f->modules,
		    list[i]->d_name);
		snprintf(to, sizeof(to), "%s/root/boot/modules/%s", r->dir,
		    list[i]->d_name);
		if (error == 0 && r->f->mfsroot == NULL)
			error = program_copy(from, to, 0444);
		if (error == 0 && (!arg(r, "--module") || !arg(r, "%s", from)))
			error = -E2BIG;
		if (error != 0)
			vmm_log("%s: %s", from, strerror(-error));
		free(list[i]);
	}
	free(list);
	return (error);
}

static int
make_dirs(struct run *r)
{
	static const char *const dirs[] = { "root", "root/dev", "root/sbin",
	    "root/tmp", "root/boot", "root/boot/modules", "root/etc",
	    "root/var", "root/mnt", "root/copy", "ufs", "backup" };
	char path[4300];
	size_t i;

	for (i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", r->dir, dirs[i]);
		if (mkdir(path, 0755) != 0) {
			vmm_log("%s: %s", path, strerror(errno));
			return (-1);
		}
	}
	return (0);
}

/* The memory root: init and the modules, in a file system that FreeBSD has. */
static int
make_mfsroot(struct run *r)
{
	char from[4300], image[4300], root[4300], to[4300];
	char *argv[] = { "makefs", "-t", "ffs", "-B", "le", "-o", "version=1",
	    "-M", "8m", image, root, NULL };
	int error, out;

	snprintf(root, sizeof(root), "%s/root", r->dir);
	snprintf(image, sizeof(image), "%s/mfsroot.img", r->dir);
	snprintf(to, sizeof(to), "%s/root/sbin/init", r->dir);
	snprintf(from, sizeof(from), "%s/../fbsd/init", r->bin);
	error = program_copy(from, to, 0555);
	if (error == -ENOENT) {
		snprintf(from, sizeof(from), "%s/../lib/hvkit/fbsd-init",
		    r->bin);
		error = program_copy(from, to, 0555);
	}
	if (error != 0) {
		vmm_log("%s: %s", from, strerror(-error));
		return (error);
	}
	/* It tells its life. */
	out = program_quiet();
	error = program_run(argv);
	program_loud(out);
	if (error != 0) {
		vmm_log("the memory root cannot be made: makefs (Debian's "
		    "package of that name) is %s; or give --mfsroot IMAGE "
		    "with build/fbsd/init as /sbin/init",
		    error < 0 ? "missing" : "not content");
		return (-1);
	}
	return (arg(r, "--mfsroot") && arg(r, "%s", image) ? 0 : -1);
}

/* What the user wants in the memory root, as it is. */
static int
add_files(struct run *r)
{
	char from[4300], to[4300];
	char *argv[] = { "cp", "-R", "--", from, to, NULL };

	if (r->f->root == NULL)
		return (0);
	snprintf(from, sizeof(from), "%s/.", r->f->root);
	snprintf(to, sizeof(to), "%s/root", r->dir);
	if (program_run(argv) == 0)
		return (0);
	vmm_log("%s cannot be copied", r->f->root);
	return (-1);
}

static bool
make_disk(const char *path)
{
	int fd;

	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, DISK_SIZE) != 0) {
		vmm_log("%s: %s", path, strerror(errno));
		return (false);
	}
	close(fd);
	return (true);
}

static int
prepare(struct run *r)
{
	const char *tmp = getenv("TMPDIR");
	char path[4300];

	snprintf(r->dir, sizeof(r->dir), "%s/hvk-features.XXXXXX",
	    tmp != NULL && *tmp != '\0' ? tmp : "/tmp");
	if (mkdtemp(r->dir) == NULL) {
		vmm_log("%s: %s", r->dir, strerror(errno));
		return (-1);
	}
	snprintf(path, sizeof(path), "%s/more.img", r->dir);
	if (!make_disk(path))
		return (-1);
	snprintf(path, sizeof(path), "%s/disk.img", r->dir);
	if (!make_disk(path))
		return (-1);
	return (make_dirs(r) != 0 ? -1 : add_files(r));
}

static void
forget_args(struct run *r)
{

	for (unsigned i = 0; i < r->nargs; i++)
		free(r->args[i]);
	r->nargs = 0;
}

/* The command line of one machine; its memory root is made here. */
static int
describe(struct run *r, const char *memory)
{
	const struct features_kernel *f = r->f;
	bool ok;

	forget_args(r);
	ok = arg(r, "%s/hvk", r->bin) && arg(r, "run") && arg(r, "--dir") &&
	    arg(r, "%s/vm", r->dir) && arg(r, "--kernel") &&
	    arg(r, "%s", f->kernel) && arg(r, "--disk") &&
	    arg(r, "%s/disk.img", r->dir) && arg(r, "--memory") &&
	    arg(r, "%s", memory) && arg(r, "--cpus") && arg(r, "%s", f->cpus) &&
	    arg(r, "--nic") && arg(r, "slirp");
	if (!ok || add_modules(r) != 0)
		return (-1);
	if (f->mfsroot == NULL) {
		if (make_mfsroot(r) != 0)
			return (-1);
	} else if (!arg(r, "--mfsroot") || !arg(r, "%s", f->mfsroot))
		return (-1);
	for (int i = 0; i < f->nmore; i++)
		if (!arg(r, "%s", f->more[i]))
			return (-1);
	return (0);
}

/* One more variable of the kernel. */
static int
env(struct run *r, const char *text)
{

	return (arg(r, "--env") && arg(r, "%s", text) ? 0 : -1);
}

static void
note(struct run *r, const char *name, bool ok, const char *text)
{
	size_t i;

	if (ok)
		r->passed++;
	else
		r->failed++;
	if (strcmp(name, "module.owner") == 0 && ok)
		r->ours = true;
	for (i = 0; i < NPROOFS; i++) {
		if (strcmp(proofs[i].check, name) != 0)
			continue;
		if (ok)
			r->result[i].passed++;
		else
			r->result[i].failed++;
		snprintf(r->result[i].text, sizeof(r->result[i].text), "%s",
		    text);
	}
	printf("  %-20s %-5s %s\n", name, ok ? "ok" : "FAIL", text);
	fflush(stdout);
}

static void
note_it(void *arg, const char *name, bool ok, const char *text)
{

	note(arg, name, ok, text);
}

static void
heartbeat(struct run *r, char *const argv[])
{
	char out[512], text[128];
	json_t *answer;
	const char *state;
	bool ok;

	(void)program_output(argv, out, sizeof(out));
	answer = json_loads(out, JSON_DISABLE_EOF_CHECK, NULL);
	state = json_string_value(json_object_get(json_object_get(answer,
	    "heartbeat"), "state"));
	ok = state != NULL && strcmp(state, "ok") == 0;
	snprintf(text, sizeof(text), "the host says: %s", state != NULL ?
	    state : "nothing");
	note(r, "service.heartbeat", ok, text);
	json_decref(answer);
}

/* "@host WORD": the guest asks, `hvk ctl' does it. */
static void
host(struct run *r, const char *what)
{
	static const struct {
		const char *what;
		const char *argv[4];
	} words[] = {
		{ "grow", { "disk", "resize", "0", "+16M" } },
		{ "plug", { "disk", "add", NULL, NULL } },
		{ "pull", { "disk", "remove", "1", NULL } },
		{ "rescind", { "rescind", "scsi0", NULL, NULL } },
		{ "offer", { "offer", "scsi0", NULL, NULL } },
		{ "shutdown", { "shutdown", NULL, NULL, NULL } },
		{ "nmi", { "nmi", NULL, NULL, NULL } },
	};
	char hvk[4200], vm[4300], more[4300], out[512];
	char *argv[9] = { hvk, "ctl", "--dir", vm, NULL };
	size_t i, k;

	snprintf(hvk, sizeof(hvk), "%s/hvk", r->bin);
	snprintf(vm, sizeof(vm), "%s/vm", r->dir);
	snprintf(more, sizeof(more), "%s/more.img,lun=1", r->dir);
	if (features_daemons(&(struct features_host){ .hvk = hvk, .vm = vm,
	    .dir = r->dir, .note = note_it, .arg = r }, what))
		return;
	if (strcmp(what, "heartbeat") == 0) {
		argv[4] = "--json";
		argv[5] = "heartbeat";
		heartbeat(r, argv);
		return;
	}
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i].what, what) == 0)
			break;
	if (i == sizeof(words) / sizeof(words[0]))
		return;
	for (k = 0; k < 4 && words[i].argv[k] != NULL; k++)
		argv[4 + k] = (char *)(uintptr_t)words[i].argv[k];
	if (strcmp(what, "plug") == 0)
		argv[4 + k] = more;
	(void)program_output(argv, out, sizeof(out));
}

/* A life is over: what did the host hear of its end? */
static void
died(struct run *r)
{
	static const struct {
		const char *check, *says;
	} deaths[] = {
		{ "crash.nmi", "panic: NMI" },
		{ "crash.panic", "panic: kdb_sysctl_panic" },
	};
	uint64_t end = vmm_now_ns() + 10000000000ull;
	struct timespec ts = { 0, 50000000 };
	char path[4300], text[80] = "";
	FILE *f;

	if (r->lives >= sizeof(deaths) / sizeof(deaths[0]))
		return;
	snprintf(path, sizeof(path), "%s/vm/crash.txt", r->dir);
	/* The host's bus writes it, in a thread of its own. */
	while (strchr(text, '\n') == NULL && vmm_now_ns() < end) {
		f = fopen(path, "re");
		if (f != NULL) {
			if (fgets(text, sizeof(text), f) == NULL)
				text[0] = '\0';
			fclose(f);
		}
		nanosleep(&ts, NULL);
	}
	(void)unlink(path);
	text[strcspn(text, "\n")] = '\0';
	note(r, deaths[r->lives].check, strncmp(text, deaths[r->lives].says,
	    strlen(deaths[r->lives].says)) == 0, text[0] != '\0' ? text :
	    "the host heard nothing");
	r->lives++;
}

static void
line(struct run *r, char *s)
{
	char name[64], verdict[8];
	int at = 0;

	for (char *p = s; *p != '\0'; p++)
		if (!isprint((unsigned char)*p))
			*p = ' ';
	if (r->log != NULL) {
		fprintf(r->log, "%s\n", s);
		fflush(r->log);
	}
	if (strncmp(s, "@host ", 6) == 0) {
		for (size_t n = strlen(s); n > 6 && s[n - 1] == ' '; n--)
			s[n - 1] = '\0';
		host(r, s + 6);
	} else if (r->dying && strstr(s, "hvk: the guest ") != NULL &&
	    strstr(s, "; it starts again") != NULL)
		died(r);
	else if (strcmp(s, "report: begin") == 0)
		r->reporting = true;
	else if (strncmp(s, "report: end", 11) == 0)
		r->over = true;
	else if (r->reporting && !r->over &&
	    sscanf(s, "check: %63s %7s %n", name, verdict, &at) >= 2)
		note(r, name, strcmp(verdict, "ok") == 0, s + at);
}

/* The console, until the monitor ends or the time is up. */
static int
watch(struct run *r, int fd, pid_t pid)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t end = vmm_now_ns() + (uint64_t)r->f->seconds * 1000000000u;
	char buf[1024];
	size_t len = 0;
	ssize_t n;
	int status = 0;
	char c;

	for (;;) {
		if (vmm_now_ns() >= end) {
			vmm_log("%u s are over, the guest is stopped; see "
			    "--seconds", r->f->seconds);
			r->failed++;
			kill(pid, SIGKILL);
			break;
		}
		if (poll(&p, 1, 1000) <= 0)
			continue;
		n = read(fd, &c, 1);
		if (n <= 0)
			break;
		if (c != '\n' && len + 1 < sizeof(buf)) {
			if (c != '\r')
				buf[len++] = c;
			continue;
		}
		buf[len] = '\0';
		line(r, buf);
		len = 0;
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	return (WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

static int
boot(struct run *r)
{
	posix_spawn_file_actions_t fa;
	int fds[2], status;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) != 0)
		return (-1);
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&fa, fds[1], 1);
	posix_spawn_file_actions_adddup2(&fa, fds[1], 2);
	status = posix_spawn(&pid, r->args[0], &fa, NULL, r->args, environ);
	posix_spawn_file_actions_destroy(&fa);
	close(fds[1]);
	if (status != 0) {
		vmm_log("%s: %s", r->args[0], strerror(status));
		close(fds[0]);
		return (-1);
	}
	status = watch(r, fds[0], pid);
	close(fds[0]);
	return (status);
}

/* What the guest wrote is in the file: word i of the first piece. */
static void
check_file(struct run *r)
{
	char path[4300];
	uint64_t words[64];
	struct stat st;
	bool same = true;
	int fd;

	snprintf(path, sizeof(path), "%s/disk.img", r->dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0 ||
	    pread(fd, words, sizeof(words), WRITTEN_AT) != sizeof(words)) {
		note(r, "file.content", false, "the disk's file is unreadable");
		return;
	}
	close(fd);
	for (uint64_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		same = same && words[i] == i * 0x9e3779b97f4a7c15ull;
	note(r, "file.content", same, "what the guest wrote is in the file");
}

static void
clean(struct run *r)
{
	char *argv[] = { "rm", "-rf", "--", r->dir, NULL };

	if (r->f->keep)
		vmm_log("kept: %s", r->dir);
	else if (r->dir[0] != '\0')
		(void)program_run(argv);
	forget_args(r);
}

static int
record(struct run *r)
{
	char *argv[] = { "proof", NULL, "fbsd", NULL, NULL,
	    "hvk features --kernel", NULL };
	unsigned failed;
	size_t i, k;
	int error = 0;

	for (i = 0; i < NPROOFS; i++) {
		failed = 0;
		for (k = 0; k < NPROOFS; k++)
			if (strcmp(proofs[k].row, proofs[i].row) == 0)
				failed += r->result[k].failed;
		if (r->result[i].passed + r->result[i].failed == 0)
			continue;
		argv[1] = (char *)(uintptr_t)proofs[i].row;
		argv[3] = failed != 0 ? "failed" : "yes";
		argv[4] = r->result[i].text;
		if (cmd_proof(6, argv) != EX_OK_)
			error = -1;
	}
	return (error);
}

static void
ended(struct run *r, const char *name, int status)
{

	if (!r->over)
		note(r, name, false, "its last line is missing");
	else
		note(r, name, status == 0,
		    "hvk run's status is that of a guest that ended");
}

/* The machine that everything is tried on. */
static int
checks(struct run *r)
{
	int status;

	if (describe(r, "512M") != 0 || env(r, "hvk.end=shutdown") != 0)
		return (-1);
	status = boot(r);
	if (r->passed + r->failed != 0)
		check_file(r);
	ended(r, "machine.end", status);
	return (status);
}

/*
 * Another, with its memory on both sides of a gap, that panics twice: at once,
 * without a debugger in the way.
 */
static int
crashes(struct run *r)
{
	int status;

	r->reporting = r->over = false;
	r->dying = true;
	if (describe(r, "640M") != 0 || !arg(r, "--mmio-gap") ||
	    !arg(r, "3840M@256M") || env(r, "hvk.checks=memory,crashes") != 0 ||
	    env(r, "hvk.end=poweroff") != 0 ||
	    env(r, "debug.debugger_on_panic=0") != 0 ||
	    env(r, "kern.panic_reboot_wait_time=0") != 0)
		return (-1);
	status = boot(r);
	ended(r, "crash.end", status);
	return (status);
}

int
features_kernel(const struct features_kernel *f)
{
	struct run *r = calloc(1, sizeof(*r));
	int status = -1;

	if (r == NULL || vmm_self_dir(r->bin, sizeof(r->bin)) != 0) {
		vmm_log("cannot find my own binary in /proc/self/exe");
		free(r);
		return (EX_FAILED);
	}
	r->f = f;
	if (f->log != NULL && (r->log = fopen(f->log, "we")) == NULL) {
		vmm_log("%s: %s", f->log, strerror(errno));
		free(r);
		return (EX_FAILED);
	}
	if (prepare(r) == 0) {
		status = checks(r);
		if (status == 0 && r->ours)
			status = crashes(r);
		if (!r->ours)
			vmm_log("the devices were driven by the kernel's own "
			    "drivers: nothing is recorded");
		else if (record(r) != 0)
			status = -1;
	}
	printf("%u checks passed, %u failed\n", r->passed, r->failed);
	if (r->log != NULL)
		fclose(r->log);
	clean(r);
	status = status == 0 && r->failed == 0 ? EX_OK_ : EX_FAILED;
	free(r);
	return (status);
}
