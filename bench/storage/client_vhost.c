/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The peer: qemu-storage-daemon's vhost-user-blk export, with a client as
 * small and as quick as ours: split ring, event index, three descriptors for
 * each read.  Facts: the vhost-user protocol and virtio 1.1, sections 2.6, 5.2.
 */
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

enum { GET_FEATURES = 1, SET_FEATURES = 2, SET_OWNER = 3, SET_MEM_TABLE = 5,
    SET_VRING_NUM = 8, SET_VRING_ADDR = 9, SET_VRING_BASE = 10,
    SET_VRING_KICK = 12, SET_VRING_CALL = 13 };

#define	MEMORY	(4u << 20)
#define	NUM	256u		/* descriptors: three for each slot */

struct message {
	uint32_t	request, flags, size;
	union {
		uint64_t u64;
		struct { uint32_t index, num; } state;
		struct { uint32_t index, flags;
			uint64_t desc, used, avail, log; } addr;
		struct { uint32_t n, pad;
			uint64_t gpa, size, user, offset; } mem;
	} u;
} __attribute__((packed));

static pid_t daemon_pid;
static int sock = -1, kick = -1, call = -1, memfd = -1;
static uint8_t *base;
static struct vring ring;
static uint16_t used_last, avail_old;
static uint64_t kicks, wakes;

static int
send_message(uint32_t request, struct message *m, uint32_t size, int fd)
{
	union { struct cmsghdr h; char b[CMSG_SPACE(sizeof(int))]; } c;
	struct iovec iov = { m, 12 + size };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };

	m->request = request;
	m->flags = 1;
	m->size = size;
	if (fd >= 0) {
		memset(&c, 0, sizeof(c));
		c.h.cmsg_len = CMSG_LEN(sizeof(int));
		c.h.cmsg_level = SOL_SOCKET;
		c.h.cmsg_type = SCM_RIGHTS;
		memcpy(CMSG_DATA(&c.h), &fd, sizeof(int));
		h.msg_control = &c;
		h.msg_controllen = sizeof(c);
	}
	return (sendmsg(sock, &h, 0) == (ssize_t)(12 + size) ? 0 : -1);
}

static int
vring_up(void)
{
	struct message m;
	uint64_t features;
	uint8_t *at = base;

	memset(&m, 0, sizeof(m));
	if (send_message(GET_FEATURES, &m, 0, -1) != 0 ||
	    recv(sock, &m, 20, MSG_WAITALL) != 20)
		return (-1);
	features = m.u.u64 & (1ull << VIRTIO_F_VERSION_1 |
	    1ull << VIRTIO_RING_F_EVENT_IDX);
	(void)send_message(SET_OWNER, &m, 0, -1);
	m.u.u64 = features;
	(void)send_message(SET_FEATURES, &m, 8, -1);
	memset(&m.u, 0, sizeof(m.u));
	m.u.mem.n = 1;
	m.u.mem.size = MEMORY;
	m.u.mem.user = (uint64_t)(uintptr_t)base;
	(void)send_message(SET_MEM_TABLE, &m, 40, memfd);
	m.u.state.index = 0;
	m.u.state.num = NUM;
	(void)send_message(SET_VRING_NUM, &m, 8, -1);
	m.u.state.num = 0;
	(void)send_message(SET_VRING_BASE, &m, 8, -1);
	vring_init(&ring, NUM, at, 4096);
	memset(&m.u, 0, sizeof(m.u));
	m.u.addr.desc = (uint64_t)(uintptr_t)ring.desc;
	m.u.addr.avail = (uint64_t)(uintptr_t)ring.avail;
	m.u.addr.used = (uint64_t)(uintptr_t)ring.used;
	(void)send_message(SET_VRING_ADDR, &m, 40, -1);
	m.u.u64 = 0;
	(void)send_message(SET_VRING_CALL, &m, 8, call);
	m.u.u64 = 0;
	return (send_message(SET_VRING_KICK, &m, 8, kick));
}

static pid_t
spawn(const char *path, const char *socket)
{
	char node[512], export[512];
	pid_t pid;

	if (path == NULL)
		snprintf(node, sizeof(node), "driver=null-co,node-name=n,"
		    "size=1099511627776,read-zeroes=off");
	else
		snprintf(node, sizeof(node), "driver=file,node-name=n,"
		    "aio=io_uring,filename=%s", path);
	snprintf(export, sizeof(export), "type=vhost-user-blk,id=e,"
	    "node-name=n,addr.type=unix,addr.path=%s,writable=on", socket);
	pid = fork();
	if (pid == 0) {
		execlp("qemu-storage-daemon", "qemu-storage-daemon",
		    "--blockdev", node, "--export", export, (char *)NULL);
		_exit(127);
	}
	return (pid);
}

