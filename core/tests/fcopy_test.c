/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * File copy: every message there and back, every size, and messages no honest
 * host sends.
 */
#include <hvk/fcopy.h>

#include "ic_rig.h"

static struct ic_pair pair;
static struct hvk_fcopy_item out, got;
static uint8_t data[HVK_FCOPY_FRAGMENT + 1];

static int
send_item(void)
{
	int error;

	ATF_REQUIRE_EQ(HVK_OK, hvk_ic_host_request(&pair.host, 0, 9, 0,
	    &pair.to_guest));
	pair.host.waiting = false;
	error = hvk_fcopy_request(&pair.to_guest, &out);
	if (error != HVK_OK)
		return (error);
	ATF_REQUIRE_EQ(HVK_IC_SERVE, ic_deliver(&pair));
	return (hvk_fcopy_parse(&pair.got, &got));
}

static int
again(void)
{
	ATF_REQUIRE_EQ(HVK_IC_SERVE, ic_deliver(&pair));
	return (hvk_fcopy_parse(&pair.got, &got));
}

ATF_TC(messages);
ATF_TC_HEAD(messages, tc)
{
	atf_tc_set_md_var(tc, "descr", "start, write, complete, cancel");
	atf_tc_set_md_var(tc, "X-feature", "ic.fcopy");
}
ATF_TC_BODY(messages, tc)
{
	uint32_t i, len;

	ic_agree(&pair, HVK_IC_FCOPY, 0);
	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	memset(&out, 0, sizeof(out));
	out.op = HVK_FCOPY_START;
	out.flags = HVK_FCOPY_OVERWRITE | HVK_FCOPY_CREATE_PATH;
	out.size = UINT64_MAX;
	strcpy(out.name, "na\xc3\xafve \xf0\x9f\x98\x80.txt");
	strcpy(out.path, "/a/b");
	ATF_REQUIRE_EQ(HVK_OK, send_item());
	ATF_CHECK_EQ(HVK_FCOPY_START, got.op);
	ATF_CHECK_EQ(out.flags, got.flags);
	ATF_CHECK_EQ(out.size, got.size);
	ATF_CHECK_STREQ(out.name, got.name);
	ATF_CHECK_STREQ(out.path, got.path);
	for (len = 0; len <= HVK_FCOPY_FRAGMENT; len += len < 8 ? 1 : 511) {
		memset(&out, 0, sizeof(out));
		out.op = HVK_FCOPY_WRITE;
		out.offset = (uint64_t)len << 32;
		out.data = data;
		out.len = len;
		ATF_REQUIRE_EQ(HVK_OK, send_item());
		ATF_REQUIRE_EQ(len, got.len);
		ATF_REQUIRE_EQ(out.offset, got.offset);
		ATF_REQUIRE_EQ(0, memcmp(data, got.data, len));
	}
	out.len = HVK_FCOPY_FRAGMENT + 1;
	ATF_CHECK_EQ(HVK_RANGE, send_item());
	for (i = HVK_FCOPY_COMPLETE; i <= HVK_FCOPY_CANCEL; i++) {
		memset(&out, 0, sizeof(out));
		out.op = i;
		ATF_REQUIRE_EQ(HVK_OK, send_item());
		ATF_CHECK_EQ(i, got.op);
	}
	out.op = HVK_FCOPY_NOPS;
	ATF_CHECK_EQ(HVK_RANGE, send_item());
}

ATF_TC_WITHOUT_HEAD(names);
ATF_TC_BODY(names, tc)
{
	uint32_t n;

	ic_agree(&pair, HVK_IC_FCOPY, 0);
	for (n = 1; n <= 260; n++) {
		memset(&out, 0, sizeof(out));
		for (uint32_t i = 0; i < n; i++)
			memcpy(out.name + 3 * i, "\xe2\x82\xac", 3);
		ATF_CHECK_EQ(n < 260 ? HVK_OK : HVK_NOSPACE, send_item());
		if (n < 260)
			ATF_CHECK_STREQ(out.name, got.name);
	}
	/* Without an end: all 260 units are the name. */
	memset(&out, 0, sizeof(out));
	ATF_REQUIRE_EQ(HVK_OK, send_item());
	memset(hvk_ic_body(&pair.to_guest) + 36, 0x41, 1040);
	ATF_CHECK_EQ(HVK_OK, again());
	ATF_CHECK_EQ(260 * 3, strlen(got.name));
	ATF_CHECK_EQ(260 * 3, strlen(got.path));
}

ATF_TC_WITHOUT_HEAD(hostile);
ATF_TC_BODY(hostile, tc)
{
	uint64_t offset = UINT64_MAX - 9;
	uint32_t len, op, size;

	ic_agree(&pair, HVK_IC_FCOPY, 0);
	memset(&out, 0, sizeof(out));
	out.op = HVK_FCOPY_WRITE;
	out.data = data;
	out.len = 10;
	ATF_REQUIRE_EQ(HVK_OK, send_item());
	/* More than a fragment; than there is; beyond the end of the world. */
	for (size = HVK_FCOPY_FRAGMENT + 1; size != 0; size = size << 1) {
		memcpy(hvk_ic_body(&pair.to_guest) + 48, &size, 4);
		ATF_CHECK_EQ(HVK_REJECT, again());
	}
	size = 10;
	memcpy(hvk_ic_body(&pair.to_guest) + 48, &size, 4);
	memcpy(hvk_ic_body(&pair.to_guest) + 40, &offset, 8);
	ATF_CHECK_EQ(HVK_REJECT, again());
	offset--;
	memcpy(hvk_ic_body(&pair.to_guest) + 40, &offset, 8);
	ATF_CHECK_EQ(HVK_OK, again());
	for (len = 0; len < 70; len++) {
		ATF_REQUIRE_EQ(HVK_OK, send_item());
		ATF_REQUIRE_EQ(HVK_OK, hvk_ic_resize(&pair.to_guest, len));
		ATF_CHECK_EQ(len >= 62 ? HVK_OK : HVK_REJECT, again());
	}
	memset(&out, 0, sizeof(out));
	for (len = 36; len < sizeof(struct hvk_fcopy_start); len += 13) {
		ATF_REQUIRE_EQ(HVK_OK, send_item());
		ATF_REQUIRE_EQ(HVK_OK, hvk_ic_resize(&pair.to_guest, len));
		ATF_CHECK_EQ(HVK_REJECT, again());
	}
	for (op = HVK_FCOPY_NOPS; op != 0; op <<= 1) {
		ATF_REQUIRE_EQ(HVK_OK, send_item());
		memcpy(hvk_ic_body(&pair.to_guest), &op, 4);
		ATF_CHECK_EQ(HVK_RANGE, again());
	}
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, messages);
	ATF_TP_ADD_TC(tp, names);
	ATF_TP_ADD_TC(tp, hostile);
	return (atf_no_error());
}
