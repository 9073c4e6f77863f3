/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * The bus: glue between a machine's exits, the hypervisor model, the VMBus
 * server machine and the devices.  Virtual processors' threads bring messages
 * in under the bus lock; one bus thread delivers messages to the guest, retries
 * while its slot is full, and runs the devices' open and close with the lock
 * dropped.  Protocol decisions are the core's, none are made here.
 *
 * Source of facts: reference/hosts.md sections 1.3 and 2.6.
 */
#include <sys/eventfd.h>

#include <cpuid.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "bus.h"

#define	RETRY_MAX_MS	16u	/* between tries at a full message slot */
#define	COMPLAINTS	3u	/* log lines for one kind of refusal */
#define	STOP_MS		10000u	/* for all devices to close */
#define	CRASH_LINE	256u

static uint64_t
monotonic_100ns(void)
{

	return (vmm_now_ns() / 100);
}

uint64_t
bus_now(const struct vmm_bus *bus)
{

	if (bus->tsc_scale == 0)
		return (monotonic_100ns());
	return ((uint64_t)(((unsigned __int128)(__rdtsc() - bus->tsc_zero) *
	    bus->tsc_scale) >> 64));
}

uint64_t
vmm_reference_time(struct vmm_bus *bus)
{
	const struct vmm_machine *m = bus->machine;

	return (m->ops->reference != NULL ? m->ops->reference(m->arg) :
	    bus_now(bus));
}

/* The guest reads the same counter: only one that never stops will do. */
static uint64_t
tsc_frequency(void)
{
	uint32_t a, b, c, d;
	uint64_t t0, t1, n0, n1;
	struct timespec ts = { 0, 20000000 };

	if (__get_cpuid(0x80000007u, &a, &b, &c, &d) == 0 || (d & 0x100) == 0)
		return (0);
	n0 = vmm_now_ns();
	t0 = __rdtsc();
	nanosleep(&ts, NULL);
	n1 = vmm_now_ns();
	t1 = __rdtsc();
	return ((uint64_t)((unsigned __int128)(t1 - t0) * 1000000000u /
	    (n1 - n0)));
}

void
bus_kick(struct vmm_bus *bus)
{

	bus->kicked = true;
	pthread_cond_signal(&bus->wake);
}

void
bus_inject(struct vmm_bus *bus, const struct hvk_hv_irq *irqs, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		bus->machine->ops->interrupt(bus->machine->arg, &irqs[i]);
}

static int
post(struct vmm_bus *bus, const struct hvk_server_out *out)
{
	struct hvk_hv_result res;
	int error;

	if (out->vp >= bus->machine->ncpus)
		return (HVK_RANGE);
	memset(&res, 0, sizeof(res));
	pthread_mutex_lock(&bus->vplock[out->vp]);
	error = hvk_hv_post(&bus->hv, out->vp, out->sint, 1, 1, out->data,
	    out->len, &bus->view, &res);
	pthread_mutex_unlock(&bus->vplock[out->vp]);
	bus_inject(bus, res.irqs, res.nirqs);
	return (error);
}

/* Give the guest what waits for it, until its slot is full. */
void
bus_deliver(struct vmm_bus *bus)
{
	const struct vmm_machine *m = bus->machine;
	struct hvk_server_out out;
	enum vmm_fault fault;
	int error;

	while (hvk_server_next(bus->server, &out)) {
		if (bus->hold_until > vmm_now_ns())
			return;
		if (m->ops->owner != NULL && out.vp < m->ncpus &&
		    !m->ops->owner(m->arg, out.vp))
			return;
		fault = fault_message(bus, &out);
		if (fault == FAULT_DELAY)
			return;
		error = fault == FAULT_DROP ? HVK_OK : post(bus, &out);
		if (error == HVK_AGAIN || error == HVK_STATE) {
			/* Slot full, or SynIC off: EOM wakes us, or time. */
			bus->retry_ms = bus->retry_ms == 0 ? 1 :
			    bus->retry_ms * 2;
			if (bus->retry_ms > RETRY_MAX_MS)
				bus->retry_ms = RETRY_MAX_MS;
			bus->retry_at = vmm_deadline((uint32_t)bus->retry_ms);
			return;
		}
		if (fault != FAULT_DROP)
			trace_message(bus, true, out.vp, out.data, out.len);
		bus->retry_ms = 0;
		bus->head_asked = false;
		hvk_server_sent(bus->server);
	}
	bus->retry_ms = 0;
}

