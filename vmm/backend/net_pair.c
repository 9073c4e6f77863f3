/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * Two NICs of two `hvk run' joined by a cable: a unix socket of packets for
 * each queue, each packet a virtio-net header and a frame.  Whoever comes first
 * listens on the path, the other connects; when one goes, the other's link goes
 * down and it waits on the path for the next.  Checksums and segments are left
 * to do, for the far end's guest has not asked for them yet.
 *
 * Locking: a thread of our own makes and ends connections.  A queue's `lock'
 * guards its socket and buffers, between that thread and the queue's user.
 * The far end is another hvk and still not trusted: lengths and headers are
 * checked, and a hello that does not fit ends the connection.
 */
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net_int.h"

#define	BATCH		32u
#define	BUFFER		(BATCH * 2048u + NET_FRAME_MAX + NET_VNET_LEN)
#define	SLOT		(NET_FRAME_MAX + NET_VNET_LEN)
#define	SOCKET_BUFFER	(4 << 20)
#define	HELLO_MS	2000
#define	RETRY_MS	200
#define	HELLO_MAGIC	0x706b7668u

struct hello {
	uint32_t	magic;
	uint32_t	queue;
	uint32_t	queues;
	uint32_t	mtu;
};

struct pair_queue {
	pthread_mutex_t	lock;
	int		fd;		/* -1: not joined */
	int		epoll;		/* readable when fd is */
	/* to be sent */
	uint32_t	used, n;
	uint64_t	lost;
	struct mmsghdr	out[BATCH];
	struct iovec	out_iov[BATCH];
	uint8_t		*out_buf;
	/* received, not handed on */
	uint32_t	in_n, in_at;
	struct mmsghdr	in[BATCH];
	struct iovec	in_iov[BATCH];
	uint8_t		*in_buf;
};

struct pair {
	struct net_backend b;
	char		path[100];
	uint32_t	mtu;
	pthread_t	thread;
	bool		started;
	_Atomic bool	quit;
	_Atomic bool	joined;
	_Atomic uint64_t joins;
	int		wake;
	int		listen;
	struct pair_queue q[];
};

/* ---- connections; our thread */

static void
queue_set(struct pair_queue *q, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };

	pthread_mutex_lock(&q->lock);
	if (q->fd >= 0)
		close(q->fd);		/* leaves the epoll by itself */
	q->fd = fd;
	q->n = q->used = 0;
	q->in_n = q->in_at = 0;
	if (fd >= 0)
		(void)epoll_ctl(q->epoll, EPOLL_CTL_ADD, fd, &ev);
	pthread_mutex_unlock(&q->lock);
}

static void
unjoin(struct pair *p)
{
	uint32_t i;

	p->joined = false;
	for (i = 0; i < p->b.queues; i++)
		queue_set(&p->q[i], -1);
}

static bool
wait_for(struct pair *p, int fd, short events, int ms)
{
	struct pollfd pfd[2] = { { .fd = fd, .events = events },
	    { .fd = p->wake, .events = POLLIN } };

	return (poll(pfd, 2, ms) > 0 && !p->quit && pfd[0].revents != 0);
}

static bool
address(const struct pair *p, struct sockaddr_un *sa)
{

	memset(sa, 0, sizeof(*sa));
	sa->sun_family = AF_UNIX;
	return (snprintf(sa->sun_path, sizeof(sa->sun_path), "%s", p->path) <
	    (int)sizeof(sa->sun_path));
}

static int
new_socket(void)
{

	return (socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0));
}

static void
set_buffers(int fd)
{
	int n = SOCKET_BUFFER;

	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &n, sizeof(n)) != 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &n, sizeof(n));
}

