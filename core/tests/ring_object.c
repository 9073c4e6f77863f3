/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * The inline half of the ring as functions of their own, only to be
 * disassembled by ring_object_test.sh.
 */

#include <hvk/ring.h>

int	object_send(struct hvk_ring_tx *, uint64_t, const void *, uint32_t);
bool	object_publish(struct hvk_ring_tx *);
int	object_receive(struct hvk_ring_rx *, void *, uint32_t,
	    struct hvk_packet *);
bool	object_release(struct hvk_ring_rx *);
bool	object_unmask(struct hvk_ring_rx *);

int
object_send(struct hvk_ring_tx *tx, uint64_t txid, const void *payload,
    uint32_t len)
{
	return (hvk_tx_inband(tx, txid, true, payload, len));
}

bool
object_publish(struct hvk_ring_tx *tx)
{
	return (hvk_ring_tx_publish(tx));
}

int
object_receive(struct hvk_ring_rx *rx, void *buf, uint32_t cap,
    struct hvk_packet *packet)
{
	return (hvk_ring_rx_next(rx, buf, cap, packet));
}

bool
object_release(struct hvk_ring_rx *rx)
{
	return (hvk_ring_rx_release(rx));
}

bool
object_unmask(struct hvk_ring_rx *rx)
{
	return (hvk_ring_rx_unmask(rx));
}