/* false: it is gone again; guests try versions one after the other. */
static bool
contact(struct vmm_bus *bus, const struct hvk_server_event *ev)
{

	if (ev->contact.version == 0)
		return (false);
	bus->connected = true;
	if (bus_talk(bus, SAY_CONTACT))
		vmm_log("guest speaks VMBus %u.%u", ev->contact.version >> 16,
		    ev->contact.version & 0xffff);
	return (true);
}

static void
handle(struct vmm_bus *bus, const struct hvk_server_event *ev)
{

	switch (ev->kind) {
	case HVK_SERVER_CONTACT:
		if (contact(bus, ev))
			monitor_pages(bus, ev->contact.monitor_g2h);
		break;
	case HVK_SERVER_DISCONNECT:
		bus->connected = false;
		monitor_pages(bus, 0);
		break;
	case HVK_SERVER_MONITOR:
		monitor_pages(bus, ev->contact.monitor_g2h);
		break;
	case HVK_SERVER_OPEN:
		bus_channel_open(bus, ev);
		break;
	case HVK_SERVER_CLOSE:
		if (bus_linger(bus, ev->cookie))
			break;
		bus_channel_close(bus, ev->cookie);
		hvk_server_close_done(bus->server, ev->channel);
		break;
	case HVK_SERVER_MODIFY:
		bus_channel_modify(bus, ev);
		break;
	case HVK_SERVER_GPADL_TEARDOWN:
		/* Rings are unmapped by CLOSE; the rest is the device's. */
		bus_gpadl_gone(bus, ev->cookie, ev->gpadl.id);
		hvk_server_gpadl_released(bus->server, ev->channel,
		    ev->gpadl.id);
		break;
	case HVK_SERVER_RELEASED:
		bus_channel_released(bus, ev->cookie);
		break;
	case HVK_SERVER_TL_CONNECT:
		hvk_server_tl_done(bus->server, ev->tl.id, HVK_STATUS_REFUSED);
		break;
	case HVK_SERVER_GPADL_READY:
	case HVK_SERVER_NONE:
		break;
	}
}

static void
bus_wait(struct vmm_bus *bus)
{
	struct timespec ts;
	uint64_t at = bus_linger_deadline(bus), retry;

	if (bus->retry_ms != 0) {
		retry = bus->retry_at > vmm_now_ns() ? bus->retry_at :
		    vmm_deadline((uint32_t)bus->retry_ms);
		at = at == 0 || retry < at ? retry : at;
	}
	if (bus->hold_until != 0 && (at == 0 || bus->hold_until < at))
		at = bus->hold_until;
	if (at == 0) {
		pthread_cond_wait(&bus->wake, &bus->lock);
		return;
	}
	ts.tv_sec = (time_t)(at / 1000000000u);
	ts.tv_nsec = (long)(at % 1000000000u);
	pthread_cond_timedwait(&bus->wake, &bus->lock, &ts);
}

/* The guest's last words, in the run directory. */
static void
crash_file(const char *dir, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/crash.txt", dir);
	f = fopen(path, "we");
	if (f == NULL || fputs(text, f) == EOF)
		vmm_log("cannot write %s: %s", path, strerror(errno));
	if (f != NULL)
		fclose(f);
}

