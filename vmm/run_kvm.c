/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * `hvk run` with the kvm engine: the machine from its keys, the kernel, and the
 * main thread's watch over them: signals, `hvk ctl shutdown`, the guest's own
 * reset and power off.
 */
#include <sys/signalfd.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "run.h"

#define	GIB4		0x100000000ull
#define	MIN_GAP		(64ull << 20)	/* IOAPIC, local APIC and more */
#define	MAX_LINES	100u		/* about resets */
#define	GAP_ALIGN	(2ull << 20)

/* "SIZE" (up to 4 GiB) or "SIZE@ADDR". */
static int
parse_gap(const char *s, uint64_t *start, uint64_t *size)
{
	const char *at = strchr(s, '@');
	char text[32];

	if (at == NULL) {
		if (vmm_parse_size(s, size) != 0 || *size > GIB4)
			return (-EINVAL);
		*start = GIB4 - *size;
		return (0);
	}
	if ((size_t)(at - s) >= sizeof(text))
		return (-EINVAL);
	memcpy(text, s, (size_t)(at - s));
	text[at - s] = '\0';
	if (vmm_parse_size(text, size) != 0 ||
	    vmm_parse_size(at + 1, start) != 0)
		return (-EINVAL);
	return (0);
}

static int
gap(struct run *r, struct kvm_config *c, char *err, size_t errlen)
{
	const char *s = vmm_opts_get(r->opts, "mmio.gap");
	uint64_t start, size;

	if (parse_gap(s, &start, &size) != 0)
		return (vmm_fail(err, errlen, -EINVAL, "mmio.gap: '%.64s' is "
		    "neither SIZE nor SIZE@ADDRESS, such as 1G or 512M@3G",
		    s));
	if (size < MIN_GAP || start % GAP_ALIGN != 0 ||
	    size % GAP_ALIGN != 0 || start > GIB4 - size ||
	    start < MIN_GAP || start + size < GIB4)
		return (vmm_fail(err, errlen, -EINVAL, "mmio.gap: %.64s does "
		    "not do: the gap is at least 64M, ends at 4G, where the "
		    "interrupt controllers are, and both ends are multiples "
		    "of 2M", s));
	c->gap_start = start;
	c->gap_size = size;
	c->high_size = vmm_opts_num(r->opts, "mmio.high");
	return (0);
}

static enum kvm_synic
synic(const struct vmm_opts *o)
{
	const char *s = vmm_opts_get(o, "kvm.synic");

	if (strcmp(s, "kernel") == 0)
		return (KVM_SYNIC_KERNEL);
	return (strcmp(s, "user") == 0 ? KVM_SYNIC_USER : KVM_SYNIC_AUTO);
}

int
run_kvm_create(struct run *r, char *err, size_t errlen)
{
	struct kvm_config c = {
		.ncpus = (uint32_t)vmm_opts_num(r->opts, "cpus"),
		.memory = vmm_opts_num(r->opts, "memory"),
		.gen2 = vmm_opts_bool(r->opts, "gen2"),
		.synic = synic(r->opts),
		.trust_tsc = vmm_opts_bool(r->opts, "kvm.tsc"),
		.stimers = vmm_opts_bool(r->opts, "kvm.stimers"),
		.jail = vmm_opts_bool(r->opts, "kvm.seccomp"),
	};
	int error;

	if (vmm_opts_get(r->opts, "kernel") == NULL)
		return (vmm_fail(err, errlen, -EINVAL, "the kvm engine needs "
		    "a kernel; give --kernel FILE"));
	error = gap(r, &c, err, errlen);
	if (error != 0)
		return (error);
	r->kvm = kvm_create(&c, err, errlen);
	return (r->kvm != NULL ? 0 : -EIO);
}

/* module.0, module.1... without holes. */
unsigned
run_list(const struct vmm_opts *o, const char *what, const char *to[])
{
	char key[32];
	const char *v;
	unsigned i, n = 0;

	for (i = 0; i < MAX_LIST; i++) {
		snprintf(key, sizeof(key), "%s.%u", what, i);
		v = vmm_opts_get(o, key);
		if (v != NULL)
			to[n++] = v;
	}
	return (n);
}

int
run_kvm_start(struct run *r, char *err, size_t errlen)
{
	struct boot_config *b = &r->boot;
	int error;

	b->kernel = vmm_opts_get(r->opts, "kernel");
	b->initrd = vmm_opts_get(r->opts, "initrd");
	b->cmdline = vmm_opts_get(r->opts, "cmdline");
	b->mfsroot = vmm_opts_get(r->opts, "mfsroot");
	b->modules = r->modules;
	b->nmodules = run_list(r->opts, "module", r->modules);
	b->env = r->env;
	b->nenv = run_list(r->opts, "env", r->env);
	r->kvm->bus = r->bus;
	error = kvm_boot(r->kvm, b, err, errlen);
	if (error != 0)
		return (error);
	r->terminal = dev_console_start(r->kvm->uart, &r->kvm->devs,
	    r->rd.path, err, errlen);
	if (r->terminal == NULL)
		return (-EIO);
	error = kvm_start(r->kvm, err, errlen);
	if (error == 0)
		atomic_store(&r->ready, true);
	return (error);
}

