/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The synthetic interrupt controller: each CPU's message page and event page,
 * their interrupt, and the queues on which the work that it brings is done.
 *
 * The interrupt handler only looks which channels have events and whether there
 * is a message; both are handled by threads of the same CPU.  A message is
 * copied once and only the copy is read.  Facts: wire.md sections 2 and 3.
 */

#include "vmbus_var.h"

#include <sys/cpuset.h>
#include <sys/pcpu.h>
#include <sys/proc.h>
#include <sys/priority.h>
#include <sys/smp.h>
#include <machine/atomic.h>
#include <machine/cpu.h>

#define	LONG_BITS	(sizeof(u_long) * NBBY)

static void
vmbus_msg_task(void *arg, int pending __unused)
{
	struct vmbus_pcpu *vp = arg;
	volatile struct hvk_synic_message *slot = vp->vp_message;
	struct hvk_synic_message msg;

	/* Bounded: a host that never stops gets another turn, not this CPU. */
	for (int i = 0; i < 64; i++) {
		msg.type = atomic_load_acq_32(__DEVOLATILE(uint32_t *,
		    &slot->type));
		if (msg.type == HVK_SYNIC_NONE)
			return;
		memcpy((char *)&msg + sizeof(msg.type),
		    (char *)__DEVOLATILE(void *, slot) + sizeof(msg.type),
		    sizeof(msg) - sizeof(msg.type));
		atomic_store_rel_32(__DEVOLATILE(uint32_t *, &slot->type),
		    HVK_SYNIC_NONE);
		/* The slot must be free before anybody asks for the next. */
		atomic_thread_fence_seq_cst();
		if (slot->flags & HVK_SYNIC_PENDING)
			hyperv_wrmsr(HVK_MSR_EOM, 0);
		if (msg.type == HVK_SYNIC_CHANNEL)
			vmbus_conn_input(vp->vp_sc, msg.payload, msg.size);
	}
	taskqueue_enqueue(vp->vp_msg_tq, &vp->vp_msg_task);
}

static void
vmbus_event(struct vmbus_softc *sc, u_int relid)
{
	struct vmbus_channel *chan;
	struct taskqueue *tq;

	chan = (struct vmbus_channel *)atomic_load_acq_ptr(
	    (volatile uintptr_t *)&sc->sc_chan[relid]);
	if (chan == NULL)
		return;
	tq = (struct taskqueue *)atomic_load_acq_ptr(
	    (volatile uintptr_t *)&chan->ch_tq);
	if (tq == NULL)
		return;
	chan->ch_events++;
	/* No more interrupts until the task has drained the ring. */
	hvk_ring_rx_mask(&chan->ch_rx);
	taskqueue_enqueue(tq, &chan->ch_task);
}

static void
vmbus_events(struct vmbus_softc *sc, struct vmbus_pcpu *vp)
{
	u_long flags;
	u_int bit, i, last;

	last = sc->sc_relid_max / LONG_BITS;
	for (i = 0; i <= last; i++) {
		if (vp->vp_events[i] == 0)
			continue;
		flags = atomic_readandclear_long(&vp->vp_events[i]);
		while (flags != 0) {
			bit = ffsl(flags) - 1;
			flags &= ~(1ul << bit);
			if (i * LONG_BITS + bit != 0)
				vmbus_event(sc, i * LONG_BITS + bit);
		}
	}
}

/* Interrupts are disabled. */
void
hyperv_isr(struct trapframe *frame __unused)
{
	struct vmbus_softc *sc = vmbus_sc;
	struct vmbus_pcpu *vp;

	critical_enter();
	if (sc != NULL && sc->sc_pcpu != NULL) {
		vp = &sc->sc_pcpu[curcpu];
		if (vp->vp_ready) {
			if (vp->vp_intrcnt != NULL)
				(*vp->vp_intrcnt)++;
			/* Events first: they are the data. */
			vmbus_events(sc, vp);
			if (vp->vp_message->type != HVK_SYNIC_NONE)
				taskqueue_enqueue(vp->vp_msg_tq,
				    &vp->vp_msg_task);
		}
	}
	if (sc != NULL && !sc->sc_auto_eoi)
		hyperv_md_eoi();
	critical_exit();
}

static void
vmbus_nothing(void *arg __unused)
{
}

/* When this returns, no interrupt handler runs that started before. */
void
vmbus_isr_barrier(void)
{

	smp_rendezvous(smp_no_rendezvous_barrier, vmbus_nothing,
	    smp_no_rendezvous_barrier, NULL);
}

/* Keep the bits of a page register that belong to the hypervisor. */
static void
vmbus_synic_page(u_int reg, const struct vmbus_mem *vm)
{
	uint64_t val;

	val = hyperv_rdmsr(reg) & PAGE_MASK & ~HVK_MSR_ENABLE;
	if (vm != NULL)
		val |= vmbus_mem_paddr(vm) | HVK_MSR_ENABLE;
	hyperv_wrmsr(reg, val);
}