static void *
bus_main(void *arg)
{
	struct vmm_bus *bus = arg;
	struct hvk_server_event ev;
	char text[CRASH_MAX];

	pthread_mutex_lock(&bus->lock);
	while (!bus->quit || bus->crash_due) {
		if (bus->crash_due) {
			bus->crash_due = false;
			memcpy(text, bus->crash, sizeof(text));
			pthread_mutex_unlock(&bus->lock);
			crash_file(bus->conf.dir, text);
			pthread_mutex_lock(&bus->lock);
			continue;
		}
		bus->kicked = false;
		if (bus->hold_until != 0 && bus->hold_until <= vmm_now_ns())
			bus->hold_until = 0;
		/* A full slot is left alone until EOM, or until it is time. */
		if (bus->retry_ms == 0 || bus->retry_at <= vmm_now_ns())
			bus_deliver(bus);
		if (bus_linger_next(bus))
			continue;
		if (hvk_server_event(bus->server, &ev)) {
			handle(bus, &ev);
			continue;
		}
		if (!bus->kicked)
			bus_wait(bus);
	}
	/* A guest that left at once was there all the same. */
	while (hvk_server_event(bus->server, &ev))
		if (ev.kind == HVK_SERVER_CONTACT)
			(void)contact(bus, &ev);
	pthread_mutex_unlock(&bus->lock);
	return (NULL);
}

/* ---- exits */

void
vmm_bus_cpuid(struct vmm_bus *bus, uint32_t cpu, uint32_t leaf,
    uint32_t subleaf, uint32_t regs[4])
{

	(void)cpu;
	__cpuid_count(leaf, subleaf, regs[0], regs[1], regs[2], regs[3]);
	/* A real hypervisor's own leaves are not our guest's business. */
	if (leaf >= 0x40000000u && leaf <= 0x4fffffffu)
		memset(regs, 0, 4 * sizeof(regs[0]));
	(void)hvk_hv_cpuid(&bus->hv, leaf, subleaf, regs);
}

/* What a reader wants first: the line that says panic, or the last one. */
static void
crash_line(const char *text, char *line, size_t len)
{
	const char *at = strcasestr(text, "panic"), *end;

	if (at == NULL) {
		end = text + strlen(text);
		while (end > text && end[-1] == '\n')
			end--;
		for (at = end; at > text && at[-1] != '\n'; at--)
			continue;
	}
	while (at > text && at[-1] != '\n')
		at--;
	snprintf(line, len, "%.*s", (int)strcspn(at, "\n"), at);
}

static void
crash_report(struct vmm_bus *bus)
{
	char text[CRASH_MAX], line[CRASH_LINE];
	uint64_t p[5], ctl, len;
	const char *from = NULL;
	size_t i;
	bool kept;

	hvk_hv_crash(&bus->hv, p, &ctl);
	len = p[4] < sizeof(text) - 1 ? p[4] : sizeof(text) - 1;
	if ((ctl & HVK_CRASH_MESSAGE) != 0)
		from = guest_mem_view(bus->machine->mem, p[3], len);
	if (from == NULL)
		len = 0;
	for (i = 0; i < len && from[i] != '\0'; i++)
		text[i] = (from[i] >= 0x20 && from[i] < 0x7f) ||
		    from[i] == '\n' || from[i] == '\t' ? from[i] : '?';
	text[len = i] = '\0';
	crash_line(text, line, sizeof(line));
	pthread_mutex_lock(&bus->lock);
	/* A later report without words does not take the first one's. */
	if (len > 0 || !bus->crashed)
		memcpy(bus->crash, text, sizeof(bus->crash));
	bus->crashed = true;
	/* The file is the bus thread's: a processor's opens none. */
	kept = bus->conf.dir != NULL && len > 0;
	bus->crash_due = bus->crash_due || kept;
	bus_kick(bus);
	pthread_mutex_unlock(&bus->lock);
	if (bus_talk(bus, SAY_CRASH))
		vmm_log("the guest reports a crash: %s (%#llx %#llx %#llx)%s",
		    *line != '\0' ? line : "no text",
		    (unsigned long long)p[0], (unsigned long long)p[1],
		    (unsigned long long)p[2],
		    kept ? "; all of it is in crash.txt" : "");
	if (bus->machine->ops->crashed != NULL)
		bus->machine->ops->crashed(bus->machine->arg, text);
}

