/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The storage provider's machine.  Locking: see hvk/host/storvsp.h.
 * Facts: wire.md section 17; orders that hosts accept, hosts.md section 1.6.
 */
#include <hvk/host/storvsp.h>

/* Before 5.1 the SRB is cut after the sense data and two reserved bytes. */
#define	PACKET_OLD	(12u + HVK_VSTOR_SRB_LENGTH_OLD)

static const uint16_t storvsp_versions[] = {
	HVK_VSTOR_VERSION_WIN2008, HVK_VSTOR_VERSION_WIN2008R2,
	HVK_VSTOR_VERSION_WIN2012, HVK_VSTOR_VERSION_WIN2012R2,
	HVK_VSTOR_VERSION_WIN10
};

static bool
version_known(uint16_t version)
{
	uint32_t i;

	for (i = 0; i < HVK_COUNT(storvsp_versions); i++) {
		if (storvsp_versions[i] == version)
			return (true);
	}
	return (false);
}

static enum hvk_storvsp_phase
phase_get(const struct hvk_storvsp *s)
{

	return ((enum hvk_storvsp_phase)__atomic_load_n(&s->phase,
	    __ATOMIC_ACQUIRE));
}

static void
phase_set(struct hvk_storvsp *s, enum hvk_storvsp_phase phase)
{

	__atomic_store_n(&s->phase, (uint32_t)phase, __ATOMIC_RELEASE);
}

int
hvk_storvsp_init(struct hvk_storvsp *s, const struct hvk_storvsp_config *c)
{

	if (c->max_transfer < HVK_PAGE_SIZE ||
	    (c->max_version != 0 && !version_known(c->max_version)))
		return (HVK_RANGE);
	hvk_zero(s, sizeof(*s));
	s->config = *c;
	if (s->config.max_version == 0)
		s->config.max_version = HVK_VSTOR_VERSION_WIN10;
	return (HVK_OK);
}

void
hvk_storvsp_reset(struct hvk_storvsp *s)
{

	phase_set(s, HVK_STORVSP_CLOSED);
	s->version = 0;
	s->subchannels = 0;
	s->asked = false;
}

void
hvk_storvsp_answer(struct hvk_storvsp_request *r, uint32_t status)
{

	r->packet.operation = HVK_VSTOR_COMPLETE_IO;
	r->packet.flags = 0;
	r->packet.status = status;
	r->action = r->answer ? HVK_STORVSP_REPLY : HVK_STORVSP_NOTHING;
}

static void
count(uint32_t *n)
{

	/* Plain and relaxed: several channels may count at once. */
	__atomic_store_n(n, __atomic_load_n(n, __ATOMIC_RELAXED) + 1,
	    __ATOMIC_RELAXED);
}

static void
deny(struct hvk_storvsp *s, struct hvk_storvsp_request *r, uint32_t status)
{

	count(&s->refused);
	hvk_storvsp_answer(r, status);
}

static void
begin_init(struct hvk_storvsp *s, struct hvk_storvsp_request *r)
{

	if (phase_get(s) != HVK_STORVSP_CLOSED) {
		deny(s, r, HVK_VSTOR_BAD_STATE);
		return;
	}
	phase_set(s, HVK_STORVSP_BEGUN);
	hvk_storvsp_answer(r, HVK_VSTOR_OK);
}

static void
query_version(struct hvk_storvsp *s, struct hvk_storvsp_request *r)
{
	uint16_t version = r->packet.version.version;

	if (phase_get(s) != HVK_STORVSP_BEGUN) {
		deny(s, r, HVK_VSTOR_BAD_STATE);
		return;
	}
	if (!version_known(version) || version > s->config.max_version) {
		/* Not an error of the guest: it now tries an older one. */
		hvk_storvsp_answer(r, HVK_VSTOR_BAD_VERSION);
		return;
	}
	s->version = version;
	phase_set(s, HVK_STORVSP_VERSIONED);
	hvk_storvsp_answer(r, HVK_VSTOR_OK);
}

static bool
multichannel(const struct hvk_storvsp *s)
{

	return (s->config.max_subchannels != 0 && !s->config.ide &&
	    s->version >= HVK_VSTOR_VERSION_WIN2012);
}

static void
query_properties(struct hvk_storvsp *s, struct hvk_storvsp_request *r)
{
	struct hvk_vstor_properties *p = &r->packet.properties;

	if (phase_get(s) != HVK_STORVSP_VERSIONED) {
		deny(s, r, HVK_VSTOR_BAD_STATE);
		return;
	}
	hvk_zero(r->packet.payload, sizeof(r->packet.payload));
	p->max_transfer = s->config.max_transfer;
	if (multichannel(s)) {
		p->flags = HVK_VSTOR_MULTICHANNEL;
		p->max_subchannels = s->config.max_subchannels;
	}
	phase_set(s, HVK_STORVSP_DESCRIBED);
	hvk_storvsp_answer(r, HVK_VSTOR_OK);
}

