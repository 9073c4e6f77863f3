/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * facts.h: the facts about this system that every host knows to ask for: pool
 * 2, whose keys have fixed places and cannot be changed.
 */

#ifndef KVP_FACTS_H
#define	KVP_FACTS_H

#include <stddef.h>
#include <stdint.h>

#include "helper.h"

#define	FACTS_COUNT	10

/* Before the sandbox. */
void	facts_start(void);
/* NULL past the end. */
const char *fact_key(uint32_t index);
/* Always a string, empty when it cannot be known. */
void	fact_value(struct helper *, uint32_t index, char *buf, size_t len);

#endif
