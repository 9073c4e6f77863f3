/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The network protocol, both ends in one process over real rings: start-up in
 * each version, requests, frames of all sizes with all mixes of information,
 * compared byte for byte; channels, coalescing, shut-down and new MTUs.
 */

#include <stdio.h>

#include "net_rig.h"

static const struct hvk_netvsp_config host_config = {
	.mac = { 0x00, 0x15, 0x5d, 0x12, 0x34, 0x56 },
	.max_subchannels = RIG_CHANNELS - 1,
	.link = true,
	.speed = 40000000000ull,
	.vf = true,
	.offload = { HVK_OFF_ALL, 60000, 2, 60000, 2 },
	.hash = HVK_RSS_TOEPLITZ | HVK_RSS_IPV4 | HVK_RSS_TCP_IPV4 |
	    HVK_RSS_IPV6 | HVK_RSS_TCP_IPV6
};
static const struct hvk_netvsc_config guest_config = {
	.subchannels = RIG_CHANNELS - 1,
	.offloads = HVK_OFF_ALL,
	.sriov = true
};

/* Both ways at once, on all channels, until each has seen `frames'. */
static void
traffic(struct rig *r, uint64_t frames)
{
	uint64_t rng = r->seed + 99, idle = 0, was, sum = 0;
	uint32_t i, k;
	bool more = true;

	while (more) {
		was = sum;
		sum = 0;
		more = false;
		for (i = 0; i < r->nchan; i++) {
			struct rig_chan *c = &r->ch[i];

			for (k = rig_next(&rng) % 24; k > 0 &&
			    c->gsent < frames; k--)
				if (!rig_guest_send(r, i))
					break;
			if (c->gsent == frames || rig_next(&rng) % 4 == 0)
				(void)rig_guest_flush(c);
			if (c->hsent < frames)
				(void)rig_host_send(r, i, (uint32_t)
				    (1 + rig_next(&rng) % 32 < frames -
				    c->hsent ? 1 + rig_next(&rng) % 32 : 1));
			if (rig_next(&rng) % 2 == 0)
				rig_host(r, i);
			if (rig_next(&rng) % 2 == 0)
				rig_guest(r, i);
			more |= c->hseen < frames || c->gseen < frames;
			sum += c->hseen + c->gseen;
		}
		idle = sum == was ? idle + 1 : 0;
		ATF_REQUIRE_MSG(idle < 1000, "traffic stands still");
	}
	for (i = 0; i < 4; i++)
		rig_turn(r);
	for (i = 0; i < r->nchan; i++) {
		ATF_REQUIRE_EQ(0, r->ch[i].tx.busy);
		ATF_REQUIRE_EQ(0, r->ch[i].q.busy);
		ATF_REQUIRE_EQ(r->ch[i].q.nslots, r->ch[i].q.slots_free +
		    (r->ch[i].q.held != 0xffff));
		ATF_REQUIRE_EQ(r->ch[i].tx.config.count,
		    r->ch[i].tx.sections_free);
		ATF_REQUIRE_EQ(0, r->ch[i].rx.rejected + r->ch[i].rx.broken);
	}
}

