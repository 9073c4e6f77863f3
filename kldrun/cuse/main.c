/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * main.c: kldcuse: a character device of a kernel in kldrun, which is the
 * socket DIR/dev/NAME, as /dev/NAME of Linux: for programs that open devices
 * and know nothing of that socket. CUSE, by libfuse3: an open file here is a
 * connection there.
 *
 *	kldcuse [--fd N] SOCKET
 *
 * The session is /dev/cuse, or descriptor N that somebody else has opened.
 *
 * The main thread takes requests; none of its calls waits. What has to wait
 * (a read without O_NONBLOCK, a poll) is kept in its file, and the watcher
 * answers it. cuse_lock guards all files and the devices behind them.
 */

#define	FUSE_USE_VERSION	35

#include <cuse_lowlevel.h>
#include <fuse_opt.h>

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>

#include "device.h"
#include "kdev.h"

#define	MAX_FILES	64
#define	MAX_READS	16		/* waiting, of one file */

struct file {
	LIST_ENTRY(file) link;
	struct device	d;
	struct fuse_pollhandle *ph;	/* who wants to be told */
	int		nreads;
	struct {
		fuse_req_t	req;
		size_t		size;
	} reads[MAX_READS];
};

static pthread_mutex_t cuse_lock = PTHREAD_MUTEX_INITIALIZER;
static LIST_HEAD(, file) files = LIST_HEAD_INITIALIZER(files);
static int nfiles, wake[2];
static const char *path;
static char buffer[KDEV_MAXDATA];	/* under cuse_lock */

static struct file *
file_of(struct fuse_file_info *fi)
{
	return ((struct file *)(uintptr_t)fi->fh);
}

static void
watch_again(void)
{
	(void)!write(wake[1], "x", 1);
}

/* Any call ends the poll that the watcher waits for: it must ask again. */
static void
after_call(const struct file *f)
{
	if (f->nreads > 0 || f->ph != NULL)
		watch_again();
}

