/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * tap.c: the Linux side of a network interface: /dev/net/tun with several
 * queues and virtio-net headers, in a network namespace of the user's choice.
 *
 * A namespace is entered by a thread of its own, which ends; descriptors stay
 * in the namespace in which they were made. The thread that watches a tap
 * enters it for good, since /proc shows a thread's own.
 *
 * Each queue is used by one reader and by any number of writers; the rest of a
 * tap is set under its owner's lock.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "linux.h"

#define	MAXQUEUES	64
#define	TAP_IFLA_GSO_IPV4_MAX_SIZE 63	/* newer than some headers */

struct os_tap {
	char name[IFNAMSIZ];
	char netns[128];
	int queues;
	int fd[MAXQUEUES];
	int sock;			/* for ioctls on the interface */
	int netlink;
	int stop;			/* eventfd */
	bool entered;			/* by the thread that watches */
	os_u8 mac[6];
	char *why;
	os_u64 whylen;
	int error;
};

static int
fail(struct os_tap *t, const char *what)
{
	snprintf(t->why, t->whylen, "%s: %s", what, strerror(errno));
	return (-1);
}

static int
enter_netns(const char *name)
{
	char path[256];
	int error, fd;

	if (name[0] == '\0')
		return (0);
	snprintf(path, sizeof(path), "%s%s", name[0] == '/' ? "" :
	    "/run/netns/", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return (-1);
	error = setns(fd, CLONE_NEWNET);
	close(fd);
	return (error);
}

static int
open_queue(struct os_tap *t)
{
	struct ifreq ifr;
	int fd, size;

	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return (fail(t, "/dev/net/tun"));
	memset(&ifr, 0, sizeof(ifr));
	memcpy(ifr.ifr_name, t->name, IFNAMSIZ);
	ifr.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE;
	size = 10;
	if (ioctl(fd, TUNSETIFF, &ifr) != 0 ||
	    ioctl(fd, TUNSETVNETHDRSZ, &size) != 0) {
		(void)fail(t, t->name);
		close(fd);
		return (-1);
	}
	memcpy(t->name, ifr.ifr_name, IFNAMSIZ);
	return (fd);
}

static void *
open_in_netns(void *arg)
{
	struct os_tap *t;
	int i;

	t = arg;
	t->error = -1;
	if (enter_netns(t->netns) != 0) {
		(void)fail(t, t->netns);
		return (NULL);
	}
	t->sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (t->sock < 0) {
		(void)fail(t, "socket");
		return (NULL);
	}
	t->netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC,
	    NETLINK_ROUTE);
	for (i = 0; i < t->queues; i++)
		if ((t->fd[i] = open_queue(t)) < 0)
			return (NULL);
	if (os_tap_set_mac(t, t->mac) != 0) {
		(void)fail(t, "cannot set the address");
		return (NULL);
	}
	t->error = 0;
	return (NULL);
}

/* NAME[,netns=NS] */
static int
parse_spec(struct os_tap *t, const char *spec)
{
	const char *p;
	size_t n;

	n = strcspn(spec, ",");
	if (n == 0 || n >= IFNAMSIZ)
		return (-1);
	memcpy(t->name, spec, n);
	for (p = spec + n; *p == ','; p += n) {
		p++;
		n = strcspn(p, ",");
		if (strncmp(p, "netns=", 6) != 0 || n - 6 >=
		    sizeof(t->netns))
			return (-1);
		memcpy(t->netns, p + 6, n - 6);
	}
	return (0);
}

struct os_tap *
os_tap_open(const char *spec, int queues, const os_u8 mac[6], char *why,
    os_u64 len)
{
	struct os_tap *t;
	pthread_t thread;
	int i;

	t = os_alloc(sizeof(*t));
	memset(t, 0, sizeof(*t));
	t->queues = queues < 1 ? 1 : queues > MAXQUEUES ? MAXQUEUES : queues;
	t->sock = t->netlink = -1;
	for (i = 0; i < MAXQUEUES; i++)
		t->fd[i] = -1;
	t->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	t->why = why;
	t->whylen = len;
	memcpy(t->mac, mac, 6);
	if (parse_spec(t, spec) != 0) {
		snprintf(why, len, "%s: not NAME[,netns=NS]", spec);
		t->error = -1;
	} else if (pthread_create(&thread, NULL, open_in_netns, t) == 0)
		pthread_join(thread, NULL);
	else
		t->error = -1;
	if (t->error != 0) {
		os_tap_close(t);
		return (NULL);
	}
	return (t);
}

