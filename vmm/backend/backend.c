/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * The kinds of disks by name, and what they have in common: the bounce
 * buffer and the vectors of an I/O.  Locking: see hvk/backend.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend_int.h"

struct backend *
backend_open(const json_t *disk, char *err, size_t errlen)
{
	const char *kind, *path;

	kind = json_string_value(json_object_get(disk, "backend"));
	path = json_string_value(json_object_get(disk, "path"));
	if (kind == NULL)
		kind = "raw";
	if (strcmp(kind, "null") == 0)
		return (null_open(disk, err, errlen));
	if (path == NULL || *path == '\0') {
		vmm_fail(err, errlen, 0, "a disk needs a path: give the name "
		    "of an image file or an NBD URI");
		return (NULL);
	}
	if (strcmp(kind, "nbd") == 0)
		return (nbd_open(disk, err, errlen));
	if (strcmp(kind, "raw") == 0)
		return (file_open(disk, err, errlen));
	vmm_fail(err, errlen, 0, "disk %s: unknown backend '%s'; use raw, nbd "
	    "or null", path, kind);
	return (NULL);
}

void
backend_close(struct backend *b)
{
	char *path;

	if (b == NULL)
		return;
	path = b->path;
	b->ops->close(b);
	free(path);
}

void
backend_info(struct backend *b, struct backend_info *info)
{

	*info = b->info;
	info->path = b->path;
}

int
backend_resize(struct backend *b, uint64_t size, char *err, size_t errlen)
{

	if (b->ops->resize == NULL)
		return (vmm_fail(err, errlen, -EOPNOTSUPP, "disk %s: a disk "
		    "of kind %s has the size its server says", b->path,
		    b->info.kind));
	return (b->ops->resize(b, size, err, errlen));
}

uint64_t
backend_refresh(struct backend *b)
{

	return (b->ops->refresh == NULL ? b->info.size : b->ops->refresh(b));
}

struct backend_queue *
backend_queue_open(struct backend *b, struct backend_loop *loop, char *err,
    size_t errlen)
{
	struct backend_queue *q;

	q = b->ops->queue_open(b, loop, err, errlen);
	if (q == NULL)
		return (NULL);
	q->backend = b;
	q->loop = loop;
	if (q->poll_fd != NULL) {
		q->next = loop->polled;
		loop->polled = q;
	}
	return (q);
}

void
backend_queue_close(struct backend_queue *q)
{
	struct backend_queue **at;

	if (q == NULL)
		return;
	for (at = &q->loop->polled; *at != NULL; at = &(*at)->next) {
		if (*at == q) {
			*at = q->next;
			break;
		}
	}
	q->backend->ops->queue_close(q);
}

bool
backend_submit(struct backend_queue *q, struct backend_io *io)
{

	io->queue = q;
	io->error = 0;
	io->bounce = NULL;
	io->at = io->offset;
	io->left = io->length;
	return (q->backend->ops->submit(q, io));
}

int
bounce_begin(struct backend_io *io, size_t align)
{
	uint8_t *p;
	uint32_t i;

	if (posix_memalign(&io->bounce, align, io->length) != 0) {
		io->bounce = NULL;
		return (ENOMEM);
	}
	p = io->bounce;
	if (io->op == BACKEND_WRITE) {
		for (i = 0; i < io->niov; i++) {
			memcpy(p, io->iov[i].iov_base, io->iov[i].iov_len);
			p += io->iov[i].iov_len;
		}
	}
	io->user = io->iov;
	io->nuser = io->niov;
	io->one.iov_base = io->bounce;
	io->one.iov_len = io->length;
	io->iov = &io->one;
	io->niov = 1;
	return (0);
}

void
bounce_end(struct backend_io *io)
{
	uint8_t *p = io->bounce;
	uint32_t i;

	if (p == NULL)
		return;
	if (io->op == BACKEND_READ && io->error == 0) {
		for (i = 0; i < io->nuser; i++) {
			memcpy(io->user[i].iov_base, p, io->user[i].iov_len);
			p += io->user[i].iov_len;
		}
	}
	free(io->bounce);
	io->bounce = NULL;
}

void
iov_advance(struct backend_io *io, uint64_t n)
{

	while (io->niov > 0 && n >= io->iov->iov_len) {
		n -= io->iov->iov_len;
		io->iov++;
		io->niov--;
	}
	if (io->niov > 0) {
		io->iov->iov_base = (uint8_t *)io->iov->iov_base + n;
		io->iov->iov_len -= n;
	}
}
