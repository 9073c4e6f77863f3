/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * What passes an adapter, in a pcapng file: an interface for its frames as they
 * leave for the back-end and as the guest gets them (a VLAN's tag that is given
 * to the guest beside the frame is in it here), and one for the
 * packets of its VMBus channel (the 16-byte descriptor, the channel's number in
 * the upper half of its flags, then ranges and payload as in the ring).  Each
 * record says its direction: inbound is to the guest.  Either or both are
 * written, for tcpdump(1) takes files with a single kind of link only.
 *
 * Locking: a lock of its own around the file; the caller keeps the capture
 * alive (nic.state).
 * Facts: the pcapng draft (draft-ietf-opsawg-pcapng); link types 1 and 147.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "net_int.h"

#define	BLOCK_SECTION	0x0a0d0d0au
#define	BLOCK_INTERFACE	1u
#define	BLOCK_PACKET	6u
#define	LINK_ETHERNET	1u
#define	LINK_USER0	147u
#define	SNAP		(NET_FRAME_MAX + 64u)
#define	OPT_IF_NAME	2u
#define	OPT_IF_DESCR	3u
#define	OPT_IF_TSRESOL	9u
#define	OPT_EPB_FLAGS	2u

struct net_capture {
	pthread_mutex_t	lock;
	FILE		*file;
	bool		dirty;
	bool		failed;
	int		frames, packets;	/* interfaces, or -1 */
	uint64_t	records;
	char		path[1024];
};

static uint32_t
option(uint8_t *to, uint16_t code, const void *data, uint16_t len)
{

	memcpy(to, &code, 2);
	memcpy(to + 2, &len, 2);
	memset(to + 4, 0, (len + 3u) & ~3u);
	if (len != 0)
		memcpy(to + 4, data, len);
	return (4 + ((len + 3u) & ~3u));
}

static void
put(struct net_capture *c, const void *p, size_t len)
{

	if (len != 0 && fwrite(p, len, 1, c->file) != 1 && !c->failed) {
		c->failed = true;
		vmm_log("cannot write the capture %s: %s; it is cut short",
		    c->path, strerror(errno));
	}
}

static void
block(struct net_capture *c, uint32_t type, const void *body, uint32_t len)
{
	uint32_t head[2] = { type, len + 12 };

	put(c, head, sizeof(head));
	put(c, body, len);
	put(c, &head[1], 4);
}

static void
interface(struct net_capture *c, uint16_t link, const char *name,
    const char *descr)
{
	uint8_t body[256] = { 0 };
	uint32_t at = 8, snap = SNAP;
	uint8_t nano = 9;

	memcpy(body, &link, 2);
	memcpy(body + 4, &snap, 4);
	at += option(body + at, OPT_IF_NAME, name, (uint16_t)strlen(name));
	at += option(body + at, OPT_IF_DESCR, descr, (uint16_t)strlen(descr));
	at += option(body + at, OPT_IF_TSRESOL, &nano, 1);
	at += option(body + at, 0, NULL, 0);
	block(c, BLOCK_INTERFACE, body, at);
}

struct net_capture *
net_capture_open(const char *path, const char *nic, bool frames, bool packets,
    char *err, size_t errlen)
{
	static const uint32_t section[4] = { 0x1a2b3c4d, 1, UINT32_MAX,
	    UINT32_MAX };
	struct net_capture *c = calloc(1, sizeof(*c));
	char name[40];

	if (c == NULL) {
		vmm_fail(err, errlen, 0, "out of memory for a capture");
		return (NULL);
	}
	snprintf(c->path, sizeof(c->path), "%s", path);
	c->file = fopen(path, "we");
	if (c->file == NULL) {
		vmm_fail(err, errlen, 0, "cannot write %s: %s", path,
		    strerror(errno));
		free(c);
		return (NULL);
	}
	pthread_mutex_init(&c->lock, NULL);
	setvbuf(c->file, NULL, _IOFBF, 1 << 18);
	block(c, BLOCK_SECTION, section, sizeof(section));
	c->frames = frames ? 0 : -1;
	c->packets = packets ? c->frames + 1 : -1;
	if (frames)
		interface(c, LINK_ETHERNET, nic, "frames");
	snprintf(name, sizeof(name), "%.20s-vmbus", nic);
	if (packets)
		interface(c, LINK_USER0, name, "VMBus packets");
	fflush(c->file);
	return (c);
}

