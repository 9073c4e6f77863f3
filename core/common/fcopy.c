/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * File copy on the wire.  Locking: none, see hvk/fcopy.h.  Facts: wire.md
 * section 13.
 */

#include <hvk/bytes.h>
#include <hvk/fcopy.h>
#include <hvk/utf16.h>

#define	AT(field)	offsetof(struct hvk_fcopy_start, field)
#define	WRITE_AT(field)	offsetof(struct hvk_fcopy_write, field)

static int
put_name(uint8_t *at, const char *text)
{
	uint32_t len, used;

	for (len = 0; text[len] != '\0'; len++)
		continue;
	return (hvk_utf16_encode(at, HVK_FCOPY_PATH_UNITS, text, len, &used));
}

static int
put_start(struct hvk_ic_message *m, const struct hvk_fcopy_item *item)
{
	uint8_t *body;
	int error;

	error = hvk_ic_resize(m, sizeof(struct hvk_fcopy_start));
	if (error != HVK_OK)
		return (error);
	body = hvk_ic_body(m);
	hvk_copy(body + AT(flags), &item->flags, 4);
	hvk_copy(body + AT(size), &item->size, 8);
	error = put_name(body + AT(name), item->name);
	if (error == HVK_OK)
		error = put_name(body + AT(path), item->path);
	return (error);
}

static int
put_write(struct hvk_ic_message *m, const struct hvk_fcopy_item *item)
{
	uint8_t *body;
	int error;

	if (item->len > HVK_FCOPY_FRAGMENT)
		return (HVK_RANGE);
	error = hvk_ic_resize(m, sizeof(struct hvk_fcopy_write));
	if (error != HVK_OK)
		return (error);
	body = hvk_ic_body(m);
	hvk_copy(body + WRITE_AT(offset), &item->offset, 8);
	hvk_copy(body + WRITE_AT(size), &item->len, 4);
	if (item->len != 0)
		hvk_copy(body + WRITE_AT(data), item->data, item->len);
	return (HVK_OK);
}

int
hvk_fcopy_request(struct hvk_ic_message *m, const struct hvk_fcopy_item *item)
{
	int error;

	if (item->op >= HVK_FCOPY_NOPS)
		return (HVK_RANGE);
	if (item->op == HVK_FCOPY_START)
		error = put_start(m, item);
	else if (item->op == HVK_FCOPY_WRITE)
		error = put_write(m, item);
	else
		error = hvk_ic_resize(m, sizeof(struct hvk_fcopy_header));
	if (error == HVK_OK)
		hvk_copy(hvk_ic_body(m), &item->op, 4);
	return (error);
}

static int
get_start(struct hvk_rd *rd, struct hvk_fcopy_item *item)
{
	const uint8_t *name, *path;
	uint32_t len;

	name = hvk_rd_take(rd, 2 * HVK_FCOPY_PATH_UNITS);
	path = hvk_rd_take(rd, 2 * HVK_FCOPY_PATH_UNITS);
	item->flags = hvk_rd_u32(rd);
	item->size = hvk_rd_u64(rd);
	if (!hvk_rd_ok(rd) ||
	    hvk_utf16_decode(item->name, sizeof(item->name), name,
	    HVK_FCOPY_PATH_UNITS, &len) != HVK_OK ||
	    hvk_utf16_decode(item->path, sizeof(item->path), path,
	    HVK_FCOPY_PATH_UNITS, &len) != HVK_OK)
		return (HVK_REJECT);
	return (HVK_OK);
}

static int
get_write(struct hvk_rd *rd, struct hvk_fcopy_item *item)
{
	hvk_rd_skip(rd, 4);
	item->offset = hvk_rd_u64(rd);
	item->len = hvk_rd_u32(rd);
	if (!hvk_rd_ok(rd) || item->len > HVK_FCOPY_FRAGMENT ||
	    item->offset > UINT64_MAX - item->len)
		return (HVK_REJECT);
	item->data = hvk_rd_take(rd, item->len);
	return (hvk_rd_ok(rd) ? HVK_OK : HVK_REJECT);
}

int
hvk_fcopy_parse(const struct hvk_ic_message *m, struct hvk_fcopy_item *item)
{
	struct hvk_rd rd;

	hvk_zero(item, sizeof(*item));
	hvk_rd_init(&rd, hvk_ic_body_const(m), hvk_ic_body_len(m));
	item->op = hvk_rd_u32(&rd);
	hvk_rd_skip(&rd, 32);
	if (!hvk_rd_ok(&rd))
		return (HVK_REJECT);
	switch (item->op) {
	case HVK_FCOPY_START:
		return (get_start(&rd, item));
	case HVK_FCOPY_WRITE:
		return (get_write(&rd, item));
	case HVK_FCOPY_COMPLETE:
	case HVK_FCOPY_CANCEL:
		return (HVK_OK);
	default:
		return (HVK_RANGE);
	}
}
