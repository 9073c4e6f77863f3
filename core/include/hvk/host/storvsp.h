/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The host's half of the storage protocol: what a controller does with each
 * packet of the guest, in every state.  It owns the negotiation and the checks
 * of a request; SCSI itself is hvk/host/scsi.h, data and threads are the
 * caller's.
 *
 *	packet in -> hvk_storvsp_input() -> what to do, and the reply to send
 *	SRB done  -> hvk_storvsp_finish() or _refuse() -> the reply to send
 *
 * The guest is hostile: whatever it sends ends in a reply with a status, or
 * in nothing; never in a state that is not in the table.
 *
 * Locking: packets of the primary channel one at a time.  Those of
 * sub-channels may be given by other threads at the same time: they only read
 * the phase and count.
 *
 * Facts: wire.md section 17, hosts.md section 1.6.
 */
#ifndef HVK_HOST_STORVSP_H
#define HVK_HOST_STORVSP_H

#include <hvk/error.h>
#include <hvk/host/scsi.h>
#include <hvk/packet.h>
#include <hvk/types.h>
#include <hvk/wire/vstor.h>

enum hvk_storvsp_phase {
	HVK_STORVSP_CLOSED,
	HVK_STORVSP_BEGUN,
	HVK_STORVSP_VERSIONED,
	HVK_STORVSP_DESCRIBED,		/* properties were asked for */
	HVK_STORVSP_READY,
	HVK_STORVSP_NPHASES
};

enum hvk_storvsp_action {
	HVK_STORVSP_NOTHING,		/* not for us, or no reply wanted */
	HVK_STORVSP_REPLY,		/* send the reply */
	HVK_STORVSP_SRB,		/* do the command, then finish */
	HVK_STORVSP_SUBCHANNELS,	/* offer `count', then send the reply */
	HVK_STORVSP_RESET		/* end what is outstanding, then reply */
};

struct hvk_storvsp_config {
	uint32_t	max_transfer;	/* bytes of one request, announced */
	uint16_t	max_subchannels; /* 0: no multi-channel */
	uint16_t	max_version;	/* HVK_VSTOR_VERSION(); 0: newest */
	bool		ide;		/* one disk, whatever path and target */
};

struct hvk_storvsp {
	struct hvk_storvsp_config config;
	uint32_t	phase;		/* enum hvk_storvsp_phase, atomic */
	uint16_t	version;	/* agreed; 0 before */
	uint16_t	subchannels;	/* asked for and granted */
	bool		asked;		/* create sub-channels has been done */
	/* counters; those of sub-channels are approximate */
	uint32_t	refused;	/* packets answered with a bad status */
	uint32_t	ignored;	/* packets that get no reply */
};

/* One request: made by input(), turned into its reply in place. */
struct hvk_storvsp_request {
	enum hvk_storvsp_action action;
	bool		answer;		/* a completion is wanted */
	uint16_t	count;		/* SUBCHANNELS */
	uint8_t		lun;		/* SRB, RESET_LUN: 0..63, or ABSENT */
	uint8_t		cdb_len;
	uint32_t	in, out;	/* bytes of the guest's buffer */
	uint32_t	reply_len;
	uint64_t	txid;
	struct hvk_vstor_packet packet;	/* request, then reply */
};
#define	HVK_STORVSP_ABSENT	0xff

/* HVK_RANGE: max_transfer below one page, or an unknown max_version. */
int	hvk_storvsp_init(struct hvk_storvsp *,
	    const struct hvk_storvsp_config *);
/* The primary channel was closed, or is opened anew. */
void	hvk_storvsp_reset(struct hvk_storvsp *);

void	hvk_storvsp_input(struct hvk_storvsp *, bool primary,
	    const struct hvk_packet *, struct hvk_storvsp_request *);

/* The reply to an SRB: from the command, or a status of the transport. */
void	hvk_storvsp_finish(struct hvk_storvsp_request *,
	    const struct hvk_scsi_cmd *);
void	hvk_storvsp_refuse(struct hvk_storvsp_request *, uint8_t srb_status);
/* The reply to RESET and SUBCHANNELS. */
void	hvk_storvsp_answer(struct hvk_storvsp_request *, uint32_t status);

/* ENUMERATE_BUS or REMOVE_DEVICE: in-band, transaction id 0, no completion. */
void	hvk_storvsp_notice(struct hvk_vstor_packet *, uint32_t operation);

#endif /* HVK_HOST_STORVSP_H */
