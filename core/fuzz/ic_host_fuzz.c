/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Fuzz target: what a guest may send to each integration component of a host.
 * Checks that only an answer to what was asked is taken, that agreed versions
 * were offered, and that strings end.
 *
 * Input: one byte, the service; one, the newest version; then records {what,
 * length / 64, hint} and that many bytes.  what 0: a packet of them; 1: an
 * answer with the right frame around them; 2: ask; 3: agree again; else: time.
 */
#include <stdint.h>
#include <string.h>

#include <hvk/host/ic.h>
#include <hvk/kvp.h>
#include <hvk/wire/vss.h>

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static struct hvk_ic_host host;
static struct hvk_ic_message out, in;
static struct hvk_kvp_item item;
static uint8_t packet[HVK_IC_MAX + 4096] __attribute__((aligned(8)));
static uint64_t now;

static void
check(bool ok)
{
	if (!ok)
		__builtin_trap();
}

static void
ended(const char *text, size_t room)
{
	check(memchr(text, '\0', room) != NULL);
}

static void
look(uint8_t hint)
{
	uint32_t state;

	(void)hvk_ic_strstatus(hvk_ic_header(&in).status);
	if (host.service->type == HVK_IC_HEARTBEAT &&
	    hvk_heartbeat_check(&in, 1, &state) == HVK_OK)
		check(state <= HVK_HEARTBEAT_STOPPED);
	if (host.service->type != HVK_IC_KVP)
		return;
	memset(&item, 0, sizeof(item));
	item.op = hint % HVK_KVP_NOPS;
	if (hvk_kvp_result(&in, host.version, &item) != HVK_OK)
		return;
	ended(item.key, sizeof(item.key));
	ended(item.value, sizeof(item.value));
	ended(item.config.adapter, sizeof(item.config.adapter));
	ended(item.config.addresses, sizeof(item.config.addresses));
	ended(item.config.dns, sizeof(item.config.dns));
}

static void
input(uint32_t len, uint8_t hint)
{
	struct hvk_packet p = { .type = hint == 0xff ? HVK_PKT_COMPLETION :
	    HVK_PKT_INBAND, .payload = packet, .len = hvk_align8(len) };
	bool waiting = host.waiting;

	switch (hvk_ic_host_input(&host, &p, &in)) {
	case HVK_IC_HOST_AGREED:
		check(waiting && !host.waiting);
		check(host.version != 0 && host.version <= host.max_version);
		break;
	case HVK_IC_HOST_NO_VERSION:
		check(waiting && host.phase == HVK_IC_HOST_REFUSED);
		break;
	case HVK_IC_HOST_REPLY:
		check(waiting && !host.waiting);
		check(host.phase == HVK_IC_HOST_READY);
		look(hint);
		break;
	default:
		check(waiting == host.waiting);
		break;
	}
}

static void
framed(const uint8_t *p, uint32_t len, uint8_t hint)
{
	struct hvk_ic_frame f;

	if (len > HVK_IC_BODY_MAX)
		len = HVK_IC_BODY_MAX;
	memset(&f, 0, sizeof(f));
	f.pipe.type = HVK_PIPE_DATA;
	f.pipe.size = (uint32_t)sizeof(f.ic) + len;
	f.ic.type = host.phase == HVK_IC_HOST_NEGOTIATING ? 0 :
	    (uint16_t)host.service->type;
	f.ic.size = (uint16_t)len;
	f.ic.txid = host.txid;
	f.ic.flags = HVK_IC_TRANSACTION | HVK_IC_RESPONSE;
	memcpy(packet, &f, sizeof(f));
	memcpy(packet + sizeof(f), p, len);
	memset(packet + sizeof(f) + len, 0, 8);
	input((uint32_t)sizeof(f) + len, hint & 0x7f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	static const enum hvk_ic_type types[] = { HVK_IC_HEARTBEAT,
	    HVK_IC_SHUTDOWN, HVK_IC_TIMESYNC, HVK_IC_KVP, HVK_IC_VSS,
	    HVK_IC_FCOPY };
	uint32_t n;

	if (len < 2 || hvk_ic_host_init(&host, types[p[0] % 6],
	    HVK_IC_VERSION(p[1] & 7, p[1] >> 3), 1000) != HVK_OK)
		return (0);
	now = 1;
	hvk_ic_host_open(&host, now, &out);
	for (p += 2, len -= 2; len >= 3; p += n, len -= n) {
		uint8_t what = p[0], hint = p[2];

		n = p[1] * 64u;
		p += 3;
		len -= 3;
		if (n > len)
			n = (uint32_t)len;
		if (n > sizeof(packet) - 64)
			n = sizeof(packet) - 64;
		if (what == 0) {
			memset(packet, 0, 64);
			memcpy(packet, p, n);
			memset(packet + n, 0, 8);
			input(n, hint);
			continue;
		}
		if (what == 1) {
			framed(p, n, hint);
			continue;
		}
		if (what == 2)
			(void)hvk_ic_host_request(&host, now, 100,
			    host.service->body, &out);
		else if (what == 3)
			hvk_ic_host_open(&host, now, &out);
		else {
			now += hint * 10u;
			(void)hvk_ic_host_tick(&host, now);
		}
		n = 0;
	}
	return (0);
}
