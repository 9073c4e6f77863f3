/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The guest's storage controller machine: start-up, sub-channels, bus reset and
 * what the host says unasked.  One step is outstanding at a time; its id has a
 * generation, so that an answer to an earlier step is never taken for this one.
 *
 * Locking: none, see hvk/guest/storvsc.h.
 */

#include <hvk/guest/storvsc.h>

#include "storvsc_id.h"

#define	STEP_MS		10000
#define	RESET_MS	5000
#define	SETTLE_MS	500
#define	RESET_TRIES	3

/* What a request must at least be able to carry: one page. */
#define	MIN_TRANSFER	4096

static const uint16_t versions[] = {
	HVK_VSTOR_VERSION_WIN10,	/* 6.2 */
	HVK_VSTOR_VERSION_WIN2012R2,	/* 6.0 */
	HVK_VSTOR_VERSION_WIN2012		/* 5.1 */
};

#define	NVERSIONS	(sizeof(versions) / sizeof(versions[0]))

void
hvk_storvsc_init(struct hvk_storvsc *s, const struct hvk_storvsc_config *config)
{
	__builtin_memset(s, 0, sizeof(*s));
	if (config != NULL)
		s->config = *config;
	if (s->config.step_ms == 0)
		s->config.step_ms = STEP_MS;
	if (s->config.reset_ms == 0)
		s->config.reset_ms = RESET_MS;
	if (s->config.settle_ms == 0)
		s->config.settle_ms = SETTLE_MS;
	if (s->config.reset_tries == 0)
		s->config.reset_tries = RESET_TRIES;
	s->deadline = UINT64_MAX;
}

/* Begin a step: its message is there to be pulled, its clock runs. */
static void
step(struct hvk_storvsc *s, enum hvk_storvsc_phase phase, uint64_t now)
{
	s->phase = phase;
	s->generation++;
	s->waiting = true;
	s->unsent = true;
	s->deadline = now + (phase == HVK_STORVSC_RESET ?
	    s->config.reset_ms : s->config.step_ms);
}

static void
rest(struct hvk_storvsc *s, enum hvk_storvsc_phase phase, uint64_t deadline)
{
	s->phase = phase;
	s->waiting = false;
	s->unsent = false;
	s->deadline = deadline;
}

static enum hvk_storvsc_event
fail(struct hvk_storvsc *s, enum hvk_storvsc_reason reason)
{
	rest(s, HVK_STORVSC_FAILED, UINT64_MAX);
	s->reason = reason;
	return (HVK_STORVSC_HAS_FAILED);
}

int
hvk_storvsc_start(struct hvk_storvsc *s, uint64_t now)
{
	if (s->phase != HVK_STORVSC_IDLE)
		return (HVK_STATE);
	while (s->config.max_version != 0 && s->candidate < NVERSIONS - 1 &&
	    versions[s->candidate] > s->config.max_version)
		s->candidate++;
	step(s, HVK_STORVSC_BEGIN, now);
	return (HVK_OK);
}

bool
hvk_storvsc_pull(struct hvk_storvsc *s, struct hvk_storvsc_message *m)
{
	static const uint32_t operation[HVK_STORVSC_NPHASES] = {
		[HVK_STORVSC_BEGIN] = HVK_VSTOR_BEGIN_INIT,
		[HVK_STORVSC_VERSION] = HVK_VSTOR_QUERY_VERSION,
		[HVK_STORVSC_PROPERTIES] = HVK_VSTOR_QUERY_PROPERTIES,
		[HVK_STORVSC_END] = HVK_VSTOR_END_INIT,
		[HVK_STORVSC_SUBCHANNELS] = HVK_VSTOR_CREATE_SUBCHANNELS,
		[HVK_STORVSC_RESET] = HVK_VSTOR_RESET_BUS
	};

	if (!s->unsent)
		return (false);
	s->unsent = false;
	__builtin_memset(m, 0, sizeof(*m));
	m->txid = storvsc_id(STORVSC_ID_CONTROL, s->generation, s->phase);
	m->packet.operation = operation[s->phase];
	m->packet.flags = HVK_VSTOR_WANT_COMPLETION;
	if (s->phase == HVK_STORVSC_VERSION)
		m->packet.version.version = versions[s->candidate];
	else if (s->phase == HVK_STORVSC_SUBCHANNELS)
		m->packet.subchannels = s->subchannels;
	return (true);
}

