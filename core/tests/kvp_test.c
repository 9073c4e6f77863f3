/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Key-value pairs: every operation in every version from host to guest and
 * back, every size of a key and a value, and messages no honest host sends.
 */
#include <stdio.h>
#include <stdlib.h>

#include <hvk/kvp.h>

#include "ic_rig.h"

static struct ic_pair pair;
static struct hvk_kvp_item out, got, answer, back;

static const uint32_t versions[] = { HVK_IC_VERSION(3, 0),
    HVK_IC_VERSION(4, 0), HVK_IC_VERSION(5, 0) };

/* Host to guest; HVK_* of the first that does not agree. */
static int
ask(void)
{
	int error;

	ATF_REQUIRE_EQ(HVK_OK, hvk_ic_host_request(&pair.host, 0, 9, 0,
	    &pair.to_guest));
	error = hvk_kvp_request(&pair.to_guest, pair.host.version, &out);
	if (error != HVK_OK) {
		pair.host.waiting = false;
		return (error);
	}
	ATF_REQUIRE_EQ(HVK_IC_SERVE, ic_deliver(&pair));
	return (hvk_kvp_parse(&pair.got, pair.guest.version, &got));
}

static int
reply(void)
{
	int error;

	error = hvk_kvp_answer(&pair.got, pair.guest.version, &answer);
	hvk_ic_answer(&pair.got, error == HVK_OK ? HVK_IC_OK : HVK_IC_FAIL);
	ATF_REQUIRE_EQ(HVK_IC_HOST_REPLY, ic_return(&pair, &pair.got));
	if (error != HVK_OK)
		return (error);
	memset(&back, 0, sizeof(back));
	back.op = out.op;
	return (hvk_kvp_result(&pair.to_host, pair.host.version, &back));
}

static void
start(uint8_t op, uint8_t pool)
{
	memset(&out, 0, sizeof(out));
	memset(&answer, 0, sizeof(answer));
	out.op = answer.op = op;
	out.pool = pool;
	out.type = answer.type = HVK_KVP_STRING;
}

ATF_TC(operations);
ATF_TC_HEAD(operations, tc)
{
	atf_tc_set_md_var(tc, "descr", "get, set, delete, enumerate in five "
	    "pools and three versions");
	atf_tc_set_md_var(tc, "X-feature", "ic.kvp");
}
ATF_TC_BODY(operations, tc)
{
	uint32_t v, n = 0;
	uint8_t pool;

	for (v = 0; v < HVK_COUNT(versions); v++) {
		ic_agree(&pair, HVK_IC_KVP, versions[v]);
		for (pool = 0; pool < HVK_KVP_NPOOLS; pool++, n += 4) {
			start(HVK_KVP_SET, pool);
			strcpy(out.key, "key");
			strcpy(out.value, "w\xc3\xb6rld \xf0\x9f\x98\x80");
			ATF_REQUIRE_EQ(HVK_OK, ask());
			ATF_CHECK_EQ(HVK_KVP_SET, got.op);
			ATF_CHECK_EQ(pool, got.pool);
			ATF_CHECK_STREQ(out.key, got.key);
			ATF_CHECK_STREQ(out.value, got.value);
			ATF_REQUIRE_EQ(HVK_OK, reply());
			start(HVK_KVP_GET, pool);
			strcpy(out.key, "key");
			strcpy(answer.value, "\xe2\x82\xac");
			ATF_REQUIRE_EQ(HVK_OK, ask());
			ATF_CHECK_STREQ("key", got.key);
			ATF_REQUIRE_EQ(HVK_OK, reply());
			ATF_CHECK_STREQ("\xe2\x82\xac", back.value);
			start(HVK_KVP_DELETE, pool);
			strcpy(out.key, "key");
			ATF_REQUIRE_EQ(HVK_OK, ask());
			ATF_CHECK_EQ(HVK_KVP_DELETE, got.op);
			ATF_CHECK_STREQ("key", got.key);
			ATF_REQUIRE_EQ(HVK_OK, reply());
			start(HVK_KVP_ENUMERATE, pool);
			out.index = 0xfffffff0u + pool;
			strcpy(answer.key, "k");
			strcpy(answer.value, "");
			ATF_REQUIRE_EQ(HVK_OK, ask());
			ATF_CHECK_EQ(out.index, got.index);
			ATF_REQUIRE_EQ(HVK_OK, reply());
			ATF_CHECK_STREQ("k", back.key);
			ATF_CHECK_STREQ("", back.value);
		}
		start(HVK_KVP_GET, HVK_KVP_NPOOLS);
		strcpy(out.key, "key");
		ATF_CHECK_EQ(HVK_RANGE, ask());
		start(HVK_KVP_NOPS, 0);
		ATF_CHECK_EQ(HVK_RANGE, ask());
		start(HVK_KVP_GET_IP, 0);
		ATF_CHECK_EQ(v == 0 ? HVK_RANGE : HVK_OK, ask());
	}
	printf("figure: ic.kvp %u operations in %zu versions\n", n,
	    HVK_COUNT(versions));
}

