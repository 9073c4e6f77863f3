/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * Parser and encoder of control messages, made from wire/messages.def.
 * Source: wire.md section 4.
 */

#include <hvk/message.h>

static const struct hvk_message_info messages[HVK_MSG_COUNT] = {
#define	HVK_MESSAGE(number, NAME, dir, first, noun, smallest, largest)	\
	[number] = { .name = #NAME, .direction = (dir),			\
	    .min = (smallest), .max = (largest), .version = (first) },
#include <hvk/wire/messages.def>
#undef HVK_MESSAGE
};

/* A struct holds its message, except for the lists that follow two of them. */
#define	HVK_MESSAGE(number, NAME, dir, first, noun, smallest, largest)	\
_Static_assert(sizeof(struct hvk_msg_##noun) >= (smallest) &&		\
    ((largest) == HVK_MESSAGE_PAYLOAD ||				\
    sizeof(struct hvk_msg_##noun) >= (largest)), #NAME);
#include <hvk/wire/messages.def>
#undef HVK_MESSAGE

const struct hvk_message_info *
hvk_message_info(uint32_t type)
{
	if (type >= HVK_MSG_COUNT || messages[type].direction == 0)
		return (NULL);
	return (&messages[type]);
}

void
hvk_message_init(struct hvk_message *message, uint32_t type)
{
	const struct hvk_message_info *info;

	hvk_zero(message, sizeof(*message));
	message->type = type;
	message->hdr.type = type;
	info = hvk_message_info(type);
	if (info != NULL)
		message->len = info->min;
}

/*
 * The largest form of a message that is whole in len bytes: an optional part
 * that was cut off is as good as absent.
 */
static uint32_t
message_form(uint32_t type, const struct hvk_message_info *info, uint32_t len)
{
	if (len >= info->max)
		return (info->max);
	switch (type) {
	case HVK_MSG_GPADL_HEADER:
	case HVK_MSG_GPADL_BODY:
		return (len);
	case HVK_MSG_VERSION_RESPONSE:
		/* The features may come without the monitor pages. */
		if (len >= offsetof(struct hvk_msg_version_response, reserved2))
			return (offsetof(struct hvk_msg_version_response,
			    reserved2));
		return (info->min);
	default:
		return (info->min);
	}
}

int
hvk_message_parse(const void *bytes, uint32_t len,
    enum hvk_direction direction, uint32_t version, struct hvk_message *message)
{
	const struct hvk_message_info *info;
	struct hvk_msg_header header;

	hvk_zero(message, sizeof(*message));
	if (len < sizeof(header) || len > HVK_MESSAGE_PAYLOAD)
		return (HVK_REJECT);
	hvk_copy(&header, bytes, sizeof(header));
	message->type = header.type;
	info = hvk_message_info(header.type);
	if (info == NULL || info->direction != (uint8_t)direction ||
	    version < info->version || len < info->min)
		return (HVK_REJECT);
	message->len = message_form(header.type, info, len);
	hvk_copy(message->bytes, bytes, message->len);
	return (HVK_OK);
}

int
hvk_message_encode(const struct hvk_message *message,
    enum hvk_direction direction, uint32_t version, void *bytes, uint32_t cap,
    uint32_t *len)
{
	const struct hvk_message_info *info;
	struct hvk_msg_header header;

	*len = 0;
	info = hvk_message_info(message->type);
	if (info == NULL || info->direction != (uint8_t)direction ||
	    version < info->version || message->len < info->min ||
	    message->len != message_form(message->type, info, message->len) ||
	    message->len > cap)
		return (HVK_RANGE);
	hvk_copy(bytes, message->bytes, message->len);
	header.type = message->type;
	header.reserved = 0;
	hvk_copy(bytes, &header, sizeof(header));
	*len = message->len;
	return (HVK_OK);
}