/* The properties' answer: what it offers bounds everything after. */
static enum hvk_storvsc_event
properties(struct hvk_storvsc *s, const struct hvk_vstor_properties *p,
    uint64_t now)
{
	if (p->max_transfer < MIN_TRANSFER)
		return (fail(s, HVK_STORVSC_BAD_ANSWER));
	s->max_transfer = p->max_transfer;
	if ((p->flags & HVK_VSTOR_MULTICHANNEL) != 0)
		s->max_subchannels = p->max_subchannels;
	s->subchannels = s->config.subchannels < s->max_subchannels ?
	    s->config.subchannels : s->max_subchannels;
	step(s, HVK_STORVSC_END, now);
	return (HVK_STORVSC_NOTHING);
}

static enum hvk_storvsc_event
become_ready(struct hvk_storvsc *s)
{
	rest(s, HVK_STORVSC_READY, UINT64_MAX);
	return (HVK_STORVSC_IS_READY);
}

static enum hvk_storvsc_event
refused(struct hvk_storvsc *s, uint32_t status, uint64_t now)
{
	s->status = status;
	switch (s->phase) {
	case HVK_STORVSC_VERSION:
		if (status == HVK_VSTOR_BAD_VERSION) {
			if (++s->candidate == NVERSIONS)
				return (fail(s, HVK_STORVSC_NO_VERSION));
			step(s, HVK_STORVSC_VERSION, now);
			return (HVK_STORVSC_NOTHING);
		}
		break;
	case HVK_STORVSC_SUBCHANNELS:
		/* One channel is slower, not wrong. */
		s->subchannels = 0;
		return (become_ready(s));
	case HVK_STORVSC_RESET:
		s->resets_failed++;
		return (fail(s, HVK_STORVSC_RESET_REFUSED));
	default:
		break;
	}
	return (fail(s, HVK_STORVSC_REFUSED));
}

static enum hvk_storvsc_event
answered(struct hvk_storvsc *s, const struct hvk_vstor_packet *p, uint64_t now)
{
	s->waiting = false;
	s->unsent = false;
	if (p->status != HVK_VSTOR_OK)
		return (refused(s, p->status, now));
	switch (s->phase) {
	case HVK_STORVSC_BEGIN:
		step(s, HVK_STORVSC_VERSION, now);
		break;
	case HVK_STORVSC_VERSION:
		s->version = versions[s->candidate];
		step(s, HVK_STORVSC_PROPERTIES, now);
		break;
	case HVK_STORVSC_PROPERTIES:
		return (properties(s, &p->properties, now));
	case HVK_STORVSC_END:
		if (s->subchannels == 0)
			return (become_ready(s));
		step(s, HVK_STORVSC_SUBCHANNELS, now);
		break;
	case HVK_STORVSC_SUBCHANNELS:
		return (become_ready(s));
	case HVK_STORVSC_RESET:
		/*
		 * What the host gave up may still be on its way through the
		 * other channels: let it arrive.
		 */
		rest(s, HVK_STORVSC_SETTLE, now + s->config.settle_ms);
		break;
	default:
		break;
	}
	return (HVK_STORVSC_NOTHING);
}

static int
unasked(struct hvk_storvsc *s, const struct hvk_vstor_packet *p,
    enum hvk_storvsc_event *event)
{
	switch (p->operation) {
	case HVK_VSTOR_ENUMERATE_BUS:
		*event = HVK_STORVSC_RESCAN;
		break;
	case HVK_VSTOR_REMOVE_DEVICE:
		*event = HVK_STORVSC_REMOVED;
		break;
	default:
		s->rejected++;
		return (HVK_REJECT);
	}
	s->rescans++;
	return (HVK_OK);
}

int
hvk_storvsc_input(struct hvk_storvsc *s, const struct hvk_packet *pkt,
    uint64_t now, enum hvk_storvsc_event *event)
{
	struct hvk_vstor_packet p;
	enum hvk_storvsc_kind kind;

	*event = HVK_STORVSC_NOTHING;
	kind = hvk_storvsc_kind(pkt);
	if ((kind != HVK_STORVSC_KIND_CONTROL &&
	    kind != HVK_STORVSC_KIND_EVENT) || pkt->len < sizeof(p)) {
		s->rejected++;
		return (HVK_REJECT);
	}
	__builtin_memcpy(&p, pkt->payload, sizeof(p));
	if (kind == HVK_STORVSC_KIND_EVENT)
		return (unasked(s, &p, event));
	if (!s->waiting || s->unsent ||
	    pkt->txid != storvsc_id(STORVSC_ID_CONTROL, s->generation,
	    s->phase) || p.operation != HVK_VSTOR_COMPLETE_IO) {
		s->rejected++;
		return (HVK_REJECT);
	}
	*event = answered(s, &p, now);
	return (HVK_OK);
}