static void
reset_request(struct vmm_bus *bus)
{
	struct vmm_machine *m = bus->machine;

	if (m->ops->reset != NULL) {
		m->ops->reset(m->arg);
		return;
	}
	if (bus_talk(bus, SAY_RESET))
		vmm_log("the guest asks for a reset: its devices are reset");
	pthread_mutex_lock(&bus->lock);
	hvk_server_reset(bus->server);
	bus_kick(bus);
	pthread_mutex_unlock(&bus->lock);
}

static void
fill_hypercall_page(struct vmm_bus *bus)
{
	struct vmm_machine *m = bus->machine;
	uint64_t gpa;

	if (m->ops->hypercall_page != NULL &&
	    hvk_hv_hypercall_page(&bus->hv, &gpa))
		m->ops->hypercall_page(m->arg, gpa);
}

static void
act(struct vmm_bus *bus, const struct hvk_hv_result *res)
{

	bus_inject(bus, res->irqs, res->nirqs);
	if ((res->actions & HVK_HV_HYPERCALL) != 0)
		fill_hypercall_page(bus);
	if ((res->actions & (HVK_HV_TIMER | HVK_HV_EOM)) != 0)
		bus_timers_kick(bus);
	if ((res->actions & (HVK_HV_EOM | HVK_HV_SYNIC)) != 0) {
		pthread_mutex_lock(&bus->lock);
		bus_deliver(bus);
		bus_kick(bus);
		pthread_mutex_unlock(&bus->lock);
	}
	if ((res->actions & HVK_HV_CRASH) != 0)
		crash_report(bus);
	if ((res->actions & HVK_HV_RESET) != 0)
		reset_request(bus);
}

bool
vmm_bus_rdmsr(struct vmm_bus *bus, uint32_t cpu, uint32_t msr,
    uint64_t *value)
{
	struct hvk_hv_result res;
	int error;

	if (!hvk_hv_owns_msr(msr))
		return (false);
	pthread_mutex_lock(&bus->vplock[cpu]);
	error = hvk_hv_rdmsr(&bus->hv, cpu, msr, bus_now(bus), value, &res);
	pthread_mutex_unlock(&bus->vplock[cpu]);
	if (error != HVK_OK)
		bus_refused(bus, cpu, msr, NULL, res.refused);
	act(bus, &res);
	if ((res.actions & HVK_HV_IDLE) != 0 &&
	    bus->machine->ops->idle != NULL)
		bus->machine->ops->idle(bus->machine->arg, cpu);
	return (error == HVK_OK);
}

bool
vmm_bus_wrmsr(struct vmm_bus *bus, uint32_t cpu, uint32_t msr, uint64_t value)
{
	struct hvk_hv_result res;
	int error;

	if (!hvk_hv_owns_msr(msr))
		return (false);
	pthread_mutex_lock(&bus->vplock[cpu]);
	error = hvk_hv_wrmsr(&bus->hv, cpu, msr, value, bus_now(bus),
	    &bus->view, &res);
	pthread_mutex_unlock(&bus->vplock[cpu]);
	if (error != HVK_OK)
		bus_refused(bus, cpu, msr, &value, res.refused);
	act(bus, &res);
	return (error == HVK_OK);
}

/* A hostile guest must not fill our log. */
static void
complain(struct vmm_bus *bus)
{
	const struct hvk_server_refusal *r = hvk_server_refused(bus->server);

	if (r->reason == HVK_REFUSE_NONE || r->reason >= HVK_REFUSE_MAX ||
	    bus->complained[r->reason]++ >= COMPLAINTS)
		return;
	vmm_log("refused guest message %u (id %u, value %#llx): %s%s",
	    r->message, r->id, (unsigned long long)r->value,
	    hvk_refusal_text(r->reason),
	    bus->complained[r->reason] == COMPLAINTS ?
	    "; more of these are only counted" : "");
}