const char *
os_tap_name(const struct os_tap *t)
{
	return (t->name);
}

const char *
os_tap_netns(const struct os_tap *t)
{
	return (t->netns);
}

void
os_tap_stop(struct os_tap *t)
{
	uint64_t one;

	one = 1;
	(void)!write(t->stop, &one, sizeof(one));
}

void
os_tap_close(struct os_tap *t)
{
	int i;

	for (i = 0; i < MAXQUEUES; i++)
		if (t->fd[i] >= 0)
			close(t->fd[i]);
	if (t->sock >= 0)
		close(t->sock);
	if (t->netlink >= 0)
		close(t->netlink);
	close(t->stop);
	os_free(t);
}

int
os_tap_offload(struct os_tap *t, int what)
{
	unsigned int bits;
	int error, i;

	bits = 0;
	if ((what & OS_TAP_CSUM) != 0)
		bits |= TUN_F_CSUM |
		    ((what & OS_TAP_TSO4) != 0 ? TUN_F_TSO4 | TUN_F_TSO_ECN :
		    0) |
		    ((what & OS_TAP_TSO6) != 0 ? TUN_F_TSO6 | TUN_F_TSO_ECN :
		    0);
	error = 0;
	for (i = 0; i < t->queues; i++)
		error |= ioctl(t->fd[i], TUNSETOFFLOAD, (unsigned long)bits);
	return (error);
}

/* Linux makes no larger packets to be segmented than this. */
int
os_tap_gso_max(struct os_tap *t, int bytes)
{
	struct {
		struct nlmsghdr h;
		struct ifinfomsg i;
		struct { struct rtattr a; uint32_t v; } size[2];
	} m;
	struct {
		struct nlmsghdr h;
		struct nlmsgerr e;
		char rest[512];
	} answer;
	struct ifreq ifr;
	int i;

	memset(&ifr, 0, sizeof(ifr));
	memcpy(ifr.ifr_name, t->name, IFNAMSIZ);
	if (ioctl(t->sock, SIOCGIFINDEX, &ifr) != 0)
		return (-1);
	memset(&m, 0, sizeof(m));
	m.h.nlmsg_type = RTM_NEWLINK;
	m.h.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	m.i.ifi_index = ifr.ifr_ifindex;
	for (i = 0; i < 2; i++) {
		m.size[i].a.rta_len = sizeof(m.size[i]);
		m.size[i].a.rta_type = i == 0 ? IFLA_GSO_MAX_SIZE :
		    TAP_IFLA_GSO_IPV4_MAX_SIZE;
		m.size[i].v = (uint32_t)bytes;
	}
	/* Kernels before 6.3 have one limit for both. */
	for (i = 2; i > 0; i--) {
		m.h.nlmsg_len = (uint32_t)(sizeof(m) - (size_t)(2 - i) *
		    sizeof(m.size[0]));
		if (send(t->netlink, &m, m.h.nlmsg_len, 0) < 0 ||
		    recv(t->netlink, &answer, sizeof(answer), 0) < 0)
			return (-1);
		if (answer.h.nlmsg_type == NLMSG_ERROR && answer.e.error == 0)
			return (0);
	}
	return (-1);
}

int
os_tap_carrier(struct os_tap *t, int up)
{
	return (ioctl(t->fd[0], TUNSETCARRIER, &up));
}

long
os_tap_read(struct os_tap *t, int queue, struct os_iovec *iov, int n)
{
	struct pollfd p[2];
	ssize_t len;

	len = readv(t->fd[queue], (const struct iovec *)iov, n);
	if (len > 0)
		return (len);
	p[0] = (struct pollfd){ t->fd[queue], POLLIN, 0 };
	p[1] = (struct pollfd){ t->stop, POLLIN, 0 };
	if (poll(p, 2, -1) < 0 && errno != EINTR)
		return (-1);
	if (p[1].revents != 0)
		return (-1);
	/* The interface was deleted by hand: nothing comes any more. */
	if ((p[0].revents & (POLLERR | POLLHUP | POLLNVAL)) != 0)
		poll(p + 1, 1, 100);
	return (0);
}

