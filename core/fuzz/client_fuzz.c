/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * A hostile host against the VMBus client.  The input is a script: an opcode,
 * then what it needs.  Half of the opcodes are a driver that uses the client as
 * it should, the other half a host that says anything, with a helping hand
 * towards ids that exist.  At the end the host falls silent: no wait may last.
 */

#include <stdlib.h>
#include <string.h>

#include <hvk/guest/vmbus.h>
#include <hvk/wire/vmbus.h>

#define	CHANS	16
#define	GPADLS	16

static struct hvk_client c;
static struct hvk_client_chan chans[CHANS];
static struct hvk_client_gpadl gpadls[GPADLS];
static uint64_t pfn[8190], now;
static const uint8_t *in;
static size_t left;

static uint8_t
byte(void)
{

	if (left == 0)
		return (0);
	left--;
	return (*in++);
}

static void
pump(uint16_t hv_status, unsigned int max)
{
	struct hvk_client_event ev;
	struct hvk_client_post post;

	while (max-- != 0 && hvk_client_post(&c, &post, now)) {
		if (post.len < 8 || post.len > 240)
			abort();
		hvk_client_posted(&c, hv_status, now);
	}
	while (hvk_client_event(&c, &ev))
		if (ev.kind == 0 || (ev.chan != NULL && (ev.chan < chans ||
		    ev.chan >= chans + CHANS)))
			abort();
}

/* A message of the host: bytes as they come, ids mostly ones that exist. */
static void
host(void)
{
	union {
		uint8_t		bytes[256];
		uint32_t	word[64];
	} m;
	uint32_t i, len;

	memset(&m, 0, sizeof(m));
	m.word[0] = byte() % 32;
	len = byte();
	for (i = 8; i < len && i < sizeof(m.bytes) && left != 0; i++)
		m.bytes[i] = byte();
	switch (m.word[0]) {
	case HVK_MSG_OFFER:
		m.word[46] %= CHANS + 2;
		break;
	case HVK_MSG_OPEN_RESULT:
		m.word[2] %= CHANS + 2;
		m.word[3] %= 4;
		break;
	case HVK_MSG_GPADL_CREATED:
		m.word[2] %= CHANS + 2;
		m.word[3] = gpadls[m.bytes[12] % GPADLS].handle;
		break;
	case HVK_MSG_GPADL_TORNDOWN:
		m.word[2] = gpadls[m.bytes[8] % GPADLS].handle;
		break;
	case HVK_MSG_VERSION_RESPONSE:
		m.bytes[9] &= 1;
		break;
	default:
		m.word[2] %= CHANS + 2;
		break;
	}
	(void)hvk_client_input(&c, m.bytes, len, now);
}

static void
driver(uint8_t op)
{
	struct hvk_client_gpadl *g, *result;
	struct hvk_client_chan *ch;
	struct hvk_client_open o;

	ch = &chans[byte() % CHANS];
	g = &gpadls[byte() % GPADLS];
	if (ch->state == HVK_CHAN_FREE)
		return;
	memset(&o, 0, sizeof(o));
	o.ring_gpadl = g->handle;
	o.rx_page = 1;
	switch (op) {
	case 0:
		(void)hvk_client_open(&c, ch, &o, now);
		break;
	case 1:
		(void)hvk_client_close(&c, ch);
		break;
	case 2:
		(void)hvk_client_release(&c, ch);
		break;
	case 3:
		(void)hvk_client_modify(&c, ch, byte(), now);
		break;
	case 4:
		(void)hvk_client_gpadl_create(&c, ch, pfn, byte() * 33u, NULL,
		    &result, now);
		break;
	case 5:
		(void)hvk_client_gpadl_teardown(&c, g, now);
		break;
	case 6:
		(void)hvk_client_open_reserved(&c, ch, &o, 3, now);
		break;
	default:
		(void)hvk_client_close_reserved(&c, ch, now);
		break;
	}
}

static void
check(void)
{
	uint32_t i, relid;

	for (i = 0; i < CHANS; i++) {
		relid = chans[i].relid;
		if (chans[i].state != HVK_CHAN_FREE &&
		    hvk_client_find(&c, relid) != &chans[i])
			abort();
	}
}

/* Every wait ends although nobody speaks any more. */
static void
silence(void)
{
	uint64_t deadline;
	int i;

	for (i = 0; i < 100000; i++) {
		pump(0, 10000);
		deadline = hvk_client_deadline(&c);
		if (deadline == HVK_CLIENT_NEVER)
			break;
		if (deadline > now)
			now = deadline;
		hvk_client_tick(&c, now);
	}
	if (i == 100000 || c.waits != 0)
		abort();
}

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t status[] = { 0, 0, 0, 0x0b, 0x12, 0x13, 0x05 };
	struct hvk_client_config cfg;
	uint8_t op;

	in = data;
	left = size;
	now = 1;
	memset(&cfg, 0, sizeof(cfg));
	cfg.chans = chans;
	cfg.nchans = CHANS;
	cfg.gpadls = gpadls;
	cfg.ngpadls = GPADLS;
	cfg.features = byte();
	cfg.monitor_from_host = cfg.monitor_to_host = 0x1000;
	if (hvk_client_init(&c, &cfg) != HVK_OK)
		abort();
	while (left != 0) {
		op = byte() % 20;
		if (op < 8)
			driver(op);
		else if (op < 14)
			host();
		else if (op == 14)
			(void)hvk_client_connect(&c, now);
		else if (op == 15)
			(void)hvk_client_request_offers(&c, now);
		else if (op == 16 && byte() == 0xff)
			hvk_client_unload(&c, now);
		else if (op == 17)
			now += (uint64_t)byte() * 100000000;
		else
			pump(status[byte() % 7], byte());
		hvk_client_tick(&c, now);
		check();
	}
	silence();
	hvk_client_unload(&c, now);
	silence();
	if (c.state != HVK_CLIENT_UNLOADED)
		abort();
	return (0);
}
