/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * The kvm engine's machine: memory slots around the MMIO gap, interrupt
 * controllers, processors, devices, and the end of it all.  Locking: kvm.h.
 *
 * Source of facts: Linux's Documentation/virt/kvm/api.rst; hosts.md sections 0
 * and 2.6.
 */
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <x86intrin.h>

#include "kvm.h"

#define	GIB4		0x100000000ull
#define	TSS_ADDR	0xfffbd000ul	/* 4 pages of Intel's, in the gap */

_Thread_local struct kvm_vcpu *kvm_self;

/* ---- the end */

void
kvm_end(struct kvm_machine *m, enum kvm_end end, const char *fmt, ...)
{
	uint64_t one = 1;
	va_list ap;

	pthread_mutex_lock(&m->end_lock);
	if (m->end == KVM_END_NONE) {
		m->end = end;
		va_start(ap, fmt);
		vsnprintf(m->end_text, sizeof(m->end_text), fmt, ap);
		va_end(ap);
		atomic_store(&m->over, true);
	}
	pthread_mutex_unlock(&m->end_lock);
	if (write(m->end_fd, &one, sizeof(one)) < 0)
		return;			/* full: somebody is told already */
}

enum kvm_end
kvm_ended(struct kvm_machine *m, char *text, size_t len)
{
	enum kvm_end end;

	pthread_mutex_lock(&m->end_lock);
	end = m->end;
	if (text != NULL)
		snprintf(text, len, "%s", m->end_text);
	pthread_mutex_unlock(&m->end_lock);
	return (end);
}

void
kvm_request(struct kvm_vcpu *v, uint32_t what)
{

	/* In this order: one that is just starting sees the bit instead. */
	atomic_fetch_or(&v->requests, what);
	if (v == kvm_self || !atomic_load(&v->running))
		return;
	/* It does not end meanwhile. */
	pthread_mutex_lock(&v->kick_lock);
	if (atomic_load(&v->running))
		pthread_kill(v->self, KVM_KICK);
	pthread_mutex_unlock(&v->kick_lock);
}

void
kvm_nmi(struct kvm_machine *m)
{

	kvm_request(&m->vcpu[0], REQ_NMI);
}

/* ---- what the devices ask for */

static void
set_line(void *arg, uint32_t gsi, bool level)
{
	struct kvm_machine *m = arg;
	struct kvm_irq_level l = { .irq = gsi, .level = level };

	if (m->ioapic != NULL) {
		dev_ioapic_line(m->ioapic, gsi, level);
		return;
	}
	pthread_mutex_lock(&m->vm_lock);
	if (m->vm_fd >= 0)
		(void)ioctl(m->vm_fd, KVM_IRQ_LINE, &l);
	pthread_mutex_unlock(&m->vm_lock);
}

static void
dev_event(void *arg, enum dev_event event)
{
	struct kvm_machine *m = arg;

	switch (event) {
	case DEV_POWER_OFF:
		kvm_end(m, KVM_END_OFF, "the guest switched itself off");
		break;
	case DEV_RESET:
		kvm_end(m, KVM_END_RESET, "the guest was reset");
		break;
	case DEV_QUIT:
		kvm_end(m, KVM_END_QUIT, "quit by the escape key");
		break;
	case DEV_NMI:
		kvm_nmi(m);
		break;
	case DEV_POWER_BUTTON:
		if (!dev_power_button(m->power))
			vmm_log("the guest does not listen to the power "
			    "button");
		break;
	}
}

/* The I/O APIC of the gen2 profile: a message, and what KVM should know. */
static void
send_message(void *arg, const struct dev_message *msg)
{
	struct kvm_machine *m = arg;
	struct kvm_msi msi = {
		.address_lo = msg->address,
		.data = msg->data,
	};

	pthread_mutex_lock(&m->vm_lock);
	if (m->vm_fd >= 0)
		(void)ioctl(m->vm_fd, KVM_SIGNAL_MSI, &msi);
	pthread_mutex_unlock(&m->vm_lock);
}

static void
pins_changed(void *arg, const struct dev_message *pin, unsigned n)
{
	struct kvm_machine *m = arg;

	pthread_mutex_lock(&m->vm_lock);
	memcpy(m->pin, pin, n * sizeof(*pin));
	if (m->vm_fd >= 0)
		(void)kvm_set_routes(m);
	pthread_mutex_unlock(&m->vm_lock);
}