static uint64_t
post_message(struct vmm_bus *bus, uint32_t cpu, const struct hvk_hv_call *call)
{
	struct hvk_server_post p = {
		.conn = call->post.conn,
		.type = call->post.type,
		.vp = cpu,
		.len = call->post.len,
		.payload = call->post.payload,
	};
	int error;

	pthread_mutex_lock(&bus->lock);
	trace_message(bus, false, cpu, p.payload, p.len);
	error = hvk_server_post(bus->server, &p);
	if (error == HVK_REJECT || error == HVK_RANGE)
		complain(bus);
	bus_deliver(bus);
	bus_kick(bus);
	bus_linger_wait(bus);
	pthread_mutex_unlock(&bus->lock);
	switch (error) {
	case HVK_AGAIN:
		return (HVK_HV_INSUFFICIENT_BUFFERS);
	case HVK_RANGE:
		return (HVK_HV_BAD_CONNECTION);
	default:
		/* A refused message was still delivered. */
		return (HVK_HV_SUCCESS);
	}
}

static uint64_t
signal_event(struct vmm_bus *bus, uint32_t conn)
{
	struct vmm_channel *ch;
	uint64_t one = 1;

	pthread_mutex_lock(&bus->lock);
	for (ch = bus->channels; ch != NULL; ch = ch->next)
		if (ch->open && ch->conn == conn)
			break;
	if (ch != NULL) {
		atomic_fetch_add_explicit(&ch->slow_kicks, 1,
		    memory_order_relaxed);
		if (write(ch->kick, &one, sizeof(one)) < 0)
			one = 0;	/* counter full: it is awake */
	}
	pthread_mutex_unlock(&bus->lock);
	return (ch != NULL ? HVK_HV_SUCCESS :
	    HVK_HV_BAD_CONNECTION);
}

uint64_t
vmm_bus_hypercall(struct vmm_bus *bus, uint32_t cpu, uint64_t control,
    uint64_t input, uint64_t output)
{
	struct hvk_hv_call call;

	hvk_hv_hypercall(&bus->hv, control, input, output, &bus->view, &call);
	switch (call.kind) {
	case HVK_HV_CALL_POST:
		return (post_message(bus, cpu, &call));
	case HVK_HV_CALL_SIGNAL:
		return (signal_event(bus, call.signal.conn));
	case HVK_HV_CALL_NONE:
		break;
	}
	return (call.result);
}

/* ---- life */

static int
make_hypervisor(struct vmm_bus *bus)
{
	const struct vmm_enlighten *e = &bus->machine->enlighten;
	struct hvk_hv_config conf;
	uint64_t hz;

	hz = e->tsc_hz != 0 ? e->tsc_hz : tsc_frequency();
	memset(&conf, 0, sizeof(conf));
	conf.nvps = bus->machine->ncpus;
	conf.tsc_hz = hz;
	conf.no_tsc_page = e->no_tsc;
	conf.apic_hz = e->apic_hz;
	conf.stimers = e->stimers;
	conf.apic_msrs = e->apic_msrs;
	conf.no_auto_eoi = bus->conf.no_auto_eoi;
	conf.vp_runtime = e->vp_runtime;
	conf.processor_calls = e->processor_calls;
	conf.invariant_tsc = e->invariant_tsc;
	conf.guest_idle = e->guest_idle;
	bus->vps = calloc(conf.nvps, sizeof(*bus->vps));
	if (bus->vps == NULL)
		return (HVK_NOSPACE);
	bus->tsc_scale = hz != 0 ? hvk_hv_tsc_scale(hz) : 0;
	if (bus->tsc_scale == 0)
		conf.tsc_hz = 0;
	if (e->no_tsc)
		bus->tsc_scale = 0;	/* our clock is the system's */
	bus->tsc_zero = __rdtsc();
	return (hvk_hv_init(&bus->hv, &conf, bus->vps, bus->tsc_zero +
	    e->tsc_delta, bus_now(bus)));
}

static int
make_server(struct vmm_bus *bus)
{
	struct hvk_server_config conf;
	size_t size;

	memset(&conf, 0, sizeof(conf));
	conf.max_version = bus->conf.version_max;
	conf.mem_size = bus->machine->mem->size;
	conf.nvps = bus->machine->ncpus;
	conf.monitors = bus->conf.monitor;
	conf.pfns = 1u << 20;
	size = hvk_server_size(&conf);
	if (size == 0)
		return (HVK_RANGE);
	bus->block = calloc(1, size);
	if (bus->block == NULL)
		return (HVK_NOSPACE);
	bus->server = hvk_server_init(bus->block, size, &conf);
	return (bus->server != NULL ? HVK_OK : HVK_RANGE);
}

