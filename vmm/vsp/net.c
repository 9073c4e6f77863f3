/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * A network adapter as a device on the bus: configured, offered, opened,
 * closed, unplugged.  Once made it stays, so that its name and instance come
 * back when it is plugged in again; what goes is its back-end.
 * Locking: see net_int.h.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <hvk/wire/guid.h>
#include <hvk/wire/vmbus.h>

#include "net_int.h"

#define	SPEED		10000000000ull

/* ---- words of the configuration */

int
net_mac_parse(const char *s, uint8_t mac[6])
{
	unsigned v[6];
	char end;
	int i;

	if (sscanf(s, "%2x%*1[:-]%2x%*1[:-]%2x%*1[:-]%2x%*1[:-]%2x%*1[:-]%2x%c",
	    &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &end) != 6)
		return (-EINVAL);
	for (i = 0; i < 6; i++)
		mac[i] = (uint8_t)v[i];
	/* An address of a group, or none at all, cannot be an adapter's. */
	return ((mac[0] & 1) != 0 || (v[0] | v[1] | v[2] | v[3] | v[4] |
	    v[5]) == 0 ? -EINVAL : 0);
}

#define	OFF_CSUM	(HVK_OFF_TX_IP4 | HVK_OFF_TX_TCP4 | HVK_OFF_TX_UDP4 | \
			    HVK_OFF_TX_TCP6 | HVK_OFF_TX_UDP6)
#define	OFF_RXCSUM	(HVK_OFF_RX_IP4 | HVK_OFF_RX_TCP4 | HVK_OFF_RX_UDP4 | \
			    HVK_OFF_RX_TCP6 | HVK_OFF_RX_UDP6)
#define	OFF_RSS		0x80000000u	/* ours: no offload of NDIS */
#define	OFF_NONE	0x40000000u	/* a list that names nothing */

uint32_t
net_offload_parse(const char *list)
{
	static const struct { const char *name; uint32_t bits; } words[] = {
		{ "csum", OFF_CSUM }, { "rxcsum", OFF_RXCSUM },
		{ "lso", HVK_OFF_LSO4 | HVK_OFF_LSO6 },
		{ "rsc", HVK_OFF_RSC4 | HVK_OFF_RSC6 }, { "rss", OFF_RSS },
		{ "all", HVK_OFF_ALL | OFF_RSS }, { "none", OFF_NONE },
	};
	uint32_t bits = 0;
	size_t len, i;

	while (*list != '\0') {
		len = strcspn(list, ",+");
		for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			if (strlen(words[i].name) == len &&
			    strncmp(words[i].name, list, len) == 0)
				break;
		if (i == sizeof(words) / sizeof(words[0]))
			return (0);
		bits |= words[i].bits;
		list += len;
		if (*list != '\0' && *++list == '\0')
			return (0);
	}
	return (bits);
}

static uint64_t
mix(uint64_t h, const char *s)
{

	for (; *s != '\0'; s++)
		h = (h ^ (uint8_t)*s) * 0x100000001b3ull;
	return (h);
}

static uint64_t
stir(uint64_t h)
{

	return (h * 6364136223846793005ull + 1442695040888963407ull);
}

/* In the range of Hyper-V's own, from where the guest runs and the name. */
static void
make_mac(const char *seed, const char *name, uint8_t mac[6])
{
	uint64_t h = stir(mix(mix(0xcbf29ce484222325ull, seed), name));

	mac[0] = 0x00;
	mac[1] = 0x15;
	mac[2] = 0x5d;
	mac[3] = (uint8_t)(h >> 56);
	mac[4] = (uint8_t)(h >> 48);
	mac[5] = (uint8_t)(h >> 40);
}

static const char *
word(const json_t *in, const char *key, const char *def)
{
	const char *s = json_string_value(json_object_get(in, key));

	return (s != NULL ? s : def);
}

static uint64_t
number(const json_t *in, const char *key, uint64_t def)
{
	const json_t *v = json_object_get(in, key);

	return (json_is_integer(v) && json_integer_value(v) >= 0 ?
	    (uint64_t)json_integer_value(v) : def);
}

