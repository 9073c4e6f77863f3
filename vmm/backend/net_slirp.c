/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * A NIC's frames in libslirp: a small network of its own with DHCP, DNS and a
 * router, whose connections are sockets of this process.  It needs no
 * privilege.
 *
 * Locking: libslirp is used by one thread of our own, and under no lock.
 * `lock' guards the two queues of frames between that thread and the NIC's
 * worker: `out' towards libslirp, `in' towards the guest.  Both are bounded;
 * what finds no room is lost and counted, as on a wire.
 */
#include <sys/eventfd.h>

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <slirp/libslirp.h>

#include "net_int.h"

#define	DEPTH		512u	/* frames in each direction */
#define	POLLFDS		1024u

struct packet {
	struct packet	*next;
	uint32_t	len;
	uint8_t		data[];
};

struct queue {
	struct packet	*first, **last;
	uint32_t	n;
	uint64_t	lost;
};

struct timer {
	struct timer	*next;
	SlirpTimerCb	cb;
	SlirpTimerId	id;
	void		*arg;
	bool		by_id;
	bool		armed;
	int64_t		at;		/* ms */
};

struct slirp {
	struct net_backend b;
	Slirp		*slirp;
	pthread_t	thread;
	bool		started;
	_Atomic bool	quit;
	int		wake;		/* eventfd: the thread has work */
	int		ready;		/* eventfd: the worker has work */
	pthread_mutex_t	lock;
	struct queue	out, in;
	struct timer	*timers;
	struct pollfd	pfd[POLLFDS];
	uint32_t	npfd;
	uint64_t	complaints;
	struct in_addr	net, host, dns, first;
};

static void
kick(int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) < 0)
		one = 0;		/* full: it is awake */
}

static void
drain(int fd)
{
	uint64_t n;

	if (read(fd, &n, sizeof(n)) < 0)
		n = 0;
}

/* true: it was the first in the queue. */
static bool
queue_put(struct slirp *s, struct queue *q, const void *data, uint32_t len,
    int *error)
{
	struct packet *p = NULL;
	bool first = false;

	pthread_mutex_lock(&s->lock);
	if (q->n < DEPTH)
		p = malloc(sizeof(*p) + len);
	if (p == NULL) {
		q->lost++;
		*error = -EAGAIN;
	} else {
		memcpy(p->data, data, len);
		p->len = len;
		p->next = NULL;
		*q->last = p;
		q->last = &p->next;
		first = q->n++ == 0;
		*error = 0;
	}
	pthread_mutex_unlock(&s->lock);
	return (first);
}

static struct packet *
queue_get(struct slirp *s, struct queue *q)
{
	struct packet *p;

	pthread_mutex_lock(&s->lock);
	p = q->first;
	if (p != NULL) {
		q->first = p->next;
		if (q->first == NULL)
			q->last = &q->first;
		q->n--;
	}
	pthread_mutex_unlock(&s->lock);
	return (p);
}

/* ---- what libslirp calls, on our thread */

static ssize_t
cb_send(const void *buf, size_t len, void *arg)
{
	struct slirp *s = arg;
	int error;

	if (len > NET_FRAME_MAX)
		return (-1);
	if (queue_put(s, &s->in, buf, (uint32_t)len, &error))
		kick(s->ready);
	return ((ssize_t)len);
}

static void
cb_guest_error(const char *msg, void *arg)
{
	struct slirp *s = arg;

	/* The guest chooses how often. */
	if (s->complaints++ < 3)
		vmm_log("slirp: %.200s", msg);
}

static int64_t
cb_clock(void *arg)
{

	(void)arg;
	return ((int64_t)vmm_now_ns());
}

static struct timer *
timer_new(struct slirp *s)
{
	struct timer *t = calloc(1, sizeof(*t));

	if (t == NULL)
		abort();	/* libslirp cannot be told */
	t->next = s->timers;
	s->timers = t;
	return (t);
}

static void *
cb_timer_new(SlirpTimerCb cb, void *cb_arg, void *arg)
{
	struct timer *t = timer_new(arg);

	t->cb = cb;
	t->arg = cb_arg;
	return (t);
}

static void *
cb_timer_new_opaque(SlirpTimerId id, void *cb_arg, void *arg)
{
	struct timer *t = timer_new(arg);

	t->id = id;
	t->by_id = true;
	t->arg = cb_arg;
	return (t);
}