/* On each CPU, with interrupts disabled. */
static void
vmbus_synic_enable(void *arg)
{
	struct vmbus_softc *sc = arg;
	struct vmbus_pcpu *vp = &sc->sc_pcpu[curcpu];
	uint64_t val;

	vp->vp_vcpu = 0;
	if (hyperv_info.features & HVK_FEATURE_VP_INDEX)
		vp->vp_vcpu = (uint32_t)hyperv_rdmsr(HVK_MSR_VP_INDEX);
	vmbus_synic_page(HVK_MSR_SIMP, &vp->vp_simp);
	vmbus_synic_page(HVK_MSR_SIEFP, &vp->vp_siefp);
	val = hyperv_rdmsr(HVK_MSR_SINT0 + VMBUS_SINT);
	val &= ~(HVK_SINT_VECTOR_MASK | HVK_SINT_MASKED | HVK_SINT_AUTO_EOI |
	    HVK_SINT_POLLING);
	val |= sc->sc_vector;
	if (sc->sc_auto_eoi)
		val |= HVK_SINT_AUTO_EOI;
	vp->vp_ready = true;
	hyperv_wrmsr(HVK_MSR_SINT0 + VMBUS_SINT, val);
	val = hyperv_rdmsr(HVK_MSR_SCONTROL);
	hyperv_wrmsr(HVK_MSR_SCONTROL, val | HVK_MSR_ENABLE);
}

static void
vmbus_synic_disable(void *arg)
{
	struct vmbus_softc *sc = arg;
	struct vmbus_pcpu *vp = &sc->sc_pcpu[curcpu];
	uint64_t val;

	val = hyperv_rdmsr(HVK_MSR_SINT0 + VMBUS_SINT);
	hyperv_wrmsr(HVK_MSR_SINT0 + VMBUS_SINT, val | HVK_SINT_MASKED);
	val = hyperv_rdmsr(HVK_MSR_SCONTROL);
	hyperv_wrmsr(HVK_MSR_SCONTROL, val & ~HVK_MSR_ENABLE);
	vmbus_synic_page(HVK_MSR_SIMP, NULL);
	vmbus_synic_page(HVK_MSR_SIEFP, NULL);
	vp->vp_ready = false;
}

static void
vmbus_synic_cpu(struct vmbus_softc *sc, int cpu)
{
	struct vmbus_pcpu *vp = &sc->sc_pcpu[cpu];
	cpuset_t mask;

	vp->vp_sc = sc;
	vmbus_mem_alloc(&vp->vp_simp, PAGE_SIZE);
	vmbus_mem_alloc(&vp->vp_siefp, PAGE_SIZE);
	vp->vp_message = (volatile struct hvk_synic_message *)
	    vp->vp_simp.vm_addr + VMBUS_SINT;
	vp->vp_events = (volatile u_long *)(void *)
	    ((char *)vp->vp_siefp.vm_addr +
	    VMBUS_SINT * HVK_EVENT_FLAGS_SIZE);
	vp->vp_intrcnt = hyperv_md_intr_counter(cpu);
	TASK_INIT(&vp->vp_msg_task, 0, vmbus_msg_task, vp);

	CPU_SETOF(cpu, &mask);
	vp->vp_event_tq = taskqueue_create_fast("hyperv event", M_WAITOK,
	    taskqueue_thread_enqueue, &vp->vp_event_tq);
	if (vmbus_pin_evttask)
		taskqueue_start_threads_cpuset(&vp->vp_event_tq, 1, PI_NET,
		    &mask, "hvevent%d", cpu);
	else
		taskqueue_start_threads(&vp->vp_event_tq, 1, PI_NET,
		    "hvevent%d", cpu);
	vp->vp_msg_tq = taskqueue_create_fast("hyperv msg", M_WAITOK,
	    taskqueue_thread_enqueue, &vp->vp_msg_tq);
	taskqueue_start_threads_cpuset(&vp->vp_msg_tq, 1, PI_NET, &mask,
	    "hvmsg%d", cpu);
}

int
vmbus_synic_start(struct vmbus_softc *sc)
{
	u_int cpu;

	sc->sc_pcpu = malloc(sizeof(*sc->sc_pcpu) * (mp_maxid + 1), M_VMBUS,
	    M_WAITOK | M_ZERO);
	CPU_FOREACH(cpu)
		vmbus_synic_cpu(sc, cpu);
	sc->sc_auto_eoi = hyperv_md_auto_eoi();
	sc->sc_vector = hyperv_md_intr_setup();
	if (sc->sc_vector < 0) {
		device_printf(sc->sc_dev, "no free interrupt vector\n");
		return (ENXIO);
	}
	if (bootverbose)
		device_printf(sc->sc_dev, "vmbus IDT vector %d\n",
		    sc->sc_vector);
	smp_rendezvous(NULL, vmbus_synic_enable, NULL, sc);
	return (0);
}

static void
vmbus_synic_cpu_free(struct vmbus_pcpu *vp)
{

	if (vp->vp_event_tq != NULL)
		taskqueue_free(vp->vp_event_tq);
	if (vp->vp_msg_tq != NULL) {
		taskqueue_drain(vp->vp_msg_tq, &vp->vp_msg_task);
		taskqueue_free(vp->vp_msg_tq);
	}
	vmbus_mem_free(&vp->vp_simp);
	vmbus_mem_free(&vp->vp_siefp);
}

void
vmbus_synic_stop(struct vmbus_softc *sc)
{
	u_int cpu;

	if (sc->sc_pcpu == NULL)
		return;
	if (sc->sc_vector >= 0) {
		smp_rendezvous(NULL, vmbus_synic_disable, NULL, sc);
		hyperv_md_intr_teardown(sc->sc_vector);
		sc->sc_vector = -1;
	}
	CPU_FOREACH(cpu)
		vmbus_synic_cpu_free(&sc->sc_pcpu[cpu]);
	free(sc->sc_pcpu, M_VMBUS);
	sc->sc_pcpu = NULL;
}