ATF_TC(versions);
ATF_TC_HEAD(versions, tc)
{
	atf_tc_set_md_var(tc, "descr", "both ends agree on each version a host "
	    "may be capped to, learn the same, and pass frames");
	atf_tc_set_md_var(tc, "X-feature", "net.basic");
}
ATF_TC_BODY(versions, tc)
{
	static const uint32_t caps[] = { HVK_NVSP_VERSION_1,
	    HVK_NVSP_VERSION_2, HVK_NVSP_VERSION_4, HVK_NVSP_VERSION_5,
	    HVK_NVSP_VERSION_6, HVK_NVSP_VERSION_61 };
	struct hvk_netvsp_config host;
	static struct rig r;
	uint32_t i;

	for (i = 0; i < HVK_COUNT(caps); i++) {
		host = host_config;
		host.max_version = caps[i];
		rig_make(&r, &guest_config, &host);
		rig_start(&r);
		ATF_REQUIRE_EQ(caps[i], r.g.version);
		ATF_REQUIRE_EQ(caps[i], r.h.version);
		ATF_REQUIRE(memcmp(r.g.mac, host.mac, 6) == 0);
		ATF_REQUIRE_EQ(1500, r.g.mtu);
		ATF_REQUIRE_EQ(1500, r.h.mtu);
		ATF_REQUIRE(r.g.link);
		ATF_REQUIRE_EQ(40000000000ull, r.g.speed);
		ATF_REQUIRE_EQ(8, r.g.max_packets);
		ATF_REQUIRE_EQ(8, r.g.align);
		ATF_REQUIRE_EQ(6144, r.g.send_size);
		ATF_REQUIRE_EQ(RIG_SEND / 6144, r.g.send_count);
		ATF_REQUIRE_EQ(r.h.slots, r.g.recv.count);
		ATF_REQUIRE_EQ(caps[i] >= HVK_NVSP_VERSION_5 ? 3 : 0,
		    r.g.subchannels);
		ATF_REQUIRE_EQ(HVK_OFF_ALL & ~(caps[i] < HVK_NVSP_VERSION_61 ?
		    HVK_OFF_RSC4 | HVK_OFF_RSC6 : 0), r.g.offload.can);
		ATF_REQUIRE_EQ(r.g.offload.can, r.g.offloads);
		ATF_REQUIRE_EQ(r.g.offload.can, r.h.offloads);
		traffic(&r, 200);
		rig_free(&r);
	}
	printf("figure: net.basic NVSP 1, 2, 4, 5, 6.0, 6.1\n");
}

ATF_TC(mtu);
ATF_TC_HEAD(mtu, tc)
{
	atf_tc_set_md_var(tc, "descr", "MTUs of 1500, 9000 and the largest; "
	    "changed and changed back with all channels closed between");
	atf_tc_set_md_var(tc, "X-feature", "net.jumbo");
}
ATF_TC_BODY(mtu, tc)
{
	static const uint32_t mtus[] = { 1500, 9000, 4000, 1500,
	    HVK_NETVSC_MTU_MAX };
	struct hvk_netvsc_config guest = guest_config;
	static struct rig r;
	uint32_t i, k;

	guest.subchannels = 1;
	rig_make(&r, &guest, &host_config);
	for (i = 0; i < HVK_COUNT(mtus); i++) {
		r.g.config.mtu = mtus[i];
		/* A slot for each frame: fewer of them, for fewer channels. */
		rig_start(&r);
		ATF_REQUIRE_EQ(mtus[i], r.g.mtu);
		ATF_REQUIRE_EQ(mtus[i], r.h.mtu);
		if (mtus[i] == HVK_NETVSC_MTU_MAX)
			r.max_len = 65535;
		traffic(&r, 300);
		ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_halt(&r.g, r.now));
		for (k = 0; k < 4; k++)
			rig_turn(&r);
		ATF_REQUIRE_EQ(HVK_NETVSC_HALTED, r.g.phase);
		ATF_REQUIRE_EQ(0, r.h.recv_len);
		ATF_REQUIRE_EQ(0, r.h.send_len);
		ATF_REQUIRE_EQ(HVK_NETVSP_NDIS, r.h.phase);
		hvk_netvsp_reset(&r.h);
		for (k = 0; k < RIG_CHANNELS; k++)
			rig_chan_rings(&r.ch[k]);
		r.nchan = 1;
	}
	rig_free(&r);
	printf("figure: net.jumbo MTU 1500 to %u\n", HVK_NETVSC_MTU_MAX);
}

