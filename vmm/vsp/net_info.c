/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * What an adapter tells `hvk ctl': how it is configured, what the guest has
 * set, and its counters.
 * Locking: nic.state for reading; counters of workers are read as they are.
 */
#include <string.h>

#include "net_int.h"

static void
set_int(json_t *o, const char *key, uint64_t v)
{

	json_object_set_new(o, key, json_integer((json_int_t)v));
}

static void
set_str(json_t *o, const char *key, const char *v)
{

	json_object_set_new(o, key, json_string(v));
}

static void
set_mac(json_t *o, const char *key, const uint8_t *m)
{
	char text[24];

	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", m[0],
	    m[1], m[2], m[3], m[4], m[5]);
	set_str(o, key, text);
}

static void
add(struct net_stats *to, const struct net_stats *from)
{
	const uint64_t *f = (const uint64_t *)from;
	uint64_t *t = (uint64_t *)to;
	size_t i;

	for (i = 0; i < sizeof(*to) / sizeof(*t); i++)
		t[i] += __atomic_load_n(&f[i], __ATOMIC_RELAXED);
}

void
net_nic_sum(struct net_nic *nic, struct net_stats *sum)
{
	uint32_t i;

	memset(sum, 0, sizeof(*sum));
	pthread_mutex_lock(&nic->lock);
	add(sum, &nic->past);
	for (i = 0; i < NET_CHANNELS; i++)
		if (nic->worker[i] != NULL)
			add(sum, &nic->worker[i]->stats);
	pthread_mutex_unlock(&nic->lock);
}

static const char *
phase_name(uint32_t phase)
{
	static const char *const names[] = { "closed", "versioned", "ndis",
	    "buffered", "ready" };

	return (phase < HVK_NETVSP_NPHASES ? names[phase] : "?");
}

static const char *
version_name(uint32_t v)
{

	switch (v) {
	case HVK_NVSP_VERSION_1:
		return ("1");
	case HVK_NVSP_VERSION_2:
		return ("2");
	case HVK_NVSP_VERSION_4:
		return ("4");
	case HVK_NVSP_VERSION_5:
		return ("5");
	case HVK_NVSP_VERSION_6:
		return ("6.0");
	case HVK_NVSP_VERSION_61:
		return ("6.1");
	default:
		return ("none");
	}
}

static const char *
filter_name(uint32_t f)
{

	if ((f & HVK_FILTER_PROMISCUOUS) != 0)
		return ("promiscuous");
	if ((f & HVK_FILTER_ALL_MULTICAST) != 0)
		return ("all multicast");
	if ((f & HVK_FILTER_MULTICAST) != 0)
		return ("multicast list");
	return (f != 0 ? "own and broadcast" : "nothing");
}

/* One line of `nic list'; state held. */
static void
summary(struct net_nic *nic, json_t *o)
{

	set_str(o, "backend", nic->backend != NULL ?
	    net_backend_kind(nic->backend) : "none");
	set_mac(o, "mac", nic->mac);
	set_str(o, "link", nic->flap_hz != 0 ? "flapping" : nic->carrier ?
	    "up" : nic->link ? "no carrier" : "down");
	set_str(o, "vlan", nic->vlan.text);
	set_int(o, "mtu", nic->mtu);
	set_int(o, "channels", nic->channels);
	set_int(o, "open", (uint64_t)__builtin_popcountll(nic->open_mask));
	set_str(o, "offload", nic->offload);
	set_str(o, "protocol", version_name(nic->vsp.version));
	set_str(o, "phase", phase_name(nic->vsp.phase));
	set_int(o, "speed", nic->speed);
}

json_t *
net_nic_json(struct net_nic *nic)
{
	json_t *o = json_object();

	set_str(o, "name", nic->name);
	pthread_rwlock_rdlock(&nic->state);
	summary(nic, o);
	if (nic->backend != NULL)
		net_backend_info(nic->backend, o);
	pthread_rwlock_unlock(&nic->state);
	return (o);
}

static void
drops(json_t *o, const struct net_stats *s)
{
	static const char *const names[DROP_MAX] = { "no_buffer", "no_ring",
	    "filter", "vlan", "link", "too_big", "malformed", "backend",
	    "fault" };
	char key[32];
	int i;

	for (i = 0; i < DROP_MAX; i++) {
		snprintf(key, sizeof(key), "drop_%s", names[i]);
		set_int(o, key, s->drop[i]);
	}
}

