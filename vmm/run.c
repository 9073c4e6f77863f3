/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * `hvk run`: puts one guest together from its keys and looks after it until it
 * ends.  The main thread waits for signals, for the guest's process and for
 * what the guest reports; everything else has threads of its own.
 */
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run.h"

#define	LINGER_MS	5000u	/* guest that said goodbye but stays */
#define	LOOK_MS		1000	/* watch for tampering */

static void
run_help(void)
{

	printf("usage: hvk run [options] [IMAGE]\n\n"
	    "Runs one guest and shows its console. The kld engine loads the "
	    "FreeBSD modules\ninto a process of this machine (kldrun) and needs "
	    "no virtualisation. With --kernel\nthe kvm engine boots a kernel on "
	    "/dev/kvm.\n\nOptions:\n"
	    "  -o KEY=VALUE          set a key (below); may be repeated\n"
	    "  --config FILE         read keys from FILE, one KEY=VALUE a line\n"
	    "  --dir DIR             run directory: sockets and console.log\n"
	    "  --name NAME           the guest's name\n"
	    "  --cpus N              virtual processors\n"
	    "  --memory SIZE         guest memory, such as 512M\n"
	    "  --version-max X.Y     newest VMBus version to speak\n"
	    "  --modules DIR         FreeBSD modules to load\n"
	    "  --disk SPEC           FILE|URI[,readonly][,direct]"
	    "[,sector=4096]...\n"
	    "  --cdrom FILE          a CD-ROM\n"
	    "  --nic SPEC            slirp, tap[:NAME] or pair:SOCKET, then "
	    "[,mac=...]\n"
	    "                        [,mtu=N][,vlan=ID][,netns=NAME]...\n"
	    "  IMAGE                 the same as --disk IMAGE\n"
	    "  --kernel FILE         bzImage, PVH or FreeBSD ELF kernel\n"
	    "  --initrd FILE         initial RAM disk (Linux, PVH)\n"
	    "  --cmdline TEXT        the kernel's command line\n"
	    "  --module FILE         FreeBSD module to preload; may be "
	    "repeated\n"
	    "  --env NAME=VALUE      FreeBSD kernel environment; may be "
	    "repeated\n"
	    "  --mfsroot FILE        FreeBSD memory root\n"
	    "  --gen2                no PIC, PIT, RTC, i8042\n"
	    "  --mmio-gap SIZE[@ADDR] hole in memory for devices\n\nKeys:\n");
	vmm_opts_help();
	printf("\nThe disks appear in the guest as da0, da1... and outside as "
	    "NBD sockets in DIR.\nCtrl-C stops the guest in good order; a "
	    "second one kills it.\n\nExamples:\n"
	    "  hvk run disk.img\n"
	    "  hvk run --cpus 4 --disk a.img --disk b.img,readonly\n"
	    "  hvk run --disk 'nbd+unix:///?socket=/tmp/vhd.sock'\n"
	    "  hvk run --nic slirp,hostfwd=tcp::2222-:22 disk.img\n"
	    "  hvk run -o name=two -o vmbus.version=4.0 --config guest.conf\n"
	    "  hvk run --kernel vmlinuz --initrd initrd.img --cmdline "
	    "console=ttyS0 disk.img\n"
	    "  hvk ctl info\n");
}