ATF_TC(requests);
ATF_TC_HEAD(requests, tc)
{
	atf_tc_set_md_var(tc, "descr", "filters, multicast, MAC, offloads, RSS, "
	    "keep-alive and reset of the guest arrive at the host");
	atf_tc_set_md_var(tc, "X-feature", "net.vrss net.offload");
}
ATF_TC_BODY(requests, tc)
{
	static const uint8_t mcast[2][6] = { { 1, 0, 0x5e, 0, 0, 1 },
	    { 0x33, 0x33, 0, 0, 0, 1 } };
	static const uint8_t mac[6] = { 2, 0xab, 0xcd, 0xef, 0x90, 0x12 };
	static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	struct hvk_net_rss rss;
	static struct rig r;
	uint32_t i, on;

	rig_make(&r, &guest_config, &host_config);
	rig_start(&r);
	ATF_REQUIRE(!hvk_netvsp_passes(&r.h, all));
	rig_request(&r, hvk_netvsc_set_filter(&r.g, RIG_FILTER, r.now));
	ATF_REQUIRE_EQ(0, r.g.request.status);
	ATF_REQUIRE_EQ(RIG_FILTER, r.g.filter);
	ATF_REQUIRE_EQ(RIG_FILTER, r.h.filter);
	ATF_REQUIRE(hvk_netvsp_passes(&r.h, all));
	ATF_REQUIRE(hvk_netvsp_passes(&r.h, host_config.mac));
	ATF_REQUIRE(!hvk_netvsp_passes(&r.h, mac));
	ATF_REQUIRE(hvk_netvsp_passes(&r.h, mcast[0]));

	rig_request(&r, hvk_netvsc_set_filter(&r.g, HVK_FILTER_DIRECTED |
	    HVK_FILTER_MULTICAST, r.now));
	ATF_REQUIRE(!hvk_netvsp_passes(&r.h, all));
	ATF_REQUIRE(!hvk_netvsp_passes(&r.h, mcast[1]));
	rig_request(&r, hvk_netvsc_set_multicast(&r.g, mcast, 2, r.now));
	ATF_REQUIRE_EQ(2, r.h.nmulticast);
	ATF_REQUIRE(hvk_netvsp_passes(&r.h, mcast[1]));
	rig_request(&r, hvk_netvsc_query(&r.g, HVK_OID_8023_MULTICAST, NULL, 0,
	    r.now));
	ATF_REQUIRE_EQ(12, r.g.request.len);
	ATF_REQUIRE(memcmp(r.g.request.data, mcast, 12) == 0);

	rig_request(&r, hvk_netvsc_set_mac(&r.g, mac, r.now));
	ATF_REQUIRE_EQ(0, r.g.request.status);
	ATF_REQUIRE(memcmp(r.h.mac, mac, 6) == 0);
	ATF_REQUIRE(hvk_netvsp_passes(&r.h, mac));

	on = HVK_OFF_TX_TCP4 | HVK_OFF_RX_TCP4 | HVK_OFF_RX_UDP6 |
	    HVK_OFF_LSO6 | HVK_OFF_RSC4;
	rig_request(&r, hvk_netvsc_set_offloads(&r.g, on, r.now));
	ATF_REQUIRE_EQ(on, r.g.offloads);
	ATF_REQUIRE_EQ(on, r.h.offloads);

	memset(&rss, 0, sizeof(rss));
	rss.enabled = true;
	rss.hash = HVK_RSS_TOEPLITZ | HVK_RSS_IPV4 | HVK_RSS_TCP_IPV4;
	rss.entries = 128;
	for (i = 0; i < 40; i++)
		rss.key[i] = (uint8_t)(i * 7);
	for (i = 0; i < 128; i++)
		rss.table[i] = i % 4;
	rig_request(&r, hvk_netvsc_set_rss(&r.g, &rss, r.now));
	ATF_REQUIRE_EQ(0, r.g.request.status);
	ATF_REQUIRE(memcmp(&rss, &r.h.rss, sizeof(rss)) == 0);
	ATF_REQUIRE_EQ(3, hvk_netvsp_steer(&r.h, 7, 4));
	rss.enabled = false;
	rig_request(&r, hvk_netvsc_set_rss(&r.g, &rss, r.now));
	ATF_REQUIRE_EQ(0, hvk_netvsp_steer(&r.h, 7, 4));
	rss.enabled = true;
	rss.table[5] = 4;
	ATF_REQUIRE_EQ(HVK_RANGE, hvk_netvsc_set_rss(&r.g, &rss, r.now));

	rig_request(&r, hvk_netvsc_query(&r.g, HVK_OID_SUPPORTED_LIST, NULL, 0,
	    r.now));
	ATF_REQUIRE(r.g.request.len >= 40 * 4);
	rig_request(&r, hvk_netvsc_query(&r.g, 0x12345678, NULL, 0, r.now));
	ATF_REQUIRE_EQ(HVK_RNDIS_STATUS_UNSUPPORTED, r.g.request.status);
	rig_request(&r, hvk_netvsc_keepalive(&r.g, r.now));
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_keepalive(&r.g, r.now));
	ATF_REQUIRE_EQ(HVK_AGAIN, hvk_netvsc_keepalive(&r.g, r.now));
	for (i = 0; i < 4; i++)
		rig_turn(&r);
	rig_request(&r, hvk_netvsc_reset(&r.g, r.now));
	ATF_REQUIRE_EQ(0, r.h.filter);
	ATF_REQUIRE_EQ(0, r.g.filter);
	ATF_REQUIRE_EQ(0, r.g.rejected + r.g.late + r.h.refused +
	    r.h.control_bad);
	rig_free(&r);
	printf("figure: net.vrss 128 entries, 4 channels, key and types\n");
	printf("figure: net.offload 14 switches told to the host\n");
}