/* Everything is checked before anything is changed. */
int
net_nic_configure(struct net_nic *nic, const json_t *in, char *err,
    size_t errlen)
{
	const char *mac = word(in, "mac", ""), *vlan = word(in, "vlan", "none");
	const char *offload = word(in, "offload", "all");
	uint64_t mtu = number(in, "mtu", 1500);
	uint64_t queues = number(in, "queues", 1);
	struct net_backend *b;
	struct net_vlan v;
	uint8_t m[6];

	make_mac(word(in, "seed", ""), nic->name, m);
	if (*mac != '\0' && net_mac_parse(mac, m) != 0)
		return (vmm_fail(err, errlen, -EINVAL, "'%.32s' is no address "
		    "for an adapter; give one such as 02:00:00:00:00:01", mac));
	if (net_vlan_parse(vlan, &v) != 0)
		return (vmm_fail(err, errlen, -EINVAL, "vlan '%.64s': give "
		    "none, 1..4094, or trunk:LIST[/NATIVE] such as "
		    "trunk:10-20+30/1", vlan));
	if (net_offload_parse(offload) == 0 ||
	    strlen(offload) >= sizeof(nic->offload))
		return (vmm_fail(err, errlen, -EINVAL, "offload '%.32s': give "
		    "all, none, or some of csum+rxcsum+lso+rsc+rss", offload));
	if (mtu < NET_MTU_MIN || mtu > NET_MTU_MAX)
		return (vmm_fail(err, errlen, -ERANGE, "mtu %llu: give %u to "
		    "%u", (unsigned long long)mtu, NET_MTU_MIN, NET_MTU_MAX));
	if (queues < 1 || queues > NET_CHANNELS)
		return (vmm_fail(err, errlen, -ERANGE, "queues %llu: give 1 "
		    "to %u", (unsigned long long)queues, NET_CHANNELS));
	b = net_backend_open(in, err, errlen);
	if (b == NULL)
		return (-EINVAL);
	pthread_rwlock_wrlock(&nic->state);
	nic->backend = b;
	nic->nports = net_backend_queues(b);
	nic->mtu = (uint32_t)mtu;
	nic->channels = (uint32_t)queues;
	nic->speed = number(in, "speed", SPEED);
	nic->link = !json_is_false(json_object_get(in, "link"));
	nic->flap_hz = 0;
	nic->vlan = v;
	memcpy(nic->mac, m, sizeof(m));
	snprintf(nic->offload, sizeof(nic->offload), "%s", offload);
	pthread_rwlock_unlock(&nic->state);
	return (0);
}

/* ---- the device */

void
net_nic_wake(struct net_nic *nic)
{
	uint32_t i;

	pthread_mutex_lock(&nic->lock);
	for (i = 0; i < NET_CHANNELS; i++)
		if (nic->worker[i] != NULL)
			net_worker_wake(nic->worker[i]);
	pthread_mutex_unlock(&nic->lock);
}

/* The protocol's machine anew, as the adapter is configured; state held. */
static int
fresh(struct net_nic *nic)
{
	uint32_t bits = net_offload_parse(nic->offload);
	struct hvk_netvsp_config c;

	nic->carrier = nic->link && nic->backend != NULL &&
	    net_backend_link(nic->backend);
	memset(&c, 0, sizeof(c));
	memcpy(c.mac, nic->mac, sizeof(c.mac));
	c.max_mtu = nic->mtu;
	c.max_subchannels = nic->channels - 1;
	c.speed = nic->speed;
	c.link = nic->carrier;
	snprintf(c.name, sizeof(c.name), "%s", nic->name);
	c.offload.can = bits & HVK_OFF_ALL;
	c.offload.lso4_max = c.offload.lso6_max = NET_LSO_MAX;
	c.offload.lso4_min = c.offload.lso6_min = 2;
	if ((bits & OFF_RSS) != 0)
		c.hash = HVK_RSS_TOEPLITZ | HVK_RSS_TYPES;
	return (hvk_netvsp_init(&nic->vsp, &c) == HVK_OK ? 0 : -EINVAL);
}

static int
net_open(void *arg, struct vmm_channel *channel)
{
	struct net_nic *nic = arg;
	uint16_t index = vmm_channel_index(channel);
	struct net_channel *c;
	int error = 0;

	if (index >= nic->channels || index >= NET_CHANNELS ||
	    nic->worker[index] != NULL)
		return (-EBUSY);
	c = &nic->chan[index];
	pthread_rwlock_wrlock(&nic->state);
	if (index == 0)
		error = fresh(nic);
	else if (net_channel_slots(nic, index) != HVK_OK)
		error = -EINVAL;	/* no receive buffer: not its turn */
	if (error == 0) {
		pthread_mutex_lock(&c->lock);
		c->channel = channel;
		c->tx = vmm_channel_tx(channel);
		c->broken = c->dirty = false;
		c->open = true;
		pthread_mutex_unlock(&c->lock);
		nic->open_mask |= 1ull << index;
	}
	pthread_rwlock_unlock(&nic->state);
	if (error == 0)
		error = net_worker_start(nic, channel);
	pthread_rwlock_wrlock(&nic->state);
	if (error != 0) {
		nic->open_mask &= ~(1ull << index);
		pthread_mutex_lock(&c->lock);
		c->open = false;
		pthread_mutex_unlock(&c->lock);
	} else if (index != 0 && (uint32_t)__builtin_popcountll(nic->open_mask) ==
	    nic->vsp.subchannels + 1)
		(void)hvk_netvsp_send_table(&nic->vsp,
		    nic->vsp.subchannels + 1);
	pthread_rwlock_unlock(&nic->state);
	net_nic_wake(nic);
	return (error);
}

