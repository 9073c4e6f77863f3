/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * Control messages: golden bytes, every line of the table at every length and
 * version, and the printed form.
 */

#include <string.h>

#include <atf-c.h>

#include <hvk/message.h>
#include <hvk/guid.h>

ATF_TC(golden);
ATF_TC_HEAD(golden, tc)
{
	atf_tc_set_md_var(tc, "descr", "messages encode to known bytes and "
	    "known bytes parse");
}
ATF_TC_BODY(golden, tc)
{
	static const uint8_t close[] = { 7, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0 };
	static const uint8_t unload[] = { 16, 0, 0, 0, 0, 0, 0, 0 };
	static const uint8_t gpadl[] = { 8, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0,
	    1, 0, 0, 0, 7, 0, 6, 0, 0x0a, 0x0b, 0x0c, 0x0d };
	struct hvk_message m;
	uint8_t out[HVK_MESSAGE_PAYLOAD];
	uint32_t len;

	hvk_message_init(&m, HVK_MSG_CLOSE);
	m.close.relid = 5;
	ATF_CHECK_EQ(HVK_OK, hvk_message_encode(&m, HVK_TO_HOST,
	    HVK_VERSION_2_4, out, sizeof(out), &len));
	ATF_CHECK_EQ(sizeof(close), len);
	ATF_CHECK(memcmp(out, close, sizeof(close)) == 0);
	hvk_message_init(&m, HVK_MSG_UNLOAD);
	ATF_CHECK_EQ(HVK_OK, hvk_message_encode(&m, HVK_TO_HOST,
	    HVK_VERSION_6_0, out, sizeof(out), &len));
	ATF_CHECK_EQ(sizeof(unload), len);
	ATF_CHECK(memcmp(out, unload, sizeof(unload)) == 0);
	ATF_REQUIRE_EQ(HVK_OK, hvk_message_parse(gpadl, sizeof(gpadl),
	    HVK_TO_HOST, HVK_VERSION_6_0, &m));
	ATF_CHECK_EQ(5, m.gpadl_header.relid);
	ATF_CHECK_EQ(1, m.gpadl_header.gpadl);
	ATF_CHECK_EQ(7, m.gpadl_header.range_bytes);
	ATF_CHECK_EQ(6, m.gpadl_header.range_count);
	ATF_CHECK_EQ(24, m.len);
	ATF_CHECK(memcmp(m.bytes + 20, gpadl + 20, 4) == 0);
	ATF_CHECK_EQ(0, m.bytes[24]);
}

ATF_TC(table);
ATF_TC_HEAD(table, tc)
{
	atf_tc_set_md_var(tc, "descr", "each of the 29 messages is accepted "
	    "from its size and version on, one way only, and comes back");
	atf_tc_set_md_var(tc, "X-feature", "core.versions");
}
ATF_TC_BODY(table, tc)
{
	static const uint32_t versions[] = { 0, HVK_VERSION_0_13,
	    HVK_VERSION_1_1, HVK_VERSION_2_4, HVK_VERSION_3_0, HVK_VERSION_4_0,
	    HVK_VERSION_4_1, HVK_VERSION_5_0, HVK_VERSION_5_1, HVK_VERSION_5_2,
	    HVK_VERSION_5_3, HVK_VERSION_6_0 };
	const struct hvk_message_info *info;
	struct hvk_message again, m;
	uint8_t bytes[HVK_MESSAGE_PAYLOAD + 1], out[HVK_MESSAGE_PAYLOAD];
	enum hvk_direction there, wrong;
	uint32_t i, len, n, outlen, type;
	int error;

	n = 0;
	for (type = 0; type < 64; type++) {
		info = hvk_message_info(type);
		memset(bytes, 0, sizeof(bytes));
		for (i = 8; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)(i * 11 + type);
		bytes[0] = (uint8_t)type;
		if (info == NULL) {
			ATF_CHECK_EQ(HVK_REJECT, hvk_message_parse(bytes, 240,
			    HVK_TO_HOST, HVK_VERSION_6_0, &m));
			continue;
		}
		n++;
		there = (enum hvk_direction)info->direction;
		wrong = there == HVK_TO_HOST ? HVK_TO_GUEST : HVK_TO_HOST;
		for (i = 0; i < HVK_COUNT(versions); i++)
			for (len = 0; len <= sizeof(bytes); len++) {
				error = hvk_message_parse(bytes, len, there,
				    versions[i], &m);
				ATF_REQUIRE_EQ(HVK_REJECT, hvk_message_parse(
				    bytes, len, wrong, versions[i], &again));
				if (len < info->min || len > 240 ||
				    versions[i] < info->version) {
					ATF_REQUIRE_EQ(HVK_REJECT, error);
					continue;
				}
				ATF_REQUIRE_EQ(HVK_OK, error);
				ATF_REQUIRE(m.len >= info->min &&
				    m.len <= info->max && m.len <= len);
				ATF_REQUIRE(memcmp(bytes, m.bytes, m.len) == 0);
				ATF_REQUIRE(m.len == 240 ||
				    m.bytes[m.len] == 0);
				ATF_REQUIRE_EQ(HVK_OK, hvk_message_encode(&m,
				    there, versions[i], out, sizeof(out),
				    &outlen));
				ATF_REQUIRE_EQ(m.len, outlen);
				ATF_REQUIRE(memcmp(out, bytes, outlen) == 0);
				ATF_REQUIRE_EQ(HVK_RANGE, hvk_message_encode(
				    &m, there, versions[i], out, m.len - 1,
				    &outlen));
			}
	}
	ATF_CHECK_EQ(29, n);
}