ATF_TC_WITHOUT_HEAD(numbers);
ATF_TC_BODY(numbers, tc)
{
	static const struct {
		uint32_t type;
		const char *text;
		bool ok;
	} n[] = {
		{ HVK_KVP_U32, "0", true },
		{ HVK_KVP_U32, "4294967295", true },
		{ HVK_KVP_U32, "4294967296", false },
		{ HVK_KVP_U32, "-1", false },
		{ HVK_KVP_U32, "", false },
		{ HVK_KVP_U32, "1x", false },
		{ HVK_KVP_U64, "18446744073709551615", true },
		{ HVK_KVP_U64, "18446744073709551616", false },
		{ HVK_KVP_U64, "184467440737095516150", false },
		{ HVK_KVP_U64_OLD, "18446744073709551615", true },
		{ HVK_KVP_EXPAND_STRING, "%PATH%", true },
		{ 3, "1", false },
	};
	uint32_t i;

	ic_agree(&pair, HVK_IC_KVP, 0);
	for (i = 0; i < HVK_COUNT(n); i++) {
		start(HVK_KVP_SET, 0);
		strcpy(out.key, "n");
		strcpy(out.value, n[i].text);
		out.type = n[i].type;
		ATF_CHECK_EQ_MSG(n[i].ok ? HVK_OK : HVK_RANGE, ask(),
		    "type %u, '%s'", n[i].type, n[i].text);
		if (!n[i].ok)
			continue;
		ATF_CHECK_STREQ(n[i].text, got.value);
		ATF_CHECK_EQ(n[i].type, got.type);
		ATF_REQUIRE_EQ(HVK_OK, reply());
	}
}

/* n characters of `bytes' bytes each. */
static void
fill(char *to, uint32_t n, const char *character)
{
	size_t bytes = strlen(character);

	for (; n > 0; n--, to += bytes)
		memcpy(to, character, bytes);
	*to = '\0';
}

ATF_TC(sizes);
ATF_TC_HEAD(sizes, tc)
{
	atf_tc_set_md_var(tc, "descr", "keys and values of every length, to "
	    "the last that fits and one more");
}
ATF_TC_BODY(sizes, tc)
{
	/* Characters and how many units each is. */
	static const struct { const char *c; uint32_t units; } kind[] = {
		{ "a", 1 }, { "\xc3\xb6", 1 }, { "\xe2\x82\xac", 1 },
		{ "\xf0\x9f\x98\x80", 2 },
	};
	uint32_t k, n, max;

	ic_agree(&pair, HVK_IC_KVP, 0);
	for (k = 0; k < HVK_COUNT(kind); k++) {
		max = 255 / kind[k].units;
		for (n = 1; n <= max; n++) {
			start(HVK_KVP_GET, 0);
			fill(out.key, n, kind[k].c);
			ATF_REQUIRE_EQ(HVK_OK, ask());
			ATF_REQUIRE_STREQ(out.key, got.key);
			fill(answer.value, n, kind[k].c);
			ATF_REQUIRE_EQ(HVK_OK, reply());
			ATF_REQUIRE_STREQ(answer.value, back.value);
		}
		if (strlen(kind[k].c) < 3) {
			start(HVK_KVP_GET, 0);
			fill(out.key, max + 1, kind[k].c);
			ATF_CHECK_EQ(HVK_NOSPACE, ask());
		}
		max = 1023 / kind[k].units;
		for (n = max - 3; n <= max; n++) {
			start(HVK_KVP_SET, 0);
			strcpy(out.key, "k");
			fill(out.value, n, kind[k].c);
			ATF_REQUIRE_EQ(HVK_OK, ask());
			ATF_REQUIRE_STREQ(out.value, got.value);
			ATF_REQUIRE_EQ(HVK_OK, reply());
		}
		if (strlen(kind[k].c) < 3) {
			start(HVK_KVP_SET, 0);
			strcpy(out.key, "k");
			fill(out.value, max + 1, kind[k].c);
			ATF_CHECK_EQ(HVK_NOSPACE, ask());
			/* The guest's answer does not fit either. */
			start(HVK_KVP_GET, 0);
			strcpy(out.key, "k");
			ATF_REQUIRE_EQ(HVK_OK, ask());
			fill(answer.value, max + 1, kind[k].c);
			ATF_CHECK_EQ(HVK_NOSPACE, reply());
		}
	}
}

