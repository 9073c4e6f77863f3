/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * Control messages as values: parse one that arrived, encode one to send, and
 * print either.  All of it is driven by wire/messages.def.  Pure functions,
 * callable from anywhere.  Source: wire.md section 4.
 */

#ifndef HVK_MESSAGE_H
#define	HVK_MESSAGE_H

#include <hvk/error.h>
#include <hvk/types.h>
#include <hvk/wire/vmbus.h>

/*
 * One message.  Bytes from len on are zero, so a reader may look at any field;
 * len says how much of it the sender really gave.  A list of ranges or page
 * frame numbers follows its struct in bytes[].
 */
struct hvk_message {
	uint32_t	type;		/* HVK_MSG_* */
	uint32_t	len;		/* bytes, header included */
	union {
		uint8_t	bytes[HVK_MESSAGE_PAYLOAD];
		struct hvk_msg_header hdr;
#define	HVK_MESSAGE(number, NAME, direction, version, noun, min, max)	\
		struct hvk_msg_##noun noun;
#include <hvk/wire/messages.def>
#undef HVK_MESSAGE
	};
};

/* A line of the table. */
struct hvk_message_info {
	const char	*name;		/* "OFFER" */
	uint8_t		direction;	/* HVK_TO_*; 0: no such message */
	uint8_t		min;		/* bytes */
	uint8_t		max;
	uint32_t	version;	/* the first that has it */
};

/* NULL for a number that is no message. */
const struct hvk_message_info	*hvk_message_info(uint32_t type);

/* Clears it and sets type and the smallest length. */
void	hvk_message_init(struct hvk_message *, uint32_t type);

/*
 * Parses len bytes (a private copy) that came in the given direction under the
 * agreed version, 0 before there is one.  HVK_OK or HVK_REJECT: unknown or of
 * the other direction, too new for the version, shorter than its fields or
 * longer than a message can be.  An optional part counts only when it is
 * there whole.
 */
int	hvk_message_parse(const void *bytes, uint32_t len,
	    enum hvk_direction, uint32_t version, struct hvk_message *);

/*
 * Writes the message to bytes and its length to *len.  HVK_OK; HVK_RANGE:
 * type, direction, version or length do not go together, or cap is too small.
 */
int	hvk_message_encode(const struct hvk_message *, enum hvk_direction,
	    uint32_t version, void *bytes, uint32_t cap, uint32_t *len);

/*
 * Prints name and fields on one line: "OPEN relid 5 open_id 5 ...".  Returns
 * the number of characters; what does not fit is cut off, a NUL always ends
 * it (cap 0 prints nothing).
 */
uint32_t	hvk_message_dump(const struct hvk_message *, char *text,
		    uint32_t cap);

#endif /* !HVK_MESSAGE_H */