int
os_tap_write(struct os_tap *t, int queue, struct os_iovec *iov, int n)
{
	return (writev(t->fd[queue % t->queues], (const struct iovec *)iov,
	    n) > 0 ? 0 : -1);
}

static int
if_ioctl(struct os_tap *t, unsigned long cmd, struct ifreq *ifr)
{
	memcpy(ifr->ifr_name, t->name, IFNAMSIZ);
	return (ioctl(t->sock, cmd, ifr));
}

/* The link-level groups that Linux's protocols have joined. */
static void
read_groups(struct os_tap *t, struct os_tap_state *s)
{
	char dev[64], hex[64], line[256];
	unsigned int m[6];
	FILE *f;
	int i;

	f = fopen("/proc/thread-self/net/dev_mcast", "re");
	if (f == NULL) {
		s->flags |= OS_TAP_ALLMULTI;
		return;
	}
	while (fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "%*d %63s %*d %*d %63s", dev, hex) != 2 ||
		    strcmp(dev, t->name) != 0 ||
		    sscanf(hex, "%2x%2x%2x%2x%2x%2x", &m[0], &m[1], &m[2],
		    &m[3], &m[4], &m[5]) != 6)
			continue;
		if (s->ngroups == OS_TAP_GROUPS) {
			s->flags |= OS_TAP_ALLMULTI;
			break;
		}
		for (i = 0; i < 6; i++)
			s->group[s->ngroups][i] = (os_u8)m[i];
		s->ngroups++;
	}
	fclose(f);
}

int
os_tap_state(struct os_tap *t, struct os_tap_state *s)
{
	struct ifreq ifr;

	memset(s, 0, sizeof(*s));
	if (!t->entered && enter_netns(t->netns) != 0)
		return (-1);
	t->entered = true;
	memset(&ifr, 0, sizeof(ifr));
	if (if_ioctl(t, SIOCGIFFLAGS, &ifr) != 0)
		return (-1);
	s->flags = ((ifr.ifr_flags & IFF_UP) != 0 ? OS_TAP_UP : 0) |
	    ((ifr.ifr_flags & IFF_PROMISC) != 0 ? OS_TAP_PROMISC : 0) |
	    ((ifr.ifr_flags & IFF_ALLMULTI) != 0 ? OS_TAP_ALLMULTI : 0);
	if (if_ioctl(t, SIOCGIFMTU, &ifr) != 0)
		return (-1);
	s->mtu = ifr.ifr_mtu;
	if (if_ioctl(t, SIOCGIFHWADDR, &ifr) != 0)
		return (-1);
	memcpy(s->mac, ifr.ifr_hwaddr.sa_data, 6);
	read_groups(t, s);
	return (0);
}

int
os_tap_set_up(struct os_tap *t, int up)
{
	struct ifreq ifr;

	memset(&ifr, 0, sizeof(ifr));
	if (if_ioctl(t, SIOCGIFFLAGS, &ifr) != 0)
		return (-1);
	if (up)
		ifr.ifr_flags |= IFF_UP;
	else
		ifr.ifr_flags &= (short)~IFF_UP;
	return (if_ioctl(t, SIOCSIFFLAGS, &ifr));
}

int
os_tap_set_mtu(struct os_tap *t, int mtu)
{
	struct ifreq ifr;

	memset(&ifr, 0, sizeof(ifr));
	ifr.ifr_mtu = mtu;
	return (if_ioctl(t, SIOCSIFMTU, &ifr));
}

int
os_tap_set_mac(struct os_tap *t, const os_u8 mac[6])
{
	struct ifreq ifr;

	memset(&ifr, 0, sizeof(ifr));
	ifr.ifr_hwaddr.sa_family = ARPHRD_ETHER;
	memcpy(ifr.ifr_hwaddr.sa_data, mac, 6);
	return (if_ioctl(t, SIOCSIFHWADDR, &ifr));
}
