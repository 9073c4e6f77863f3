/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * KVM's own counters of a processor, by their names: hypercalls, interrupts,
 * halts.  Owns the processor's stats_fd, which is opened before the processor
 * runs: later KVM would make the caller wait for it.  Locking: vm_lock.
 *
 * Source of facts: Linux's Documentation/virt/kvm/api.rst, KVM_GET_STATS_FD.
 */
#include <sys/ioctl.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kvm.h"

#define	NAME_MAX_	256u
#define	DESC_MAX	1024u

/* What is of use to somebody who looks at a guest. */
static const char *const shown[] = {
	"exits", "halt_exits", "halt_wakeup", "hypercalls", "irq_exits",
	"irq_injections", "io_exits", "mmio_exits", "nmi_injections",
	"tlb_flush",
};
#define	NSHOWN	(sizeof(shown) / sizeof(shown[0]))

void
kvm_stats_open(struct kvm_vcpu *v)
{

	/* Linux before 5.14 has none. */
	v->stats_fd = ioctl(v->fd, KVM_GET_STATS_FD, NULL);
}

void
kvm_stats_close(struct kvm_vcpu *v)
{

	if (v->stats_fd >= 0)
		close(v->stats_fd);
	v->stats_fd = -1;
}

static void
add_all(int fd, const struct kvm_stats_header *h, uint64_t sum[], bool have[])
{
	union {
		struct kvm_stats_desc d;
		uint8_t space[sizeof(struct kvm_stats_desc) + NAME_MAX_];
	} u;
	size_t size = sizeof(u.d) + h->name_size, k;
	uint64_t value;
	uint32_t i;

	for (i = 0; i < h->num_desc && i < DESC_MAX; i++) {
		memset(&u, 0, sizeof(u));
		if (pread(fd, &u, size, h->desc_offset + (off_t)(i * size)) !=
		    (ssize_t)size)
			return;
		for (k = 0; k < NSHOWN; k++) {
			if (strncmp(u.d.name, shown[k], h->name_size) != 0 ||
			    pread(fd, &value, sizeof(value), h->data_offset +
			    (off_t)u.d.offset) != sizeof(value))
				continue;
			sum[k] += value;
			have[k] = true;
		}
	}
}

json_t *
kvm_stats(struct kvm_machine *m)
{
	uint64_t sum[NSHOWN] = { 0 };
	bool have[NSHOWN] = { false };
	struct kvm_stats_header h;
	json_t *o = json_object();
	uint32_t i;
	size_t k;

	pthread_mutex_lock(&m->vm_lock);
	for (i = 0; i < m->conf.ncpus; i++) {
		int fd = m->vcpu[i].stats_fd;

		if (fd < 0 || pread(fd, &h, sizeof(h), 0) != sizeof(h) ||
		    h.name_size == 0 || h.name_size >= NAME_MAX_)
			continue;
		add_all(fd, &h, sum, have);
	}
	pthread_mutex_unlock(&m->vm_lock);
	for (k = 0; k < NSHOWN; k++)
		if (have[k])
			json_object_set_new(o, shown[k],
			    json_integer((json_int_t)sum[k]));
	return (o);
}