static bool
greet(struct pair *p, int fd, uint32_t queue, struct hello *theirs)
{
	struct hello h = { HELLO_MAGIC, queue, p->b.queues, p->mtu };

	set_buffers(fd);
	if (queue != UINT32_MAX && send(fd, &h, sizeof(h), MSG_NOSIGNAL) !=
	    (ssize_t)sizeof(h))
		return (false);
	if (!wait_for(p, fd, POLLIN, HELLO_MS) || recv(fd, theirs,
	    sizeof(*theirs), 0) != (ssize_t)sizeof(*theirs) ||
	    theirs->magic != HELLO_MAGIC)
		return (false);
	if (theirs->queues != p->b.queues || theirs->mtu != p->mtu) {
		vmm_log("pair %s: the other end has %u queue(s) and MTU %u, "
		    "this one %u and %u: not joined; give both the same",
		    p->path, theirs->queues, theirs->mtu, p->b.queues, p->mtu);
		return (false);
	}
	if (queue == UINT32_MAX) {
		h.queue = theirs->queue;
		return (theirs->queue < p->b.queues && send(fd, &h, sizeof(h),
		    MSG_NOSIGNAL) == (ssize_t)sizeof(h));
	}
	return (theirs->queue == queue);
}

/* Reach someone who listens.  false: nobody there. */
static bool
try_connect(struct pair *p)
{
	struct sockaddr_un sa;
	struct hello h;
	uint32_t i;
	int fd;

	if (!address(p, &sa))
		return (false);
	for (i = 0; i < p->b.queues; i++) {
		fd = new_socket();
		if (fd < 0 || connect(fd, (struct sockaddr *)&sa,
		    sizeof(sa)) != 0 || !greet(p, fd, i, &h)) {
			if (fd >= 0)
				close(fd);
			unjoin(p);
			return (false);
		}
		queue_set(&p->q[i], fd);
	}
	return (true);
}

/* Only one of those who come at the same time may take the path. */
static bool
try_listen(struct pair *p)
{
	struct sockaddr_un sa;
	char lock[128];
	int lockfd, probe, fd = -1;

	if (!address(p, &sa))
		return (false);
	snprintf(lock, sizeof(lock), "%s.lock", p->path);
	lockfd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (lockfd < 0 || flock(lockfd, LOCK_EX | LOCK_NB) != 0)
		goto out;
	probe = new_socket();
	if (probe >= 0 && connect(probe, (struct sockaddr *)&sa,
	    sizeof(sa)) == 0) {
		close(probe);
		goto out;	/* someone listens by now */
	}
	if (probe >= 0)
		close(probe);
	if (errno == ECONNREFUSED)
		(void)unlink(p->path);
	fd = new_socket();
	if (fd >= 0 && (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0 ||
	    chmod(p->path, 0600) != 0 || listen(fd, (int)NET_QUEUES) != 0)) {
		close(fd);
		fd = -1;
	}
out:
	if (lockfd >= 0)
		close(lockfd);
	p->listen = fd;
	return (fd >= 0);
}

static void
stop_listening(struct pair *p)
{

	if (p->listen < 0)
		return;
	close(p->listen);
	p->listen = -1;
	(void)unlink(p->path);
}

/* One comes after the other; all of them are a join. */
static bool
accept_all(struct pair *p)
{
	uint64_t have = 0;
	struct hello h;
	uint32_t n;
	int fd;

	for (n = 0; n < p->b.queues; n++) {
		if (!wait_for(p, p->listen, POLLIN, n == 0 ? -1 : HELLO_MS))
			break;
		fd = accept4(p->listen, NULL, NULL, SOCK_CLOEXEC |
		    SOCK_NONBLOCK);
		if (fd < 0)
			break;
		if (!greet(p, fd, UINT32_MAX, &h) ||
		    (have & 1ull << h.queue) != 0) {
			close(fd);
			break;
		}
		have |= 1ull << h.queue;
		queue_set(&p->q[h.queue], fd);
	}
	if (n == p->b.queues)
		return (true);
	unjoin(p);
	return (false);
}

/* Until the far end hangs up. */
static void
hold(struct pair *p)
{
	struct pollfd pfd[2];

	p->joined = true;
	p->joins++;
	while (!p->quit) {
		pfd[0] = (struct pollfd){ .fd = p->q[0].fd,
		    .events = POLLRDHUP };
		pfd[1] = (struct pollfd){ .fd = p->wake, .events = POLLIN };
		if (poll(pfd, 2, -1) > 0 && pfd[0].revents != 0)
			break;
	}
	unjoin(p);
}

