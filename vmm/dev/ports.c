/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * The table of I/O ports.  Filled in before any processor runs, only read from
 * then on: no lock.  An access that is not wholly inside one device's range is
 * nobody's.
 */
#include <errno.h>

#include "dev.h"

static const struct dev_port *
find(const struct dev_ports *t, uint16_t port, unsigned size)
{
	const struct dev_port *p;
	unsigned i;

	for (i = 0; i < t->n; i++) {
		p = &t->port[i];
		if (port >= p->base && port + size <= (unsigned)p->base +
		    p->len)
			return (p);
	}
	return (NULL);
}

int
dev_ports_add(struct dev_ports *t, const struct dev_port *p)
{
	const struct dev_port *q;
	unsigned i;

	for (i = 0; i < t->n; i++) {
		q = &t->port[i];
		if (p->base < q->base + q->len && q->base < p->base + p->len)
			return (-EBUSY);
	}
	if (t->n == DEV_PORTS)
		return (-ENOSPC);
	t->port[t->n++] = *p;
	return (0);
}

uint32_t
dev_ports_read(const struct dev_ports *t, uint16_t port, unsigned size)
{
	const struct dev_port *p = find(t, port, size);

	if (p == NULL)
		return (UINT32_MAX);
	return (p->read(p->arg, (uint16_t)(port - p->base), size));
}

void
dev_ports_write(const struct dev_ports *t, uint16_t port, unsigned size,
    uint32_t value)
{
	const struct dev_port *p = find(t, port, size);

	if (p != NULL)
		p->write(p->arg, (uint16_t)(port - p->base), size, value);
}