static void
end_init(struct hvk_storvsp *s, struct hvk_storvsp_request *r)
{

	if (phase_get(s) != HVK_STORVSP_DESCRIBED) {
		deny(s, r, HVK_VSTOR_BAD_STATE);
		return;
	}
	phase_set(s, HVK_STORVSP_READY);
	hvk_storvsp_answer(r, HVK_VSTOR_OK);
}

/* Hosts accept this before as well as after the end of initialisation. */
static void
create_subchannels(struct hvk_storvsp *s, struct hvk_storvsp_request *r)
{
	uint16_t n = r->packet.subchannels;

	if (phase_get(s) < HVK_STORVSP_DESCRIBED || s->asked) {
		deny(s, r, HVK_VSTOR_BAD_STATE);
		return;
	}
	if (!multichannel(s)) {
		deny(s, r, HVK_VSTOR_BAD_REQUEST);
		return;
	}
	if (n > s->config.max_subchannels) {
		deny(s, r, HVK_VSTOR_BAD_PARAMETER);
		return;
	}
	if (n == 0) {
		hvk_storvsp_answer(r, HVK_VSTOR_OK);
		return;
	}
	s->asked = true;
	s->subchannels = n;
	r->count = n;
	r->action = HVK_STORVSP_SUBCHANNELS;
}

static uint8_t
find_lun(const struct hvk_storvsp *s, const struct hvk_vstor_srb *srb)
{

	if (s->config.ide)
		return (srb->lun == 0 ? 0 : HVK_STORVSP_ABSENT);
	if (srb->path != 0 || srb->target != 0 || srb->lun >= HVK_SCSI_LUNS)
		return (HVK_STORVSP_ABSENT);
	return (srb->lun);
}

static void
reset(struct hvk_storvsp *s, struct hvk_storvsp_request *r)
{

	if (phase_get(s) != HVK_STORVSP_READY) {
		deny(s, r, HVK_VSTOR_BAD_STATE);
		return;
	}
	r->lun = find_lun(s, &r->packet.srb);
	if (r->packet.operation == HVK_VSTOR_RESET_LUN &&
	    r->lun == HVK_STORVSP_ABSENT) {
		deny(s, r, HVK_VSTOR_BAD_PARAMETER);
		return;
	}
	r->action = HVK_STORVSP_RESET;
}

/* Bytes that the request's ranges describe; false if they are malformed. */
static bool
ranges_total(const struct hvk_packet *p, uint64_t *total)
{
	struct hvk_gpa_view view;
	uint32_t cursor = 0;
	int error;

	*total = 0;
	if (p->type != HVK_PKT_GPA_DIRECT)
		return (true);
	while ((error = hvk_packet_gpa_next(p, &cursor, &view)) == HVK_OK)
		*total += view.len;
	return (error == HVK_AGAIN);
}

static void
execute(struct hvk_storvsp *s, const struct hvk_packet *p,
    struct hvk_storvsp_request *r)
{
	struct hvk_vstor_srb *srb = &r->packet.srb;
	uint64_t total;

	if (phase_get(s) != HVK_STORVSP_READY) {
		deny(s, r, HVK_VSTOR_BAD_STATE);
		return;
	}
	if (!ranges_total(p, &total)) {
		count(&s->refused);
		hvk_storvsp_refuse(r, HVK_SRB_INVALID_REQUEST);
		r->packet.status = HVK_VSTOR_BAD_PARAMETER;
		return;
	}
	if (srb->cdb_len == 0 || srb->cdb_len > HVK_VSTOR_CDB_MAX ||
	    srb->direction > HVK_VSTOR_NODATA ||
	    srb->transfer > s->config.max_transfer || srb->transfer > total) {
		count(&s->refused);
		hvk_storvsp_refuse(r, HVK_SRB_INVALID_REQUEST);
		return;
	}
	r->lun = find_lun(s, srb);
	r->cdb_len = srb->cdb_len;
	/* Direction "none" with a buffer: guests use it for "either". */
	r->in = srb->direction != HVK_VSTOR_WRITE ? srb->transfer : 0;
	r->out = srb->direction != HVK_VSTOR_READ ? srb->transfer : 0;
	r->action = HVK_STORVSP_SRB;
}

static void
primary_only(struct hvk_storvsp *s, struct hvk_storvsp_request *r)
{

	switch (r->packet.operation) {
	case HVK_VSTOR_BEGIN_INIT:
		begin_init(s, r);
		break;
	case HVK_VSTOR_QUERY_VERSION:
		query_version(s, r);
		break;
	case HVK_VSTOR_QUERY_PROPERTIES:
		query_properties(s, r);
		break;
	case HVK_VSTOR_END_INIT:
		end_init(s, r);
		break;
	default:
		create_subchannels(s, r);
		break;
	}
}

