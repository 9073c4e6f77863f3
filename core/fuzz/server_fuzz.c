/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * Fuzz target: any messages from a guest, any order of answers from the device
 * layer, rescinds and offers in between, and saved state made of anything.  The
 * server's invariants must hold after each step, every page it gives out must be
 * in guest memory, and after a reset it must hold nothing.
 *
 * Input: steps.  Each begins with a byte: below 0xc0 a message follows, of the
 * type and the length in the next two bytes; otherwise an action.
 */

#include <stdlib.h>
#include <string.h>

#include <hvk/host/server.h>

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#define	MEM_SIZE	(1u << 20)

static void
must(bool good)
{
	if (!good)
		abort();
}

static struct hvk_server *
start(const struct hvk_server_config *config)
{
	static uint64_t block[1u << 17];
	struct hvk_server *s = hvk_server_init(block, sizeof(block), config);

	must(s != NULL);
	return (s);
}

static void
offer(struct hvk_server *s, uint8_t id)
{
	struct hvk_server_offer o;

	memset(&o, 0, sizeof(o));
	o.type.b[0] = id & 3;
	o.instance.b[0] = id & 3;
	o.subindex = (id >> 2) & 1;
	o.monitor = (id & 8) != 0;
	(void)hvk_server_offer(s, &o, NULL);
}

static void
look_at_pages(const struct hvk_server *s, const struct hvk_server_event *e)
{
	struct hvk_gpadl_range range;
	uint64_t pfn[8];
	uint32_t i, n;

	must(hvk_server_gpadl_range(s, e->channel, e->open.gpadl, 0, &range) ==
	    HVK_OK);
	must(range.npfn == e->open.pages && e->open.offset >= 2 &&
	    e->open.offset <= e->open.pages - 2);
	n = hvk_server_gpadl_pfns(s, e->channel, e->open.gpadl, 0, 0, pfn, 8);
	for (i = 0; i < n; i++)
		must(pfn[i] < MEM_SIZE / 4096);
}

static struct hvk_server_event owed;	/* a question without an answer */

static void
answer(struct hvk_server *s, uint32_t status)
{
	switch (owed.kind) {
	case HVK_SERVER_OPEN:
		must(hvk_server_open_done(s, owed.channel, status) == HVK_OK);
		break;
	case HVK_SERVER_CLOSE:
		must(hvk_server_close_done(s, owed.channel) == HVK_OK);
		break;
	case HVK_SERVER_MODIFY:
		(void)hvk_server_modify_done(s, owed.channel, status);
		break;
	case HVK_SERVER_GPADL_TEARDOWN:
		must(hvk_server_gpadl_released(s, owed.channel,
		    owed.gpadl.id) == HVK_OK);
		break;
	case HVK_SERVER_TL_CONNECT:
		must(hvk_server_tl_done(s, owed.tl.id, status) == HVK_OK);
		break;
	default:
		break;
	}
	owed.kind = HVK_SERVER_NONE;
}

static void
take_event(struct hvk_server *s, uint32_t status)
{
	answer(s, status);
	if (hvk_server_event(s, &owed) && owed.kind == HVK_SERVER_OPEN)
		look_at_pages(s, &owed);
}

static void
action(struct hvk_server *s, uint8_t what)
{
	struct hvk_server_out out;

	switch (what % 8) {
	case 0:
	case 1:
		take_event(s, 0);
		break;
	case 2:
		take_event(s, HVK_STATUS_FAIL);
		break;
	case 3:
	case 4:
		if (hvk_server_next(s, &out)) {
			must(out.len >= 8 && out.len <= 240 && out.vp < 4 &&
			    out.sint < 16);
			hvk_server_sent(s);
		}
		break;
	case 5:
		offer(s, what >> 3);
		break;
	case 6:
		(void)hvk_server_rescind(s, what >> 3);
		break;
	default:
		if (what == 0xff)
			hvk_server_reset(s);
		break;
	}
}

static void
drain(struct hvk_server *s)
{
	struct hvk_server_out out;
	struct hvk_server_info info;
	unsigned i;

	hvk_server_reset(s);
	for (i = 0; i < 10000; i++) {
		take_event(s, 0);
		if (owed.kind == HVK_SERVER_NONE)
			break;
	}
	while (hvk_server_next(s, &out))
		hvk_server_sent(s);
	while (take_event(s, 0), owed.kind != HVK_SERVER_NONE)
		;
	must(hvk_server_valid(s));
	hvk_server_info(s, &info);
	must(info.gpadls == 0 && info.pfns == 0 && !info.connected &&
	    !info.disconnecting);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hvk_server_config config = { .features = 0xff,
	    .mem_size = MEM_SIZE, .nvps = 4, .channels = 8, .gpadls = 16,
	    .pfns = 256, .backlog = 8, .monitors = true,
	    .overlap_check = true, .hvsock = true };
	struct hvk_server_post post;
	struct hvk_server *s = start(&config);
	uint64_t message[32];
	uint32_t header[2], len;
	unsigned i;

	owed.kind = HVK_SERVER_NONE;
	for (i = 0; i < 6; i++)
		offer(s, (uint8_t)(i + (i << 3)));
	if (size > 0 && data[0] == 0xfe) {
		if (hvk_server_restore(s, data + 1, size - 1) == HVK_OK)
			must(hvk_server_valid(s));
		drain(s);
		return (0);
	}
	while (size > 0) {
		if (data[0] >= 0xc0) {
			action(s, data[0]);
			data++;
			size--;
		} else {
			if (size < 3)
				break;
			len = data[2];
			if (len > size - 3)
				len = (uint32_t)(size - 3);
			memset(message, 0, sizeof(message));
			header[0] = data[1];
			header[1] = 0;
			memcpy(message, header, 8);
			memcpy((uint8_t *)message + 8, data + 3,
			    len > 240 ? 240 : len);
			memset(&post, 0, sizeof(post));
			post.conn = (data[0] & 1) != 0 ? 4 : 1;
			post.type = 1;
			post.trusted = (data[0] & 2) != 0;
			post.len = len + 8;
			post.payload = message;
			(void)hvk_server_post(s, &post);
			data += 3 + len;
			size -= 3 + len;
		}
		must(hvk_server_valid(s));
	}
	drain(s);
	return (0);
}