static void
cb_timer_free(void *timer, void *arg)
{
	struct slirp *s = arg;
	struct timer **p;

	for (p = &s->timers; *p != NULL; p = &(*p)->next)
		if (*p == timer) {
			*p = ((struct timer *)timer)->next;
			free(timer);
			return;
		}
}

static void
cb_timer_mod(void *timer, int64_t ms, void *arg)
{
	struct timer *t = timer;

	(void)arg;
	t->armed = true;
	t->at = ms;
}

static void
cb_fd(int fd, void *arg)
{

	(void)fd;
	(void)arg;
}

static void
cb_notify(void *arg)
{

	kick(((struct slirp *)arg)->wake);
}

static const SlirpCb callbacks = {
	.send_packet = cb_send,
	.guest_error = cb_guest_error,
	.clock_get_ns = cb_clock,
	.timer_new = cb_timer_new,
	.timer_free = cb_timer_free,
	.timer_mod = cb_timer_mod,
	.register_poll_fd = cb_fd,
	.unregister_poll_fd = cb_fd,
	.notify = cb_notify,
	.timer_new_opaque = cb_timer_new_opaque,
};

static int
add_poll(int fd, int events, void *arg)
{
	struct slirp *s = arg;
	short ev = 0;

	if (s->npfd == POLLFDS)
		return (-1);
	if ((events & SLIRP_POLL_IN) != 0)
		ev |= POLLIN;
	if ((events & SLIRP_POLL_OUT) != 0)
		ev |= POLLOUT;
	if ((events & SLIRP_POLL_PRI) != 0)
		ev |= POLLPRI;
	s->pfd[s->npfd] = (struct pollfd){ .fd = fd, .events = ev };
	return ((int)s->npfd++);
}

static int
get_revents(int i, void *arg)
{
	struct slirp *s = arg;
	int ev = 0;
	short r;

	if (i < 0 || (uint32_t)i >= s->npfd)
		return (0);
	r = s->pfd[i].revents;
	if ((r & POLLIN) != 0)
		ev |= SLIRP_POLL_IN;
	if ((r & POLLOUT) != 0)
		ev |= SLIRP_POLL_OUT;
	if ((r & POLLPRI) != 0)
		ev |= SLIRP_POLL_PRI;
	if ((r & POLLERR) != 0)
		ev |= SLIRP_POLL_ERR;
	if ((r & POLLHUP) != 0)
		ev |= SLIRP_POLL_HUP;
	return (ev);
}

static void
timers_run(struct slirp *s)
{
	int64_t now = (int64_t)(vmm_now_ns() / 1000000);
	struct timer *t, *next;

	for (t = s->timers; t != NULL; t = next) {
		next = t->next;
		if (!t->armed || t->at > now)
			continue;
		t->armed = false;
		if (t->by_id)
			slirp_handle_timer(s->slirp, t->id, t->arg);
		else
			t->cb(t->arg);
	}
}

static uint32_t
timers_wait(const struct slirp *s, uint32_t ms)
{
	int64_t now = (int64_t)(vmm_now_ns() / 1000000);
	const struct timer *t;

	for (t = s->timers; t != NULL; t = t->next)
		if (t->armed && t->at - now < (int64_t)ms)
			ms = t->at > now ? (uint32_t)(t->at - now) : 0;
	return (ms);
}

static void *
slirp_main(void *arg)
{
	struct slirp *s = arg;
	struct packet *p;
	uint32_t ms;
	int n;

	while (!s->quit) {
		s->npfd = 0;
		ms = 1000;
		(void)add_poll(s->wake, SLIRP_POLL_IN, s);
		slirp_pollfds_fill(s->slirp, &ms, add_poll, s);
		n = poll(s->pfd, s->npfd, (int)timers_wait(s, ms));
		if ((s->pfd[0].revents & POLLIN) != 0)
			drain(s->wake);
		slirp_pollfds_poll(s->slirp, n < 0, get_revents, s);
		while ((p = queue_get(s, &s->out)) != NULL) {
			slirp_input(s->slirp, p->data, (int)p->len);
			free(p);
		}
		timers_run(s);
	}
	return (NULL);
}

/* ---- the back-end */

