/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Requests of the host that a daemon answers: kept, handed out in order, and
 * ended in time whatever the daemon does.  An id is {generation, index}, so
 * that an answer to a request that has expired is never taken for another.
 * Locking: see hvk/guest/ic.h.
 */

#include <hvk/guest/ic.h>

int
hvk_ic_queue_init(struct hvk_ic_queue *q, struct hvk_ic_slot *slot,
    uint32_t size, uint32_t limit_ms)
{
	uint32_t i;

	if (size == 0 || size > HVK_IC_QUEUE_MAX)
		return (HVK_RANGE);
	hvk_zero(q, sizeof(*q));
	q->slot = slot;
	q->size = size;
	q->limit_ms = limit_ms;
	for (i = 0; i < size; i++) {
		slot[i].state = HVK_IC_FREE;
		slot[i].generation = 1;
		slot[i].message.len = 0;
	}
	return (HVK_OK);
}

static void
release(struct hvk_ic_slot *s)
{
	s->state = HVK_IC_FREE;
	if (++s->generation == 0)
		s->generation = 1;
}

int
hvk_ic_queue_add(struct hvk_ic_queue *q, const struct hvk_ic_message *m,
    uint64_t now)
{
	struct hvk_ic_slot *s;
	uint32_t i;

	for (i = 0; i < q->size && q->slot[i].state != HVK_IC_FREE; i++)
		continue;
	if (i == q->size)
		return (HVK_NOSPACE);
	s = &q->slot[i];
	s->message.len = m->len;
	hvk_copy(s->message.bytes, m->bytes, m->len);
	s->state = HVK_IC_WAITING;
	s->order = q->order++;
	s->deadline = now + q->limit_ms;
	q->added++;
	return (HVK_OK);
}

static struct hvk_ic_slot *
oldest(struct hvk_ic_queue *q)
{
	struct hvk_ic_slot *best = NULL, *s;
	uint32_t i;

	for (i = 0; i < q->size; i++) {
		s = &q->slot[i];
		if (s->state == HVK_IC_WAITING &&
		    (best == NULL || s->order < best->order))
			best = s;
	}
	return (best);
}

struct hvk_ic_message *
hvk_ic_queue_peek(struct hvk_ic_queue *q)
{
	struct hvk_ic_slot *s = oldest(q);

	return (s != NULL ? &s->message : NULL);
}

int
hvk_ic_queue_take(struct hvk_ic_queue *q, uint64_t *id,
    struct hvk_ic_message **m)
{
	struct hvk_ic_slot *s = oldest(q);

	if (s == NULL)
		return (HVK_AGAIN);
	s->state = HVK_IC_TAKEN;
	*id = (uint64_t)s->generation << 32 | (uint32_t)(s - q->slot);
	*m = &s->message;
	return (HVK_OK);
}

static struct hvk_ic_slot *
taken(struct hvk_ic_queue *q, uint64_t id)
{
	uint32_t index = (uint32_t)id;
	struct hvk_ic_slot *s;

	if (index >= q->size)
		return (NULL);
	s = &q->slot[index];
	if (s->state != HVK_IC_TAKEN || s->generation != id >> 32)
		return (NULL);
	return (s);
}

struct hvk_ic_message *
hvk_ic_queue_find(struct hvk_ic_queue *q, uint64_t id)
{
	struct hvk_ic_slot *s = taken(q, id);

	if (s == NULL) {
		q->stale++;
		return (NULL);
	}
	return (&s->message);
}

bool
hvk_ic_queue_has(struct hvk_ic_queue *q, uint64_t id)
{
	return (taken(q, id) != NULL);
}

void
hvk_ic_queue_done(struct hvk_ic_queue *q, uint64_t id)
{
	struct hvk_ic_slot *s = taken(q, id);

	if (s == NULL)
		return;
	q->answered++;
	release(s);
}

struct hvk_ic_message *
hvk_ic_queue_expire(struct hvk_ic_queue *q, uint64_t now, uint32_t status)
{
	struct hvk_ic_slot *s;
	uint32_t i;

	for (i = 0; i < q->size; i++) {
		s = &q->slot[i];
		if (s->state == HVK_IC_FREE || s->deadline > now)
			continue;
		q->expired++;
		hvk_ic_answer(&s->message, status);
		release(s);
		return (&s->message);
	}
	return (NULL);
}

void
hvk_ic_queue_abandon(struct hvk_ic_queue *q, uint64_t now, uint32_t wait_ms)
{
	struct hvk_ic_slot *s;
	uint32_t i;

	for (i = 0; i < q->size; i++) {
		s = &q->slot[i];
		if (s->state == HVK_IC_TAKEN)
			s->deadline = 0;
		else if (s->state == HVK_IC_WAITING &&
		    s->deadline > now + wait_ms)
			s->deadline = now + wait_ms;
	}
}

void
hvk_ic_queue_flush(struct hvk_ic_queue *q)
{
	uint32_t i;

	for (i = 0; i < q->size; i++) {
		if (q->slot[i].state != HVK_IC_FREE)
			release(&q->slot[i]);
	}
}

uint64_t
hvk_ic_queue_deadline(const struct hvk_ic_queue *q)
{
	uint64_t first = UINT64_MAX;
	uint32_t i;

	for (i = 0; i < q->size; i++) {
		if (q->slot[i].state != HVK_IC_FREE &&
		    q->slot[i].deadline < first)
			first = q->slot[i].deadline;
	}
	return (first);
}