/* ---- what the bus asks for */

static void
op_interrupt(void *arg, const struct hvk_hv_irq *irq)
{
	struct kvm_machine *m = arg;

	if (irq->vp < m->conf.ncpus)
		m->accel->interrupt(m, irq);
}

static int
op_doorbell(void *arg, uint32_t connection, int fd)
{
	struct kvm_machine *m = arg;

	return (m->accel->doorbell(m, connection, fd));
}

static bool
op_owner(void *arg, uint32_t cpu)
{
	struct kvm_machine *m = arg;

	return (m->accel->owner == NULL || m->accel->owner(m, cpu));
}

static void
op_hypercall_page(void *arg, uint64_t gpa)
{
	struct kvm_machine *m = arg;

	if (m->accel->hypercall_page != NULL)
		m->accel->hypercall_page(m, gpa);
}

static uint64_t
op_reference(void *arg)
{
	struct kvm_machine *m = arg;

	return (m->accel->reference(m));
}

static void
op_idle(void *arg, uint32_t cpu)
{
	struct kvm_machine *m = arg;

	kvm_vcpu_idle(&m->vcpu[cpu]);
}

static void
op_reset(void *arg)
{

	dev_event(arg, DEV_RESET);
}

static const struct vmm_machine_ops machine_ops = {
	.interrupt = op_interrupt,
	.doorbell = op_doorbell,
	.owner = op_owner,
	.hypercall_page = op_hypercall_page,
	.idle = op_idle,
	.reset = op_reset,
};

/* The same, where the reference counter is KVM's. */
static const struct vmm_machine_ops machine_ops_clock = {
	.interrupt = op_interrupt,
	.doorbell = op_doorbell,
	.owner = op_owner,
	.hypercall_page = op_hypercall_page,
	.idle = op_idle,
	.reset = op_reset,
	.reference = op_reference,
};

/* ---- the virtual machine */

static int
add_slot(struct kvm_machine *m, uint32_t slot, uint64_t start, uint64_t end)
{
	struct kvm_userspace_memory_region r = {
		.slot = slot,
		.guest_phys_addr = start,
		.memory_size = end - start,
		.userspace_addr = (uintptr_t)m->mem.base + start,
	};

	if (end <= start)
		return (0);
	return (ioctl(m->vm_fd, KVM_SET_USER_MEMORY_REGION, &r) != 0 ?
	    -errno : 0);
}

static int
make_memory(struct kvm_machine *m)
{
	uint64_t low = m->mem.size < m->mem.gap_start ? m->mem.size :
	    m->mem.gap_start;
	int error;

	error = add_slot(m, 0, 0, low);
	if (error == 0)
		error = add_slot(m, 1, m->mem.gap_end, m->mem.size);
	return (error);
}

/* In the legacy profile KVM has PIC, I/O APIC and PIT, in gen2 none of them. */
static int
make_irqchips(struct kvm_machine *m)
{
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	struct kvm_enable_cap split = {
		.cap = KVM_CAP_SPLIT_IRQCHIP,
		.args = { PLAT_IOAPIC_PINS },
	};

	/* Only some processors need it, and on others it does nothing. */
	(void)ioctl(m->vm_fd, KVM_SET_TSS_ADDR, TSS_ADDR);
	if (m->conf.gen2)
		return (ioctl(m->vm_fd, KVM_ENABLE_CAP, &split) != 0 ?
		    -errno : 0);
	if (ioctl(m->vm_fd, KVM_CREATE_IRQCHIP, 0) != 0 ||
	    ioctl(m->vm_fd, KVM_CREATE_PIT2, &pit) != 0)
		return (-errno);
	return (0);
}