static void *
pair_main(void *arg)
{
	struct pair *p = arg;

	while (!p->quit) {
		if (p->listen >= 0) {
			if (accept_all(p)) {
				/* A third is not wanted. */
				stop_listening(p);
				hold(p);
			}
			continue;
		}
		if (try_connect(p))
			hold(p);
		else if (!try_listen(p))
			(void)wait_for(p, -1, 0, RETRY_MS);
	}
	return (NULL);
}

/* ---- frames; the queue's user */

static void
flush_locked(struct pair_queue *q)
{
	uint32_t done = 0;
	int n;

	while (done < q->n && q->fd >= 0) {
		n = sendmmsg(q->fd, q->out + done, q->n - done, MSG_NOSIGNAL |
		    MSG_DONTWAIT);
		if (n <= 0) {
			if (n < 0 && errno == EINTR)
				continue;
			break;
		}
		done += (uint32_t)n;
	}
	/* The far end does not keep up: as a switch's full port. */
	q->lost += q->n - done;
	q->n = q->used = 0;
}

static int
pair_send(struct net_backend *b, uint32_t queue, struct net_frame *f)
{
	struct pair_queue *q = &((struct pair *)b)->q[queue];
	struct net_vnet v;
	uint8_t *at;

	pthread_mutex_lock(&q->lock);
	if (q->fd < 0) {
		pthread_mutex_unlock(&q->lock);
		return (-ENOTCONN);
	}
	if (q->n == BATCH || q->used + NET_VNET_LEN + f->len > BUFFER)
		flush_locked(q);
	net_vnet_make(&v, f);
	at = q->out_buf + q->used;
	memcpy(at, &v, NET_VNET_LEN);
	memcpy(at + NET_VNET_LEN, f->data, f->len);
	q->out_iov[q->n] = (struct iovec){ at, NET_VNET_LEN + f->len };
	q->used += NET_VNET_LEN + f->len;
	q->n++;
	pthread_mutex_unlock(&q->lock);
	return (0);
}

static void
pair_flush(struct net_backend *b, uint32_t queue)
{
	struct pair_queue *q = &((struct pair *)b)->q[queue];

	pthread_mutex_lock(&q->lock);
	if (q->n != 0)
		flush_locked(q);
	pthread_mutex_unlock(&q->lock);
}

static int
recv_locked(struct pair_queue *q, struct net_frame *f)
{
	struct net_vnet v;
	uint32_t len;
	uint8_t *at;
	int n;

	if (q->in_at == q->in_n) {
		q->in_at = q->in_n = 0;
		if (q->fd < 0)
			return (-EAGAIN);
		n = recvmmsg(q->fd, q->in, BATCH, MSG_DONTWAIT, NULL);
		if (n <= 0)
			return (-EAGAIN);
		q->in_n = (uint32_t)n;
	}
	len = q->in[q->in_at].msg_len;
	at = q->in_iov[q->in_at].iov_base;
	q->in_at++;
	if (len == 0) {		/* the end: our thread closes */
		q->in_at = q->in_n = 0;
		if (q->fd >= 0)
			(void)epoll_ctl(q->epoll, EPOLL_CTL_DEL, q->fd, NULL);
		return (-EAGAIN);
	}
	if (len < NET_VNET_LEN + NET_ETHER || len - NET_VNET_LEN > f->len)
		return (-EMSGSIZE);
	memcpy(&v, at, NET_VNET_LEN);
	f->len = len - NET_VNET_LEN;
	memcpy(f->data, at + NET_VNET_LEN, f->len);
	return (net_vnet_take(&v, f) ? 0 : -EINVAL);
}

static int
pair_recv(struct net_backend *b, uint32_t queue, struct net_frame *f)
{
	struct pair_queue *q = &((struct pair *)b)->q[queue];
	int error;

	pthread_mutex_lock(&q->lock);
	error = recv_locked(q, f);
	pthread_mutex_unlock(&q->lock);
	return (error);
}

static int
pair_fd(struct net_backend *b, uint32_t queue)
{

	return (((struct pair *)b)->q[queue].epoll);
}

static bool
pair_link(struct net_backend *b)
{

	return (((struct pair *)b)->joined);
}