static void
backend_counters(struct net_nic *nic, json_t *o)
{
	const struct net_counters *c;
	uint64_t full = 0, csum = 0, gso = 0, bad = 0;
	uint32_t q;

	if (nic->backend == NULL)
		return;
	for (q = 0; q < nic->nports; q++) {
		c = net_backend_counters(nic->backend, q);
		full += c->tx_full;
		bad += c->rx_errors;
		csum += c->soft_csum;
		gso += c->soft_gso;
	}
	set_int(o, "backend_full", full);
	set_int(o, "backend_malformed", bad);
	set_int(o, "software_csum", csum);
	set_int(o, "software_lso", gso);
}

json_t *
net_nic_stat(struct net_nic *nic)
{
	struct net_capture *cap;
	struct net_stats s;
	json_t *o = json_object();

	net_nic_sum(nic, &s);
	set_int(o, "tx_frames", s.tx_frames);
	set_int(o, "tx_bytes", s.tx_bytes);
	set_int(o, "rx_frames", s.rx_frames);
	set_int(o, "rx_bytes", s.rx_bytes);
	set_int(o, "tx_packets", s.tx_packets);
	set_int(o, "rx_packets", s.rx_packets);
	set_int(o, "tx_csum", s.tx_csum);
	set_int(o, "tx_lso", s.tx_lso);
	set_int(o, "rx_rsc", s.rx_rsc);
	set_int(o, "rx_cut", s.rx_cut);
	set_int(o, "steered", s.steered);
	set_int(o, "kicks", s.kicks);
	set_int(o, "signals", s.signals);
	set_int(o, "rejects", s.rejects);
	drops(o, &s);
	pthread_rwlock_rdlock(&nic->state);
	backend_counters(nic, o);
	set_int(o, "link_changes", nic->link_changes);
	set_int(o, "refused", nic->vsp.refused);
	set_int(o, "controls", nic->vsp.controls);
	set_int(o, "controls_bad", nic->vsp.control_bad);
	cap = atomic_load(&nic->capture);
	if (cap != NULL)
		set_int(o, "captured", net_capture_count(cap));
	pthread_rwlock_unlock(&nic->state);
	return (o);
}

static json_t *
worker_json(struct net_nic *nic, const struct net_worker *w)
{
	struct net_channel *c = &nic->chan[w->index];
	json_t *o = json_object();

	set_int(o, "index", w->index);
	set_int(o, "tx_frames", w->stats.tx_frames);
	set_int(o, "rx_frames", w->stats.rx_frames);
	set_int(o, "kicks", w->stats.kicks);
	set_int(o, "signals", w->stats.signals);
	set_int(o, "sleeps", w->stats.sleeps);
	set_int(o, "polls", w->stats.polls);
	pthread_mutex_lock(&c->lock);
	if (c->queue != NULL) {
		set_int(o, "to_guest", c->queue->frames);
		set_int(o, "slots_free", c->queue->slots_free);
		set_int(o, "busy", c->queue->busy);
		set_int(o, "unknown", c->queue->unknown + c->queue->stale +
		    c->queue->malformed);
	}
	pthread_mutex_unlock(&c->lock);
	return (o);
}

void
net_nic_info(void *arg, json_t *into)
{
	struct net_nic *nic = arg;
	json_t *queues = json_array();
	uint32_t i;

	pthread_rwlock_rdlock(&nic->state);
	summary(nic, into);
	set_mac(into, "guest_mac", nic->vsp.mac);
	set_str(into, "filter", filter_name(nic->vsp.filter));
	set_int(into, "multicast", nic->vsp.nmulticast);
	set_int(into, "guest_mtu", nic->vsp.mtu);
	set_int(into, "offloads_on", nic->vsp.offloads);
	set_int(into, "rss", nic->vsp.rss.enabled ? nic->vsp.rss.entries : 0);
	set_int(into, "recv_buffer", nic->vsp.recv_len);
	set_int(into, "slots", nic->vsp.slots);
	set_int(into, "slot_size", nic->vsp.slot_size);
	set_int(into, "send_buffer", nic->vsp.send_len);
	pthread_mutex_lock(&nic->lock);
	for (i = 0; i < NET_CHANNELS; i++)
		if (nic->worker[i] != NULL)
			json_array_append_new(queues, worker_json(nic,
			    nic->worker[i]));
	pthread_mutex_unlock(&nic->lock);
	pthread_rwlock_unlock(&nic->state);
	json_object_set_new(into, "queues", queues);
}
