/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * UTF-16 and UTF-8: every character there and back, every broken sequence, and
 * every size at which something does not fit.
 */
#include <atf-c.h>
#include <string.h>

#include <hvk/utf16.h>

ATF_TC_WITHOUT_HEAD(every_character);
ATF_TC_BODY(every_character, tc)
{
	uint8_t wide[16], again[16];
	char text[16];
	uint32_t c, len, n, used;

	for (c = 1; c < 0x110000; c++) {
		if (c >= 0xd800 && c < 0xe000)
			continue;
		memset(wide, 0xcc, sizeof(wide));
		if (c < 0x10000) {
			n = 1;
			wide[0] = (uint8_t)c;
			wide[1] = (uint8_t)(c >> 8);
		} else {
			uint32_t hi = 0xd800 + ((c - 0x10000) >> 10);
			uint32_t lo = 0xdc00 + ((c - 0x10000) & 0x3ff);

			n = 2;
			wide[0] = (uint8_t)hi;
			wide[1] = (uint8_t)(hi >> 8);
			wide[2] = (uint8_t)lo;
			wide[3] = (uint8_t)(lo >> 8);
		}
		ATF_REQUIRE_EQ(HVK_OK, hvk_utf16_decode(text, sizeof(text),
		    wide, n, &len));
		ATF_REQUIRE_EQ(c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 :
		    4, len);
		ATF_REQUIRE_EQ(HVK_OK, hvk_utf16_encode(again, 8, text, len,
		    &used));
		ATF_REQUIRE_EQ(n, used);
		ATF_REQUIRE_EQ(0, memcmp(wide, again, 2 * n));
		ATF_REQUIRE_EQ(0, again[2 * n]);
		ATF_REQUIRE_EQ(0, again[2 * n + 1]);
		/* One byte, one unit too little. */
		ATF_REQUIRE_EQ(HVK_NOSPACE, hvk_utf16_decode(text, len, wide,
		    n, &len));
		ATF_REQUIRE_EQ(0, len);
		ATF_REQUIRE_EQ('\0', text[0]);
	}
}

/* What of a UTF-16 string comes back as what of UTF-8. */
static void
check16(const uint16_t *units, uint32_t n, const char *want)
{
	uint8_t wide[64];
	char text[64];
	uint32_t i, len;

	for (i = 0; i < n; i++) {
		wide[2 * i] = (uint8_t)units[i];
		wide[2 * i + 1] = (uint8_t)(units[i] >> 8);
	}
	ATF_CHECK_EQ(HVK_OK, hvk_utf16_decode(text, sizeof(text), wide, n,
	    &len));
	ATF_CHECK_STREQ(want, text);
	ATF_CHECK_EQ(strlen(want), len);
}

ATF_TC_WITHOUT_HEAD(surrogates);
ATF_TC_BODY(surrogates, tc)
{
	check16((uint16_t[]){ 0xd83d, 0xde00 }, 2, "\xf0\x9f\x98\x80");
	check16((uint16_t[]){ 0xd83d }, 1, "\xef\xbf\xbd");
	check16((uint16_t[]){ 0xd83d, 'a' }, 2, "\xef\xbf\xbd" "a");
	check16((uint16_t[]){ 0xde00, 0xd83d }, 2, "\xef\xbf\xbd\xef\xbf\xbd");
	check16((uint16_t[]){ 0xd83d, 0xd83d, 0xde00 }, 3,
	    "\xef\xbf\xbd\xf0\x9f\x98\x80");
	check16((uint16_t[]){ 0xd83d, 0 }, 2, "\xef\xbf\xbd");
	check16((uint16_t[]){ 0xfeff, 'x', 0, 'y' }, 4, "\xef\xbb\xbfx");
	check16((uint16_t[]){ 0xffff, 0xfffe }, 2, "\xef\xbf\xbf\xef\xbf\xbe");
	check16(NULL, 0, "");
}

static void
check8(const char *text, uint32_t len, const uint16_t *want, uint32_t n)
{
	uint8_t wide[64];
	uint32_t i, used;

	ATF_CHECK_EQ(HVK_OK, hvk_utf16_encode(wide, 32, text, len, &used));
	ATF_REQUIRE_EQ_MSG(n, used, "%u units, not %u", used, n);
	for (i = 0; i < n; i++)
		ATF_CHECK_EQ(want[i], wide[2 * i] | wide[2 * i + 1] << 8);
}

ATF_TC_WITHOUT_HEAD(broken_bytes);
ATF_TC_BODY(broken_bytes, tc)
{
	const uint16_t bad[] = { 0xfffd, 0xfffd, 0xfffd, 0xfffd };

	check8("\x80", 1, bad, 1);		/* no beginning */
	check8("\xc0\x80", 2, bad, 2);		/* a hidden zero */
	check8("\xc1\xbf", 2, bad, 2);
	check8("\xe0\x80\x80", 3, bad, 3);	/* longer than needed */
	check8("\xf0\x80\x80\x80", 4, bad, 4);
	check8("\xed\xa0\x80", 3, bad, 3);	/* a surrogate */
	check8("\xf4\x90\x80\x80", 4, bad, 4);	/* beyond U+10FFFF */
	check8("\xf5\xff", 2, bad, 2);
	check8("\xe2\x82", 2, bad, 1);		/* cut short */
	check8("\xf0\x9f\x98", 3, bad, 1);
	check8("\xe2\x82" "a", 3, (uint16_t[]){ 0xfffd, 'a' }, 2);
	check8("a\0b", 3, (uint16_t[]){ 'a' }, 1);
	check8("", 0, NULL, 0);
}

ATF_TC_WITHOUT_HEAD(sizes);
ATF_TC_BODY(sizes, tc)
{
	static uint8_t wide[2 * 300];
	static char text[1000];
	uint32_t len, n, used;

	/* Keys have 255 units and a terminator: 3 bytes each in the worst. */
	for (n = 0; n < 255; n++)
		memcpy(text + 3 * n, "\xe2\x82\xac", 3);
	text[3 * n] = '\0';
	for (n = 1; n <= 300; n++) {
		ATF_CHECK_EQ(n >= 256 ? HVK_OK : HVK_NOSPACE,
		    hvk_utf16_encode(wide, n, text, 765, &used));
		ATF_CHECK_EQ(n >= 256 ? 255 : n - 1, used);
	}
	ATF_REQUIRE_EQ(HVK_OK, hvk_utf16_encode(wide, 300, text, 765, &used));
	for (n = 1; n <= 800; n++) {
		char out[800];

		ATF_CHECK_EQ(n >= 766 ? HVK_OK : HVK_NOSPACE,
		    hvk_utf16_decode(out, n, wide, 255, &len));
		/* Never half a character. */
		ATF_CHECK_EQ(n >= 766 ? 765 : (n - 1) / 3 * 3, len);
		ATF_CHECK_EQ('\0', out[len]);
	}
	/* A pair does not fit where one unit would. */
	ATF_CHECK_EQ(HVK_NOSPACE, hvk_utf16_encode(wide, 2,
	    "\xf0\x9f\x98\x80", 4, &used));
	ATF_CHECK_EQ(0, used);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, every_character);
	ATF_TP_ADD_TC(tp, surrogates);
	ATF_TP_ADD_TC(tp, broken_bytes);
	ATF_TP_ADD_TC(tp, sizes);
	return (atf_no_error());
}
