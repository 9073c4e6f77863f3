/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * Control messages in words, for traces and tests.  Fields are printed in the
 * order of the wire; fields that lie beyond the message's length are left out.
 */

#include <hvk/guid.h>
#include <hvk/message.h>
#include <hvk/wire/packet.h>

enum kind {
	KIND_DEC,
	KIND_HEX,
	KIND_GUID,
	KIND_CLASS,		/* a GUID, and what it stands for */
	KIND_VERSION
};

struct field {
	const char	*name;
	uint8_t		type;	/* message */
	uint8_t		kind;
	uint8_t		off;
	uint8_t		size;
};

#define	FIELD(NAME, noun, kind, field)					\
	{ #field, HVK_MSG_##NAME, (kind),				\
	    offsetof(struct hvk_msg_##noun, field),			\
	    sizeof(((struct hvk_msg_##noun *)0)->field) }

static const struct field fields[] = {
	FIELD(OFFER, offer, KIND_CLASS, type),
	FIELD(OFFER, offer, KIND_GUID, instance),
	FIELD(OFFER, offer, KIND_HEX, flags),
	FIELD(OFFER, offer, KIND_DEC, mmio_mb),
	FIELD(OFFER, offer, KIND_DEC, subindex),
	FIELD(OFFER, offer, KIND_DEC, relid),
	FIELD(OFFER, offer, KIND_DEC, monitor_id),
	FIELD(OFFER, offer, KIND_DEC, monitor_allocated),
	FIELD(OFFER, offer, KIND_DEC, dedicated),
	FIELD(OFFER, offer, KIND_HEX, connection),
	FIELD(RESCIND, rescind, KIND_DEC, relid),
	FIELD(OPEN, open, KIND_DEC, relid),
	FIELD(OPEN, open, KIND_DEC, open_id),
	FIELD(OPEN, open, KIND_HEX, gpadl),
	FIELD(OPEN, open, KIND_DEC, target_vp),
	FIELD(OPEN, open, KIND_DEC, page_offset),
	FIELD(OPEN, open, KIND_HEX, connection),
	FIELD(OPEN, open, KIND_DEC, event_flag),
	FIELD(OPEN, open, KIND_HEX, flags),
	FIELD(OPEN_RESULT, open_result, KIND_DEC, relid),
	FIELD(OPEN_RESULT, open_result, KIND_DEC, open_id),
	FIELD(OPEN_RESULT, open_result, KIND_HEX, status),
	FIELD(CLOSE, close, KIND_DEC, relid),
	FIELD(GPADL_HEADER, gpadl_header, KIND_DEC, relid),
	FIELD(GPADL_HEADER, gpadl_header, KIND_HEX, gpadl),
	FIELD(GPADL_HEADER, gpadl_header, KIND_DEC, range_bytes),
	FIELD(GPADL_HEADER, gpadl_header, KIND_DEC, range_count),
	FIELD(GPADL_BODY, gpadl_body, KIND_DEC, number),
	FIELD(GPADL_BODY, gpadl_body, KIND_HEX, gpadl),
	FIELD(GPADL_CREATED, gpadl_created, KIND_DEC, relid),
	FIELD(GPADL_CREATED, gpadl_created, KIND_HEX, gpadl),
	FIELD(GPADL_CREATED, gpadl_created, KIND_HEX, status),
	FIELD(GPADL_TEARDOWN, gpadl_teardown, KIND_DEC, relid),
	FIELD(GPADL_TEARDOWN, gpadl_teardown, KIND_HEX, gpadl),
	FIELD(GPADL_TORNDOWN, gpadl_torndown, KIND_HEX, gpadl),
	FIELD(RELID_RELEASED, relid_released, KIND_DEC, relid),
	FIELD(INITIATE_CONTACT, initiate_contact, KIND_VERSION, version),
	FIELD(INITIATE_CONTACT, initiate_contact, KIND_DEC, target_vp),
	FIELD(INITIATE_CONTACT, initiate_contact, KIND_HEX, interrupt_page),
	FIELD(INITIATE_CONTACT, initiate_contact, KIND_HEX, monitor_in),
	FIELD(INITIATE_CONTACT, initiate_contact, KIND_HEX, monitor_out),
	FIELD(INITIATE_CONTACT, initiate_contact, KIND_GUID, client),
	FIELD(VERSION_RESPONSE, version_response, KIND_DEC, supported),
	FIELD(VERSION_RESPONSE, version_response, KIND_DEC, state),
	FIELD(VERSION_RESPONSE, version_response, KIND_HEX, connection),
	FIELD(VERSION_RESPONSE, version_response, KIND_HEX, features),
	FIELD(VERSION_RESPONSE, version_response, KIND_HEX, monitor_in),
	FIELD(VERSION_RESPONSE, version_response, KIND_HEX, monitor_out),
	FIELD(OPEN_RESERVED, open_reserved, KIND_DEC, relid),
	FIELD(OPEN_RESERVED, open_reserved, KIND_DEC, target_vp),
	FIELD(OPEN_RESERVED, open_reserved, KIND_DEC, sint),
	FIELD(OPEN_RESERVED, open_reserved, KIND_HEX, gpadl),
	FIELD(OPEN_RESERVED, open_reserved, KIND_DEC, page_offset),
	FIELD(CLOSE_RESERVED, close_reserved, KIND_DEC, relid),
	FIELD(CLOSE_RESERVED, close_reserved, KIND_DEC, target_vp),
	FIELD(CLOSE_RESERVED, close_reserved, KIND_DEC, sint),
	FIELD(CLOSE_RESERVED_RESPONSE, close_reserved_response, KIND_DEC,
	    relid),
	FIELD(TL_CONNECT_REQUEST, tl_connect_request, KIND_GUID, endpoint),
	FIELD(TL_CONNECT_REQUEST, tl_connect_request, KIND_GUID, service),
	FIELD(TL_CONNECT_REQUEST, tl_connect_request, KIND_GUID, silo),
	FIELD(MODIFY_CHANNEL, modify_channel, KIND_DEC, relid),
	FIELD(MODIFY_CHANNEL, modify_channel, KIND_DEC, target_vp),
	FIELD(TL_CONNECT_RESULT, tl_connect_result, KIND_GUID, endpoint),
	FIELD(TL_CONNECT_RESULT, tl_connect_result, KIND_GUID, service),
	FIELD(TL_CONNECT_RESULT, tl_connect_result, KIND_HEX, status),
	FIELD(MODIFY_CHANNEL_RESPONSE, modify_channel_response, KIND_DEC,
	    relid),
	FIELD(MODIFY_CHANNEL_RESPONSE, modify_channel_response, KIND_HEX,
	    status),
	FIELD(MODIFY_CONNECTION, modify_connection, KIND_HEX, monitor_in),
	FIELD(MODIFY_CONNECTION, modify_connection, KIND_HEX, monitor_out),
	FIELD(MODIFY_CONNECTION_RESPONSE, modify_connection_response,
	    KIND_DEC, state),
};

/* Text that stops at the end of the caller's buffer. */
struct text {
	char		*at;
	uint32_t	len;
	uint32_t	cap;	/* without the NUL */
};

static void
text_char(struct text *text, char c)
{
	if (text->len < text->cap)
		text->at[text->len++] = c;
}

static void
text_string(struct text *text, const char *s)
{
	while (*s != '\0')
		text_char(text, *s++);
}

static void
text_hex(struct text *text, uint64_t value)
{
	int shift;

	text_string(text, "0x");
	shift = 60;
	while (shift > 0 && (value >> shift) == 0)
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		text_char(text, "0123456789abcdef"[value >> shift & 15]);
}

/* All decimal fields have at most 32 bits: no 64-bit division. */
static void
text_dec(struct text *text, uint32_t value)
{
	char digits[10];
	unsigned int n;

	n = 0;
	do {
		digits[n++] = (char)('0' + value % 10);
		value /= 10;
	} while (value != 0);
	while (n > 0)
		text_char(text, digits[--n]);
}

static void
text_field(struct text *text, const struct field *field,
    const struct hvk_message *message)
{
	struct hvk_guid guid;
	char name[HVK_GUID_TEXT];
	uint64_t value;

	text_char(text, ' ');
	text_string(text, field->name);
	text_char(text, ' ');
	if (field->kind == KIND_GUID || field->kind == KIND_CLASS) {
		hvk_copy(&guid, message->bytes + field->off, sizeof(guid));
		hvk_guid_format(&guid, name);
		text_string(text, name);
		if (field->kind == KIND_CLASS &&
		    hvk_guid_class(&guid) != NULL) {
			text_string(text, " (");
			text_string(text, hvk_guid_class(&guid));
			text_char(text, ')');
		}
		return;
	}
	value = 0;
	hvk_copy(&value, message->bytes + field->off, field->size);
	switch (field->kind) {
	case KIND_HEX:
		text_hex(text, value);
		break;
	case KIND_VERSION:
		text_dec(text, (uint32_t)value >> 16);
		text_char(text, '.');
		text_dec(text, (uint32_t)value & 0xffff);
		break;
	default:
		text_dec(text, (uint32_t)value);
		break;
	}
}

/* The page frame numbers of a GPADL: how many, and the first. */
static void
text_pfns(struct text *text, const struct hvk_message *message, uint32_t off)
{
	uint64_t pfn;

	if (message->len < off + sizeof(pfn) ||
	    message->len > HVK_MESSAGE_PAYLOAD)
		return;
	hvk_copy(&pfn, message->bytes + off, sizeof(pfn));
	text_string(text, " pfns ");
	text_dec(text, (message->len - off) / (uint32_t)sizeof(pfn));
	text_string(text, " first ");
	text_hex(text, pfn);
}

uint32_t
hvk_message_dump(const struct hvk_message *message, char *buf, uint32_t cap)
{
	const struct hvk_message_info *info;
	struct text text;
	unsigned int i;

	if (cap == 0)
		return (0);
	text.at = buf;
	text.len = 0;
	text.cap = cap - 1;
	info = hvk_message_info(message->type);
	if (info == NULL) {
		text_string(&text, "message ");
		text_dec(&text, message->type);
	} else
		text_string(&text, info->name);
	for (i = 0; i < HVK_COUNT(fields); i++)
		if (fields[i].type == message->type &&
		    (uint32_t)fields[i].off + fields[i].size <= message->len)
			text_field(&text, &fields[i], message);
	if (message->type == HVK_MSG_GPADL_HEADER)
		text_pfns(&text, message,
		    (uint32_t)(sizeof(struct hvk_msg_gpadl_header) +
		    sizeof(struct hvk_gpa_range_header)));
	else if (message->type == HVK_MSG_GPADL_BODY)
		text_pfns(&text, message, sizeof(struct hvk_msg_gpadl_body));
	text.at[text.len] = '\0';
	return (text.len);
}
