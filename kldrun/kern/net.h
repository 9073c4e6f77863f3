/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * net.h: what the files of kldrun's network share: interfaces, the way of a
 * frame between an interface and its tap, captures.
 */

#ifndef KLDRUN_NET_H
#define KLDRUN_NET_H

#include "kern.h"
#include <sys/mbuf.h>
#include <sys/socket.h>
#include <sys/sockio.h>
#include <sys/sx.h>
#include <net/if.h>
#include <net/if_var.h>
#include <net/if_private.h>
#include <net/if_dl.h>
#include <net/if_types.h>
#include <net/ethernet.h>

MALLOC_DECLARE(M_IFNET);

/* An interface with what kldrun keeps beside it. */
struct kif {
	struct ifnet ifnet;			/* first */
	struct sockaddr_dl sdl;
	struct ifaddr ifa;
	bool attached;
	bool dying;
	struct iftap *tap;
	struct capture *volatile capture;
};

/* ifnet.c: all changes of an interface's configuration are under this. */
extern struct sx kif_config;
struct kif *kif_first(void);
struct kif *kif_next(struct kif *);
struct kif *kif_find(const char *name);
void	kif_sdl_init(struct kif *, const uint8_t *mac);

/* ifconfig.c: as ifconfig(8) would; kif_config held. */
int	kif_set_flags(struct kif *, int set, int clear);
int	kif_set_mtu(struct kif *, int mtu);
int	kif_set_mac(struct kif *, const uint8_t *mac);
int	kif_set_groups(struct kif *, const uint8_t (*mac)[ETHER_ADDR_LEN],
	    int n);

/* iftap.c */
void	iftap_attach(struct kif *);
void	iftap_detach(struct kif *);
void	iftap_input(struct kif *, struct mbuf *);
void	iftap_link(struct kif *);
void	iftap_changed(struct kif *);		/* flags, MTU, capabilities */
void	iftap_describe(struct kif *, struct kld_out *);

/* iftap_frame.c: virtio-net's header, as the tap has it. */
struct vnet_hdr {
	uint8_t flags, gso;
	uint16_t hdr_len, gso_size, csum_start, csum_offset;
};
void	iftap_believe(struct ifnet *, struct mbuf *, struct vnet_hdr *);
bool	iftap_ask(struct ifnet *, struct mbuf *, const struct vnet_hdr *,
	    u_long *soft);
void	iftap_take_tag(struct ifnet *, struct mbuf *);

/* bpf.c */
int	kif_capture(struct kif *, const char *path);	/* NULL ends it */
void	kif_tap(struct kif *, struct mbuf *);

#endif