static int
parse(struct vmm_opts *o, int argc, char **argv, char *err, size_t errlen)
{
	static const struct option longopts[] = {
		{ "config", required_argument, NULL, 'f' },
		{ "dir", required_argument, NULL, 'd' },
		{ "name", required_argument, NULL, 'n' },
		{ "cpus", required_argument, NULL, 'c' },
		{ "memory", required_argument, NULL, 'm' },
		{ "version-max", required_argument, NULL, 'v' },
		{ "modules", required_argument, NULL, 'M' },
		{ "disk", required_argument, NULL, 'D' },
		{ "cdrom", required_argument, NULL, 'C' },
		{ "nic", required_argument, NULL, 'N' },
		{ "engine", required_argument, NULL, 'e' },
		{ "kernel", required_argument, NULL, 'k' },
		{ "initrd", required_argument, NULL, 'i' },
		{ "cmdline", required_argument, NULL, 'l' },
		{ "mfsroot", required_argument, NULL, 'r' },
		{ "module", required_argument, NULL, 'K' },
		{ "env", required_argument, NULL, 'E' },
		{ "gen2", no_argument, NULL, '2' },
		{ "mmio-gap", required_argument, NULL, 'g' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	static const struct { int c; const char *key; } keys[] = {
		{ 'd', "dir" }, { 'n', "name" }, { 'c', "cpus" },
		{ 'm', "memory" }, { 'v', "vmbus.version" },
		{ 'M', "modules" }, { 'e', "engine" },
		{ 'k', "kernel" }, { 'i', "initrd" }, { 'l', "cmdline" },
		{ 'r', "mfsroot" }, { 'g', "mmio.gap" },
	};
	int c, error = 0;
	size_t i;

	while (error == 0 && (c = getopt_long(argc, argv, "ho:", longopts,
	    NULL)) != -1) {
		if (c == 'h')
			return (1);
		if (c == '?')
			return (vmm_fail(err, errlen, -EINVAL,
			    "`hvk run --help` lists the options"));
		if (c == 'o')
			error = vmm_opts_assign(o, optarg, err, errlen);
		else if (c == 'f')
			error = vmm_opts_file(o, optarg, err, errlen);
		else if (c == 'D' || c == 'C')
			error = vmm_opts_disk(o, optarg, c == 'C', err,
			    errlen);
		else if (c == 'N')
			error = vmm_opts_nic(o, optarg, err, errlen);
		else if (c == 'K' || c == 'E')
			error = vmm_opts_append(o, c == 'K' ? "module" : "env",
			    optarg, err, errlen);
		else if (c == '2')
			error = vmm_opts_set(o, "gen2", "yes", err, errlen);
		for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
			if (keys[i].c == c)
				error = vmm_opts_set(o, keys[i].key, optarg,
				    err, errlen);
	}
	for (; error == 0 && optind < argc; optind++)
		error = vmm_opts_disk(o, argv[optind], false, err, errlen);
	return (error);
}

/* ---- commands from hvk ctl; ctl thread */

static const char *
text(const json_t *in, const char *key, const char *def)
{
	const char *s = json_string_value(json_object_get(in, key));

	return (s != NULL ? s : def);
}

static int
ctl_info(struct run *r, json_t *out)
{
	json_t *vm;

	vm = json_pack("{s:s, s:s, s:s, s:i, s:I, s:i, s:f, s:s}",
	    "name", vmm_opts_get(r->opts, "name"), "engine",
	    r->kvm != NULL ? "kvm" : "kld",
	    "state", atomic_load(&r->stopping) ? "stopping" :
	    atomic_load(&r->ready) ? "running" : "starting",
	    "cpus", (int)vmm_opts_num(r->opts, "cpus"), "memory",
	    (json_int_t)vmm_opts_num(r->opts, "memory"), "pid",
	    (int)getpid(), "uptime", (double)(vmm_now_ns() - r->started) /
	    1e9, "dir", r->rd.path);
	if (r->kvm != NULL)
		run_kvm_info(r, vm);
	else
		json_object_set_new(vm, "guest_pid",
		    json_integer(r->kld->pid));
	json_object_set_new(out, "vm", vm);
	vmm_bus_info(r->bus, out);
	return (0);
}

static int
ctl_inject(struct run *r, const json_t *in, char *err, size_t errlen)
{
	const char *name = text(in, "fault", "");
	json_int_t count = json_integer_value(json_object_get(in, "count"));
	json_int_t ms = json_integer_value(json_object_get(in, "ms"));
	int fault = vmm_fault_parse(name);

	if (fault < 0)
		return (vmm_fail(err, errlen, -EINVAL, "'%.32s' is no fault; "
		    "use drop, delay, short, hostile, silence or off", name));
	if (count < 0 || count > UINT32_MAX || ms < 0 || ms > 3600000)
		return (vmm_fail(err, errlen, -EINVAL, "count or ms is out of "
		    "range; ms is at most 3600000"));
	return (vmm_bus_inject(r->bus, text(in, "target", "all"),
	    (enum vmm_fault)fault, (uint32_t)count, (uint32_t)ms, err,
	    errlen));
}

static int
ctl_rescind(struct run *r, const json_t *in, char *err, size_t errlen)
{
	const json_t *channel = json_object_get(in, "channel");

	if (channel == NULL)
		return (vmm_bus_rescind(r->bus, text(in, "device", ""), err,
		    errlen));
	return (vmm_bus_rescind_channel(r->bus, text(in, "device", ""),
	    (int64_t)json_integer_value(channel), err, errlen));
}

/* The guest in good order if it can, the engine if it cannot. */
static int
ctl_shutdown(struct run *r, const json_t *in, json_t *out, char *err,
    size_t errlen)
{
	uint64_t one = 1;

	if (vmm_services_shutdown(r->services, false, in, out, err,
	    errlen) == 0)
		return (0);
	if (json_is_true(json_object_get(in, "hibernate")))
		return (-EOPNOTSUPP);
	json_object_set_new(out, "by", json_string("engine"));
	json_object_set_new(out, "why", json_string(err));
	return (write(r->stopfd, &one, sizeof(one)) < 0 ? -errno : 0);
}

static int
ctl_handler(void *arg, const char *cmd, const json_t *in, json_t *out,
    char *err, size_t errlen)
{
	struct run *r = arg;

	if (strcmp(cmd, "info") == 0)
		return (ctl_info(r, out));
	if (strcmp(cmd, "channels") == 0) {
		vmm_bus_channels(r->bus, out);
		return (0);
	}
	if (strcmp(cmd, "stat") == 0) {
		vmm_bus_stat(r->bus, out);
		return (0);
	}
	if (strcmp(cmd, "rescind") == 0)
		return (ctl_rescind(r, in, err, errlen));
	if (strcmp(cmd, "offer") == 0)
		return (vmm_bus_reoffer(r->bus, text(in, "device", ""), out,
		    err, errlen));
	if (strcmp(cmd, "inject") == 0)
		return (ctl_inject(r, in, err, errlen));
	if (strcmp(cmd, "trace") == 0)
		return (vmm_bus_trace(r->bus, text(in, "file", NULL), err,
		    errlen));
	if (strncmp(cmd, "disk ", 5) == 0)
		return (vmm_bus_device_ctl(r->bus, text(in, "controller",
		    text(json_object_get(in, "disk"), "controller", "scsi0")),
		    cmd, in, out, err, errlen));
	if (strncmp(cmd, "nic ", 4) == 0)
		return (vmm_nets_ctl(r->nets, cmd, in, out, err, errlen));
	if (strcmp(cmd, "nmi") == 0 && r->kvm == NULL)
		return (kld_send(r->kld, KLD_CTL_NMI, 0, -1));
	if (strcmp(cmd, "nmi") == 0) {
		kvm_nmi(r->kvm);
		return (0);
	}
	if (strcmp(cmd, "reset") == 0 && r->kvm != NULL) {
		kvm_end(r->kvm, KVM_END_RESET, "reset by hvk ctl");
		return (0);
	}
	if (strcmp(cmd, "shutdown") == 0)
		return (ctl_shutdown(r, in, out, err, errlen));
	if (strcmp(cmd, "restart") == 0)
		return (vmm_services_shutdown(r->services, true, in, out, err,
		    errlen));
	if (vmm_services_knows(cmd))
		return (vmm_services_ctl(r->services, cmd, in, out, err,
		    errlen));
	return (vmm_fail(err, errlen, -ENOSYS, "no command '%.40s'; "
	    "`hvk ctl --help` lists them", cmd));
}

/* ---- putting it together */

/* net.N.guest: adapters are hn0, hn1... in the order of their numbers. */
static void
guest_taps(struct run *r, struct kld_program *p)
{
	json_t *nics = vmm_opts_nics(r->opts), *nic;
	const char *name, *v;
	char key[64];
	size_t i;

	json_array_foreach(nics, i, nic) {
		name = json_string_value(json_object_get(nic, "name"));
		if (name == NULL || i >= MAX_TAPS || p->nenv >= MAX_LIST)
			break;
		snprintf(key, sizeof(key), "net.%s.guest", name + 3);
		v = vmm_opts_get(r->opts, key);
		if (v == NULL)
			continue;
		snprintf(r->tap[i], sizeof(r->tap[i]), "kldrun.tap.hn%zu=%s",
		    i, v);
		r->env[p->nenv++] = r->tap[i];
	}
	json_decref(nics);
}

static int
find_program(struct run *r, struct kld_program *p, char *kldrun, char *modules,
    size_t len, char *err, size_t errlen)
{
	const char *k = vmm_opts_get(r->opts, "kldrun");
	const char *m = vmm_opts_get(r->opts, "modules");
	char self[3000];

	if (vmm_self_dir(self, sizeof(self)) != 0)
		return (vmm_fail(err, errlen, -ENOENT,
		    "cannot find my own binary in /proc/self/exe"));
	if (k != NULL)
		snprintf(kldrun, len, "%s", k);
	else
		snprintf(kldrun, len, "%s/kldrun", self);
	if (m != NULL)
		snprintf(modules, len, "%s", m);
	else {
		snprintf(modules, len, "%s/../modules", self);
		if (access(modules, R_OK) != 0)
			snprintf(modules, len, "%s/../lib/hvkit/modules",
			    self);
	}
	p->kldrun = kldrun;
	p->modules = modules;
	p->dir = r->rd.path;
	p->bounce = vmm_opts_bool(r->opts, "bounce");
	p->env = r->env;
	p->nenv = run_list(r->opts, "env", r->env);
	guest_taps(r, p);
	return (0);
}

static int
make_storage(struct run *r, char *err, size_t errlen)
{
	json_t *list = vmm_opts_controllers(r->opts, err, errlen), *c;
	size_t i;

	if (list == NULL)
		return (-EINVAL);
	json_array_foreach(list, i, c) {
		if (r->nstor == MAX_CONTROLLERS)
			break;
		r->stor[r->nstor] = vmm_stor_create(r->bus, c, err, errlen);
		if (r->stor[r->nstor] == NULL) {
			json_decref(list);
			return (-EINVAL);
		}
		r->nstor++;
	}
	json_decref(list);
	return (0);
}

static int
make_network(struct run *r, char *err, size_t errlen)
{
	json_t *list = vmm_opts_nics(r->opts), *nic;
	char *full = realpath(r->rd.path, NULL);
	int error = 0;
	size_t i;

	r->nets = vmm_nets_create(r->bus, full != NULL ? full : r->rd.path,
	    (uint32_t)vmm_opts_num(r->opts, "cpus"));
	free(full);
	if (r->nets == NULL)
		error = vmm_fail(err, errlen, -ENOMEM, "out of memory");
	json_array_foreach(list, i, nic) {
		if (error == 0)
			error = vmm_nets_add(r->nets, nic, NULL, err, errlen);
	}
	json_decref(list);
	return (error);
}

static int
make_bus(struct run *r, struct vmm_machine *machine, char *err, size_t errlen)
{
	struct vmm_bus_config bc = { .machine = machine };
	int error;

	bc.monitor = vmm_opts_bool(r->opts, "vmbus.monitor");
	/* On KVM they work, but cost more than the others. */
	bc.no_auto_eoi = vmm_opts_get(r->opts, "hyperv.autoeoi") == NULL ?
	    r->kvm != NULL : !vmm_opts_bool(r->opts, "hyperv.autoeoi");
	bc.dir = r->rd.path;
	(void)vmm_parse_version(vmm_opts_get(r->opts, "vmbus.version"),
	    &bc.version_max);
	r->bus = vmm_bus_create(&bc, err, errlen);
	if (r->bus == NULL)
		return (-ENOMEM);
	error = make_storage(r, err, errlen);
	if (error == 0)
		error = make_network(r, err, errlen);
	if (error != 0)
		return (error);
	r->services = vmm_services_create(r->bus, r->opts, err, errlen);
	if (r->services == NULL)
		return (-EINVAL);
	r->ctl = vmm_ctl_start(r->rd.path, ctl_handler, r, err, errlen);
	return (r->ctl != NULL ? 0 : -EIO);
}

static int
start_kld(struct run *r, char *err, size_t errlen)
{
	struct kld_config kc = {
		.ncpus = (uint32_t)vmm_opts_num(r->opts, "cpus"),
		.mem_size = vmm_opts_num(r->opts, "memory"),
	};
	struct kld_program p;
	char kldrun[4200], modules[4200];
	int error;

	r->kld = kld_create(&kc, err, errlen);
	if (r->kld == NULL)
		return (-ENOMEM);
	error = find_program(r, &p, kldrun, modules, sizeof(kldrun), err,
	    errlen);
	if (error == 0)
		error = make_bus(r, &r->kld->machine, err, errlen);
	if (error == 0)
		error = kld_launch(r->kld, r->bus, &p, err, errlen);
	if (error != 0)
		return (error);
	r->console = kld_console_start(r->kld->out, r->rd.path, err, errlen);
	return (r->console != NULL ? 0 : -EIO);
}

static int
start_kvm(struct run *r, char *err, size_t errlen)
{
	int error;

	error = run_kvm_create(r, err, errlen);
	if (error == 0)
		error = make_bus(r, &r->kvm->machine, err, errlen);
	if (error != 0)
		return (error);
	vmm_log("engine kvm: %s, %s processor(s), %s of memory, Hyper-V by "
	    "%s%s", vmm_opts_get(r->opts, "kernel"),
	    vmm_opts_get(r->opts, "cpus"), vmm_opts_get(r->opts, "memory"),
	    r->kvm->accel == &kvm_accel_kernel ? "KVM's SynIC" :
	    "the model in user space", isatty(STDIN_FILENO) ?
	    "; Ctrl-A h for help" : "");
	error = run_kvm_start(r, err, errlen);
	return (error);
}

/* ---- looking after it */

static void
guest_kill(struct run *r, const char *why)
{

	if (r->killed)
		return;
	r->killed = true;
	vmm_log("%s; killing it", why);
	kill(-r->kld->pid, SIGKILL);
	kill(r->kld->pid, SIGKILL);
	r->deadline = vmm_deadline(LINGER_MS);
}

static void
stop_guest(struct run *r)
{
	uint32_t ms = (uint32_t)vmm_opts_num(r->opts, "stop.timeout");

	if (atomic_exchange(&r->stopping, true)) {
		guest_kill(r, "asked to stop again");
		return;
	}
	vmm_log("stopping the guest");
	r->deadline = vmm_deadline(ms);
	if (kld_send(r->kld, KLD_CTL_STOP, 0, -1) != 0)
		guest_kill(r, "the guest does not listen");
}

static void
guest_reports(struct run *r)
{
	struct kld_ctl m;
	int n;

	while ((n = kld_event(r->kld, &m)) > 0)
		switch (m.kind) {
		case KLD_CTL_READY:
			if (!atomic_exchange(&r->ready, true))
				vmm_log("the guest is up, %.2f s after start; "
				    "sockets are in %s", (double)(vmm_now_ns() -
				    r->started) / 1e9, r->rd.path);
			break;
		case KLD_CTL_ENDS:
			r->restart = m.a == 1;
			vmm_log("the guest %s", r->restart ? "restarts" :
			    "powers off");
			if (r->deadline == 0)
				r->deadline = vmm_deadline((uint32_t)
				    vmm_opts_num(r->opts, "stop.timeout"));
			break;
		case KLD_CTL_EXIT:
			r->orderly = m.a == 0;
			if (r->deadline == 0)
				r->deadline = vmm_deadline(LINGER_MS);
			break;
		case 0:
			break;
		default:
			vmm_log("unknown report %u from the guest: ignored",
			    m.kind);
			return;		/* no flood of these in one turn */
		}
	if (n < 0) {
		r->hung_up = true;
		if (r->deadline == 0)
			r->deadline = vmm_deadline(LINGER_MS);
	}
}

/* Until the guest's process ended, or does not even die. */
static void
watch(struct run *r)
{
	struct signalfd_siginfo si;
	struct pollfd p[4];
	uint64_t n;
	int ms;

	for (;;) {
		p[0] = (struct pollfd){ .fd = r->kld->pidfd,
		    .events = POLLIN };
		p[1] = (struct pollfd){ .fd = r->sigfd, .events = POLLIN };
		p[2] = (struct pollfd){ .fd = r->stopfd, .events = POLLIN };
		p[3] = (struct pollfd){ .fd = r->hung_up ? -1 : r->kld->ctl,
		    .events = POLLIN };
		ms = r->deadline != 0 && vmm_left_ms(r->deadline) < LOOK_MS ?
		    vmm_left_ms(r->deadline) : LOOK_MS;
		if (poll(p, 4, ms) < 0 && errno != EINTR)
			return;
		if (p[3].revents != 0)
			guest_reports(r);
		if (p[0].revents != 0)
			return;
		if (p[1].revents != 0 && read(r->sigfd, &si, sizeof(si)) ==
		    sizeof(si))
			stop_guest(r);
		if (p[2].revents != 0 && read(r->stopfd, &n, sizeof(n)) ==
		    sizeof(n) && !atomic_load(&r->stopping))
			stop_guest(r);
		if (kld_tampered(r->kld))
			guest_kill(r, "the guest tampered with its eventfds");
		if (r->deadline != 0 && vmm_left_ms(r->deadline) == 0) {
			if (r->killed)
				return;
			guest_kill(r, r->hung_up ? "the guest closed its "
			    "control socket but does not end" :
			    "the guest does not end in time");
		}
	}
}

/* How the guest ended, as our exit status. */
static int
verdict(struct run *r)
{
	uint64_t deadline = vmm_deadline(LINGER_MS);
	struct timespec ts = { 0, 5000000 };
	int status = 0;
	pid_t pid;

	while ((pid = waitpid(r->kld->pid, &status, WNOHANG)) == 0 &&
	    vmm_left_ms(deadline) > 0)
		nanosleep(&ts, NULL);
	if (pid != r->kld->pid) {
		vmm_log("the guest's process %d does not die; leaving it",
		    (int)r->kld->pid);
		return (EX_FAILED);
	}
	if (WIFSIGNALED(status)) {
		if (!r->killed)
			vmm_log("the guest died of signal %d (%s); its last "
			    "lines are in %s/console.log", WTERMSIG(status),
			    strsignal(WTERMSIG(status)), r->rd.path);
		return (EX_FAILED);
	}
	if (WEXITSTATUS(status) != 0) {
		vmm_log("the guest ended with status %d; its last lines are "
		    "in %s/console.log", WEXITSTATUS(status), r->rd.path);
		return (EX_FAILED);
	}
	return (EX_OK_);
}

static void
finish(struct run *r, int status)
{
	unsigned i;

	kld_console_stop(r->console, 2000);
	if (r->kvm != NULL)
		kvm_stop(r->kvm);
	dev_console_stop(r->terminal);
	vmm_services_cancel(r->services);
	vmm_ctl_stop(r->ctl);
	if (r->kld != NULL)
		kld_halt(r->kld);
	if (r->bus != NULL && !vmm_bus_stop(r->bus)) {
		/* A thread still uses what we would free. */
		vmm_log("ending with status %d: a device's thread still runs",
		    status == EX_OK_ ? EX_FAILED : status);
		vmm_rundir_close(&r->rd);
		fflush(stdout);
		_exit(status == EX_OK_ ? EX_FAILED : status);
	}
	for (i = 0; i < r->nstor; i++)
		vmm_stor_destroy(r->stor[i]);
	vmm_services_destroy(r->services);
	vmm_nets_destroy(r->nets);
	vmm_bus_destroy(r->bus);
	kld_destroy(r->kld);
	kvm_destroy(r->kvm);
	vmm_rundir_close(&r->rd);
	if (r->sigfd >= 0)
		close(r->sigfd);
	if (r->stopfd >= 0)
		close(r->stopfd);
	vmm_opts_free(r->opts);
}

static int
prepare(struct run *r, char *err, size_t errlen)
{
	const char *dir = vmm_opts_get(r->opts, "dir");
	char path[sizeof(r->rd.path)];
	sigset_t set;
	int error;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	r->sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	r->stopfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->sigfd < 0 || r->stopfd < 0)
		return (vmm_fail(err, errlen, -errno,
		    "cannot wait for signals: %s", strerror(errno)));
	if (dir == NULL) {
		error = vmm_rundir_default(vmm_opts_get(r->opts, "name"),
		    path, sizeof(path), err, errlen);
		if (error != 0)
			return (error);
		dir = path;
	}
	return (vmm_rundir_open(&r->rd, dir, err, errlen));
}

/*
 * A restarted guest of the kld engine is a new process, and so is its host: it
 * begins again with the same command line and keeps nothing of before.
 */
static void
begin_again(void)
{
	static char text[65536];
	char *argv[512];
	sigset_t none;
	ssize_t len;
	size_t n = 0;
	char *p;
	int fd;

	fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	for (p = text; len > 0 && p < text + len && n < 511;
	    p += strlen(p) + 1)
		argv[n++] = p;
	argv[n] = NULL;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (n > 0)
		execv("/proc/self/exe", argv);
	vmm_log("cannot begin again: %s", strerror(errno));
}

int
cmd_run(int argc, char **argv)
{
	char err[VMM_ERRLEN] = "unknown error";
	struct run r;
	int error, status;
	bool again, kvm;

	memset(&r, 0, sizeof(r));
	r.sigfd = r.stopfd = r.rd.lock = -1;
	r.started = vmm_now_ns();
	r.opts = vmm_opts_new();
	error = r.opts == NULL ? -ENOMEM :
	    parse(r.opts, argc, argv, err, sizeof(err));
	if (error != 0) {
		vmm_opts_free(r.opts);
		if (error == 1) {
			run_help();
			return (EX_OK_);
		}
		vmm_log("%s", err);
		return (EX_USAGE_);
	}
	error = prepare(&r, err, sizeof(err));
	kvm = strcmp(vmm_opts_get(r.opts, "engine"), "kvm") == 0 ||
	    vmm_opts_get(r.opts, "kernel") != NULL;
	if (error == 0 && kvm)
		error = start_kvm(&r, err, sizeof(err));
	else if (error == 0) {
		vmm_log("engine kld: FreeBSD modules in kldrun, %s "
		    "processor(s), %s of memory",
		    vmm_opts_get(r.opts, "cpus"),
		    vmm_opts_get(r.opts, "memory"));
		error = start_kld(&r, err, sizeof(err));
	}
	status = EX_FAILED;
	if (error != 0) {
		vmm_log("%s", err);
		if (r.kld != NULL && r.kld->pid > 0)
			guest_kill(&r, "could not start");
	} else if (kvm)
		status = run_kvm_watch(&r);
	else
		watch(&r);
	if (r.kld != NULL && r.kld->pid > 0)
		status = verdict(&r);
	if (error != 0)
		status = EX_FAILED;
	again = r.restart && status == EX_OK_ && !r.stopping;
	if (again && !vmm_opts_bool(r.opts, "reboot")) {
		again = false;
		status = EX_RESET_;
	}
	finish(&r, status);
	if (again) {
		begin_again();
		status = EX_FAILED;
	}
	return (status);
}
