/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The frame of an integration component's message, and the table of services.
 * Locking: none, see hvk/ic.h.  Facts: wire.md section 9.
 */

#include <hvk/ic.h>
#include <hvk/wire/fcopy.h>
#include <hvk/wire/kvp.h>
#include <hvk/wire/vss.h>

#define	V(major, minor)	HVK_IC_VERSION(major, minor)

const uint32_t hvk_ic_frameworks[2] = { V(3, 0), V(1, 0) };

static const uint32_t v_heartbeat[] = { V(3, 0), V(1, 0) };
static const uint32_t v_kvp[] = { V(5, 0), V(4, 0), V(3, 0) };
static const uint32_t v_shutdown[] = { V(3, 2), V(3, 1), V(3, 0), V(1, 0) };
static const uint32_t v_timesync[] = { V(4, 0), V(3, 0), V(1, 0) };
static const uint32_t v_vss[] = { V(5, 0) };
static const uint32_t v_fcopy[] = { V(1, 1) };

#define	SERVICE(type, name, guid, v, body)				\
	{ type, name, guid, v, HVK_COUNT(v), (uint32_t)(body) }

static const struct hvk_ic_service services[] = {
	SERVICE(HVK_IC_HEARTBEAT, "heartbeat", HVK_GUID_HEARTBEAT,
	    v_heartbeat, sizeof(struct hvk_ic_heartbeat)),
	SERVICE(HVK_IC_KVP, "kvp", HVK_GUID_KVP, v_kvp, HVK_KVP_BODY),
	SERVICE(HVK_IC_SHUTDOWN, "shutdown", HVK_GUID_SHUTDOWN, v_shutdown,
	    sizeof(struct hvk_ic_shutdown)),
	SERVICE(HVK_IC_TIMESYNC, "timesync", HVK_GUID_TIMESYNC, v_timesync,
	    sizeof(struct hvk_ic_timesync)),
	SERVICE(HVK_IC_VSS, "vss", HVK_GUID_VSS, v_vss,
	    sizeof(struct hvk_vss_message)),
	SERVICE(HVK_IC_FCOPY, "fcopy", HVK_GUID_FCOPY, v_fcopy,
	    sizeof(struct hvk_fcopy_write)),
};

const struct hvk_ic_service *
hvk_ic_service(enum hvk_ic_type type)
{
	uint32_t i;

	for (i = 0; i < HVK_COUNT(services); i++) {
		if (services[i].type == type)
			return (&services[i]);
	}
	return (NULL);
}

static bool
same(const char *a, const char *b)
{
	while (*a == *b && *a != '\0') {
		a++;
		b++;
	}
	return (*a == *b);
}

const struct hvk_ic_service *
hvk_ic_service_named(const char *name)
{
	uint32_t i;

	for (i = 0; i < HVK_COUNT(services); i++) {
		if (same(services[i].name, name))
			return (&services[i]);
	}
	return (NULL);
}

int
hvk_ic_take(struct hvk_ic_message *m, const struct hvk_packet *p)
{
	struct hvk_ic_frame f;
	uint32_t len;

	m->len = 0;
	if (p->type != HVK_PKT_INBAND || p->len < HVK_IC_FRAME)
		return (HVK_REJECT);
	hvk_copy(&f, p->payload, sizeof(f));
	if (f.pipe.type != HVK_PIPE_DATA || f.pipe.size < sizeof(f.ic) ||
	    f.pipe.size > p->len - sizeof(f.pipe))
		return (HVK_REJECT);
	len = f.pipe.size + (uint32_t)sizeof(f.pipe);
	if (len > HVK_IC_MAX || f.ic.size > len - HVK_IC_FRAME)
		return (HVK_REJECT);
	hvk_copy(m->bytes, p->payload, len);
	m->len = len;
	return (HVK_OK);
}

static void
set_frame(struct hvk_ic_message *m, const struct hvk_ic_header *h)
{
	struct hvk_ic_frame f;

	f.pipe.type = HVK_PIPE_DATA;
	f.pipe.size = m->len - (uint32_t)sizeof(f.pipe);
	f.ic = *h;
	hvk_copy(m->bytes, &f, sizeof(f));
}

int
hvk_ic_make(struct hvk_ic_message *m, const struct hvk_ic_header *h,
    uint32_t body_len)
{
	struct hvk_ic_header copy = *h;

	if (body_len > HVK_IC_BODY_MAX)
		return (HVK_RANGE);
	m->len = HVK_IC_FRAME + body_len;
	copy.size = (uint16_t)body_len;
	hvk_zero(hvk_ic_body(m), body_len);
	set_frame(m, &copy);
	return (HVK_OK);
}

void
hvk_ic_answer(struct hvk_ic_message *m, uint32_t status)
{
	struct hvk_ic_header h = hvk_ic_header(m);

	h.status = status;
	h.flags = HVK_IC_TRANSACTION | HVK_IC_RESPONSE;
	set_frame(m, &h);
}

int
hvk_ic_resize(struct hvk_ic_message *m, uint32_t body_len)
{
	struct hvk_ic_header h = hvk_ic_header(m);
	uint32_t old = hvk_ic_body_len(m);

	if (body_len > HVK_IC_BODY_MAX)
		return (HVK_RANGE);
	if (body_len > old)
		hvk_zero(hvk_ic_body(m) + old, body_len - old);
	m->len = HVK_IC_FRAME + body_len;
	h.size = (uint16_t)body_len;
	set_frame(m, &h);
	return (HVK_OK);
}

const char *
hvk_ic_strstatus(uint32_t status)
{
	static const struct { uint32_t status; const char *text; } list[] = {
		{ HVK_IC_OK, "done" },
		{ HVK_IC_FAIL, "failed" },
		{ HVK_IC_DENIED, "access denied" },
		{ HVK_IC_NOT_SUPPORTED, "not supported" },
		{ HVK_IC_EXISTS, "the file exists" },
		{ HVK_IC_BAD_ARGUMENT, "invalid argument" },
		{ HVK_IC_DISK_FULL, "no space left in the guest" },
		{ HVK_IC_NO_MORE, "no more items" },
		{ HVK_IC_NOT_CONNECTED, "no daemon of the service runs in the "
		    "guest" },
		{ HVK_IC_LOCKED, "the machine is locked" },
		{ HVK_IC_NOT_FOUND, "not found" },
		{ 0x80070002u, "no such file" },
		{ 0x80070003u, "no such directory" },
	};
	uint32_t i;

	for (i = 0; i < HVK_COUNT(list); i++) {
		if (list[i].status == status)
			return (list[i].text);
	}
	return ("an error without a name");
}
