/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Our side: the guest's storage machine and its rings on this thread, the
 * host's storage controller with its worker thread, as `hvk run' has it, and
 * between them a bus that does nothing but hand over the rings.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <hvk/guest/storvsc.h>
#include <hvk/stor.h>
#include <hvk/vmm.h>

#include "bench.h"

#define	RING		(128u << 10)
#define	MEMORY		(16u << 20)

struct vmm_channel {
	struct hvk_ring_rx rx;
	struct hvk_ring_tx tx;
	int		kick, call;
	struct guest_mem *mem;
};
struct vmm_device { int unused; };

static struct guest_mem memory;
static struct vmm_channel channel;
static struct vmm_device device;
static const struct vmm_device_ops *ops;
static void *ops_arg;
static struct vmm_stor *stor;
static struct hvk_ring_tx tx;
static struct hvk_ring_rx rx;
static struct hvk_storvsc machine;
static struct hvk_storvsc_queue queue;
static struct hvk_storvsc_slot slots[DEPTH_MAX];
static uint64_t kicks, wakes;

/* ---- the bus that the controller sees */

struct vmm_device *
vmm_device_offer(struct vmm_bus *bus, const struct vmm_offer *offer,
    const struct vmm_device_ops *o, void *arg)
{

	(void)bus;
	(void)offer;
	ops = o;
	ops_arg = arg;
	return (&device);
}

int
vmm_subchannels_offer(struct vmm_device *d, uint16_t count)
{

	(void)d;
	(void)count;
	return (-ENOSYS);
}

struct hvk_ring_rx *
vmm_channel_rx(struct vmm_channel *c)
{

	return (&c->rx);
}

struct hvk_ring_tx *
vmm_channel_tx(struct vmm_channel *c)
{

	return (&c->tx);
}

int
vmm_channel_kick_fd(struct vmm_channel *c)
{

	return (c->kick);
}

void
vmm_channel_signal(struct vmm_channel *c)
{
	uint64_t one = 1;

	if (write(c->call, &one, sizeof(one)) < 0)
		abort();
}

uint16_t
vmm_channel_index(struct vmm_channel *c)
{

	(void)c;
	return (0);
}

struct guest_mem *
vmm_channel_mem(struct vmm_channel *c)
{

	return (c->mem);
}

enum vmm_fault
vmm_channel_fault(struct vmm_channel *c, uint32_t *arg)
{

	(void)c;
	(void)arg;
	return (FAULT_NONE);
}

/* ---- the guest */

static void
publish(void)
{
	uint64_t one = 1;

	if (!hvk_ring_tx_publish(&tx))
		return;
	kicks++;
	if (write(channel.kick, &one, sizeof(one)) < 0)
		abort();
}

static void
sleep_until_called(void)
{
	struct pollfd p = { .fd = channel.call, .events = POLLIN };
	uint64_t n;

	if (hvk_ring_rx_unmask(&rx)) {
		hvk_ring_rx_mask(&rx);
		return;
	}
	if (poll(&p, 1, 2000) == 1 && read(channel.call, &n, sizeof(n)) > 0)
		wakes++;
	hvk_ring_rx_mask(&rx);
}

static int
bring_up(void)
{
	static uint8_t buf[4096] __attribute__((aligned(8)));
	struct hvk_storvsc_message m;
	enum hvk_storvsc_event ev;
	struct hvk_packet p;
	double end = now_s() + 5;

	hvk_storvsc_init(&machine, &(struct hvk_storvsc_config){ 0 });
	(void)hvk_storvsc_start(&machine, 0);
	while (!hvk_storvsc_ready(&machine) && now_s() < end) {
		while (hvk_storvsc_pull(&machine, &m)) {
			(void)hvk_tx_inband(&tx, m.txid, true, &m.packet,
			    sizeof(m.packet));
			publish();
		}
		if (hvk_ring_rx_next(&rx, buf, sizeof(buf), &p) == HVK_OK)
			(void)hvk_storvsc_input(&machine, &p, 0, &ev);
		(void)hvk_ring_rx_release(&rx);
	}
	return (hvk_storvsc_ready(&machine) ? 0 : -1);
}