/* ISA pins go to both controllers, as wired in a PC. */
static void
legacy_routes(struct kvm_irq_routing *t)
{
	struct kvm_irq_routing_entry *e;
	uint32_t i;

	for (i = 0; i < 16; i++) {
		e = &t->entries[t->nr++];
		e->gsi = i;
		e->type = KVM_IRQ_ROUTING_IRQCHIP;
		e->u.irqchip.irqchip = i < 8 ? KVM_IRQCHIP_PIC_MASTER :
		    KVM_IRQCHIP_PIC_SLAVE;
		e->u.irqchip.pin = i % 8;
	}
	for (i = 0; i < PLAT_IOAPIC_PINS; i++) {
		e = &t->entries[t->nr++];
		e->gsi = i;
		e->type = KVM_IRQ_ROUTING_IRQCHIP;
		e->u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC;
		/* The timer is on pin 2, as the MADT says. */
		e->u.irqchip.pin = i == 0 ? 2 : i;
	}
}

/* The table replaces KVM's own. */
int
kvm_set_routes(struct kvm_machine *m)
{
	uint32_t n = 16 + PLAT_IOAPIC_PINS + m->conf.ncpus * HVK_HV_SINTS;
	struct kvm_irq_routing_entry *e;
	struct kvm_irq_routing *t;
	uint32_t i;
	int error;

	t = calloc(1, sizeof(*t) + n * sizeof(t->entries[0]));
	if (t == NULL)
		return (-ENOMEM);
	if (!m->conf.gen2)
		legacy_routes(t);
	for (i = 0; i < PLAT_IOAPIC_PINS && m->conf.gen2; i++) {
		if (m->pin[i].data == 0)
			continue;
		e = &t->entries[t->nr++];
		e->gsi = i;
		e->type = KVM_IRQ_ROUTING_MSI;
		e->u.msi.address_lo = m->pin[i].address;
		e->u.msi.data = m->pin[i].data;
	}
	if (m->accel->routes != NULL)
		m->accel->routes(m, t);
	error = ioctl(m->vm_fd, KVM_SET_GSI_ROUTING, t) != 0 ? -errno : 0;
	free(t);
	return (error);
}

int
kvm_filter_msrs(struct kvm_machine *m, const struct kvm_span *spans,
    unsigned n)
{
	static uint8_t nothing[64];	/* no bit set: none is KVM's */
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_X86_USER_SPACE_MSR,
		.args = { KVM_MSR_EXIT_REASON_FILTER },
	};
	struct kvm_msr_filter f = { .flags = KVM_MSR_FILTER_DEFAULT_ALLOW };
	unsigned i;

	if (n > KVM_MSR_FILTER_MAX_RANGES)
		return (-E2BIG);
	if (ioctl(m->vm_fd, KVM_ENABLE_CAP, &cap) != 0)
		return (-errno);
	for (i = 0; i < n; i++) {
		if (spans[i].n > sizeof(nothing) * 8)
			return (-E2BIG);
		f.ranges[i].flags = KVM_MSR_FILTER_READ |
		    KVM_MSR_FILTER_WRITE;
		f.ranges[i].base = spans[i].first;
		f.ranges[i].nmsrs = spans[i].n;
		f.ranges[i].bitmap = nothing;
	}
	return (ioctl(m->vm_fd, KVM_X86_SET_MSR_FILTER, &f) != 0 ? -errno : 0);
}

static int
make_vcpu(struct kvm_machine *m, uint32_t i)
{
	struct kvm_vcpu *v = &m->vcpu[i];

	v->fd = ioctl(m->vm_fd, KVM_CREATE_VCPU, i);
	if (v->fd < 0)
		return (-errno);
	v->run = mmap(NULL, m->run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
	    v->fd, 0);
	if (v->run == MAP_FAILED) {
		v->run = NULL;
		return (-errno);
	}
	kvm_stats_open(v);
	return (m->accel->vcpu(v));
}

/* The guest's counter less the host's, the same on all processors. */
static uint64_t
tsc_delta(struct kvm_machine *m)
{
	uint64_t offset = 0, tsc = 0, t0, t1, best = UINT64_MAX, delta = 0;
	struct kvm_device_attr a = {
		.group = KVM_VCPU_TSC_CTRL,
		.attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uintptr_t)&offset,
	};
	uint32_t i;

	if (ioctl(m->vcpu[0].fd, KVM_GET_DEVICE_ATTR, &a) == 0) {
		for (i = 1; i < m->conf.ncpus; i++)
			(void)ioctl(m->vcpu[i].fd, KVM_SET_DEVICE_ATTR, &a);
		return (offset);
	}
	for (i = 0; i < 8; i++) {
		t0 = __rdtsc();
		if (kvm_get_msr(&m->vcpu[0], 0x10, &tsc) != 0)
			return (0);
		t1 = __rdtsc();
		if (t1 - t0 < best) {
			best = t1 - t0;
			delta = tsc - (t0 + (t1 - t0) / 2);
		}
	}
	return (delta);
}

