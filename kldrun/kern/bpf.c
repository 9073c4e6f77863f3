/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * bpf.c: bpf(9). An interface has one listener or none: a capture to a file in
 * pcap's format, as `kldrun ifconfig IF capture FILE' starts it. A frame with
 * a hardware VLAN tag is written as it is on the wire.
 *
 * Locking: a capture is found inside the network epoch and its file has a
 * lock; the interface's field is changed under `kif_config'.
 */

#include "net.h"
#include <sys/epoch.h>
#include <net/bpf.h>

#define	SNAPLEN	262144

struct capture {
	struct os_lock lock;
	int fd;
};

struct pcap_file {
	uint32_t magic;
	uint16_t major, minor;
	int32_t zone;
	uint32_t sigfigs, snaplen, link;
};

struct pcap_record {
	uint32_t sec, nsec, caplen, len;
};

static void
write_frame(struct capture *c, void *head, u_int headlen, struct mbuf *m,
    bool tagged)
{
	struct pcap_record r;
	struct os_iovec iov[20];
	uint8_t tag[16];
	os_u64 now;
	int n, skip;

	now = os_realtime_ns();
	n = 0;
	iov[n++] = (struct os_iovec){ &r, sizeof(r) };
	if (headlen != 0)
		iov[n++] = (struct os_iovec){ head, headlen };
	r.len = headlen + m_length(m, NULL);
	skip = 0;
	if (tagged && (m->m_flags & M_VLANTAG) != 0 && m->m_len >= 12) {
		memcpy(tag, m->m_data, 12);
		tag[12] = 0x81;
		tag[13] = 0;
		tag[14] = m->m_pkthdr.ether_vtag >> 8;
		tag[15] = m->m_pkthdr.ether_vtag;
		iov[n++] = (struct os_iovec){ tag, 16 };
		skip = 12;
		r.len += 4;
	}
	r.sec = now / 1000000000;
	r.nsec = now % 1000000000;
	r.caplen = 0;
	for (; m != NULL && n < nitems(iov); m = m->m_next, skip = 0)
		iov[n++] = (struct os_iovec){ m->m_data + skip,
		    m->m_len - skip };
	for (int i = 1; i < n; i++)
		r.caplen += iov[i].len;
	os_lock(&c->lock);
	(void)os_fd_writev_all(c->fd, iov, n);
	os_unlock(&c->lock);
}

static void
tap_frame(if_t ifp, void *head, u_int headlen, struct mbuf *m, bool tagged)
{
	struct epoch_tracker et;
	struct capture *c;

	if (((struct kif *)ifp)->capture == NULL)
		return;
	NET_EPOCH_ENTER(et);
	c = ((struct kif *)ifp)->capture;
	if (c != NULL)
		write_frame(c, head, headlen, m, tagged);
	NET_EPOCH_EXIT(et);
}

/* What an interface receives, before it goes on. */
void
kif_tap(struct kif *k, struct mbuf *m)
{
	if (k->capture != NULL)
		tap_frame(&k->ifnet, NULL, 0, m, true);
}

void
ether_bpf_mtap_if(struct ifnet *ifp, struct mbuf *m)
{
	tap_frame(ifp, NULL, 0, m, true);
}

void
bpf_mtap_if(struct ifnet *ifp, struct mbuf *m)
{
	tap_frame(ifp, NULL, 0, m, false);
}

void
bpf_mtap2_if(struct ifnet *ifp, void *head, u_int len, struct mbuf *m)
{
	tap_frame(ifp, head, len, m, false);
}

bool
bpf_peers_present_if(struct ifnet *ifp)
{
	return (((struct kif *)ifp)->capture != NULL);
}

/* ether_ifattach() does this for every Ethernet interface. */
void
bpfattach(struct ifnet *ifp, u_int dlt, u_int hdrlen)
{
}

void
bpfdetach(struct ifnet *ifp)
{
}

int
kif_capture(struct kif *k, const char *path)
{
	struct pcap_file f = { 0xa1b23c4d, 2, 4, 0, 0, SNAPLEN, 1 };
	struct capture *c, *old;

	c = NULL;
	if (path != NULL) {
		c = os_alloc(sizeof(*c));
		memset(c, 0, sizeof(*c));
		c->fd = os_file_create(path);
		if (c->fd < 0 || os_fd_write_all(c->fd, &f, sizeof(f)) != 0) {
			os_free(c);
			return (EIO);
		}
	}
	old = k->capture;
	k->capture = c;
	if (old != NULL) {
		NET_EPOCH_WAIT();
		os_fd_close(old->fd);
		os_free(old);
	}
	return (0);
}