static void
submit(const struct load *l, unsigned slot)
{
	struct hvk_storvsc_io io;
	struct hvk_vstor_packet packet;
	struct hvk_gpa_range range;
	uint64_t pfn, txid;
	uint32_t lba;

	memset(&io, 0, sizeof(io));
	io.cookie = (void *)(uintptr_t)(slot + 1);
	io.length = IO_BYTES;
	io.direction = HVK_STORVSC_READ;
	io.cdb_len = 10;
	lba = (uint32_t)random_block(l) * 8;
	io.cdb[0] = 0x28;
	io.cdb[2] = (uint8_t)(lba >> 24);
	io.cdb[3] = (uint8_t)(lba >> 16);
	io.cdb[4] = (uint8_t)(lba >> 8);
	io.cdb[5] = (uint8_t)lba;
	io.cdb[8] = 8;
	pfn = (1u << 20 >> 12) + slot;
	range.len = IO_BYTES;
	range.offset = 0;
	range.pfn = &pfn;
	range.npfn = 1;
	latency_begin(slot);
	if (hvk_storvsc_submit(&queue, &io, 0, &packet, &txid) != HVK_OK ||
	    hvk_tx_gpa_direct(&tx, txid, true, &range, 1, &packet,
	    sizeof(packet)) != HVK_OK)
		abort();
}

void
hvk_run(const struct load *l, struct result *r)
{
	static uint8_t buf[4096] __attribute__((aligned(8)));
	struct hvk_storvsc_done done;
	struct hvk_packet p;
	unsigned flying = 0, i, n, quiet = 0;
	double end, start;

	memset(r, 0, sizeof(*r));
	kicks = wakes = 0;
	hvk_ring_rx_mask(&rx);
	start = now_s();
	end = start + l->seconds;
	for (i = 0; i < l->depth; i++, flying++)
		submit(l, i);
	publish();
	while (flying > 0) {
		for (n = 0; hvk_ring_rx_next(&rx, buf, sizeof(buf), &p) ==
		    HVK_OK; n++) {
			if (hvk_storvsc_complete(&queue, &p, &done) != HVK_OK)
				abort();
			i = (unsigned)((uintptr_t)done.cookie - 1);
			latency_end(i);
			r->errors += done.result != HVK_STORVSC_OK ||
			    done.transferred != IO_BYTES;
			flying--;
			if (start != 0) {
				submit(l, i);
				flying++;
			}
			r->ios++;
		}
		if (n > 0) {
			(void)hvk_ring_rx_release(&rx);
			publish();
			if (start != 0 && (quiet += n) >= 64) {
				quiet = 0;
				if (now_s() >= end) {
					r->seconds = now_s() - start;
					start = 0;
				}
			}
		} else if (l->sleep) {
			sleep_until_called();
		}
	}
	r->kicks = kicks;
	r->wakes = wakes;
	r->p99_us = latency_p99();
}

int
hvk_start(const char *path)
{
	char err[VMM_ERRLEN] = "";
	json_t *disk, *in;
	uint8_t *a, *b;

	if (memory.base == NULL &&
	    guest_mem_create(&memory, MEMORY, err, sizeof(err)) != 0)
		goto fail;
	disk = path == NULL ? json_pack("{s:s}", "backend", "null") :
	    json_pack("{s:s, s:s}", "backend", "raw", "path", path);
	in = json_pack("{s:s, s:s, s:[o]}", "name", "scsi0", "type", "scsi",
	    "disks", disk);
	stor = vmm_stor_create(NULL, in, err, sizeof(err));
	json_decref(in);
	if (stor == NULL)
		goto fail;
	a = memory.base;
	b = a + 4096 + RING;
	memset(a, 0, 2 * (4096 + RING));
	memset(&channel, 0, sizeof(channel));
	channel.mem = &memory;
	channel.kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	channel.call = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	(void)hvk_ring_tx_init(&tx, a, a + 4096, RING, true);
	(void)hvk_ring_rx_init(&rx, b, b + 4096, RING, true);
	(void)hvk_ring_rx_init(&channel.rx, a, a + 4096, RING, false);
	(void)hvk_ring_tx_init(&channel.tx, b, b + 4096, RING, false);
	(void)hvk_storvsc_queue_init(&queue, slots, DEPTH_MAX, 1 << 20);
	if (ops->open(ops_arg, &channel) != 0 || bring_up() != 0) {
		snprintf(err, sizeof(err), "the provider did not come up");
		goto fail;
	}
	/* The power-on attention is for the first command alone. */
	hvk_run(&(struct load){ 1, false, 0.01, 1024 }, &(struct result){ 0 });
	return (0);
fail:
	fprintf(stderr, "storage: %s\n", err);
	return (-1);
}

void
hvk_stop(void)
{

	ops->close(ops_arg, &channel);
	vmm_stor_destroy(stor);
	close(channel.kick);
	close(channel.call);
}