ATF_TC(soak);
ATF_TC_HEAD(soak, tc)
{
	atf_tc_set_md_var(tc, "descr", "frames of all sizes and mixes of "
	    "information, both ways on four channels, compared byte for byte");
	atf_tc_set_md_var(tc, "X-feature", "net.vlan");
	atf_tc_set_md_var(tc, "timeout", "300");
}
ATF_TC_BODY(soak, tc)
{
	const char *seed = getenv("HVK_SEED");
	static struct rig r;
	uint64_t copied = 0, direct = 0, sent = 0;
	uint32_t i;

	rig_make(&r, &guest_config, &host_config);
	rig_start(&r);
	if (seed != NULL)
		r.seed = strtoull(seed, NULL, 0);
	printf("seed %ju\n", (uintmax_t)r.seed);
	traffic(&r, 20000);
	for (i = 0; i < r.nchan; i++) {
		copied += r.ch[i].tx.copied;
		direct += r.ch[i].direct;
		sent += r.ch[i].tx.sent;
	}
	ATF_REQUIRE(copied > sent);	/* several in one section */
	printf("copied %ju direct %ju packets %ju\n", (uintmax_t)copied,
	    (uintmax_t)direct, (uintmax_t)sent);
	printf("figure: net.vlan %u frames with and without tags\n",
	    2 * 4 * 20000);
	rig_free(&r);
}

ATF_TC(coalesced);
ATF_TC_HEAD(coalesced, tc)
{
	atf_tc_set_md_var(tc, "descr", "frames up to 64 KiB reach a guest of "
	    "MTU 1500 in pieces, and go out whole by pages");
	atf_tc_set_md_var(tc, "X-feature", "net.offload");
}
ATF_TC_BODY(coalesced, tc)
{
	struct hvk_netvsc_config guest = guest_config;
	static struct rig r;

	guest.subchannels = 1;
	rig_make(&r, &guest, &host_config);
	rig_start(&r);
	r.rsc = true;
	r.max_len = 65535;
	traffic(&r, 1500);
	ATF_REQUIRE(r.ch[0].coalesced > 500);
	ATF_REQUIRE_EQ(r.ch[0].coalesced, r.ch[0].rx.coalesced);
	ATF_REQUIRE(r.ch[0].direct > 500);
	rig_free(&r);
}

ATF_TC(steering);
ATF_TC_HEAD(steering, tc)
{
	atf_tc_set_md_var(tc, "descr", "flows are spread by the key and table "
	    "that the guest set: each flow on one channel, all channels used");
	atf_tc_set_md_var(tc, "X-feature", "net.vrss");
}
ATF_TC_BODY(steering, tc)
{
	static struct hvk_toeplitz table;
	static struct rig r;
	struct hvk_net_rss rss;
	uint32_t channel, flow, hash, i, seen[RIG_CHANNELS], type;
	uint64_t rng = 5;
	uint8_t f[64];

	rig_make(&r, &guest_config, &host_config);
	rig_start(&r);
	memset(&rss, 0, sizeof(rss));
	rss.enabled = true;
	rss.hash = host_config.hash;
	rss.entries = 128;
	for (i = 0; i < 40; i++)
		rss.key[i] = (uint8_t)rig_next(&rng);
	for (i = 0; i < 128; i++)
		rss.table[i] = (uint16_t)(1 + i % 3);	/* not the primary */
	rig_request(&r, hvk_netvsc_set_rss(&r.g, &rss, r.now));
	hvk_toeplitz_init(&table, r.h.rss.key);
	memset(seen, 0, sizeof(seen));
	for (flow = 0; flow < 3000; flow++) {
		memset(f, 0, sizeof(f));
		f[12] = 8;
		f[14] = 0x45;
		f[23] = 6;
		for (i = 26; i < 38; i++)
			f[i] = (uint8_t)rig_next(&rng);
		hash = hvk_rss_hash(&table, r.h.rss.hash, f, sizeof(f), &type);
		ATF_REQUIRE_EQ(HVK_RSS_TCP_IPV4, type);
		channel = hvk_netvsp_steer(&r.h, hash, 4);
		seen[channel]++;
		/* What is not hashed does not matter. */
		f[50] ^= 1;
		ATF_REQUIRE_EQ(hash, hvk_rss_hash(&table, r.h.rss.hash, f,
		    sizeof(f), &type));
	}
	ATF_REQUIRE_EQ(0, seen[0]);
	for (i = 1; i < 4; i++)
		ATF_REQUIRE(seen[i] > 800 && seen[i] < 1200);
	rig_free(&r);
}