void
net_capture_close(struct net_capture *c)
{

	if (c == NULL)
		return;
	if (fclose(c->file) != 0 && !c->failed)
		vmm_log("cannot write the capture %s: %s", c->path,
		    strerror(errno));
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* Two pieces that make one record. */
static void
record(struct net_capture *c, uint32_t interface_id, bool to_guest,
    const void *a, uint32_t alen, const void *b, uint32_t blen)
{
	static const uint8_t zero[4];
	uint32_t len = alen + blen, pad = (4 - len % 4) % 4, head[7], n;
	uint32_t flags = to_guest ? 1 : 2;
	uint8_t opts[16];
	struct timespec ts;
	uint64_t at;

	clock_gettime(CLOCK_REALTIME, &ts);
	at = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	n = option(opts, OPT_EPB_FLAGS, &flags, 4);
	n += option(opts + n, 0, NULL, 0);
	head[0] = BLOCK_PACKET;
	head[1] = 32 + len + pad + n;
	head[2] = interface_id;
	head[3] = (uint32_t)(at >> 32);
	head[4] = (uint32_t)at;
	head[5] = head[6] = len;
	pthread_mutex_lock(&c->lock);
	put(c, head, sizeof(head));
	put(c, a, alen);
	put(c, b, blen);
	put(c, zero, pad);
	put(c, opts, n);
	put(c, &head[1], 4);
	c->dirty = true;
	c->records++;
	pthread_mutex_unlock(&c->lock);
}

void
net_capture_frame(struct net_capture *c, bool to_guest, int tci,
    const uint8_t *frame, uint32_t len)
{
	uint8_t head[12 + NET_VLAN];

	if (c->frames < 0)
		return;
	if (tci < 0 || len < 12) {
		record(c, (uint32_t)c->frames, to_guest, frame, len, NULL, 0);
		return;
	}
	memcpy(head, frame, 12);
	head[12] = 0x81;
	head[13] = 0;
	head[14] = (uint8_t)(tci >> 8);
	head[15] = (uint8_t)tci;
	record(c, (uint32_t)c->frames, to_guest, head, sizeof(head),
	    frame + 12, len - 12);
}

void
net_capture_packet(struct net_capture *c, bool to_guest, uint16_t channel,
    const struct hvk_packet *p)
{
	const uint8_t *body = p->nranges != 0 ? p->ranges : p->payload;
	uint32_t skip = (uint32_t)(p->payload - body);
	uint16_t head[4];
	uint8_t desc[16 + 8];
	uint32_t n = 16;

	if (c->packets < 0)
		return;
	head[0] = p->type;
	/* Before the ranges there are 8 bytes: their count and the set. */
	head[1] = (uint16_t)((16 + (p->nranges != 0 ? 8 : 0) + skip) / 8);
	head[2] = (uint16_t)(head[1] + p->len / 8);
	head[3] = (uint16_t)((p->want_completion ? 1 : 0) | channel << 8);
	memcpy(desc, head, 8);
	memcpy(desc + 8, &p->txid, 8);
	if (p->nranges != 0) {
		memset(desc + 16, 0, 8);
		memcpy(desc + 16, &p->pageset, 2);
		memcpy(desc + 20, &p->nranges, 4);
		n += 8;
	}
	record(c, (uint32_t)c->packets, to_guest, desc, n, body,
	    skip + p->len);
}

void
net_capture_flush(struct net_capture *c)
{

	pthread_mutex_lock(&c->lock);
	if (c->dirty) {
		fflush(c->file);
		c->dirty = false;
	}
	pthread_mutex_unlock(&c->lock);
}

uint64_t
net_capture_count(struct net_capture *c)
{
	uint64_t n;

	pthread_mutex_lock(&c->lock);
	n = c->records;
	pthread_mutex_unlock(&c->lock);
	return (n);
}
