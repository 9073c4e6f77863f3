/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * GUIDs: text form both ways, byte order, classes; and the bounded reader.
 */

#include <string.h>

#include <atf-c.h>

#include <hvk/bytes.h>
#include <hvk/error.h>
#include <hvk/guid.h>

ATF_TC(text);
ATF_TC_HEAD(text, tc)
{
	atf_tc_set_md_var(tc, "descr", "the text form reads and prints, the "
	    "first three groups little-endian");
}
ATF_TC_BODY(text, tc)
{
	static const uint8_t bytes[16] = { 0xd9, 0x63, 0x61, 0xba, 0xa1, 0x04,
	    0x29, 0x4d, 0xb6, 0x05, 0x72, 0xe2, 0xff, 0xb1, 0xdc, 0x7f };
	static const struct hvk_guid scsi = HVK_GUID_SCSI;
	static const char *const bad[] = { "", "{", "ba6163d9",
	    "ba6163d9-04a1-4d29-b605-72e2ffb1dc7",
	    "ba6163d9-04a1-4d29-b605-72e2ffb1dc7fa",
	    "ba6163d904a14d29b60572e2ffb1dc7f",
	    "{ba6163d9-04a1-4d29-b605-72e2ffb1dc7f",
	    "ba6163d9-04a1-4d29-b605-72e2ffb1dc7f}",
	    "ga6163d9-04a1-4d29-b605-72e2ffb1dc7f" };
	struct hvk_guid guid;
	char out[HVK_GUID_TEXT];
	unsigned int i;

	ATF_CHECK(memcmp(&scsi, bytes, 16) == 0);
	hvk_guid_format(&scsi, out);
	ATF_CHECK_STREQ("ba6163d9-04a1-4d29-b605-72e2ffb1dc7f", out);
	ATF_CHECK_EQ(HVK_OK, hvk_guid_parse(out, &guid));
	ATF_CHECK(hvk_guid_eq(&guid, &scsi));
	ATF_CHECK_EQ(HVK_OK, hvk_guid_parse(
	    "{BA6163D9-04A1-4D29-B605-72E2FFB1DC7F}", &guid));
	ATF_CHECK(hvk_guid_eq(&guid, &scsi));
	memset(&guid, 7, sizeof(guid));
	for (i = 0; i < HVK_COUNT(bad); i++) {
		ATF_CHECK_EQ(HVK_RANGE, hvk_guid_parse(bad[i], &guid));
		ATF_CHECK_EQ(7, guid.b[3]);
	}
	ATF_CHECK_STREQ("scsi", hvk_guid_class(&scsi));
	ATF_CHECK(hvk_guid_class(&guid) == NULL);
}

ATF_TC(reader);
ATF_TC_HEAD(reader, tc)
{
	atf_tc_set_md_var(tc, "descr", "the bounded reader never passes the "
	    "end and remembers that it was asked to");
}
ATF_TC_BODY(reader, tc)
{
	static const uint8_t bytes[] = { 1, 2, 0, 3, 0, 0, 0, 9 };
	struct hvk_rd rd;
	uint8_t two[2] = { 5, 5 };

	hvk_rd_init(&rd, bytes, sizeof(bytes));
	ATF_CHECK_EQ(1, hvk_rd_u8(&rd));
	ATF_CHECK_EQ(2, hvk_rd_u16(&rd));
	ATF_CHECK_EQ(3, hvk_rd_u32(&rd));
	ATF_CHECK(hvk_rd_ok(&rd));
	ATF_CHECK_EQ(0, hvk_rd_u16(&rd));
	ATF_CHECK(!hvk_rd_ok(&rd));
	/* One byte is left, but a failed reader gives nothing more. */
	ATF_CHECK_EQ(0, hvk_rd_u8(&rd));
	hvk_rd_bytes(&rd, two, 2);
	ATF_CHECK_EQ(0, two[0]);
	ATF_CHECK(hvk_rd_take(&rd, 0) == NULL);
	hvk_rd_init(&rd, bytes, sizeof(bytes));
	hvk_rd_skip(&rd, UINT32_MAX);
	ATF_CHECK(!hvk_rd_ok(&rd));
	hvk_rd_init(&rd, bytes, sizeof(bytes));
	ATF_CHECK_EQ(0x0900000003000201ull, hvk_rd_u64(&rd));
	ATF_CHECK(hvk_rd_ok(&rd));
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, text);
	ATF_TP_ADD_TC(tp, reader);
	return (atf_no_error());
}
