/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * mbuf_dma.c: bus_dma(9) of an mbuf chain, over the table that a tag begins
 * with. A map belongs to its caller.
 */

#include "kern.h"
#include <sys/bus.h>
#include <sys/mbuf.h>
#include <sys/memdesc.h>
#include <machine/bus.h>
#include <x86/busdma_impl.h>

static int
load_chain(bus_dma_tag_t dmat, bus_dmamap_t map, struct mbuf *m0,
    bus_dma_segment_t **segs, int *nsegs, int flags)
{
	struct bus_dma_tag_common *tc;
	struct mbuf *m;
	int error;

	tc = (struct bus_dma_tag_common *)dmat;
	*nsegs = -1;
	if ((m0->m_flags & M_PKTHDR) == 0)
		panic("bus_dmamap_load_mbuf: no packet header");
	error = 0;
	for (m = m0; m != NULL && error == 0; m = m->m_next)
		if (m->m_len > 0)
			error = tc->impl->load_buffer(dmat, map, m->m_data,
			    m->m_len, NULL, flags | BUS_DMA_LOAD_MBUF, *segs,
			    nsegs);
	++*nsegs;
	*segs = tc->impl->map_complete(dmat, map, *segs, *nsegs, error);
	return (error);
}

int
bus_dmamap_load_mbuf_sg(bus_dma_tag_t dmat, bus_dmamap_t map,
    struct mbuf *m0, bus_dma_segment_t *segs, int *nsegs, int flags)
{
	return (load_chain(dmat, map, m0, &segs, nsegs,
	    flags | BUS_DMA_NOWAIT));
}

int
bus_dmamap_load_mbuf(bus_dma_tag_t dmat, bus_dmamap_t map, struct mbuf *m0,
    bus_dmamap_callback2_t *callback, void *arg, int flags)
{
	bus_dma_segment_t *segs;
	int error, nsegs;

	segs = NULL;
	error = load_chain(dmat, map, m0, &segs, &nsegs,
	    flags | BUS_DMA_NOWAIT);
	callback(arg, segs, error != 0 ? 0 : nsegs, m0->m_pkthdr.len, error);
	return (error);
}