uint64_t
hvk_storvsc_deadline(const struct hvk_storvsc *s)
{
	return (s->deadline);
}

enum hvk_storvsc_event
hvk_storvsc_tick(struct hvk_storvsc *s, uint64_t now)
{
	if (now < s->deadline)
		return (HVK_STORVSC_NOTHING);
	switch (s->phase) {
	case HVK_STORVSC_RESET:
		if (++s->tries < s->config.reset_tries) {
			step(s, HVK_STORVSC_RESET, now);
			return (HVK_STORVSC_NOTHING);
		}
		s->resets_failed++;
		return (fail(s, HVK_STORVSC_RESET_UNANSWERED));
	case HVK_STORVSC_SETTLE:
		rest(s, HVK_STORVSC_READY, UINT64_MAX);
		return (HVK_STORVSC_RESET_OVER);
	case HVK_STORVSC_SUBCHANNELS:
		/* As if refused; the late answer is rejected by its id. */
		s->subchannels = 0;
		return (become_ready(s));
	default:
		return (fail(s, HVK_STORVSC_NO_ANSWER));
	}
}

int
hvk_storvsc_reset(struct hvk_storvsc *s, uint64_t now)
{
	if (s->phase == HVK_STORVSC_RESET || s->phase == HVK_STORVSC_SETTLE)
		return (HVK_OK);
	if (s->phase != HVK_STORVSC_READY)
		return (HVK_STATE);
	s->resets++;
	s->tries = 0;
	step(s, HVK_STORVSC_RESET, now);
	return (HVK_OK);
}

void
hvk_storvsc_stop(struct hvk_storvsc *s)
{
	if (s->phase != HVK_STORVSC_FAILED)
		(void)fail(s, HVK_STORVSC_STOPPED);
}

/* Standard INQUIRY data: offsets and values. */
#define	INQUIRY_TYPE		0
#define	INQUIRY_VERSION		2
#define	INQUIRY_FORMAT		3
#define	INQUIRY_VENDOR		8
#define	INQUIRY_VENDOR_END	16
#define	INQUIRY_CDROM		5
#define	INQUIRY_SPC2		4
#define	INQUIRY_SPC3		5

bool
hvk_storvsc_fix_inquiry(uint16_t version, uint8_t *data, uint32_t len)
{
	bool old;

	if (len <= INQUIRY_FORMAT)
		return (false);
	old = version == HVK_VSTOR_VERSION_WIN2012 ||
	    version == HVK_VSTOR_VERSION_WIN2012R2;
	if (data[INQUIRY_TYPE] == INQUIRY_CDROM && data[INQUIRY_VERSION] == 0) {
		data[INQUIRY_VERSION] = INQUIRY_SPC3;
		return (true);
	}
	if (!old || data[INQUIRY_TYPE] != 0)
		return (false);
	if (data[INQUIRY_VERSION] == 0) {
		data[INQUIRY_VERSION] = INQUIRY_SPC3;
		data[INQUIRY_FORMAT] = 2;
		return (true);
	}
	if (len < INQUIRY_VENDOR_END || data[INQUIRY_VERSION] != INQUIRY_SPC2 ||
	    __builtin_memcmp(data + INQUIRY_VENDOR, "Msft", 4) != 0)
		return (false);
	data[INQUIRY_VERSION] = INQUIRY_SPC3;
	return (true);
}

void
hvk_storvsc_ide_address(const uint8_t user[12],
    const struct hvk_guid *instance, uint8_t *path, uint8_t *target)
{
	struct hvk_vstor_ide_user ide;

	__builtin_memcpy(&ide, user, sizeof(ide));
	if ((ide.flags & HVK_VSTOR_USER_IDE) != 0) {
		*path = ide.path;
		*target = ide.target;
		return;
	}
	*path = 0;
	*target = instance->b[4];
}