static void
net_close(void *arg, struct vmm_channel *channel)
{
	struct net_nic *nic = arg;
	uint16_t index = vmm_channel_index(channel);
	struct net_channel *c;

	if (index >= NET_CHANNELS || nic->worker[index] == NULL)
		return;
	c = &nic->chan[index];
	/* It answers what is in its ring, but nobody sends there any more. */
	net_worker_stop(nic->worker[index]);
	pthread_rwlock_wrlock(&nic->state);
	nic->open_mask &= ~(1ull << index);
	pthread_mutex_lock(&c->lock);
	c->open = false;
	pthread_mutex_unlock(&c->lock);
	pthread_rwlock_unlock(&nic->state);
	if (index != 0) {
		net_nic_wake(nic);	/* the primary takes its port over */
		return;
	}
	pthread_rwlock_wrlock(&nic->state);
	hvk_netvsp_reset(&nic->vsp);
	net_control_drop_recv(nic);
	net_control_gpadl_gone(nic, nic->send_gpadl);
	pthread_rwlock_unlock(&nic->state);
}

static void
net_gpadl_gone(void *arg, struct vmm_channel *channel, uint32_t gpadl)
{
	struct net_nic *nic = arg;

	(void)channel;
	pthread_rwlock_wrlock(&nic->state);
	net_control_gpadl_gone(nic, gpadl);
	pthread_rwlock_unlock(&nic->state);
}

static const struct vmm_device_ops net_ops = {
	.open = net_open,
	.close = net_close,
	.gpadl_gone = net_gpadl_gone,
	.info = net_nic_info,
};

/* The instance tells adapters apart and stays the same between runs. */
static int
offer(struct net_nic *nic)
{
	static const struct hvk_guid type = HVK_GUID_NETWORK;
	uint64_t h = mix(0x9e3779b97f4a7c15ull, nic->name);
	struct vmm_offer o;
	int i;

	memset(&o, 0, sizeof(o));
	o.type = type;
	for (i = 0; i < 16; i++) {
		h = stir(h);
		o.instance.b[i] = (uint8_t)(h >> 56);
	}
	o.name = nic->name;
	o.flags = HVK_OFFER_ENUMERATE;
	o.monitor = true;	/* given only with vmbus.monitor=yes */
	nic->device = vmm_device_offer(nic->bus, &o, &net_ops, nic);
	return (nic->device == NULL ? -EBUSY : 0);
}

static void
locks_init(struct net_nic *nic)
{
	pthread_rwlockattr_t attr;
	uint32_t i;

	/* Busy workers must not keep an administrator waiting. */
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr,
	    PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&nic->state, &attr);
	pthread_rwlockattr_destroy(&attr);
	pthread_mutex_init(&nic->lock, NULL);
	for (i = 0; i < NET_CHANNELS; i++)
		pthread_mutex_init(&nic->chan[i].lock, NULL);
	for (i = 0; i < NET_QUEUES; i++) {
		pthread_mutex_init(&nic->port[i].lock, NULL);
		pthread_mutex_init(&nic->port[i].send, NULL);
	}
}

struct net_nic *
net_nic_create(struct vmm_bus *bus, const json_t *in, char *err,
    size_t errlen)
{
	struct net_nic *nic = calloc(1, sizeof(*nic));

	if (nic == NULL) {
		vmm_fail(err, errlen, 0, "out of memory for an adapter");
		return (NULL);
	}
	locks_init(nic);
	nic->bus = bus;
	nic->nports = 1;
	snprintf(nic->name, sizeof(nic->name), "%s", word(in, "name", ""));
	if (net_nic_configure(nic, in, err, errlen) != 0) {
		net_nic_free(nic);
		return (NULL);
	}
	pthread_rwlock_wrlock(&nic->state);
	(void)fresh(nic);
	pthread_rwlock_unlock(&nic->state);
	if (offer(nic) != 0) {
		vmm_fail(err, errlen, 0, "%s cannot be offered: the name is "
		    "taken or the bus is full", nic->name);
		net_nic_free(nic);
		return (NULL);
	}
	return (nic);
}

void
net_nic_unplug(struct net_nic *nic)
{
	struct net_capture *cap;
	struct net_backend *b;

	pthread_rwlock_wrlock(&nic->state);
	b = nic->backend;
	nic->backend = NULL;
	cap = atomic_exchange(&nic->capture, NULL);
	pthread_rwlock_unlock(&nic->state);
	/* Who waits for it looks again before it is closed. */
	net_nic_wake(nic);
	net_backend_close(b);
	net_capture_close(cap);
}

void
net_nic_free(struct net_nic *nic)
{
	uint32_t i;

	net_nic_unplug(nic);
	net_control_drop_recv(nic);
	net_control_gpadl_gone(nic, nic->send_gpadl);
	pthread_rwlock_destroy(&nic->state);
	pthread_mutex_destroy(&nic->lock);
	for (i = 0; i < NET_CHANNELS; i++)
		pthread_mutex_destroy(&nic->chan[i].lock);
	for (i = 0; i < NET_QUEUES; i++) {
		pthread_mutex_destroy(&nic->port[i].lock);
		pthread_mutex_destroy(&nic->port[i].send);
	}
	free(nic);
}