static void
slirp_close(struct net_backend *b)
{
	struct slirp *s = (struct slirp *)b;
	struct packet *p;
	struct timer *t;

	if (s->started) {
		s->quit = true;
		kick(s->wake);
		pthread_join(s->thread, NULL);
	}
	if (s->slirp != NULL)
		slirp_cleanup(s->slirp);
	while ((p = queue_get(s, &s->in)) != NULL)
		free(p);
	while ((p = queue_get(s, &s->out)) != NULL)
		free(p);
	while ((t = s->timers) != NULL) {
		s->timers = t->next;
		free(t);
	}
	if (s->wake >= 0)
		close(s->wake);
	if (s->ready >= 0)
		close(s->ready);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static int
slirp_fd(struct net_backend *b, uint32_t queue)
{

	(void)queue;
	return (((struct slirp *)b)->ready);
}

static int
slirp_send(struct net_backend *b, uint32_t queue, struct net_frame *f)
{
	struct slirp *s = (struct slirp *)b;
	int error;

	(void)queue;
	if (queue_put(s, &s->out, f->data, f->len, &error))
		kick(s->wake);
	return (error);
}

static int
slirp_recv(struct net_backend *b, uint32_t queue, struct net_frame *f)
{
	struct slirp *s = (struct slirp *)b;
	struct packet *p;

	(void)queue;
	p = queue_get(s, &s->in);
	if (p == NULL) {
		drain(s->ready);
		/* One may have come just before. */
		p = queue_get(s, &s->in);
		if (p == NULL)
			return (-EAGAIN);
		kick(s->ready);
	}
	if (p->len > f->len || p->len < NET_ETHER) {
		free(p);
		return (-EMSGSIZE);
	}
	memcpy(f->data, p->data, p->len);
	f->len = p->len;
	f->csum_ok = true;
	free(p);
	return (0);
}

static void
slirp_info(struct net_backend *b, json_t *into)
{
	struct slirp *s = (struct slirp *)b;
	char text[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, &s->host, text, sizeof(text));
	json_object_set_new(into, "router", json_string(text));
	inet_ntop(AF_INET, &s->dns, text, sizeof(text));
	json_object_set_new(into, "dns", json_string(text));
	pthread_mutex_lock(&s->lock);
	json_object_set_new(into, "slirp_lost",
	    json_integer((json_int_t)(s->in.lost + s->out.lost)));
	pthread_mutex_unlock(&s->lock);
}

static const struct net_backend_ops slirp_ops = {
	.close = slirp_close,
	.fd = slirp_fd,
	.send = slirp_send,
	.recv = slirp_recv,
	.info = slirp_info,
};

/* "tcp|udp:[ADDR]:PORT-[ADDR]:PORT" */
static int
forward(struct slirp *s, const char *rule, char *err, size_t errlen)
{
	struct in_addr from = { htonl(INADDR_ANY) }, to = s->first;
	char proto[4], host[32] = "", guest[32] = "", c;
	int hport, gport, n;

	n = sscanf(rule, "%3[a-z]:%31[0-9.]:%d-%31[0-9.]:%d%c", proto, host,
	    &hport, guest, &gport, &c);
	if (n != 5) {
		host[0] = guest[0] = '\0';
		n = sscanf(rule, "%3[a-z]::%d-%31[0-9.]:%d%c", proto, &hport,
		    guest, &gport, &c) + 1;
	}
	if (n != 5) {
		host[0] = guest[0] = '\0';
		n = sscanf(rule, "%3[a-z]:%31[0-9.]:%d-:%d%c", proto, host,
		    &hport, &gport, &c) + 1;
	}
	if (n != 5) {
		host[0] = guest[0] = '\0';
		n = sscanf(rule, "%3[a-z]::%d-:%d%c", proto, &hport, &gport,
		    &c) + 2;
	}
	if (n != 5 || (strcmp(proto, "tcp") != 0 && strcmp(proto, "udp") !=
	    0) || hport < 1 || hport > 65535 || gport < 1 || gport > 65535 ||
	    (host[0] != '\0' && inet_pton(AF_INET, host, &from) != 1) ||
	    (guest[0] != '\0' && inet_pton(AF_INET, guest, &to) != 1))
		return (vmm_fail(err, errlen, -EINVAL, "'%.64s' forwards "
		    "nothing; give tcp|udp:[ADDR]:PORT-[ADDR]:PORT, such as "
		    "tcp::2222-:22", rule));
	if (slirp_add_hostfwd(s->slirp, proto[0] == 'u', from, hport, to,
	    gport) != 0)
		return (vmm_fail(err, errlen, -EADDRINUSE, "cannot listen for "
		    "'%.64s': %s", rule, strerror(errno)));
	return (0);
}

static int
forwards(struct slirp *s, const char *list, char *err, size_t errlen)
{
	char *copy = strdup(list), *save = NULL, *rule;
	int error = copy == NULL ? -ENOMEM : 0;

	for (rule = copy == NULL ? NULL : strtok_r(copy, "; ", &save);
	    rule != NULL && error == 0; rule = strtok_r(NULL, "; ", &save))
		error = forward(s, rule, err, errlen);
	free(copy);
	return (error);
}

static int
addresses(struct slirp *s, SlirpConfig *c, const char *net, char *err,
    size_t errlen)
{
	char text[32];
	unsigned bits = 24;
	uint32_t base, mask;

	if (sscanf(net, "%31[0-9.]/%u", text, &bits) < 1 ||
	    inet_pton(AF_INET, text, &s->net) != 1 || bits < 8 || bits > 28)
		return (vmm_fail(err, errlen, -EINVAL, "'%.64s' is no network; "
		    "give one such as 10.0.2.0/24", net));
	mask = ~0u << (32 - bits);
	base = ntohl(s->net.s_addr) & mask;
	s->net.s_addr = htonl(base);
	s->host.s_addr = htonl(base + 2);
	s->dns.s_addr = htonl(base + 3);
	/* The first address that DHCP gives. */
	s->first.s_addr = htonl(base + (bits <= 27 ? 15 : 4));
	c->vnetwork = s->net;
	c->vnetmask.s_addr = htonl(mask);
	c->vhost = s->host;
	c->vnameserver = s->dns;
	c->vdhcp_start = s->first;
	return (0);
}

static int
slirp_start(struct slirp *s, const json_t *nic, char *err, size_t errlen)
{
	SlirpConfig c;
	uint32_t mtu = net_number(nic, "mtu", 1500);
	int error;

	memset(&c, 0, sizeof(c));
	c.version = 4;
	c.in_enabled = true;
	c.in6_enabled = true;
	c.vhostname = "hvkit-guest";
	c.if_mtu = mtu;
	c.if_mru = mtu;
	c.restricted = net_number(nic, "restricted", 0) != 0;
	error = addresses(s, &c, net_key(nic, "net", "10.0.2.0/24"), err,
	    errlen);
	if (error != 0)
		return (error);
	if (inet_pton(AF_INET6, "fec0::", &c.vprefix_addr6) != 1 ||
	    inet_pton(AF_INET6, "fec0::2", &c.vhost6) != 1 ||
	    inet_pton(AF_INET6, "fec0::3", &c.vnameserver6) != 1)
		return (-EINVAL);
	c.vprefix_len = 64;
	s->slirp = slirp_new(&c, &callbacks, s);
	if (s->slirp == NULL)
		return (vmm_fail(err, errlen, -EINVAL, "libslirp %s does not "
		    "start", slirp_version_string()));
	error = forwards(s, net_key(nic, "hostfwd", ""), err, errlen);
	if (error != 0)
		return (error);
	error = vmm_thread(&s->thread, "hvk-slirp", slirp_main, s);
	if (error != 0)
		return (vmm_fail(err, errlen, error, "cannot start a thread "
		    "for libslirp: %s", strerror(-error)));
	s->started = true;
	return (0);
}

struct net_backend *
net_slirp_open(const json_t *nic, char *err, size_t errlen)
{
	struct slirp *s;

	s = calloc(1, sizeof(*s));
	if (s == NULL) {
		vmm_fail(err, errlen, 0, "out of memory for libslirp");
		return (NULL);
	}
	pthread_mutex_init(&s->lock, NULL);
	s->b.ops = &slirp_ops;
	s->b.kind = "slirp";
	s->b.caps = (struct net_caps){ false, false, false, 1 };
	s->b.queues = 1;
	s->in.last = &s->in.first;
	s->out.last = &s->out.first;
	s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->ready = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->wake < 0 || s->ready < 0) {
		vmm_fail(err, errlen, 0, "cannot make an eventfd: %s",
		    strerror(errno));
		slirp_close(&s->b);
		return (NULL);
	}
	if (slirp_start(s, nic, err, errlen) != 0) {
		slirp_close(&s->b);
		return (NULL);
	}
	return (&s->b);
}
