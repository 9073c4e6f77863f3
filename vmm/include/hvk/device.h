/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * What a synthetic device of the host (vmm/vsp) sees of the machine: offers,
 * channels with mapped rings, guest memory, signalling, fault injection.
 *
 * Threads: the ops run on bus threads, one at a time per device, never with
 * the bus lock held across a device's wait; a device's channel workers are its
 * own threads and may call only the vmm_channel_* and guest_mem_* functions.
 * vmm_device_* and vmm_subchannels_offer may be called from any thread that
 * holds no lock an op of the same device takes.
 */
#ifndef _HVK_DEVICE_H_
#define	_HVK_DEVICE_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include <hvk/ring.h>
#include <hvk/wire/guid.h>

struct vmm_bus;
struct vmm_device;
struct vmm_channel;
struct guest_mem;

/*
 * The host's view of guest physical [gpa, gpa + len): a pointer into memory
 * the guest can change at any time, or NULL unless the range is wholly inside.
 */
void	*guest_mem_view(const struct guest_mem *, uint64_t gpa, uint64_t len);

struct vmm_offer {
	struct hvk_guid	type;
	struct hvk_guid	instance;
	uint16_t	flags;		/* offer flags on the wire */
	uint16_t	mmio_mb;
	uint8_t		user[120];
	bool		monitor;	/* wants a monitor id if there are pages */
	const char	*name;		/* "scsi0": unique; copied */
};

struct vmm_device_ops {
	/*
	 * The guest opened a channel; its rings are mapped.  Start a worker.
	 * 0 or -errno.  Bus thread.
	 */
	int	(*open)(void *arg, struct vmm_channel *);
	/*
	 * The channel goes away: stop the worker, drain or abandon its I/O
	 * within a deadline.  On return nobody uses the channel or its rings.
	 */
	void	(*close)(void *arg, struct vmm_channel *);
	/*
	 * The guest tears down memory it has lent: on return nobody uses it.
	 * NULL if the device asks for none.  Bus thread.
	 */
	void	(*gpadl_gone)(void *arg, struct vmm_channel *, uint32_t gpadl);
	/* Add the device's own keys for `hvk ctl info`. */
	void	(*info)(void *arg, json_t *into);
	/*
	 * A device's own `hvk ctl` command, such as "disk add".  0, or -errno
	 * with one line in err that says what to do.
	 */
	int	(*ctl)(void *arg, const char *cmd, const json_t *in,
		    json_t *out, char *err, size_t errlen);
};

struct vmm_device *vmm_device_offer(struct vmm_bus *,
	    const struct vmm_offer *, const struct vmm_device_ops *,
	    void *arg);
/* Offer sub-channels 1..count; open() is called for each the guest opens. */
int	vmm_subchannels_offer(struct vmm_device *, uint16_t count);
void	vmm_device_rescind(struct vmm_device *);

/* A channel, from its worker thread (or inside open and close). */
struct hvk_ring_rx *vmm_channel_rx(struct vmm_channel *);
struct hvk_ring_tx *vmm_channel_tx(struct vmm_channel *);
/* Eventfd that becomes readable when the guest signals this channel. */
int	vmm_channel_kick_fd(struct vmm_channel *);
/* Interrupt the guest for this channel. */
void	vmm_channel_signal(struct vmm_channel *);
/*
 * Memory that the guest lent by a GPADL of this channel, page by page: the
 * first byte is at `offset' of the first one.  NULL if there is no such GPADL,
 * or no memory; the caller frees it.
 */
struct vmm_pages {
	uint32_t	n;
	uint32_t	offset;
	uint32_t	len;		/* bytes, within the pages */
	uint8_t		*page[];
};
struct vmm_pages *vmm_channel_gpadl(struct vmm_channel *, uint32_t gpadl);
/*
 * It was rescinded, of which the guest may not know yet: what it sends is to be
 * answered until close, but nothing new is begun.  Any thread.
 */
bool	vmm_channel_rescinded(struct vmm_channel *);
/* 0 for the primary. */
uint16_t vmm_channel_index(struct vmm_channel *);
struct guest_mem *vmm_channel_mem(struct vmm_channel *);

/* The guest's reference counter, 100 ns units.  Any thread. */
uint64_t vmm_reference_time(struct vmm_bus *);

/* Fault injection: asked before each completion; cheap when nothing is armed. */
enum vmm_fault {
	FAULT_NONE,
	FAULT_DROP,		/* send no completion */
	FAULT_DELAY,		/* send it `arg` milliseconds later */
	FAULT_SHORT,		/* cut the packet short */
	FAULT_HOSTILE,		/* send nonsense: see the device */
	FAULT_SILENCE,		/* stop consuming and answering at all */
};
enum vmm_fault vmm_channel_fault(struct vmm_channel *, uint32_t *arg);

#endif /* _HVK_DEVICE_H_ */
