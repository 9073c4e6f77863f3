/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * What kvp.c and kvp_ip.c share.
 */

#ifndef KVP_INT_H
#define	KVP_INT_H

#include <hvk/kvp.h>

uint32_t kvp_text_len(const char *);
/* An adapter's configuration into and out of a message's body. */
int	kvp_put_config(struct hvk_ic_message *, uint32_t version,
	    const struct hvk_kvp_config *);
int	kvp_get_config(const struct hvk_ic_message *, uint32_t version,
	    struct hvk_kvp_config *);

#endif /* !KVP_INT_H */