static void
close_vm(struct kvm_machine *m)
{
	struct kvm_vcpu *v;
	uint32_t i;

	pthread_mutex_lock(&m->vm_lock);
	for (i = 0; i < VMM_MAXCPU; i++) {
		v = &m->vcpu[i];
		kvm_stats_close(v);
		if (v->run != NULL)
			munmap(v->run, m->run_size);
		if (v->fd >= 0)
			close(v->fd);
		v->run = NULL;
		v->fd = -1;
		atomic_store(&v->requests, 0);
		memset((void *)v->self_eoi, 0, sizeof(v->self_eoi));
	}
	if (m->vm_fd >= 0)
		close(m->vm_fd);
	m->vm_fd = -1;
	memset(m->bell, 0, sizeof(m->bell));
	memset(m->pin, 0, sizeof(m->pin));
	pthread_mutex_unlock(&m->vm_lock);
}

static int
open_vm(struct kvm_machine *m, char *err, size_t errlen)
{
	struct kvm_enable_cap pv = {
		.cap = KVM_CAP_ENFORCE_PV_FEATURE_CPUID,
		.args = { 1 },
	};
	const char *what = "make a machine";
	uint32_t i;
	int error = 0, fd;

	fd = ioctl(m->sys_fd, KVM_CREATE_VM, 0);
	if (fd < 0)
		error = -errno;
	pthread_mutex_lock(&m->vm_lock);
	m->vm_fd = fd;
	pthread_mutex_unlock(&m->vm_lock);
	if (error == 0) {
		what = "give it its memory";
		error = make_memory(m);
	}
	if (error == 0) {
		what = "make its interrupt controllers";
		error = make_irqchips(m);
	}
	if (error == 0) {
		what = "set up its registers";
		m->machine.enlighten.guest_idle = true;
		error = m->accel->vm(m);
	}
	for (i = 0; i < m->conf.ncpus && error == 0; i++) {
		what = "make its processors";
		error = make_vcpu(m, i);
		/* KVM's own paravirtual registers are not offered. */
		if (error == 0)
			(void)ioctl(m->vcpu[i].fd, KVM_ENABLE_CAP, &pv);
	}
	if (error == 0) {
		/* A route to a processor needs it to be there. */
		what = "route its interrupts";
		error = kvm_set_routes(m);
	}
	if (error != 0)
		return (vmm_fail(err, errlen, error, "KVM cannot %s: %s", what,
		    strerror(-error)));
	m->machine.enlighten.tsc_delta = tsc_delta(m);
	return (0);
}

static int
choose_accel(struct kvm_machine *m, char *err, size_t errlen)
{
	bool kernel, user;

	kernel = ioctl(m->sys_fd, KVM_CHECK_EXTENSION,
	    KVM_CAP_HYPERV_SYNIC2) > 0 && ioctl(m->sys_fd,
	    KVM_CHECK_EXTENSION, KVM_CAP_HYPERV_VP_INDEX) > 0;
	user = ioctl(m->sys_fd, KVM_CHECK_EXTENSION,
	    KVM_CAP_X86_USER_SPACE_MSR) > 0 && ioctl(m->sys_fd,
	    KVM_CHECK_EXTENSION, KVM_CAP_X86_MSR_FILTER) > 0;
	if (m->conf.synic == KVM_SYNIC_KERNEL && !kernel)
		return (vmm_fail(err, errlen, -ENOTSUP, "this KVM has no "
		    "Hyper-V SynIC (a kernel without CONFIG_KVM_HYPERV?); use "
		    "-o kvm.synic=user"));
	if (!user && (m->conf.synic == KVM_SYNIC_USER || !kernel))
		return (vmm_fail(err, errlen, -ENOTSUP, "this KVM gives no "
		    "registers to user space (Linux 5.10 or newer does)"));
	m->accel = kernel && m->conf.synic != KVM_SYNIC_USER ?
	    &kvm_accel_kernel : &kvm_accel_user;
	return (0);
}