ATF_TC(notices);
ATF_TC_HEAD(notices, tc)
{
	atf_tc_set_md_var(tc, "descr", "link, speed, network, VF and send table "
	    "notices reach the guest; 1,000 changes of the link become few");
	atf_tc_set_md_var(tc, "X-feature", "net.basic");
}
ATF_TC_BODY(notices, tc)
{
	static struct rig r;
	uint32_t i;

	rig_make(&r, &guest_config, &host_config);
	ATF_REQUIRE_EQ(HVK_STATE, hvk_netvsp_link(&r.h, true, 1000000000));
	rig_start(&r);
	ATF_REQUIRE_EQ(1000000000, r.g.speed);
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsp_link(&r.h, false, 1000000000));
	rig_turn(&r);
	ATF_REQUIRE(!r.g.link);
	ATF_REQUIRE_EQ(1, r.events[HVK_NETVSC_LINK]);
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsp_link(&r.h, true, 25000000000ull));
	rig_turn(&r);
	ATF_REQUIRE(r.g.link);
	ATF_REQUIRE_EQ(25000000000ull, r.g.speed);
	ATF_REQUIRE_EQ(3, r.events[HVK_NETVSC_LINK]);
	for (i = 0; i < 1001; i++)
		ATF_REQUIRE_EQ(HVK_OK, hvk_netvsp_link(&r.h, i % 2 != 0,
		    25000000000ull));
	rig_turn(&r);
	ATF_REQUIRE(!r.g.link);
	ATF_REQUIRE_EQ(4, r.events[HVK_NETVSC_LINK]);
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsp_network_change(&r.h));
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsp_vf(&r.h, true, 77));
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsp_send_table(&r.h, 3));
	rig_turn(&r);
	ATF_REQUIRE_EQ(1, r.events[HVK_NETVSC_NETWORK]);
	ATF_REQUIRE_EQ(1, r.events[HVK_NETVSC_VF]);
	ATF_REQUIRE_EQ(77, r.g.vf_serial);
	ATF_REQUIRE_EQ(1, r.events[HVK_NETVSC_SEND_TABLE]);
	ATF_REQUIRE_EQ(2, hvk_netvsc_pick(&r.g, 5, 4));
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_data_path(&r.g, true));
	rig_turn(&r);
	ATF_REQUIRE_EQ(HVK_NVSP_PATH_VF, r.h.path);
	ATF_REQUIRE_EQ(HVK_OK, hvk_netvsc_data_path(&r.g, false));
	rig_turn(&r);
	ATF_REQUIRE_EQ(HVK_NVSP_PATH_SYNTHETIC, r.h.path);
	ATF_REQUIRE_EQ(0, r.g.rejected);
	rig_free(&r);
}