static void
pair_info(struct net_backend *b, json_t *into)
{
	struct pair *p = (struct pair *)b;
	uint64_t lost = 0;
	uint32_t i;

	for (i = 0; i < b->queues; i++) {
		pthread_mutex_lock(&p->q[i].lock);
		lost += p->q[i].lost;
		pthread_mutex_unlock(&p->q[i].lock);
	}
	json_object_set_new(into, "path", json_string(p->path));
	json_object_set_new(into, "joined", json_boolean(p->joined));
	json_object_set_new(into, "pair_lost",
	    json_integer((json_int_t)lost));
}

static void
pair_close(struct net_backend *b)
{
	struct pair *p = (struct pair *)b;
	uint64_t one = 1;
	uint32_t i;

	if (p->started) {
		p->quit = true;
		if (write(p->wake, &one, sizeof(one)) < 0)
			one = 0;
		pthread_join(p->thread, NULL);
	}
	stop_listening(p);
	unjoin(p);
	for (i = 0; i < b->queues; i++) {
		if (p->q[i].epoll >= 0)
			close(p->q[i].epoll);
		free(p->q[i].out_buf);
		free(p->q[i].in_buf);
		pthread_mutex_destroy(&p->q[i].lock);
	}
	if (p->wake >= 0)
		close(p->wake);
	free(p);
}

static const struct net_backend_ops pair_ops = {
	.close = pair_close,
	.fd = pair_fd,
	.send = pair_send,
	.flush = pair_flush,
	.recv = pair_recv,
	.link = pair_link,
	.info = pair_info,
};

static bool
queue_init(struct pair_queue *q)
{
	uint32_t i;

	pthread_mutex_init(&q->lock, NULL);
	q->fd = -1;
	q->epoll = epoll_create1(EPOLL_CLOEXEC);
	q->out_buf = malloc(BUFFER);
	/* Touched only as far as frames are long. */
	q->in_buf = malloc((size_t)BATCH * SLOT);
	if (q->epoll < 0 || q->out_buf == NULL || q->in_buf == NULL)
		return (false);
	for (i = 0; i < BATCH; i++) {
		q->out[i].msg_hdr.msg_iov = &q->out_iov[i];
		q->out[i].msg_hdr.msg_iovlen = 1;
		q->in[i].msg_hdr.msg_iov = &q->in_iov[i];
		q->in[i].msg_hdr.msg_iovlen = 1;
		q->in_iov[i].iov_base = q->in_buf + (size_t)i * SLOT;
		q->in_iov[i].iov_len = SLOT;
	}
	return (true);
}

struct net_backend *
net_pair_open(const json_t *nic, char *err, size_t errlen)
{
	const char *path = net_key(nic, "path", "");
	uint32_t queues = net_number(nic, "queues", 1), i;
	struct pair *p;
	bool ok = true;

	if (queues == 0 || queues > NET_QUEUES)
		queues = 1;
	if (*path == '\0' || strlen(path) >= sizeof(p->path)) {
		vmm_fail(err, errlen, 0, "a pair needs the path of a socket, "
		    "at most %zu bytes long: pair:/run/a-b.sock",
		    sizeof(p->path) - 1);
		return (NULL);
	}
	p = calloc(1, sizeof(*p) + queues * sizeof(p->q[0]));
	if (p == NULL) {
		vmm_fail(err, errlen, 0, "out of memory for a pair");
		return (NULL);
	}
	p->b.ops = &pair_ops;
	p->b.kind = "pair";
	p->b.caps = (struct net_caps){ true, true, true, NET_QUEUES };
	p->b.queues = queues;
	p->mtu = net_number(nic, "mtu", 1500);
	snprintf(p->path, sizeof(p->path), "%s", path);
	p->listen = -1;
	p->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (i = 0; i < queues; i++)
		ok = queue_init(&p->q[i]) && ok;
	if (!ok || p->wake < 0 || vmm_thread(&p->thread, "hvk-pair",
	    pair_main, p) != 0) {
		vmm_fail(err, errlen, 0, "out of memory for a pair");
		pair_close(&p->b);
		return (NULL);
	}
	p->started = true;
	return (&p->b);
}