struct vmm_bus *
vmm_bus_create(const struct vmm_bus_config *conf, char *err, size_t errlen)
{
	pthread_condattr_t attr;
	struct vmm_bus *bus;
	uint32_t i;
	int error;

	bus = calloc(1, sizeof(*bus));
	if (bus == NULL) {
		vmm_fail(err, errlen, 0, "out of memory");
		return (NULL);
	}
	bus->conf = *conf;
	bus->machine = conf->machine;
	bus->view.base = bus->machine->mem->base;
	bus->view.size = bus->machine->mem->size;
	bus->view.gap_start = bus->machine->mem->gap_start;
	bus->view.gap_end = bus->machine->mem->gap_end;
	pthread_mutex_init(&bus->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&bus->wake, &attr);
	pthread_cond_init(&bus->left, &attr);
	pthread_mutex_init(&bus->timer_lock, NULL);
	pthread_cond_init(&bus->timer_wake, &attr);
	pthread_condattr_destroy(&attr);
	for (i = 0; i < VMM_MAXCPU; i++)
		pthread_mutex_init(&bus->vplock[i], NULL);
	error = make_hypervisor(bus);
	if (error == HVK_OK)
		error = make_server(bus);
	if (error == HVK_OK && bus->machine->enlighten.stimers &&
	    bus_timers_start(bus) != 0)
		error = HVK_NOSPACE;
	if (error == HVK_OK && vmm_thread(&bus->thread, "bus", bus_main,
	    bus) != 0)
		error = HVK_NOSPACE;
	if (error != HVK_OK) {
		vmm_fail(err, errlen, 0, "cannot make the bus (error %d)",
		    error);
		vmm_bus_destroy(bus);
		return (NULL);
	}
	bus->started = true;
	return (bus);
}

static struct vmm_channel *
any_open(struct vmm_bus *bus)
{
	struct vmm_channel *ch;

	for (ch = bus->channels; ch != NULL; ch = ch->next)
		if (ch->open)
			return (ch);
	return (NULL);
}

bool
bus_close_all(struct vmm_bus *bus)
{
	uint64_t deadline = vmm_deadline(STOP_MS);
	struct timespec ts = { 0, 1000000 };
	struct vmm_channel *ch;

	hvk_server_reset(bus->server);
	bus_kick(bus);
	while (any_open(bus) != NULL && vmm_left_ms(deadline) > 0) {
		pthread_mutex_unlock(&bus->lock);
		nanosleep(&ts, NULL);
		pthread_mutex_lock(&bus->lock);
	}
	ch = any_open(bus);
	if (ch == NULL)
		return (true);
	vmm_log("%s channel %u does not close", ch->dev->name, ch->index);
	return (false);
}

bool
vmm_bus_stop(struct vmm_bus *bus)
{
	bool closed;

	bus_timers_stop(bus);
	if (!bus->started)
		return (true);
	monitor_stop(bus);
	pthread_mutex_lock(&bus->lock);
	closed = bus_close_all(bus);
	bus->quit = true;
	bus_kick(bus);
	pthread_mutex_unlock(&bus->lock);
	if (!closed)
		return (false);
	pthread_join(bus->thread, NULL);
	bus->started = false;
	return (true);
}

void
vmm_bus_destroy(struct vmm_bus *bus)
{
	uint32_t i;

	if (bus == NULL || !vmm_bus_stop(bus))
		return;
	bus_channel_free_all(bus);
	if (bus->trace != NULL)
		fclose(bus->trace);
	pthread_cond_destroy(&bus->wake);
	pthread_cond_destroy(&bus->left);
	pthread_mutex_destroy(&bus->lock);
	pthread_cond_destroy(&bus->timer_wake);
	pthread_mutex_destroy(&bus->timer_lock);
	for (i = 0; i < VMM_MAXCPU; i++)
		pthread_mutex_destroy(&bus->vplock[i]);
	free(bus->block);
	free(bus->vps);
	free(bus);
}