void
hvk_storvsp_input(struct hvk_storvsp *s, bool primary,
    const struct hvk_packet *p, struct hvk_storvsp_request *r)
{
	uint32_t len;

	r->action = HVK_STORVSP_NOTHING;
	r->answer = p->want_completion;
	r->txid = p->txid;
	r->lun = HVK_STORVSP_ABSENT;
	r->reply_len = sizeof(r->packet);
	if (p->type != HVK_PKT_INBAND && p->type != HVK_PKT_GPA_DIRECT) {
		count(&s->ignored);	/* a completion of nothing we sent */
		return;
	}
	len = p->len < sizeof(r->packet) ? p->len : sizeof(r->packet);
	if (len < PACKET_OLD) {
		hvk_zero(&r->packet, sizeof(r->packet));
		deny(s, r, HVK_VSTOR_BAD_PARAMETER);
		return;
	}
	if (len < sizeof(r->packet)) {
		/* The form before 5.1 is answered in its own length. */
		hvk_zero(&r->packet, sizeof(r->packet));
		len = PACKET_OLD;
		r->reply_len = PACKET_OLD;
	}
	__builtin_memcpy(&r->packet, p->payload, len);
	switch (r->packet.operation) {
	case HVK_VSTOR_EXECUTE_SRB:
		execute(s, p, r);
		break;
	case HVK_VSTOR_RESET_LUN:
	case HVK_VSTOR_RESET_ADAPTER:
	case HVK_VSTOR_RESET_BUS:
		reset(s, r);
		break;
	case HVK_VSTOR_BEGIN_INIT:
	case HVK_VSTOR_QUERY_VERSION:
	case HVK_VSTOR_QUERY_PROPERTIES:
	case HVK_VSTOR_END_INIT:
	case HVK_VSTOR_CREATE_SUBCHANNELS:
		if (primary)
			primary_only(s, r);
		else
			deny(s, r, HVK_VSTOR_BAD_STATE);
		break;
	default:
		deny(s, r, HVK_VSTOR_BAD_REQUEST);
		break;
	}
	if (r->action == HVK_STORVSP_NOTHING)
		count(&s->ignored);
}

/*
 * CDB and sense data share their place, so the reply is made of the fields
 * that stay and of a cleared area.
 */
static void
reply_srb(struct hvk_storvsp_request *r, uint8_t srb_status,
    uint8_t scsi_status, uint32_t transfer)
{
	struct hvk_vstor_srb *srb = &r->packet.srb;

	srb->srb_status = srb_status;
	srb->scsi_status = scsi_status;
	srb->transfer = transfer;
	srb->sense_len = 0;
	hvk_zero(srb->sense, sizeof(srb->sense));
	hvk_storvsp_answer(r, HVK_VSTOR_OK);
}

void
hvk_storvsp_refuse(struct hvk_storvsp_request *r, uint8_t srb_status)
{

	reply_srb(r, srb_status, 0, 0);
}

void
hvk_storvsp_finish(struct hvk_storvsp_request *r,
    const struct hvk_scsi_cmd *cmd)
{
	struct hvk_vstor_srb *srb = &r->packet.srb;
	uint32_t done, len;

	if (cmd->fault == HVK_SCSI_DIRECTION) {
		hvk_storvsp_refuse(r, HVK_SRB_INVALID_REQUEST);
		return;
	}
	done = cmd->data_len + cmd->io_len;
	if (cmd->fault == HVK_SCSI_OVERRUN) {
		reply_srb(r, HVK_SRB_DATA_OVERRUN, 0, done);
		return;
	}
	if (cmd->status == HVK_SCSI_GOOD) {
		/* Parameter data of the guest has all been taken. */
		if (done == 0 && srb->direction == HVK_VSTOR_WRITE)
			done = srb->transfer;
		reply_srb(r, HVK_SRB_SUCCESS, HVK_SCSI_GOOD, done);
		return;
	}
	len = cmd->sense_len < srb->sense_len ? cmd->sense_len :
	    srb->sense_len;
	reply_srb(r, len != 0 ? HVK_SRB_ERROR | HVK_SRB_AUTOSENSE_VALID :
	    HVK_SRB_ERROR, cmd->status, 0);
	srb->sense_len = (uint8_t)len;
	__builtin_memcpy(srb->sense, cmd->sense, len);
}

void
hvk_storvsp_notice(struct hvk_vstor_packet *packet, uint32_t operation)
{

	hvk_zero(packet, sizeof(*packet));
	packet->operation = operation;
}