static int
open_kvm(struct kvm_machine *m, char *err, size_t errlen)
{
	int n;

	m->sys_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (m->sys_fd < 0)
		return (vmm_fail(err, errlen, -errno, "cannot open /dev/kvm: "
		    "%s; %s", strerror(errno), errno == EACCES ? "be in the "
		    "group that owns it" : "the kld engine needs none"));
	if (ioctl(m->sys_fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		return (vmm_fail(err, errlen, -ENOTSUP,
		    "/dev/kvm speaks another version of its interface"));
	n = ioctl(m->sys_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (n < (int)sizeof(struct kvm_run))
		return (vmm_fail(err, errlen, -EIO, "/dev/kvm is broken"));
	m->run_size = (size_t)n;
	n = ioctl(m->sys_fd, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);
	if (n > 0 && m->conf.ncpus > (uint32_t)n)
		return (vmm_fail(err, errlen, -E2BIG, "this KVM makes at most "
		    "%d processors", n));
	return (choose_accel(m, err, errlen));
}

static int
make_devices(struct kvm_machine *m)
{
	struct dev_ioapic_ops ops = { send_message, pins_changed, m };
	struct dev_port p;
	int error;

	m->devs = (struct dev_machine){ set_line, dev_event, m };
	m->uart = dev_uart_create(&m->devs, PLAT_COM1_IRQ);
	m->power = dev_power_create(&m->devs, !m->conf.gen2);
	m->rtc = m->conf.gen2 ? NULL : dev_rtc_create();
	m->ioapic = m->conf.gen2 ? dev_ioapic_create(&ops) : NULL;
	if (m->uart == NULL || m->power == NULL ||
	    (m->conf.gen2 ? m->ioapic == NULL : m->rtc == NULL))
		return (-ENOMEM);
	dev_uart_port(m->uart, PLAT_COM1_PORT, &p);
	error = dev_ports_add(&m->ports, &p);
	if (error == 0)
		error = dev_power_ports(m->power, &m->ports);
	if (error == 0 && m->rtc != NULL)
		error = dev_rtc_ports(m->rtc, &m->ports);
	return (error);
}

static void
kicked(int sig)
{

	(void)sig;
	if (kvm_self != NULL && kvm_self->run != NULL)
		kvm_self->run->immediate_exit = 1;
}

static void
fill_machine(struct kvm_machine *m)
{
	int khz;

	m->machine.ops = m->accel->reference != NULL ? &machine_ops_clock :
	    &machine_ops;
	m->machine.arg = m;
	m->machine.mem = &m->mem;
	m->machine.ncpus = m->conf.ncpus;
	khz = ioctl(m->vcpu[0].fd, KVM_GET_TSC_KHZ, 0);
	if (khz > 0)
		m->machine.enlighten.tsc_hz = (uint64_t)khz * 1000;
	m->accel->enlighten(m, &m->machine.enlighten);
}

struct kvm_machine *
kvm_create(const struct kvm_config *conf, char *err, size_t errlen)
{
	struct kvm_machine *m = calloc(1, sizeof(*m));
	struct sigaction sa = { .sa_handler = kicked };
	uint32_t i;
	int error;

	if (m == NULL) {
		vmm_fail(err, errlen, 0, "out of memory");
		return (NULL);
	}
	m->conf = *conf;
	m->sys_fd = m->vm_fd = m->mem.fd = -1;
	pthread_mutex_init(&m->vm_lock, NULL);
	pthread_mutex_init(&m->end_lock, NULL);
	m->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (i = 0; i < VMM_MAXCPU; i++) {
		m->vcpu[i].m = m;
		m->vcpu[i].index = i;
		pthread_mutex_init(&m->vcpu[i].kick_lock, NULL);
		m->vcpu[i].fd = m->vcpu[i].stats_fd = -1;
	}
	sigaction(KVM_KICK, &sa, NULL);
	if (open_kvm(m, err, errlen) != 0 || guest_mem_create_gap(&m->mem,
	    conf->memory, conf->gap_start, conf->gap_start + conf->gap_size,
	    err, errlen) != 0 || open_vm(m, err, errlen) != 0)
		goto fail;
	error = make_devices(m);
	if (error != 0) {
		vmm_fail(err, errlen, 0, "cannot make the devices: %s",
		    strerror(-error));
		goto fail;
	}
	fill_machine(m);
	return (m);
fail:
	kvm_destroy(m);
	return (NULL);
}

void
kvm_destroy(struct kvm_machine *m)
{
	uint32_t i;

	if (m == NULL)
		return;
	kvm_stop(m);
	close_vm(m);
	dev_uart_destroy(m->uart);
	dev_power_destroy(m->power);
	dev_rtc_destroy(m->rtc);
	dev_ioapic_destroy(m->ioapic);
	guest_mem_destroy(&m->mem);
	if (m->sys_fd >= 0)
		close(m->sys_fd);
	if (m->end_fd >= 0)
		close(m->end_fd);
	for (i = 0; i < VMM_MAXCPU; i++)
		pthread_mutex_destroy(&m->vcpu[i].kick_lock);
	pthread_mutex_destroy(&m->vm_lock);
	pthread_mutex_destroy(&m->end_lock);
	free(m);
}

int
kvm_boot(struct kvm_machine *m, struct boot_config *bc, char *err,
    size_t errlen)
{
	struct boot_cpu cpu;
	uint64_t top;
	int error;

	bc->ncpus = m->conf.ncpus;
	bc->gen2 = m->conf.gen2;
	bc->gap_start = m->conf.gap_start;
	bc->gap_size = m->conf.gap_size;
	top = m->mem.size > GIB4 ? m->mem.size : GIB4;
	bc->high_size = m->conf.high_size;
	bc->high_start = (top + (1ull << 30) - 1) & ~((1ull << 30) - 1);
	error = boot_load(bc, &m->mem, &cpu, err, errlen);
	if (error == 0)
		error = kvm_set_cpuid(m, err, errlen);
	if (error != 0)
		return (error);
	error = kvm_vcpu_entry(&m->vcpu[0], &cpu);
	if (error != 0)
		return (vmm_fail(err, errlen, error, "KVM does not take the "
		    "processor's first state: %s", strerror(-error)));
	return (0);
}

int
kvm_start(struct kvm_machine *m, char *err, size_t errlen)
{
	struct kvm_vcpu *v;
	char name[16];
	uint32_t i;
	int error;

	for (i = 0; i < m->conf.ncpus; i++) {
		v = &m->vcpu[i];
		snprintf(name, sizeof(name), "vcpu%u", i);
		error = vmm_thread(&v->thread, name, kvm_vcpu_main, v);
		if (error != 0)
			return (vmm_fail(err, errlen, error,
			    "cannot start a thread: %s", strerror(-error)));
		v->started = true;
	}
	return (0);
}

void
kvm_stop(struct kvm_machine *m)
{
	uint32_t i;

	for (i = 0; i < VMM_MAXCPU; i++)
		if (m->vcpu[i].started)
			kvm_request(&m->vcpu[i], REQ_STOP);
	for (i = 0; i < VMM_MAXCPU; i++)
		if (m->vcpu[i].started) {
			pthread_join(m->vcpu[i].thread, NULL);
			m->vcpu[i].started = false;
		}
}

int
kvm_reset(struct kvm_machine *m, char *err, size_t errlen)
{
	uint64_t n;
	int error;

	close_vm(m);
	error = guest_mem_clear(&m->mem);
	if (error != 0)
		return (vmm_fail(err, errlen, error,
		    "cannot clear guest memory: %s", strerror(-error)));
	pthread_mutex_lock(&m->end_lock);
	m->end = KVM_END_NONE;
	atomic_store(&m->over, false);
	pthread_mutex_unlock(&m->end_lock);
	if (read(m->end_fd, &n, sizeof(n)) < 0)
		n = 0;			/* nothing was in it */
	error = open_vm(m, err, errlen);
	if (error != 0)
		return (error);
	dev_uart_reset(m->uart);
	dev_power_reset(m->power);
	if (m->ioapic != NULL)
		dev_ioapic_reset(m->ioapic);
	return (0);
}