int
vhost_start(const char *path, const char *socket_path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int i;

	(void)unlink(socket_path);
	daemon_pid = spawn(path, socket_path);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", socket_path);
	for (i = 0; i < 100; i++) {
		sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (connect(sock, (struct sockaddr *)&sun, sizeof(sun)) == 0)
			break;
		close(sock);
		sock = -1;
		usleep(50000);
	}
	if (sock < 0) {
		fprintf(stderr, "storage: qemu-storage-daemon does not "
		    "start; install qemu-system-common and qemu-utils\n");
		return (-1);
	}
	memfd = memfd_create("vhost", MFD_CLOEXEC);
	if (ftruncate(memfd, MEMORY) != 0)
		return (-1);
	base = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, memfd,
	    0);
	kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	used_last = avail_old = 0;
	return (vring_up());
}

static uint16_t
load16(const void *p)
{

	return (__atomic_load_n((const uint16_t *)p, __ATOMIC_ACQUIRE));
}

static void
submit(const struct load *l, unsigned slot)
{
	struct virtio_blk_outhdr *h = (void *)(base + (1u << 20) + slot * 64);
	struct vring_desc *d = &ring.desc[slot * 3];
	uint16_t idx = ring.avail->idx;

	h->type = VIRTIO_BLK_T_IN;
	h->ioprio = 0;
	h->sector = random_block(l) * 8;
	d[0].addr = (1u << 20) + slot * 64;
	d[0].len = sizeof(*h);
	d[0].flags = VRING_DESC_F_NEXT;
	d[0].next = (uint16_t)(slot * 3 + 1);
	d[1].addr = (2u << 20) + slot * IO_BYTES;
	d[1].len = IO_BYTES;
	d[1].flags = VRING_DESC_F_NEXT | VRING_DESC_F_WRITE;
	d[1].next = (uint16_t)(slot * 3 + 2);
	d[2].addr = (1u << 20) + slot * 64 + 32;
	d[2].len = 1;
	d[2].flags = VRING_DESC_F_WRITE;
	ring.avail->ring[idx % NUM] = (uint16_t)(slot * 3);
	latency_begin(slot);
	__atomic_store_n(&ring.avail->idx, (uint16_t)(idx + 1),
	    __ATOMIC_RELEASE);
}

static void
publish(void)
{
	uint16_t event, new = ring.avail->idx;
	uint64_t one = 1;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	event = load16(&vring_avail_event(&ring));
	if (new != avail_old && vring_need_event(event, new, avail_old)) {
		kicks++;
		if (write(kick, &one, sizeof(one)) < 0)
			abort();
	}
	avail_old = new;
}

static void
sleep_until_called(void)
{
	struct pollfd p = { .fd = call, .events = POLLIN };
	uint64_t n;

	__atomic_store_n(&vring_used_event(&ring), used_last,
	    __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (load16(&ring.used->idx) == used_last &&
	    poll(&p, 1, 2000) == 1 && read(call, &n, sizeof(n)) > 0)
		wakes++;
}

void
vhost_run(const struct load *l, struct result *r)
{
	unsigned flying = 0, i, n, quiet = 0;
	double end, start;

	memset(r, 0, sizeof(*r));
	kicks = wakes = 0;
	/* Nobody waits: an event index just passed stays quiet for 65,535. */
	vring_used_event(&ring) = (uint16_t)(used_last - 1);
	start = now_s();
	end = start + l->seconds;
	for (i = 0; i < l->depth; i++, flying++)
		submit(l, i);
	publish();
	while (flying > 0) {
		for (n = 0; load16(&ring.used->idx) != used_last; n++) {
			i = ring.used->ring[used_last++ % NUM].id / 3;
			latency_end(i);
			r->errors += base[(1u << 20) + i * 64 + 32] != 0;
			flying--;
			if (start != 0) {
				submit(l, i);
				flying++;
			}
			r->ios++;
		}
		if (n > 0) {
			if (!l->sleep)
				vring_used_event(&ring) =
				    (uint16_t)(used_last - 1);
			publish();
			if (start != 0 && (quiet += n) >= 64) {
				quiet = 0;
				if (now_s() >= end) {
					r->seconds = now_s() - start;
					start = 0;
				}
			}
		} else if (l->sleep) {
			sleep_until_called();
		}
	}
	r->kicks = kicks;
	r->wakes = wakes;
	r->p99_us = latency_p99();
}

void
vhost_stop(void)
{

	close(sock);
	(void)kill(daemon_pid, SIGTERM);
	(void)waitpid(daemon_pid, NULL, 0);
	munmap(base, MEMORY);
	close(memfd);
	close(kick);
	close(call);
}
