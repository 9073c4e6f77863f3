/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Integration components, what both sides share: one message in a private
 * buffer, its frame taken apart and put together, and the versions of each
 * service.
 *
 * Messages belong to the caller.  Pure functions, callable from anywhere.
 * Facts: wire.md section 9; what a host accepts, OpenVMM hyperv_ic.
 */

#ifndef HVK_IC_H
#define	HVK_IC_H

#include <hvk/error.h>
#include <hvk/packet.h>
#include <hvk/types.h>
#include <hvk/wire/guid.h>
#include <hvk/wire/ic.h>

/*
 * One message: frame and body, `len' of them in all.  Replies are made in
 * place, so what the host sent and we do not know comes back as it was.
 */
struct hvk_ic_message {
	uint32_t	len;
	uint32_t	pad;
	uint8_t		bytes[HVK_IC_MAX] __attribute__((__aligned__(8)));
};
#define	HVK_IC_FRAME	((uint32_t)sizeof(struct hvk_ic_frame))
#define	HVK_IC_BODY_MAX	(HVK_IC_MAX - HVK_IC_FRAME)

struct hvk_ic_service {
	enum hvk_ic_type type;
	const char	*name;		/* "heartbeat" */
	struct hvk_guid	guid;
	const uint32_t	*versions;	/* of messages, newest first */
	uint32_t	nversions;
	uint32_t	body;		/* of a request of ours, at most */
};

/* Known service of a type or a name; NULL. */
const struct hvk_ic_service *hvk_ic_service(enum hvk_ic_type);
const struct hvk_ic_service *hvk_ic_service_named(const char *name);
/* Versions of the framework, newest first. */
extern const uint32_t hvk_ic_frameworks[2];

/*
 * Copy a packet, checked: an in-band packet that holds a pipe header of type
 * data and an IC header, whose sizes lie inside of it.  HVK_REJECT otherwise.
 * `message.len' is then the frame and as much body as the pipe header says.
 */
int	hvk_ic_take(struct hvk_ic_message *, const struct hvk_packet *);

/* A new message with a zeroed body; HVK_RANGE if it is too long. */
int	hvk_ic_make(struct hvk_ic_message *, const struct hvk_ic_header *,
	    uint32_t body_len);

/* Only of a message that was taken or made. */
HVK_INLINE struct hvk_ic_header
hvk_ic_header(const struct hvk_ic_message *m)
{
	struct hvk_ic_header h;

	hvk_copy(&h, m->bytes + sizeof(struct hvk_pipe_header), sizeof(h));
	return (h);
}

HVK_INLINE uint8_t *
hvk_ic_body(struct hvk_ic_message *m)
{
	return (m->bytes + HVK_IC_FRAME);
}

HVK_INLINE const uint8_t *
hvk_ic_body_const(const struct hvk_ic_message *m)
{
	return (m->bytes + HVK_IC_FRAME);
}

HVK_INLINE uint32_t
hvk_ic_body_len(const struct hvk_ic_message *m)
{
	return (m->len - HVK_IC_FRAME);
}

/* Turn a request into its reply: status, flags; the rest stays. */
void	hvk_ic_answer(struct hvk_ic_message *, uint32_t status);

/* Change the length of the body; new bytes are zero.  HVK_RANGE: too long. */
int	hvk_ic_resize(struct hvk_ic_message *, uint32_t body_len);

HVK_INLINE uint32_t
hvk_ic_version(struct hvk_ic_version v)
{
	return (HVK_IC_VERSION(v.major, v.minor));
}

HVK_INLINE struct hvk_ic_version
hvk_ic_version_wire(uint32_t v)
{
	return ((struct hvk_ic_version){ (uint16_t)(v >> 16),
	    (uint16_t)(v & 0xffff) });
}

/* English for a status, for people; never NULL. */
const char *hvk_ic_strstatus(uint32_t status);

#endif /* !HVK_IC_H */
