/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Addresses as text, held against the system's own functions.
 */
#include <sys/socket.h>

#include <arpa/inet.h>
#include <atf-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hvk/inet.h>

static void
same(const char *text)
{
	uint8_t ours[16], theirs[16];
	uint32_t n, want = 0;

	if (inet_pton(AF_INET, text, theirs) == 1)
		want = 4;
	else if (inet_pton(AF_INET6, text, theirs) == 1)
		want = 16;
	n = hvk_inet_parse(text, (uint32_t)strlen(text), ours);
	ATF_REQUIRE_EQ_MSG(want, n, "'%s': %u, not %u", text, n, want);
	ATF_REQUIRE_MSG(n == 0 || memcmp(ours, theirs, n) == 0, "'%s'", text);
}

ATF_TC_WITHOUT_HEAD(known);
ATF_TC_BODY(known, tc)
{
	static const char *const text[] = { "0.0.0.0", "255.255.255.255",
	    "1.2.3", "1.2.3.4.5", "256.1.1.1", "1..2.3", "", ".", "1.2.3.4 ",
	    "::", "::1", "1::", "1::2", ":::", "::1::", "1:2:3:4:5:6:7:8",
	    "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7::",
	    "::2:3:4:5:6:7:8", "fe80::1234:5678:9abc", "12345::", ":1", "1:",
	    "::ffff:192.0.2.1", "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:7:1.2.3.4",
	    "::1.2.3", "::1.2.3.4.5", "g::", "2001:DB8::A" };
	uint8_t bytes[16];

	for (size_t i = 0; i < HVK_COUNT(text); i++)
		same(text[i]);
	ATF_CHECK_EQ(16, hvk_inet_parse("fe80::1%hn0", 11, bytes));
	ATF_CHECK_EQ(0, hvk_inet_parse("%hn0", 4, bytes));
}

ATF_TC_WITHOUT_HEAD(random_text);
ATF_TC_BODY(random_text, tc)
{
	static const char set[] = "0123456789abf:.:::";
	char text[24];

	srandom(1);
	for (int i = 0; i < 1000000; i++) {
		int n = (int)(random() % 20);

		for (int k = 0; k < n; k++)
			text[k] = set[random() % (long)(sizeof(set) - 1)];
		text[n] = '\0';
		/* They differ in leading zeroes of IPv4: 01.2.3.4. */
		if (strchr(text, '.') != NULL && strchr(text, '0') != NULL)
			continue;
		same(text);
	}
}

ATF_TC_WITHOUT_HEAD(there_and_back);
ATF_TC_BODY(there_and_back, tc)
{
	char ours[HVK_INET_TEXT], theirs[INET6_ADDRSTRLEN];
	uint8_t a[16], b[16];

	srandom(2);
	for (int i = 0; i < 300000; i++) {
		for (int k = 0; k < 16; k++)
			a[k] = (random() & 3) != 0 ? 0 : (uint8_t)random();
		a[0] = 0x20;	/* glibc writes mapped addresses otherwise */
		ATF_REQUIRE_EQ(strlen(inet_ntop(AF_INET6, a, theirs,
		    sizeof(theirs))), hvk_inet_format(a, 16, ours));
		ATF_REQUIRE_STREQ(theirs, ours);
		ATF_REQUIRE_EQ(16, hvk_inet_parse(ours,
		    (uint32_t)strlen(ours), b));
		ATF_REQUIRE_EQ(0, memcmp(a, b, 16));
		(void)hvk_inet_format(a, 4, ours);
		ATF_REQUIRE_STREQ(inet_ntop(AF_INET, a, theirs,
		    sizeof(theirs)), ours);
	}
}

ATF_TC_WITHOUT_HEAD(masks);
ATF_TC_BODY(masks, tc)
{
	char text[HVK_INET_TEXT], want[8];
	uint8_t m[16];

	for (uint32_t bits = 0; bits <= 128; bits++) {
		snprintf(want, sizeof(want), "/%u", bits);
		ATF_REQUIRE(hvk_inet_parse_mask(want, (uint32_t)strlen(want),
		    16, m));
		(void)hvk_inet_format_mask(m, 16, text);
		ATF_CHECK_STREQ(want, text);
		ATF_CHECK_EQ(bits <= 32, hvk_inet_parse_mask(want + 1,
		    (uint32_t)strlen(want) - 1, 4, m));
	}
	ATF_REQUIRE(hvk_inet_parse_mask("/20", 3, 4, m));
	(void)hvk_inet_format_mask(m, 4, text);
	ATF_CHECK_STREQ("255.255.240.0", text);
	ATF_CHECK(!hvk_inet_parse_mask("/129", 4, 16, m));
	ATF_CHECK(!hvk_inet_parse_mask("/", 1, 16, m));
	ATF_CHECK(!hvk_inet_parse_mask("", 0, 16, m));
	ATF_CHECK(!hvk_inet_parse_mask("/6x", 3, 16, m));
	ATF_CHECK(!hvk_inet_parse_mask("255.255.0.0", 11, 16, m));
	ATF_REQUIRE(hvk_inet_parse_mask("ff::ff", 6, 16, m));
	(void)hvk_inet_format_mask(m, 16, text);
	ATF_CHECK_STREQ("ff::ff", text);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, known);
	ATF_TP_ADD_TC(tp, random_text);
	ATF_TP_ADD_TC(tp, there_and_back);
	ATF_TP_ADD_TC(tp, masks);
	return (atf_no_error());
}