ATF_TC(spoilt);
ATF_TC_HEAD(spoilt, tc)
{
	atf_tc_set_md_var(tc, "descr", "bytes of both buffers change under "
	    "traffic: frames are refused or wrong, nothing else is, and every "
	    "section, slot and send comes back");
	atf_tc_set_md_var(tc, "timeout", "300");
}
ATF_TC_BODY(spoilt, tc)
{
	struct hvk_netvsc_config guest = guest_config;
	static struct rig r;
	uint64_t rng = 11;
	uint32_t i, k, turn;

	guest.subchannels = 1;
	rig_make(&r, &guest, &host_config);
	rig_start(&r);
	r.spoilt = true;
	r.rsc = true;
	r.max_len = 5000;
	for (turn = 0; turn < 20000; turn++) {
		i = turn % r.nchan;
		for (k = rig_next(&rng) % 12; k > 0; k--)
			(void)rig_guest_send(&r, i);
		(void)rig_guest_flush(&r.ch[i]);
		(void)rig_host_send(&r, i, 1 + (uint32_t)rig_next(&rng) % 8);
		/* Headers are where it hurts; any value, also small ones. */
		for (k = 0; k < 60; k++) {
			uint8_t value = (uint8_t)(rig_next(&rng) % 2 == 0 ?
			    rig_next(&rng) : rig_next(&rng) % 3);

			r.send[rig_next(&rng) % r.g.send_count *
			    r.g.send_size + rig_next(&rng) % 100] = value;
			r.recv[rig_next(&rng) % r.g.recv.count *
			    r.g.recv.size + rig_next(&rng) % 100] = value;
		}
		rig_host(&r, i);
		rig_guest(&r, i);
	}
	for (k = 0; k < 8; k++)
		rig_turn(&r);
	ATF_REQUIRE(r.refused > 1000);
	for (i = 0; i < r.nchan; i++) {
		ATF_REQUIRE(r.ch[i].gsent > 10000);
		ATF_REQUIRE(r.ch[i].hsent > 10000);
		ATF_REQUIRE_EQ(0, r.ch[i].tx.busy);
		ATF_REQUIRE_EQ(0, r.ch[i].q.busy);
		ATF_REQUIRE_EQ(r.ch[i].tx.config.count,
		    r.ch[i].tx.sections_free);
		ATF_REQUIRE_EQ(r.ch[i].q.nslots, r.ch[i].q.slots_free +
		    (r.ch[i].q.held != 0xffff));
	}
	printf("refused %ju\n", (uintmax_t)r.refused);
	rig_free(&r);
}

ATF_TC(removed);
ATF_TC_HEAD(removed, tc)
{
	atf_tc_set_md_var(tc, "descr", "the interface goes away in the middle "
	    "of traffic: every send ends once, and it starts again");
	atf_tc_set_md_var(tc, "X-feature", "net.hotplug");
}
ATF_TC_BODY(removed, tc)
{
	struct hvk_netvsc_sent sent;
	static struct rig r;
	uint32_t i, k, n, round;

	rig_make(&r, &guest_config, &host_config);
	for (round = 0; round < 50; round++) {
		r.seed = round;
		hvk_netvsc_init(&r.g, &guest_config);
		rig_start(&r);
		traffic(&r, 20);
		for (i = 0; i < r.nchan; i++) {
			for (k = 0; k < 40 && rig_guest_send(&r, i); k++)
				continue;
			if (round % 2 == 0)
				(void)rig_guest_flush(&r.ch[i]);
			(void)rig_host_send(&r, i, 20);
		}
		hvk_netvsc_stop(&r.g);
		ATF_REQUIRE_EQ(HVK_NETVSC_FAILED, r.g.phase);
		ATF_REQUIRE_EQ(HVK_STATE, hvk_netvsc_start(&r.g, 0));
		for (i = 0; i < r.nchan; i++) {
			for (n = 0; hvk_netvsc_tx_end(&r.ch[i].tx, &sent); n++)
				rig_guest_sent(&sent);
			ATF_REQUIRE(n > 0);
			ATF_REQUIRE_EQ(0, r.ch[i].tx.busy);
			for (k = 0; k < RIG_BUFS; k++)
				ATF_REQUIRE(!r.ch[i].bufs[k].busy);
		}
		hvk_netvsp_reset(&r.h);
		for (k = 0; k < RIG_CHANNELS; k++)
			rig_chan_rings(&r.ch[k]);
		r.nchan = 1;
	}
	rig_free(&r);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, versions);
	ATF_TP_ADD_TC(tp, mtu);
	ATF_TP_ADD_TC(tp, requests);
	ATF_TP_ADD_TC(tp, soak);
	ATF_TP_ADD_TC(tp, coalesced);
	ATF_TP_ADD_TC(tp, steering);
	ATF_TP_ADD_TC(tp, notices);
	ATF_TP_ADD_TC(tp, spoilt);
	ATF_TP_ADD_TC(tp, removed);
	return (atf_no_error());
}
