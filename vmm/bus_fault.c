/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * Breaking things on purpose: faults armed by `hvk ctl inject`, taken by the
 * devices before each completion and by the bus before each control message.
 * Also the message trace.  A fault is a few atomic words: taking one needs no
 * lock and costs one load when nothing is armed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <hvk/message.h>

#include "bus.h"

#define	TRACE_TEXT	2048u	/* the longest message, printed */

static const char *const names[] = { "off", "drop", "delay", "short",
	"hostile", "silence" };

int
vmm_fault_parse(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return ((int)i);
	return (-1);
}

const char *
vmm_fault_name(enum vmm_fault f)
{

	return (f <= FAULT_SILENCE ? names[f] : "?");
}

void
fault_arm(struct fault *f, enum vmm_fault kind, uint32_t count, uint32_t ms)
{

	/* Disarm first: nobody sees the new kind with the old count. */
	atomic_store(&f->kind, FAULT_NONE);
	atomic_store(&f->left, count);
	atomic_store(&f->ms, ms);
	atomic_store(&f->kind, (uint32_t)kind);
}

enum vmm_fault
fault_take(struct fault *f, uint32_t *ms)
{
	uint32_t kind = atomic_load_explicit(&f->kind, memory_order_relaxed);
	uint32_t left;

	if (kind == FAULT_NONE)
		return (FAULT_NONE);
	left = atomic_load(&f->left);
	while (left != 0)
		if (atomic_compare_exchange_weak(&f->left, &left, left - 1)) {
			/* The last of them: 0 left means for ever. */
			if (left == 1)
				atomic_store(&f->kind, FAULT_NONE);
			break;
		}
	if (ms != NULL)
		*ms = atomic_load(&f->ms);
	atomic_fetch_add_explicit(&f->injected, 1, memory_order_relaxed);
	return ((enum vmm_fault)kind);
}

/*
 * Control messages: DROP and SILENCE lose them, DELAY holds the queue, SHORT
 * cuts one in half, HOSTILE fills its body with noise.  One message takes one
 * fault, however often its delivery is tried.
 */
enum vmm_fault
fault_message(struct vmm_bus *bus, struct hvk_server_out *out)
{
	uint32_t ms = 0, i;

	if (!bus->head_asked) {
		bus->head_asked = true;
		bus->head_fault = fault_take(&bus->fault, &ms);
		if (bus->head_fault == FAULT_DELAY) {
			bus->head_fault = FAULT_NONE;
			bus->hold_until = vmm_deadline(ms != 0 ? ms : 1);
			bus_kick(bus);
			return (FAULT_DELAY);
		}
	}
	switch (bus->head_fault) {
	case FAULT_SILENCE:
		return (FAULT_DROP);
	case FAULT_SHORT:
		out->len = (uint16_t)(out->len / 2);
		break;
	case FAULT_HOSTILE:
		for (i = 8; i < out->len; i++)
			out->data[i] = (uint8_t)random();
		break;
	default:
		break;
	}
	return (bus->head_fault);
}

int
vmm_bus_inject(struct vmm_bus *bus, const char *target, enum vmm_fault kind,
    uint32_t count, uint32_t ms, char *err, size_t errlen)
{
	struct vmm_device *dev;
	int error = 0;

	pthread_mutex_lock(&bus->lock);
	dev = bus_device_find(bus, target);
	if (strcmp(target, "control") == 0)
		fault_arm(&bus->fault, kind, count, ms);
	else if (strcmp(target, "all") == 0) {
		fault_arm(&bus->fault, kind, count, ms);
		for (dev = bus->devices; dev != NULL; dev = dev->next)
			fault_arm(&dev->fault, kind, count, ms);
	} else if (dev != NULL)
		fault_arm(&dev->fault, kind, count, ms);
	else
		error = vmm_fail(err, errlen, -ENOENT, "no device '%.32s'; "
		    "targets are control, all and the devices that "
		    "`hvk ctl info` lists", target);
	if (error == 0 && kind == FAULT_NONE)
		bus->hold_until = 0;
	bus_kick(bus);
	pthread_mutex_unlock(&bus->lock);
	return (error);
}

void
trace_message(struct vmm_bus *bus, bool to_guest, uint32_t vp,
    const void *msg, uint32_t len)
{
	struct hvk_message m;
	const uint8_t *p = msg;
	char text[TRACE_TEXT];
	uint64_t now;
	uint32_t i;

	if (bus->trace == NULL)
		return;
	now = bus_now(bus);
	fprintf(bus->trace, "%llu.%07llu %s vp%u ",
	    (unsigned long long)(now / 10000000),
	    (unsigned long long)(now % 10000000), to_guest ? "->" : "<-", vp);
	/* The newest version: a trace shows also what is too new to be taken. */
	if (hvk_message_parse(msg, len, to_guest ? HVK_TO_GUEST : HVK_TO_HOST,
	    HVK_VERSION_6_0, &m) == HVK_OK) {
		(void)hvk_message_dump(&m, text, sizeof(text));
		fputs(text, bus->trace);
	} else {
		fputs("malformed", bus->trace);
		for (i = 0; i < len; i++)
			fprintf(bus->trace, " %02x", p[i]);
	}
	fputc('\n', bus->trace);
}

int
vmm_bus_trace(struct vmm_bus *bus, const char *path, char *err, size_t errlen)
{
	FILE *f = NULL, *old;

	if (path != NULL) {
		f = fopen(path, "we");
		if (f == NULL)
			return (vmm_fail(err, errlen, -errno,
			    "cannot write %s: %s", path, strerror(errno)));
		setvbuf(f, NULL, _IOLBF, 0);
	}
	pthread_mutex_lock(&bus->lock);
	old = bus->trace;
	bus->trace = f;
	pthread_mutex_unlock(&bus->lock);
	if (old != NULL)
		fclose(old);
	return (0);
}