ATF_TC(forms);
ATF_TC_HEAD(forms, tc)
{
	atf_tc_set_md_var(tc, "descr", "an optional part that was cut off "
	    "counts as absent");
}
ATF_TC_BODY(forms, tc)
{
	static const struct {
		uint8_t type, there, len, form;
	} cases[] = {
		{ HVK_MSG_OPEN, HVK_TO_HOST, 148, 148 },
		{ HVK_MSG_OPEN, HVK_TO_HOST, 155, 148 },
		{ HVK_MSG_OPEN, HVK_TO_HOST, 156, 156 },
		{ HVK_MSG_OPEN, HVK_TO_HOST, 240, 156 },
		{ HVK_MSG_INITIATE_CONTACT, HVK_TO_HOST, 55, 40 },
		{ HVK_MSG_INITIATE_CONTACT, HVK_TO_HOST, 56, 56 },
		{ HVK_MSG_VERSION_RESPONSE, HVK_TO_GUEST, 19, 16 },
		{ HVK_MSG_VERSION_RESPONSE, HVK_TO_GUEST, 20, 20 },
		{ HVK_MSG_VERSION_RESPONSE, HVK_TO_GUEST, 39, 20 },
		{ HVK_MSG_VERSION_RESPONSE, HVK_TO_GUEST, 40, 40 },
		{ HVK_MSG_TL_CONNECT_REQUEST, HVK_TO_HOST, 55, 40 },
		{ HVK_MSG_MODIFY_CONNECTION_RESPONSE, HVK_TO_GUEST, 12, 9 },
	};
	struct hvk_message m;
	uint8_t bytes[HVK_MESSAGE_PAYLOAD];
	unsigned int i;

	for (i = 0; i < HVK_COUNT(cases); i++) {
		memset(bytes, 0xff, sizeof(bytes));
		memset(bytes, 0, 8);
		bytes[0] = cases[i].type;
		ATF_CHECK_EQ(HVK_OK, hvk_message_parse(bytes, cases[i].len,
		    (enum hvk_direction)cases[i].there, HVK_VERSION_6_0, &m));
		ATF_CHECK_EQ_MSG(cases[i].form, m.len, "case %u: %u", i,
		    m.len);
		ATF_CHECK(m.bytes[m.len] == 0);
	}
}

ATF_TC(dump);
ATF_TC_HEAD(dump, tc)
{
	atf_tc_set_md_var(tc, "descr", "messages print their fields, and stop "
	    "at the end of any buffer");
}
ATF_TC_BODY(dump, tc)
{
	static const struct hvk_guid scsi = HVK_GUID_SCSI;
	struct hvk_message m;
	char small[32], text[512];
	uint32_t cap, type;

	hvk_message_init(&m, HVK_MSG_CLOSE);
	m.close.relid = 4294967295u;
	hvk_message_dump(&m, text, sizeof(text));
	ATF_CHECK_STREQ("CLOSE relid 4294967295", text);
	hvk_message_init(&m, HVK_MSG_INITIATE_CONTACT);
	m.initiate_contact.version = HVK_VERSION_5_3;
	m.initiate_contact.monitor_in = 0x123456789a000;
	hvk_message_dump(&m, text, sizeof(text));
	ATF_CHECK_STREQ("INITIATE_CONTACT version 5.3 target_vp 0 "
	    "interrupt_page 0x0 monitor_in 0x123456789a000 monitor_out 0x0",
	    text);
	hvk_message_init(&m, HVK_MSG_OFFER);
	m.offer.type = scsi;
	hvk_message_dump(&m, text, sizeof(text));
	ATF_CHECK(strstr(text, " type ba6163d9-04a1-4d29-b605-72e2ffb1dc7f "
	    "(scsi) instance 00000000-") != NULL);
	for (type = 0; type < 40; type++) {
		hvk_message_init(&m, type);
		memset(m.bytes, 0xff, sizeof(m.bytes));
		m.len = 240;
		ATF_CHECK(hvk_message_dump(&m, text, sizeof(text)) > 0);
		ATF_CHECK_EQ(0, hvk_message_dump(&m, NULL, 0));
		for (cap = 1; cap < sizeof(small); cap++) {
			memset(small, 'x', sizeof(small));
			ATF_REQUIRE(hvk_message_dump(&m, small, cap) < cap);
			ATF_REQUIRE(strlen(small) < cap);
			ATF_REQUIRE_EQ('x', small[cap]);
		}
	}
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, golden);
	ATF_TP_ADD_TC(tp, table);
	ATF_TP_ADD_TC(tp, forms);
	ATF_TP_ADD_TC(tp, dump);
	return (atf_no_error());
}