static void
poke32(uint32_t at, uint32_t value)
{
	memcpy(hvk_ic_body(&pair.to_guest) + at, &value, 4);
}

static int
again(void)
{
	ATF_REQUIRE_EQ(HVK_IC_SERVE, ic_deliver(&pair));
	return (hvk_kvp_parse(&pair.got, pair.guest.version, &got));
}

ATF_TC(hostile);
ATF_TC_HEAD(hostile, tc)
{
	atf_tc_set_md_var(tc, "descr", "sizes, types and lengths that lie");
}
ATF_TC_BODY(hostile, tc)
{
	uint32_t len, op;

	ic_agree(&pair, HVK_IC_KVP, 0);
	start(HVK_KVP_SET, 0);
	strcpy(out.key, "key");
	strcpy(out.value, "value");
	ATF_REQUIRE_EQ(HVK_OK, ask());
	/* Sizes beyond the arrays; odd; zero; without a terminator. */
	poke32(8, 513);
	ATF_CHECK_EQ(HVK_REJECT, again());
	poke32(8, 0xffffffff);
	ATF_CHECK_EQ(HVK_REJECT, again());
	poke32(8, 0);
	ATF_CHECK_EQ(HVK_REJECT, again());	/* an empty key */
	poke32(8, 3);
	ATF_CHECK_EQ(HVK_OK, again());
	ATF_CHECK_STREQ("k", got.key);
	poke32(8, 6);
	ATF_CHECK_EQ(HVK_OK, again());
	ATF_CHECK_STREQ("key", got.key);
	poke32(12, 2049);
	ATF_CHECK_EQ(HVK_REJECT, again());
	poke32(12, 0x80000000);
	ATF_CHECK_EQ(HVK_REJECT, again());
	poke32(12, 0);
	ATF_CHECK_EQ(HVK_OK, again());
	ATF_CHECK_STREQ("", got.value);
	/* Full arrays without any end. */
	memset(hvk_ic_body(&pair.to_guest) + 16, 0x41, 512 + 2048);
	poke32(8, 512);
	poke32(12, 2048);
	ATF_CHECK_EQ(HVK_REJECT, again());	/* 256 units are no key */
	poke32(8, 510);
	poke32(12, 2046);
	ATF_CHECK_EQ(HVK_OK, again());
	ATF_CHECK_EQ(255 * 3, strlen(got.key));
	poke32(4, 7);				/* a type nobody has */
	ATF_CHECK_EQ(HVK_REJECT, again());
	/* Operations and pools. */
	poke32(4, HVK_KVP_STRING);
	hvk_ic_body(&pair.to_guest)[1] = 5;
	ATF_CHECK_EQ(HVK_REJECT, again());
	hvk_ic_body(&pair.to_guest)[1] = 0;
	for (op = HVK_KVP_NOPS; op < 256; op++) {
		hvk_ic_body(&pair.to_guest)[0] = (uint8_t)op;
		ATF_CHECK_EQ(HVK_RANGE, again());
	}
	/* Every operation at every length. */
	for (op = 0; op < HVK_KVP_NOPS; op++) {
		for (len = 0; len < HVK_KVP_BODY; len += len < 32 ? 1 : 61) {
			struct hvk_ic_header h = { .type = HVK_IC_KVP };

			ATF_REQUIRE_EQ(HVK_OK, hvk_ic_make(&pair.to_guest, &h,
			    len));
			if (len > 0)
				hvk_ic_body(&pair.to_guest)[0] = (uint8_t)op;
			if (again() != HVK_OK)
				continue;
			ATF_CHECK(len >= (op == HVK_KVP_ENUMERATE ? 8 :
			    op >= HVK_KVP_GET_IP ? 4740 : 8));
			/* Zeroes are a key of no characters. */
			ATF_CHECK(op >= HVK_KVP_ENUMERATE);
		}
	}
}

static void
config(const char *adapter, uint8_t family, const char *addresses,
    const char *masks, const char *gateways, const char *dns)
{
	struct hvk_kvp_config *c = &out.config;

	start(HVK_KVP_SET_IP, 0);
	strcpy(c->adapter, adapter);
	c->family = family;
	strcpy(c->addresses, addresses);
	strcpy(c->masks, masks);
	strcpy(c->gateways, gateways);
	strcpy(c->dns, dns);
}

