/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * The control message parser, both directions and every version.  What it
 * accepts must print, and encode to bytes that parse to the same message.
 */

#include <stdlib.h>
#include <string.h>

#include <hvk/message.h>

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const uint32_t versions[] = { 0, HVK_VERSION_2_4,
	    HVK_VERSION_3_0, HVK_VERSION_4_0, HVK_VERSION_4_1, HVK_VERSION_5_0,
	    HVK_VERSION_5_3, HVK_VERSION_6_0 };
	struct hvk_message again, message;
	enum hvk_direction direction;
	uint8_t out[HVK_MESSAGE_PAYLOAD];
	char text[512];
	uint32_t len, version;

	if (size < 1)
		return (0);
	version = versions[bytes[0] & 7];
	direction = bytes[0] & 8 ? HVK_TO_HOST : HVK_TO_GUEST;
	bytes++;
	size--;
	if (size > 4096)
		size = 4096;
	if (hvk_message_parse(bytes, (uint32_t)size, direction, version,
	    &message) != HVK_OK)
		return (0);
	len = hvk_message_dump(&message, text, sizeof(text));
	if (len != strlen(text) || len == 0)
		abort();
	if (hvk_message_encode(&message, direction, version, out, sizeof(out),
	    &len) != HVK_OK || len != message.len)
		abort();
	if (hvk_message_parse(out, len, direction, version, &again) != HVK_OK ||
	    memcmp(message.bytes + 8, again.bytes + 8,
	    sizeof(again.bytes) - 8) != 0)
		abort();
	return (0);
}
