/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * A NIC's frames on a tap interface of this machine, one descriptor for each
 * queue, with virtio-net headers: the kernel makes checksums and segments, and
 * hands over what it has not cut yet.
 *
 * Locking: none; descriptors do not change while the back-end is open, and a
 * queue is its thread's.
 * Facts: linux/if_tun.h, linux/virtio_net.h.
 */
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/if_tun.h>

#include "net_int.h"

struct tap {
	struct net_backend b;
	char		ifname[IFNAMSIZ];
	char		netns[64];
	int		fd[NET_QUEUES];
};

static void
tap_close(struct net_backend *b)
{
	struct tap *t = (struct tap *)b;
	uint32_t i;

	for (i = 0; i < NET_QUEUES; i++)
		if (t->fd[i] >= 0)
			close(t->fd[i]);
	free(t);
}

static int
tap_fd(struct net_backend *b, uint32_t queue)
{

	return (((struct tap *)b)->fd[queue]);
}

static int
tap_send(struct net_backend *b, uint32_t queue, struct net_frame *f)
{
	struct tap *t = (struct tap *)b;
	struct net_vnet v;
	struct iovec iov[2] = {
		{ &v, NET_VNET_LEN }, { f->data, f->len } };
	ssize_t n;

	net_vnet_make(&v, f);
	do {
		n = writev(t->fd[queue], iov, 2);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return (errno == ENOBUFS || errno == ENOMEM ? -EAGAIN : -errno);
	return (0);
}

static int
tap_recv(struct net_backend *b, uint32_t queue, struct net_frame *f)
{
	struct tap *t = (struct tap *)b;
	struct net_vnet v;
	struct iovec iov[2] = {
		{ &v, NET_VNET_LEN }, { f->data, f->len } };
	ssize_t n;

	n = readv(t->fd[queue], iov, 2);
	if (n < 0)
		return (errno == EINTR || errno == EAGAIN ? -EAGAIN :
		    errno == EBADFD ? -EAGAIN : -errno);
	if (n < (ssize_t)(NET_VNET_LEN + NET_ETHER))
		return (-EINVAL);
	f->len = (uint32_t)n - NET_VNET_LEN;
	return (net_vnet_take(&v, f) ? 0 : -EINVAL);
}

static void
tap_info(struct net_backend *b, json_t *into)
{
	struct tap *t = (struct tap *)b;

	json_object_set_new(into, "ifname", json_string(t->ifname));
	if (t->netns[0] != '\0')
		json_object_set_new(into, "netns", json_string(t->netns));
}

static const struct net_backend_ops tap_ops = {
	.close = tap_close,
	.fd = tap_fd,
	.send = tap_send,
	.recv = tap_recv,
	.info = tap_info,
};

/* The kernel may be older than UDP segmentation; TCP's is always there. */
static int
tap_queue(struct tap *t, uint32_t i)
{
	struct ifreq ifr;
	int fd, len = (int)NET_VNET_LEN;

	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return (-errno);
	memset(&ifr, 0, sizeof(ifr));
	memcpy(ifr.ifr_name, t->ifname, sizeof(ifr.ifr_name));
	ifr.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR |
	    (t->b.queues > 1 ? IFF_MULTI_QUEUE : 0));
	if (ioctl(fd, TUNSETIFF, &ifr) != 0 ||
	    ioctl(fd, TUNSETVNETHDRSZ, &len) != 0 ||
	    ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 |
	    TUN_F_TSO_ECN) != 0) {
		len = -errno;
		close(fd);
		return (len);
	}
	memcpy(t->ifname, ifr.ifr_name, sizeof(t->ifname));
	t->fd[i] = fd;
	return (0);
}

/* MTU, and up: what ip(8) would do. */
static int
tap_configure(struct tap *t, uint32_t mtu)
{
	struct ifreq ifr;
	int fd, error = 0;

	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return (-errno);
	memset(&ifr, 0, sizeof(ifr));
	memcpy(ifr.ifr_name, t->ifname, sizeof(ifr.ifr_name));
	ifr.ifr_mtu = (int)mtu;
	if (ioctl(fd, SIOCSIFMTU, &ifr) != 0 ||
	    ioctl(fd, SIOCGIFFLAGS, &ifr) != 0)
		error = -errno;
	ifr.ifr_flags |= IFF_UP;
	if (error == 0 && ioctl(fd, SIOCSIFFLAGS, &ifr) != 0)
		error = -errno;
	close(fd);
	return (error);
}

static int
tap_make(struct tap *t, uint32_t mtu)
{
	uint32_t i;
	int error = 0;

	for (i = 0; i < t->b.queues && error == 0; i++)
		error = tap_queue(t, i);
	if (error == 0)
		error = tap_configure(t, mtu);
	return (error);
}

/* This thread goes into the namespace and comes back. */
static int
tap_make_in(struct tap *t, uint32_t mtu)
{
	char path[128];
	int home, there, error;

	if (t->netns[0] == '\0')
		return (tap_make(t, mtu));
	snprintf(path, sizeof(path), "%s%s", t->netns[0] == '/' ? "" :
	    "/run/netns/", t->netns);
	there = open(path, O_RDONLY | O_CLOEXEC);
	if (there < 0)
		return (-errno);
	home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (home < 0 || setns(there, CLONE_NEWNET) != 0)
		error = -errno;
	else {
		error = tap_make(t, mtu);
		if (setns(home, CLONE_NEWNET) != 0 && error == 0)
			error = -errno;
	}
	if (home >= 0)
		close(home);
	close(there);
	return (error);
}

struct net_backend *
net_tap_open(const json_t *nic, char *err, size_t errlen)
{
	const char *name = net_key(nic, "ifname", "hvk%d");
	const char *netns = net_key(nic, "netns", "");
	uint32_t mtu = net_number(nic, "mtu", 1500), i;
	struct tap *t;
	int error;

	if (strlen(name) >= IFNAMSIZ || strlen(netns) >= sizeof(t->netns)) {
		vmm_fail(err, errlen, 0, "'%.64s': too long a name for an "
		    "interface or a namespace", name);
		return (NULL);
	}
	t = calloc(1, sizeof(*t));
	if (t == NULL) {
		vmm_fail(err, errlen, 0, "out of memory for a tap");
		return (NULL);
	}
	t->b.ops = &tap_ops;
	t->b.kind = "tap";
	t->b.caps = (struct net_caps){ true, true, true, NET_QUEUES };
	t->b.queues = net_number(nic, "queues", 1);
	if (t->b.queues == 0 || t->b.queues > NET_QUEUES)
		t->b.queues = 1;
	for (i = 0; i < NET_QUEUES; i++)
		t->fd[i] = -1;
	snprintf(t->ifname, sizeof(t->ifname), "%s", name);
	snprintf(t->netns, sizeof(t->netns), "%s", netns);
	error = tap_make_in(t, mtu);
	if (error != 0) {
		vmm_fail(err, errlen, 0, "cannot make the tap interface %s%s%s:"
		    " %s; %s", t->ifname, netns[0] != '\0' ? " in namespace " :
		    "", netns, strerror(-error), error == -EPERM ||
		    error == -EACCES ? "it needs CAP_NET_ADMIN: run as root, "
		    "make it before by `ip tuntap add mode tap user ...`, or "
		    "use backend=slirp" : error == -EINVAL ?
		    "one that exists must have as many queues (multi_queue)" :
		    error == -EBUSY ? "another program uses it" :
		    "is /dev/net/tun there?");
		tap_close(&t->b);
		return (NULL);
	}
	return (&t->b);
}