/* One read: true when it was answered. */
static bool
read_once(struct file *f, fuse_req_t req, size_t size, bool wait)
{
	ssize_t n;

	n = device_read(&f->d, buffer, size < sizeof(buffer) ? size :
	    sizeof(buffer));
	if (n < 0 && errno == EAGAIN && wait)
		return (false);
	if (n < 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_buf(req, buffer, (size_t)n);
	return (true);
}

static void
forget_read(struct file *f, int i)
{
	f->nreads--;
	memmove(&f->reads[i], &f->reads[i + 1],
	    (size_t)(f->nreads - i) * sizeof(f->reads[0]));
}

static void
do_open(fuse_req_t req, struct fuse_file_info *fi)
{
	struct file *f;
	int error;

	f = calloc(1, sizeof(*f));
	error = f == NULL ? ENOMEM : 0;
	pthread_mutex_lock(&cuse_lock);
	if (error == 0 && nfiles == MAX_FILES)
		error = EMFILE;
	if (error == 0 && device_open(&f->d, path) != 0)
		error = errno;
	if (error == 0) {
		LIST_INSERT_HEAD(&files, f, link);
		nfiles++;
		fi->fh = (uint64_t)(uintptr_t)f;
		fi->direct_io = 1;
	}
	pthread_mutex_unlock(&cuse_lock);
	if (error != 0) {
		free(f);
		fuse_reply_err(req, error);
	} else
		fuse_reply_open(req, fi);
}

static void
do_release(fuse_req_t req, struct fuse_file_info *fi)
{
	struct file *f;

	f = file_of(fi);
	pthread_mutex_lock(&cuse_lock);
	LIST_REMOVE(f, link);
	nfiles--;
	while (f->nreads > 0) {
		fuse_reply_err(f->reads[0].req, EINTR);
		forget_read(f, 0);
	}
	if (f->ph != NULL)
		fuse_pollhandle_destroy(f->ph);
	device_close(&f->d);
	pthread_mutex_unlock(&cuse_lock);
	free(f);
	fuse_reply_err(req, 0);
}

/* The reader got a signal. */
static void
interrupted(fuse_req_t req, void *arg)
{
	struct file *f;
	int i;

	f = arg;
	pthread_mutex_lock(&cuse_lock);
	for (i = 0; i < f->nreads; i++)
		if (f->reads[i].req == req)
			break;
	if (i < f->nreads) {
		forget_read(f, i);
		fuse_reply_err(req, EINTR);
	}
	pthread_mutex_unlock(&cuse_lock);
}

static void
do_read(fuse_req_t req, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct file *f;

	(void)off;
	f = file_of(fi);
	pthread_mutex_lock(&cuse_lock);
	if (!read_once(f, req, size, (fi->flags & O_NONBLOCK) == 0)) {
		if (f->nreads == MAX_READS)
			fuse_reply_err(req, ENOBUFS);
		else {
			f->reads[f->nreads].req = req;
			f->reads[f->nreads++].size = size;
			pthread_mutex_unlock(&cuse_lock);
			fuse_req_interrupt_func(req, interrupted, f);
			watch_again();
			return;
		}
	}
	after_call(f);
	pthread_mutex_unlock(&cuse_lock);
}

static void
do_write(fuse_req_t req, const char *buf, size_t size, off_t off,
    struct fuse_file_info *fi)
{
	ssize_t n;
	int error;

	(void)off;
	pthread_mutex_lock(&cuse_lock);
	n = device_write(&file_of(fi)->d, buf, size);
	error = errno;
	after_call(file_of(fi));
	pthread_mutex_unlock(&cuse_lock);
	if (n < 0)
		fuse_reply_err(req, error);
	else
		fuse_reply_write(req, (size_t)n);
}

/* What goes in and out is in the command: Linux has fetched and will store. */
static void
do_ioctl(fuse_req_t req, int cmd, void *arg, struct fuse_file_info *fi,
    unsigned int flags, const void *in, size_t insize, size_t outsize)
{
	int error;

	(void)arg;
	(void)flags;
	if (insize > sizeof(buffer) || outsize > sizeof(buffer)) {
		fuse_reply_err(req, EINVAL);
		return;
	}
	pthread_mutex_lock(&cuse_lock);
	memset(buffer, 0, outsize > insize ? outsize : insize);
	memcpy(buffer, in, insize);
	error = device_ioctl(&file_of(fi)->d, (unsigned int)cmd, buffer) == 0 ?
	    0 : errno;
	after_call(file_of(fi));
	if (error != 0)
		fuse_reply_err(req, error);
	else
		fuse_reply_ioctl(req, 0, buffer, outsize);
	pthread_mutex_unlock(&cuse_lock);
}

static unsigned int
ready_events(struct file *f)
{
	int ready;

	ready = device_wait(&f->d, -1, 0);
	if (ready < 0 || (ready & DEVICE_GONE) != 0)
		return (POLLHUP | POLLERR);
	return ((ready & DEVICE_READY) != 0 ? POLLIN | POLLRDNORM : 0);
}

static void
do_poll(fuse_req_t req, struct fuse_file_info *fi, struct fuse_pollhandle *ph)
{
	struct file *f;
	unsigned int events;

	f = file_of(fi);
	pthread_mutex_lock(&cuse_lock);
	events = ready_events(f);
	if (ph != NULL) {
		if (f->ph != NULL)
			fuse_pollhandle_destroy(f->ph);
		f->ph = ph;
	}
	/* Who knows already is not told again. */
	if (events != 0 && f->ph != NULL) {
		fuse_pollhandle_destroy(f->ph);
		f->ph = NULL;
	}
	pthread_mutex_unlock(&cuse_lock);
	/* Writing never waits for long. */
	fuse_reply_poll(req, events | POLLOUT | POLLWRNORM);
	watch_again();
}

/* What waits in a file, now that something has come. */
static void
serve_waiting(struct file *f)
{
	while (f->nreads > 0 && read_once(f, f->reads[0].req,
	    f->reads[0].size, true))
		forget_read(f, 0);
	if (f->ph != NULL) {
		fuse_lowlevel_notify_poll(f->ph);
		fuse_pollhandle_destroy(f->ph);
		f->ph = NULL;
	}
}

static void *
watcher(void *arg)
{
	struct pollfd p[MAX_FILES + 1];
	char drop[64];
	struct file *f;
	nfds_t n;

	(void)arg;
	for (;;) {
		pthread_mutex_lock(&cuse_lock);
		p[0] = (struct pollfd){ wake[0], POLLIN, 0 };
		n = 1;
		LIST_FOREACH(f, &files, link) {
			if (f->nreads == 0 && f->ph == NULL)
				continue;
			if (ready_events(f) != 0)
				serve_waiting(f);
			if ((f->nreads > 0 || f->ph != NULL) &&
			    device_arm(&f->d) == 0)
				p[n++] = (struct pollfd){ f->d.fd, POLLIN, 0 };
		}
		pthread_mutex_unlock(&cuse_lock);
		if (poll(p, n, -1) > 0 && p[0].revents != 0)
			(void)!read(wake[0], drop, sizeof(drop));
	}
	return (NULL);
}

static void
init_done(void *userdata)
{
	(void)userdata;
	printf("kldcuse: ready\n");
	fflush(stdout);
}

static ssize_t
session_read(int fd, void *buf, size_t len, void *userdata)
{
	(void)userdata;
	return (read(fd, buf, len));
}

static ssize_t
session_writev(int fd, struct iovec *iov, int count, void *userdata)
{
	(void)userdata;
	return (writev(fd, iov, count));
}

static int
serve(int fd)
{
	static const struct fuse_custom_io io = {
		.read = session_read, .writev = session_writev,
	};
	static const struct cuse_lowlevel_ops ops = {
		.init_done = init_done, .open = do_open, .read = do_read,
		.write = do_write, .ioctl = do_ioctl, .poll = do_poll,
		.release = do_release,
	};
	char name[128], *no_args[] = { (char *)(uintptr_t)"kldcuse", NULL };
	const char *info[] = { name };
	struct cuse_info ci = { .dev_info_argc = 1, .dev_info_argv = info };
	struct fuse_args args = FUSE_ARGS_INIT(1, no_args);
	struct fuse_session *se;
	const char *slash;
	pthread_t t;
	int error;

	slash = strrchr(path, '/');
	snprintf(name, sizeof(name), "DEVNAME=%s", slash != NULL ? slash + 1 :
	    path);
	se = cuse_lowlevel_new(&args, &ci, &ops, NULL);
	if (se == NULL || fuse_session_custom_io(se, &io, fd) != 0)
		errx(1, "no CUSE session");
	if (pipe(wake) != 0 || pthread_create(&t, NULL, watcher, NULL) != 0)
		err(1, "watcher");
	if (fuse_set_signal_handlers(se) != 0)
		errx(1, "signals");
	error = fuse_session_loop(se);
	return (error < 0 ? 1 : 0);
}

int
main(int argc, char **argv)
{
	struct stat sb;
	int fd;

	fd = -1;
	if (argc == 4 && strcmp(argv[1], "--fd") == 0) {
		fd = atoi(argv[2]);
		argv += 2;
		argc -= 2;
	}
	if (argc != 2 || argv[1][0] == '-') {
		fprintf(stderr, "usage: kldcuse [--fd N] SOCKET\n");
		return (64);
	}
	path = argv[1];
	/* Not opened to see whether it is there: drivers notice. */
	if (stat(path, &sb) != 0)
		err(1, "%s", path);
	if (!S_ISSOCK(sb.st_mode))
		errx(1, "%s is no device of kldrun", path);
	if (fd < 0 && (fd = open("/dev/cuse", O_RDWR | O_CLOEXEC)) < 0)
		err(1, "/dev/cuse");
	return (serve(fd));
}