ATF_TC(ip);
ATF_TC_HEAD(ip, tc)
{
	atf_tc_set_md_var(tc, "descr", "a network configuration in strings "
	    "and in binary, there and back");
	atf_tc_set_md_var(tc, "X-feature", "net.staticip");
}
ATF_TC_BODY(ip, tc)
{
	const char *guid = "{01234567-89ab-cdef-0123-456789abcdef}";
	uint32_t v;

	for (v = 1; v < HVK_COUNT(versions); v++) {
		ic_agree(&pair, HVK_IC_KVP, versions[v]);
		config(guid, HVK_KVP_FAMILY_BOTH,
		    "192.0.2.5;198.51.100.9;2001:db8::5",
		    "255.255.255.0;255.255.0.0;/64", "192.0.2.1;fe80::1",
		    "192.0.2.53;2001:db8::53");
		ATF_REQUIRE_EQ(HVK_OK, ask());
		ATF_CHECK_STREQ(guid, got.config.adapter);
		ATF_CHECK_EQ(HVK_KVP_FAMILY_BOTH, got.config.family);
		ATF_CHECK_EQ(0, got.config.dhcp);
		ATF_CHECK_STREQ(out.config.addresses, got.config.addresses);
		ATF_CHECK_STREQ(out.config.masks, got.config.masks);
		ATF_CHECK_STREQ(out.config.gateways, got.config.gateways);
		ATF_CHECK_STREQ(out.config.dns, got.config.dns);
		ATF_REQUIRE_EQ(HVK_OK, reply());
		/* What the guest has. */
		start(HVK_KVP_GET_IP, 0);
		answer.config.dhcp = 1;
		strcpy(out.config.adapter, "00-15-5D-00-00-01");
		strcpy(answer.config.addresses, "192.0.2.7");
		strcpy(answer.config.masks, "255.255.255.252");
		ATF_REQUIRE_EQ(HVK_OK, ask());
		ATF_CHECK_STREQ("00-15-5D-00-00-01", got.config.adapter);
		ATF_REQUIRE_EQ(HVK_OK, reply());
		ATF_CHECK_EQ(1, back.config.dhcp);
		ATF_CHECK_STREQ("192.0.2.7", back.config.addresses);
		ATF_CHECK_STREQ("255.255.255.252", back.config.masks);
	}
}

ATF_TC_WITHOUT_HEAD(ip_binary);
ATF_TC_BODY(ip_binary, tc)
{
	char many[2048] = "";
	uint32_t i, n;

	ic_agree(&pair, HVK_IC_KVP, HVK_IC_VERSION(5, 0));
	/* What is no address goes, with its mask; families are sorted. */
	config("a", 3, "2001:db8::1;bad;192.0.2.1;fe80::2%hn0",
	    "/64;/1;/24;64", "x;1.2.3", ";;;");
	ATF_REQUIRE_EQ(HVK_OK, ask());
	ATF_CHECK_STREQ("192.0.2.1;2001:db8::1;fe80::2",
	    got.config.addresses);
	ATF_CHECK_STREQ("255.255.255.0;/64;/64", got.config.masks);
	ATF_CHECK_STREQ("", got.config.gateways);
	ATF_CHECK_STREQ("", got.config.dns);
	ATF_REQUIRE_EQ(HVK_OK, reply());
	/* A list that is too long loses its end. */
	for (i = 0; i < 70; i++)
		snprintf(many + strlen(many), sizeof(many) - strlen(many),
		    "%s10.0.0.%u", i != 0 ? ";" : "", i);
	config("a", 1, many, "", many, many);
	ATF_REQUIRE_EQ(HVK_OK, ask());
	for (i = 0, n = 1; got.config.addresses[i] != '\0'; i++)
		n += got.config.addresses[i] == ';';
	ATF_CHECK_EQ(64, n);
	for (i = 0, n = 1; got.config.gateways[i] != '\0'; i++)
		n += got.config.gateways[i] == ';';
	ATF_CHECK_EQ(5, n);
	ATF_REQUIRE_EQ(HVK_OK, reply());
	/* Counts that lie, each of the six. */
	for (i = 0; i < 6; i++) {
		config("a", 1, "10.0.0.1", "/8", "10.0.0.2", "10.0.0.3");
		ATF_REQUIRE_EQ(HVK_OK, ask());
		poke32(4 + 4 * i, i == 2 || i == 3 ? 6 : 65);
		ATF_CHECK_EQ(HVK_REJECT, again());
		poke32(4 + 4 * i, 0xffffffff);
		ATF_CHECK_EQ(HVK_REJECT, again());
		pair.host.waiting = false;
	}
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, operations);
	ATF_TP_ADD_TC(tp, numbers);
	ATF_TP_ADD_TC(tp, sizes);
	ATF_TP_ADD_TC(tp, hostile);
	ATF_TP_ADD_TC(tp, ip);
	ATF_TP_ADD_TC(tp, ip_binary);
	return (atf_no_error());
}
