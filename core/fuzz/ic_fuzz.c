/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Fuzz target: what a host may send to each integration component of a guest,
 * and what daemons may do meanwhile.  Checks that replies are well formed and
 * inside of their buffer, that answers are given once, and that strings end.
 *
 * Input: one byte, the service; then records {what, length / 64, hint} and that
 * many bytes.  what 0: a packet of them; 1: one with a true frame around them;
 * else: time passes and a daemon does something.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <hvk/fcopy.h>
#include <hvk/guest/ic.h>
#include <hvk/guest/vss.h>
#include <hvk/kvp.h>

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static struct hvk_ic ic;
static struct hvk_ic_message msg;
static struct hvk_ic_queue queue;
static struct hvk_ic_slot slots[4];
static struct hvk_vss vss;
static struct hvk_vss_job jobs[HVK_VSS_JOBS];
static struct hvk_kvp_item item;
static struct hvk_fcopy_item file;
static uint8_t packet[HVK_IC_MAX + 4096] __attribute__((aligned(8)));
static uint64_t now;

static void
check(bool ok)
{
	if (!ok)
		__builtin_trap();
}

static void
sound(const struct hvk_ic_message *m)
{
	struct hvk_ic_frame f;

	check(m->len >= sizeof(f) && m->len <= HVK_IC_MAX);
	memcpy(&f, m->bytes, sizeof(f));
	check(f.pipe.type == HVK_PIPE_DATA && f.pipe.size == m->len - 8);
	check(f.ic.flags == (HVK_IC_TRANSACTION | HVK_IC_RESPONSE));
	check(f.ic.size <= m->len - sizeof(f));
}

static void
ended(const char *text, size_t room)
{
	check(memchr(text, '\0', room) != NULL);
}

/* What a daemon would see, and an answer made of it. */
static void
answer(struct hvk_ic_message *m)
{
	if (ic.service->type == HVK_IC_FCOPY) {
		if (hvk_fcopy_parse(m, &file) == HVK_OK) {
			ended(file.name, sizeof(file.name));
			ended(file.path, sizeof(file.path));
			check(file.len <= HVK_FCOPY_FRAGMENT);
			check(file.len == 0 || (file.data >= m->bytes &&
			    file.data + file.len <= m->bytes + m->len));
		}
	} else if (hvk_kvp_parse(m, ic.version, &item) == HVK_OK) {
		ended(item.key, sizeof(item.key));
		ended(item.value, sizeof(item.value));
		ended(item.config.addresses, sizeof(item.config.addresses));
		ended(item.config.masks, sizeof(item.config.masks));
		ended(item.config.gateways, sizeof(item.config.gateways));
		ended(item.config.dns, sizeof(item.config.dns));
		item.type = HVK_KVP_STRING;
		(void)hvk_kvp_answer(m, ic.version, &item);
	}
	hvk_ic_answer(m, HVK_IC_OK);
	sound(m);
}

static void
serve(uint8_t hint)
{
	struct hvk_time_decision d;
	struct hvk_time_sample t;
	struct hvk_time_policy p = { .sample_ms = 100, .slew_us = 250 };
	struct hvk_shutdown s;

	switch (ic.service->type) {
	case HVK_IC_HEARTBEAT:
		hvk_heartbeat_serve(&ic, &msg, (enum hvk_heartbeat_state)
		    (hint & 3));
		break;
	case HVK_IC_SHUTDOWN:
		hvk_shutdown_serve(&ic, &msg, hint & 1, &s);
		ended(s.text, sizeof(s.text));
		break;
	case HVK_IC_TIMESYNC:
		if (hvk_timesync_serve(&ic, &msg, hint * 1000ull, &t) ==
		    HVK_OK)
			hvk_timesync_decide(&p, &t, now * 1000000, &d);
		break;
	case HVK_IC_VSS:
		if (!hvk_vss_request(&vss, &ic, &msg, now))
			return;
		break;
	default:
		if (hvk_ic_queue_add(&queue, &msg, now) == HVK_OK)
			return;
		hvk_ic_answer(&msg, HVK_IC_FAIL);
		break;
	}
	sound(&msg);
}

static void
input(uint32_t len, uint8_t hint)
{
	struct hvk_packet p = { .type = hint == 0xff ? HVK_PKT_COMPLETION :
	    HVK_PKT_INBAND, .payload = packet, .len = hvk_align8(len) };

	switch (hvk_ic_input(&ic, &p, &msg)) {
	case HVK_IC_SEND:
		sound(&msg);
		break;
	case HVK_IC_SERVE:
		check(ic.version != 0 && ic.framework != 0);
		serve(hint);
		break;
	default:
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
	f.ic.type = hint & 0x80 ? 0 : (uint16_t)ic.service->type;
	f.ic.size = (uint16_t)len;
	f.ic.flags = HVK_IC_TRANSACTION | HVK_IC_REQUEST;
	memcpy(packet, &f, sizeof(f));
	memcpy(packet + sizeof(f), p, len);
	memset(packet + sizeof(f) + len, 0, 8);
	input((uint32_t)sizeof(f) + len, hint & 0x7f);
}

static void
daemon_acts(uint8_t hint)
{
	static uint64_t id, vid[2];
	struct hvk_ic_message *m;
	enum hvk_vss_party p = hint & 1 ? HVK_VSS_FS : HVK_VSS_APP;
	uint8_t op;

	now += hint * 100u;
	switch (hint & 7) {
	case 0:
		if (hvk_ic_queue_take(&queue, &id, &m) == HVK_OK)
			check(hvk_ic_queue_has(&queue, id));
		break;
	case 1:
		m = hvk_ic_queue_find(&queue, id);
		if (m != NULL) {
			answer(m);
			hvk_ic_queue_done(&queue, id);
			check(!hvk_ic_queue_has(&queue, id));
		}
		break;
	case 2:
		if (hint & 8)
			hvk_ic_queue_abandon(&queue, now, hint);
		else if (hint & 16)
			hvk_ic_queue_flush(&queue);
		break;
	case 3:
	case 4:
		(void)hvk_vss_take(&vss, p, &op, &vid[p]);
		break;
	case 5:
		(void)hvk_vss_done(&vss, p, vid[p], hint & 8, now);
		break;
	case 6:
		hvk_vss_party(&vss, p, hint & 8, now);
		break;
	default:
		if (hint & 8)
			hvk_vss_lost(&vss, now);
		break;
	}
	while ((m = hvk_ic_queue_expire(&queue, now, HVK_IC_FAIL)) != NULL)
		sound(m);
	hvk_vss_tick(&vss, now);
	while ((m = hvk_vss_reply(&vss)) != NULL)
		sound(m);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	static const enum hvk_ic_type types[] = { HVK_IC_HEARTBEAT,
	    HVK_IC_SHUTDOWN, HVK_IC_TIMESYNC, HVK_IC_KVP, HVK_IC_VSS,
	    HVK_IC_FCOPY };
	uint32_t n;

	if (len < 1)
		return (0);
	(void)hvk_ic_init(&ic, types[p[0] % 6]);
	(void)hvk_ic_queue_init(&queue, slots, 4, 1000);
	hvk_vss_init(&vss, jobs, 1000, 5000);
	now = 1;
	for (p++, len--; len >= 3; p += n, len -= n) {
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
		} else if (what == 1)
			framed(p, n, hint);
		else {
			daemon_acts(hint);
			n = 0;
		}
	}
	return (0);
}
