/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * File copy as the host provides it.  One file at a time, by a thread of its
 * own, because it may take long:
 *
 *	"copy start"	{"file", "path"?, "name"?, "overwrite", "mkdirs"}
 *	"copy status"	-> {"copy": {"state", "done", "size", "error"?}}
 *	"copy cancel"
 *
 * Locking: `fcopy_lock' guards the job; the thread takes it for short times.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <hvk/fcopy.h>

#include "ic.h"

#define	LIMIT_MS	35000u

struct ic_copy {
	struct ic	*ic;
	pthread_t	thread;
	bool		running;
	_Atomic bool	cancel;
	int		fd;
	int		error;
	uint64_t	size, done;
	uint64_t	began, ended;
	struct hvk_fcopy_item item;
	struct hvk_ic_message reply;
	uint8_t		data[HVK_FCOPY_FRAGMENT];
	char		text[VMM_ERRLEN];
};

static pthread_mutex_t fcopy_lock = PTHREAD_MUTEX_INITIALIZER;

static int
copy_make(struct hvk_ic_host *h, uint64_t now, void *arg,
    struct hvk_ic_message *m)
{
	struct hvk_fcopy_item *item = arg;
	int error;

	error = hvk_ic_host_request(h, now, LIMIT_MS,
	    sizeof(struct hvk_fcopy_header), m);
	if (error != HVK_OK)
		return (error);
	error = hvk_fcopy_request(m, item);
	if (error != HVK_OK)
		h->waiting = false;	/* not sent */
	return (error);
}

static int
copy_ask(struct ic_copy *c, uint32_t op)
{
	char err[VMM_ERRLEN] = "", subject[80];
	int error;

	c->item.op = op;
	snprintf(subject, sizeof(subject), "%.64s", c->item.name);
	error = ic_ask(c->ic, copy_make, &c->item, &c->reply, err,
	    sizeof(err));
	if (error == 0)
		error = ic_status(c->ic, &c->reply, subject, err, sizeof(err));
	if (error != 0 && c->error == 0) {
		pthread_mutex_lock(&fcopy_lock);
		c->error = error;
		snprintf(c->text, sizeof(c->text), "%s", err);
		pthread_mutex_unlock(&fcopy_lock);
	}
	return (error);
}

static int
copy_data(struct ic_copy *c)
{
	ssize_t n;

	while (c->done < c->size && !c->cancel) {
		n = pread(c->fd, c->data, sizeof(c->data), (off_t)c->done);
		if (n <= 0) {
			pthread_mutex_lock(&fcopy_lock);
			c->error = n < 0 ? -errno : -EIO;
			snprintf(c->text, sizeof(c->text), "reading the file: "
			    "%s", n < 0 ? strerror(errno) :
			    "it became shorter");
			pthread_mutex_unlock(&fcopy_lock);
			return (c->error);
		}
		c->item.offset = c->done;
		c->item.data = c->data;
		c->item.len = (uint32_t)n;
		if (copy_ask(c, HVK_FCOPY_WRITE) != 0)
			return (c->error);
		pthread_mutex_lock(&fcopy_lock);
		c->done += (uint64_t)n;
		pthread_mutex_unlock(&fcopy_lock);
	}
	return (0);
}

static void *
copy_main(void *arg)
{
	struct ic_copy *c = arg;
	int error;

	error = copy_ask(c, HVK_FCOPY_START);
	if (error == 0) {
		error = copy_data(c);
		if (error == 0 && !c->cancel)
			error = copy_ask(c, HVK_FCOPY_COMPLETE);
		else {
			pthread_mutex_lock(&fcopy_lock);
			if (c->error == 0) {
				c->error = -ECANCELED;
				strcpy(c->text, "cancelled");
			}
			pthread_mutex_unlock(&fcopy_lock);
			(void)copy_ask(c, HVK_FCOPY_CANCEL);
		}
	}
	pthread_mutex_lock(&fcopy_lock);
	c->ended = vmm_now_ns();
	c->running = false;
	close(c->fd);
	c->fd = -1;
	pthread_mutex_unlock(&fcopy_lock);
	return (NULL);
}

/* lock held; the thread has ended or never was. */
static void
copy_reap(struct vmm_services *s)
{

	if (s->copy == NULL)
		return;
	pthread_join(s->copy->thread, NULL);
	free(s->copy);
	s->copy = NULL;
}

void
ic_copy_stop(struct vmm_services *s)
{
	struct ic_copy *c;

	pthread_mutex_lock(&fcopy_lock);
	s->stopping = true;
	c = s->copy;
	s->copy = NULL;
	if (c != NULL)
		c->cancel = true;
	pthread_mutex_unlock(&fcopy_lock);
	if (c == NULL)
		return;
	pthread_join(c->thread, NULL);
	free(c);
}

static int
copy_names(struct ic_copy *c, const json_t *in, char *err, size_t errlen)
{
	const char *file = json_string_value(json_object_get(in, "file"));
	const char *path = json_string_value(json_object_get(in, "path"));
	const char *name = json_string_value(json_object_get(in, "name"));
	struct stat st;

	if (file == NULL)
		return (vmm_fail(err, errlen, -EINVAL, "a file is needed"));
	if (name == NULL) {
		name = strrchr(file, '/');
		name = name != NULL ? name + 1 : file;
	}
	if (path == NULL)
		path = "";
	if (*name == '\0' || strlen(name) >= sizeof(c->item.name) ||
	    strlen(path) >= sizeof(c->item.path))
		return (vmm_fail(err, errlen, -ENAMETOOLONG, "the name or the "
		    "directory is empty or too long: 259 UTF-16 units are the "
		    "limit"));
	strcpy(c->item.name, name);
	strcpy(c->item.path, path);
	c->fd = open(file, O_RDONLY | O_CLOEXEC);
	if (c->fd < 0 || fstat(c->fd, &st) != 0)
		return (vmm_fail(err, errlen, -errno, "%.200s: %s", file,
		    strerror(errno)));
	if (!S_ISREG(st.st_mode))
		return (vmm_fail(err, errlen, -EINVAL, "%.200s: not a regular "
		    "file", file));
	c->size = c->item.size = (uint64_t)st.st_size;
	if (json_is_true(json_object_get(in, "overwrite")))
		c->item.flags |= HVK_FCOPY_OVERWRITE;
	if (json_is_true(json_object_get(in, "mkdirs")))
		c->item.flags |= HVK_FCOPY_CREATE_PATH;
	return (0);
}

static int
copy_start(struct vmm_services *s, struct ic *ic, const json_t *in,
    char *err, size_t errlen)
{
	struct ic_copy *c;
	int error;

	if (s->stopping)
		return (vmm_fail(err, errlen, -ECANCELED,
		    "the host is stopping"));
	if (s->copy != NULL && s->copy->running)
		return (vmm_fail(err, errlen, -EBUSY, "another file is being "
		    "copied; `hvk ctl copy cancel` ends it"));
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return (vmm_fail(err, errlen, -ENOMEM, "out of memory"));
	c->fd = -1;
	c->ic = ic;
	error = copy_names(c, in, err, errlen);
	c->began = vmm_now_ns();
	c->running = true;
	if (error == 0) {
		copy_reap(s);	/* "copy status" is of this one now */
		error = vmm_thread(&c->thread, "hvk-copy", copy_main, c);
		if (error != 0)
			(void)vmm_fail(err, errlen, 0, "no thread: %s",
			    strerror(-error));
	}
	if (error != 0) {
		if (c->fd >= 0)
			close(c->fd);
		free(c);
		return (error);
	}
	s->copy = c;
	return (0);
}

static int
copy_status(struct vmm_services *s, json_t *out, char *err, size_t errlen)
{
	struct ic_copy *c = s->copy;
	json_t *o;

	if (c == NULL)
		return (vmm_fail(err, errlen, -ENOENT, "no file was copied"));
	o = json_pack("{s:s, s:s, s:I, s:I, s:f}", "state", c->running ?
	    "copying" : c->error != 0 ? "failed" : "done", "name",
	    c->item.name, "done", (json_int_t)c->done, "size",
	    (json_int_t)c->size, "seconds",
	    (double)((c->running ? vmm_now_ns() : c->ended) - c->began) / 1e9);
	if (c->error != 0)
		json_object_set_new(o, "error", json_string(c->text));
	json_object_set_new(out, "copy", o);
	return (0);
}

int
ic_copy_ctl(struct vmm_services *s, const char *cmd, const json_t *in,
    json_t *out, char *err, size_t errlen)
{
	int error = 0;

	pthread_mutex_lock(&fcopy_lock);
	if (strcmp(cmd, "copy start") == 0)
		error = copy_start(s, ic_find(s, HVK_IC_FCOPY), in, err,
		    errlen);
	else if (strcmp(cmd, "copy status") == 0)
		error = copy_status(s, out, err, errlen);
	else if (strcmp(cmd, "copy cancel") == 0) {
		if (s->copy == NULL || !s->copy->running)
			error = vmm_fail(err, errlen, -ENOENT, "no file is "
			    "being copied");
		else
			s->copy->cancel = true;
	} else
		error = vmm_fail(err, errlen, -EINVAL, "use copy FILE, copy "
		    "status or copy cancel");
	pthread_mutex_unlock(&fcopy_lock);
	return (error);
}

const struct ic_ops ic_fcopy_ops = {
	.type = HVK_IC_FCOPY,
	.instance = HVK_GUID_FCOPY_INSTANCE,
};
