/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Memory shared with the host.  Virtually contiguous, page by page anywhere in
 * guest memory, so that a fragmented machine can still attach a device.  What
 * the host has not given back is never freed: it is left to it, and counted.
 */

#include "vmbus_var.h"

#include <vm/pmap.h>
#include <machine/atomic.h>

MALLOC_DEFINE(M_VMBUS, "vmbus", "Hyper-V VMBus");
/* One small record for each piece of memory that the host was left with. */
static MALLOC_DEFINE(M_HOSTKEPT, "hostkept",
    "Memory that the Hyper-V host may still use");

struct vmbus_kept {
	const void	*vk_memory;
	size_t		 vk_bytes;
};

/* Zeroed.  Sleeps. */
void
vmbus_mem_alloc(struct vmbus_mem *vm, vm_size_t size)
{

	vm->vm_size = round_page(size);
	vm->vm_addr = HVK_KMEM_ALLOC(vm->vm_size, M_WAITOK | M_ZERO);
}

void
vmbus_mem_free(struct vmbus_mem *vm)
{

	if (vm->vm_addr == NULL)
		return;
	HVK_KMEM_FREE(vm->vm_addr, vm->vm_size);
	vm->vm_addr = NULL;
	vm->vm_size = 0;
}

/*
 * The record outlives the module, as what it tells of does; without memory for
 * it there is one record less to see.
 */
void
vmbus_mem_note(struct vmbus_softc *sc, const void *memory, size_t bytes)
{
	struct vmbus_kept *vk;

	vk = malloc(sizeof(*vk), M_HOSTKEPT, M_NOWAIT);
	if (vk != NULL) {
		vk->vk_memory = memory;
		vk->vk_bytes = bytes;
	}
	mtx_lock(&sc->sc_lock);
	sc->sc_leaked += bytes;
	mtx_unlock(&sc->sc_lock);
}

void
vmbus_keep(device_t child, const void *memory, size_t bytes)
{

	if (memory != NULL)
		vmbus_mem_note(device_get_softc(device_get_parent(child)),
		    memory, bytes);
}

void
vmbus_mem_leak(struct vmbus_softc *sc, struct vmbus_mem *vm, const char *what)
{

	if (vm->vm_addr == NULL)
		return;
	vmbus_mem_note(sc, vm->vm_addr, vm->vm_size);
	device_printf(sc->sc_dev, "%s: the host did not give back %ju KiB, "
	    "which stay unused\n", what, (uintmax_t)vm->vm_size / 1024);
	vm->vm_addr = NULL;
	vm->vm_size = 0;
}

vm_paddr_t
vmbus_mem_paddr(const struct vmbus_mem *vm)
{

	return (vm->vm_addr == NULL ? 0 : vtophys(vm->vm_addr));
}

/* An array of page frame numbers; the caller frees it to M_VMBUS. */
uint64_t *
vmbus_mem_pfns(const struct vmbus_mem *vm, uint32_t *npfn)
{
	uint64_t *pfn;
	uint32_t i, n;

	n = vm->vm_size >> HVK_PAGE_SHIFT;
	pfn = malloc(n * sizeof(*pfn), M_VMBUS, M_WAITOK);
	for (i = 0; i < n; i++)
		pfn[i] = (uint64_t)vtophys((char *)vm->vm_addr +
		    (vm_size_t)i * HVK_PAGE_SIZE) >> HVK_PAGE_SHIFT;
	*npfn = n;
	return (pfn);
}