/* ---- looking after it */

static void
stop_asked(struct run *r, const char *who)
{

	if (atomic_exchange(&r->stopping, true)) {
		kvm_end(r->kvm, KVM_END_QUIT, "asked to stop again");
		return;
	}
	r->deadline = vmm_deadline((uint32_t)vmm_opts_num(r->opts,
	    "stop.timeout"));
	if (!dev_power_button(r->kvm->power)) {
		kvm_end(r->kvm, KVM_END_QUIT, "%s; the guest does not listen "
		    "to its power button", who);
		return;
	}
	vmm_log("%s: the power button is pressed", who);
}

static void
wait_for_end(struct run *r)
{
	struct signalfd_siginfo si;
	struct pollfd p[3];
	uint64_t n;
	int ms;

	while (kvm_ended(r->kvm, NULL, 0) == KVM_END_NONE) {
		p[0] = (struct pollfd){ .fd = r->kvm->end_fd,
		    .events = POLLIN };
		p[1] = (struct pollfd){ .fd = r->sigfd, .events = POLLIN };
		p[2] = (struct pollfd){ .fd = r->stopfd, .events = POLLIN };
		ms = r->deadline != 0 ? vmm_left_ms(r->deadline) : -1;
		if (poll(p, 3, ms) < 0 && errno != EINTR)
			return;
		if (p[1].revents != 0 && read(r->sigfd, &si, sizeof(si)) ==
		    sizeof(si))
			stop_asked(r, "asked to stop");
		if (p[2].revents != 0 && read(r->stopfd, &n, sizeof(n)) ==
		    sizeof(n) && !atomic_load(&r->stopping))
			stop_asked(r, "asked to shut down");
		if (r->deadline != 0 && vmm_left_ms(r->deadline) == 0)
			kvm_end(r->kvm, KVM_END_QUIT,
			    "the guest does not end in time");
	}
}

/* The same kernel again, in a new machine. */
static int
reboot(struct run *r)
{
	char err[VMM_ERRLEN] = "unknown error";
	int error;

	kvm_stop(r->kvm);
	if (!vmm_bus_reset(r->bus))
		return (-EIO);
	error = kvm_reset(r->kvm, err, sizeof(err));
	if (error == 0)
		error = vmm_bus_retime(r->bus) ? 0 : -EIO;
	if (error == 0)
		error = kvm_boot(r->kvm, &r->boot, err, sizeof(err));
	if (error == 0)
		error = kvm_start(r->kvm, err, sizeof(err));
	if (error != 0)
		vmm_log("%s", err);
	atomic_fetch_add(&r->resets, 1u);
	return (error);
}

int
run_kvm_watch(struct run *r)
{
	char text[256];
	enum kvm_end end;

	for (;;) {
		wait_for_end(r);
		end = kvm_ended(r->kvm, text, sizeof(text));
		if (end != KVM_END_RESET)
			break;
		if (!vmm_opts_bool(r->opts, "reboot")) {
			kvm_stop(r->kvm);
			vmm_log("%s; it is not started again (reboot=no)",
			    text);
			return (EX_RESET_);
		}
		/* One that does nothing else must not fill the log. */
		if (atomic_load(&r->resets) < MAX_LINES)
			vmm_log("%s; it starts again%s", text,
			    atomic_load(&r->resets) + 1 == MAX_LINES ?
			    "; more resets are only counted" : "");
		if (reboot(r) != 0)
			return (EX_FAILED);
	}
	kvm_stop(r->kvm);
	vmm_log("%s, %.2f s after start", text, (double)(vmm_now_ns() -
	    r->started) / 1e9);
	switch (end) {
	case KVM_END_OFF:
	case KVM_END_QUIT:
		return (EX_OK_);
	case KVM_END_CRASH:
		return (EX_CRASHED_);
	default:
		return (EX_FAILED);
	}
}

void
run_kvm_info(struct run *r, json_t *vm)
{
	const struct vmm_enlighten *e = &r->kvm->machine.enlighten;
	uint64_t exits = 0;
	uint32_t i;

	for (i = 0; i < r->kvm->conf.ncpus; i++)
		exits += atomic_load(&r->kvm->vcpu[i].exits);
	json_object_set_new(vm, "kernel", json_string(r->boot.kernel));
	json_object_set_new(vm, "synic", json_string(r->kvm->accel->name));
	json_object_set_new(vm, "profile", json_string(r->kvm->conf.gen2 ?
	    "gen2" : "legacy"));
	json_object_set_new(vm, "exits", json_integer((json_int_t)exits));
	json_object_set_new(vm, "kvm", kvm_stats(r->kvm));
	json_object_set_new(vm, "resets",
	    json_integer(atomic_load(&r->resets)));
	json_object_set_new(vm, "tsc_hz",
	    json_integer((json_int_t)e->tsc_hz));
	json_object_set_new(vm, "tsc_page", json_boolean(!e->no_tsc));
	json_object_set_new(vm, "mmio_gap", json_pack("{s:I, s:I}", "start",
	    (json_int_t)r->kvm->conf.gap_start, "size",
	    (json_int_t)r->kvm->conf.gap_size));
}
