/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * What the files of the VMBus client share and nobody else sees: the queues of
 * things to send and to tell, and deadlines.
 */

#ifndef HVK_GUEST_VMBUS_INT_H
#define HVK_GUEST_VMBUS_INT_H

#include <hvk/guest/vmbus.h>
#include <hvk/wire/vmbus.h>
#include <hvk/guid.h>

/* hvk_client_link.kind */
enum {
	LINK_CLIENT,
	LINK_CHAN,
	LINK_GPADL
};

/* hvk_client.sends */
#define SEND_CONTACT		0x01u
#define SEND_REQUEST_OFFERS	0x02u
#define SEND_UNLOAD		0x04u

/* hvk_client_chan.sends; the lowest bit goes first. */
#define SEND_CLOSE		0x01u
#define SEND_CLOSE_RESERVED	0x02u
#define SEND_OPEN		0x04u
#define SEND_OPEN_RESERVED	0x08u
#define SEND_MODIFY		0x10u
#define SEND_RELEASE		0x20u

/* hvk_client.events; the lowest bit is told first. */
#define TELL_CONNECTED		0x01u
#define TELL_ALL_OFFERS		0x02u
#define TELL_UNLOADED		0x04u
#define TELL_FAILED		0x08u

/* hvk_client_chan.events; the lowest bit is told first. */
#define TELL_OFFER		0x01u
#define TELL_OPENED		0x02u
#define TELL_MODIFIED		0x04u
#define TELL_CLOSED		0x08u
#define TELL_RESCIND		0x10u

#define SECOND			1000000000ull
#define MILLISECOND		1000000ull

#define POST_RETRIES		100u
#define POST_DELAY_MAX		(100 * MILLISECOND)

/* GPADL handles: slot below, generation above; never 0. */
#define HANDLE_SLOT_BITS	13u
#define HANDLE_SLOT_MASK	((1u << HANDLE_SLOT_BITS) - 1)

#define CHAN_OF_SEND(l)		((struct hvk_client_chan *)(void *)	\
	((char *)(l) - offsetof(struct hvk_client_chan, send_link)))
#define CHAN_OF_EVENT(l)	((struct hvk_client_chan *)(void *)	\
	((char *)(l) - offsetof(struct hvk_client_chan, event_link)))
#define GPADL_OF_SEND(l)	((struct hvk_client_gpadl *)(void *)	\
	((char *)(l) - offsetof(struct hvk_client_gpadl, send_link)))
#define GPADL_OF_EVENT(l)	((struct hvk_client_gpadl *)(void *)	\
	((char *)(l) - offsetof(struct hvk_client_gpadl, event_link)))

/* connection.c */
void	hvk_list_append(struct hvk_client_list *, struct hvk_client_link *);
void	hvk_list_remove(struct hvk_client_list *, struct hvk_client_link *);
void	hvk_client_wait(struct hvk_client *, uint64_t *deadline, uint64_t when);
uint64_t hvk_client_patience(const struct hvk_client *, uint64_t timeout);
void	hvk_client_tell(struct hvk_client *, uint8_t event, uint8_t status,
	    uint32_t host_status);
void	hvk_client_contact_sent(struct hvk_client *, uint64_t now);
void	hvk_client_contact_failed(struct hvk_client *, uint16_t hv_status,
	    uint64_t now);

/* channel.c */
int	hvk_chan_offer(struct hvk_client *, const struct hvk_msg_offer *,
	    uint64_t now);
int	hvk_chan_rescind(struct hvk_client *, const struct hvk_msg_rescind *);
int	hvk_chan_open_result(struct hvk_client *,
	    const struct hvk_msg_open_result *);
int	hvk_chan_modified(struct hvk_client *,
	    const struct hvk_msg_modify_channel_response *);
int	hvk_chan_reserved_closed(struct hvk_client *,
	    const struct hvk_msg_close_reserved_response *);
uint32_t hvk_chan_build(const struct hvk_client *,
	    const struct hvk_client_chan *, void *data);
void	hvk_chan_posted(struct hvk_client *, struct hvk_client_chan *,
	    uint16_t hv_status, bool ok, uint64_t now);
void	hvk_chan_tick(struct hvk_client *, struct hvk_client_chan *,
	    uint64_t now);
void	hvk_chan_abandon(struct hvk_client *, struct hvk_client_chan *);
bool	hvk_chan_event(struct hvk_client *, struct hvk_client_chan *,
	    struct hvk_client_event *);

/* gpadl.c */
int	hvk_gpadl_created(struct hvk_client *,
	    const struct hvk_msg_gpadl_created *);
int	hvk_gpadl_torndown(struct hvk_client *,
	    const struct hvk_msg_gpadl_torndown *);
uint32_t hvk_gpadl_build(const struct hvk_client_gpadl *, void *data);
void	hvk_gpadl_posted(struct hvk_client *, struct hvk_client_gpadl *,
	    uint16_t hv_status, bool ok, uint64_t now);
void	hvk_gpadl_tick(struct hvk_client *, struct hvk_client_gpadl *,
	    uint64_t now);
void	hvk_gpadl_abandon(struct hvk_client *, struct hvk_client_gpadl *);
void	hvk_gpadl_unloading(struct hvk_client *, struct hvk_client_gpadl *);
void	hvk_gpadl_unloaded(struct hvk_client *, struct hvk_client_gpadl *,
	    bool safe);
void	hvk_gpadl_event(struct hvk_client *, struct hvk_client_gpadl *,
	    struct hvk_client_event *);

#endif /* !HVK_GUEST_VMBUS_INT_H */
