/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * What the back-ends of NICs share: see hvk/netbackend.h.
 */
#ifndef _VMM_NET_BACKEND_INT_H_
#define	_VMM_NET_BACKEND_INT_H_

#include <hvk/netbackend.h>
#include <hvk/vmm.h>

struct net_backend_ops {
	void	(*close)(struct net_backend *);
	int	(*fd)(struct net_backend *, uint32_t queue);
	/* The frame asks for no more than the caps promise. */
	int	(*send)(struct net_backend *, uint32_t queue,
		    struct net_frame *);
	void	(*flush)(struct net_backend *, uint32_t queue);
	int	(*recv)(struct net_backend *, uint32_t queue,
		    struct net_frame *);
	bool	(*link)(struct net_backend *);
	void	(*info)(struct net_backend *, json_t *);
};

/* First member of each back-end. */
struct net_backend {
	const struct net_backend_ops *ops;
	const char	*kind;
	struct net_caps	caps;
	uint32_t	queues;
	uint32_t	mtu;
	struct net_counters *counters;	/* one for each queue, padded */
	uint8_t		*segment;	/* NET_FRAME_MAX for each queue */
};

/* A virtio-net header as tap and pair use it, little-endian. */
struct net_vnet {
	uint8_t		flags;
	uint8_t		gso_type;
	uint16_t	hdr_len;
	uint16_t	gso_size;
	uint16_t	csum_start;
	uint16_t	csum_offset;
};
#define	NET_VNET_LEN	10u

void	net_vnet_make(struct net_vnet *, const struct net_frame *);
/* false: what it says cannot be. */
bool	net_vnet_take(const struct net_vnet *, struct net_frame *);

const char *net_key(const json_t *, const char *key, const char *def);
uint32_t net_number(const json_t *, const char *key, uint32_t def);

struct net_backend *net_tap_open(const json_t *, char *, size_t);
struct net_backend *net_slirp_open(const json_t *, char *, size_t);
struct net_backend *net_pair_open(const json_t *, char *, size_t);

#endif /* _VMM_NET_BACKEND_INT_H_ */
