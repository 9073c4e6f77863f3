/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * What the tests of integration components share: a message as the packet that
 * the other side would take out of its ring, and a guest and a host that have
 * agreed on versions.
 */
#ifndef IC_RIG_H
#define	IC_RIG_H

#include <atf-c.h>
#include <string.h>

#include <hvk/guest/ic.h>
#include <hvk/host/ic.h>

struct ic_wire {
	struct hvk_packet packet;
	uint8_t		copy[HVK_IC_MAX + 16] __attribute__((aligned(8)));
};

static inline const struct hvk_packet *
ic_wire(struct ic_wire *w, const struct hvk_ic_message *m)
{
	memset(&w->packet, 0, sizeof(w->packet));
	memset(w->copy, 0, sizeof(w->copy));
	memcpy(w->copy, m->bytes, m->len);
	w->packet.type = HVK_PKT_INBAND;
	w->packet.payload = w->copy;
	w->packet.len = hvk_align8(m->len);
	return (&w->packet);
}

struct ic_pair {
	struct hvk_ic	guest;
	struct hvk_ic_host host;
	struct ic_wire	wire;
	struct hvk_ic_message to_guest;
	struct hvk_ic_message to_host;
	struct hvk_ic_message got;	/* what the guest has to serve */
};

/* Deliver to the guest; what it says at once comes back to the host. */
static inline enum hvk_ic_action
ic_deliver(struct ic_pair *p)
{
	return (hvk_ic_input(&p->guest, ic_wire(&p->wire, &p->to_guest),
	    &p->got));
}

static inline enum hvk_ic_host_event
ic_return(struct ic_pair *p, const struct hvk_ic_message *m)
{
	return (hvk_ic_host_input(&p->host, ic_wire(&p->wire, m),
	    &p->to_host));
}

static inline void
ic_agree(struct ic_pair *p, enum hvk_ic_type type, uint32_t version)
{
	memset(p, 0, sizeof(*p));
	ATF_REQUIRE_EQ(HVK_OK, hvk_ic_init(&p->guest, type));
	ATF_REQUIRE_EQ(HVK_OK, hvk_ic_host_init(&p->host, type, version,
	    1000));
	hvk_ic_host_open(&p->host, 0, &p->to_guest);
	ATF_REQUIRE_EQ(HVK_IC_SEND, ic_deliver(p));
	ATF_REQUIRE_EQ(HVK_IC_HOST_AGREED, ic_return(p, &p->got));
	ATF_REQUIRE_EQ(p->guest.version, p->host.version);
	ATF_REQUIRE_EQ(p->guest.framework, p->host.framework);
}

#endif /* !IC_RIG_H */
