/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * The command server: one JSON object a line over DIR/hvk.sock, one reply a
 * line.  One thread serves all clients in turn; commands that ask the guest and
 * may wait have a thread of their own, one a client.  A client that sends no
 * line end, too long a line, or does not read its reply, is dropped.
 *
 * Locking: a client belongs to the server's thread, or, while `busy', to its
 * command's; `busy' changes under `lock'.
 */
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <hvk/services.h>
#include <hvk/vmm.h>

#define	CLIENTS		16
#define	LINE		16384
#define	SEND_MS		5000

struct client {
	struct vmm_ctl	*ctl;
	pthread_t	thread;		/* of a command that waits */
	bool		busy;
	bool		over;		/* to be joined */
	int		fd;
	uint32_t	len;
	uint32_t	used;		/* of the line being served */
	char		line[LINE];
};

struct vmm_ctl {
	pthread_mutex_t	lock;
	int		wake;		/* eventfd: a command is over */
	pthread_t	thread;
	int		listen;
	int		quit;		/* eventfd */
	vmm_ctl_handler	*handler;
	void		*arg;
	char		path[128];
	struct client	client[CLIENTS];
};

static void
client_drop(struct client *c)
{

	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->len = 0;
}

static bool
send_all(int fd, const char *buf, size_t len)
{
	uint64_t deadline = vmm_deadline(SEND_MS);
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	ssize_t n;

	while (len > 0) {
		n = send(fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n > 0) {
			buf += n;
			len -= (size_t)n;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return (false);
		if (vmm_left_ms(deadline) == 0)
			return (false);
		poll(&pfd, 1, vmm_left_ms(deadline));
	}
	return (true);
}

static bool
reply(int fd, json_t *out)
{
	char *text = json_dumps(out, JSON_COMPACT | JSON_REAL_PRECISION(9));
	bool ok;

	if (text == NULL)
		return (false);
	ok = send_all(fd, text, strlen(text)) && send_all(fd, "\n", 1);
	free(text);
	return (ok);
}

static void
serve(struct vmm_ctl *ctl, struct client *c, const char *line)
{
	char err[VMM_ERRLEN] = "";
	json_t *in, *out = json_object();
	const char *cmd;
	int error;

	in = json_loads(line, 0, NULL);
	cmd = json_string_value(json_object_get(in, "cmd"));
	if (cmd == NULL)
		error = vmm_fail(err, sizeof(err), -EINVAL, "not a command: "
		    "send one line such as {\"cmd\": \"info\"}");
	else
		error = ctl->handler(ctl->arg, cmd, in, out, err, sizeof(err));
	if (error != 0) {
		json_object_clear(out);
		json_object_set_new(out, "error", json_string(err));
	}
	json_object_set_new(out, "ok", json_boolean(error == 0));
	if (!reply(c->fd, out))
		client_drop(c);
	json_decref(in);
	json_decref(out);
}

static void
client_served(struct client *c)
{

	if (c->fd < 0)
		return;
	memmove(c->line, c->line + c->used, c->len - c->used);
	c->len -= c->used;
}

static void *
client_wait(void *arg)
{
	struct client *c = arg;
	uint64_t one = 1;

	serve(c->ctl, c, c->line);
	pthread_mutex_lock(&c->ctl->lock);
	c->over = true;
	pthread_mutex_unlock(&c->ctl->lock);
	if (write(c->ctl->wake, &one, sizeof(one)) < 0 && errno != EAGAIN)
		vmm_log("ctl: cannot wake the server");
	return (NULL);
}

/* Does the guest have to be asked?  Only then is a thread worth it. */
static bool
may_wait(const char *line)
{
	json_t *in = json_loads(line, 0, NULL);
	const char *cmd = json_string_value(json_object_get(in, "cmd"));
	bool wait = cmd != NULL && vmm_services_knows(cmd);

	json_decref(in);
	return (wait);
}

/* The lines that are there, until one has to wait. */
static void
client_lines(struct vmm_ctl *ctl, struct client *c)
{
	char *nl;

	while (c->fd >= 0 && (nl = memchr(c->line, '\n', c->len)) != NULL) {
		*nl = '\0';
		c->used = (uint32_t)(nl + 1 - c->line);
		if (may_wait(c->line)) {
			c->busy = true;
			if (vmm_thread(&c->thread, "ctl-wait", client_wait,
			    c) == 0)
				return;
			c->busy = false;
		}
		serve(ctl, c, c->line);
		client_served(c);
	}
	if (c->len == LINE - 1)
		client_drop(c);
}

static void
client_read(struct vmm_ctl *ctl, struct client *c)
{
	ssize_t n;

	n = recv(c->fd, c->line + c->len, LINE - 1 - c->len, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_drop(c);
		return;
	}
	c->len += (uint32_t)n;
	client_lines(ctl, c);
}

/* Commands that are over: their clients are ours again. */
static void
client_collect(struct vmm_ctl *ctl)
{
	struct client *c;
	bool over;
	int i;

	for (i = 0; i < CLIENTS; i++) {
		c = &ctl->client[i];
		pthread_mutex_lock(&ctl->lock);
		over = c->busy && c->over;
		pthread_mutex_unlock(&ctl->lock);
		if (!over)
			continue;
		pthread_join(c->thread, NULL);
		c->busy = c->over = false;
		client_served(c);
		client_lines(ctl, c);
	}
}

static void
client_accept(struct vmm_ctl *ctl)
{
	int fd, i;

	fd = accept4(ctl->listen, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return;
	for (i = 0; i < CLIENTS; i++)
		if (ctl->client[i].fd < 0 && !ctl->client[i].busy) {
			ctl->client[i].fd = fd;
			ctl->client[i].len = 0;
			return;
		}
	close(fd);
}

static void *
ctl_main(void *arg)
{
	struct vmm_ctl *ctl = arg;
	struct pollfd pfd[CLIENTS + 3];
	uint64_t n;
	int i;

	for (;;) {
		pfd[0] = (struct pollfd){ .fd = ctl->quit, .events = POLLIN };
		pfd[1] = (struct pollfd){ .fd = ctl->listen, .events = POLLIN };
		for (i = 0; i < CLIENTS; i++)
			pfd[i + 2] = (struct pollfd){ .fd =
			    ctl->client[i].busy ? -1 : ctl->client[i].fd,
			    .events = POLLIN };
		pfd[CLIENTS + 2] = (struct pollfd){ .fd = ctl->wake,
		    .events = POLLIN };
		if (poll(pfd, CLIENTS + 3, -1) < 0 && errno != EINTR)
			break;
		if (pfd[0].revents != 0)
			break;
		for (i = 0; i < CLIENTS; i++)
			if (ctl->client[i].fd >= 0 && pfd[i + 2].fd >= 0 &&
			    pfd[i + 2].revents != 0)
				client_read(ctl, &ctl->client[i]);
		if (pfd[CLIENTS + 2].revents != 0 &&
		    read(ctl->wake, &n, sizeof(n)) == sizeof(n))
			client_collect(ctl);
		if (pfd[1].revents != 0)
			client_accept(ctl);
	}
	return (NULL);
}

static void
ctl_free(struct vmm_ctl *ctl)
{
	int i;

	for (i = 0; i < CLIENTS; i++) {
		if (ctl->client[i].busy)
			pthread_join(ctl->client[i].thread, NULL);
		client_drop(&ctl->client[i]);
	}
	if (ctl->wake >= 0)
		close(ctl->wake);
	pthread_mutex_destroy(&ctl->lock);
	if (ctl->listen >= 0) {
		close(ctl->listen);
		unlink(ctl->path);
	}
	if (ctl->quit >= 0)
		close(ctl->quit);
	free(ctl);
}

struct vmm_ctl *
vmm_ctl_start(const char *dir, vmm_ctl_handler *handler, void *arg,
    char *err, size_t errlen)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct vmm_ctl *ctl;
	int i;

	ctl = calloc(1, sizeof(*ctl));
	if (ctl == NULL) {
		vmm_fail(err, errlen, 0, "out of memory");
		return (NULL);
	}
	for (i = 0; i < CLIENTS; i++) {
		ctl->client[i].fd = -1;
		ctl->client[i].ctl = ctl;
	}
	pthread_mutex_init(&ctl->lock, NULL);
	ctl->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ctl->handler = handler;
	ctl->arg = arg;
	ctl->listen = -1;
	snprintf(ctl->path, sizeof(ctl->path), "%s/hvk.sock", dir);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%.107s", ctl->path);
	ctl->quit = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ctl->listen = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0);
	if (ctl->wake < 0 || ctl->quit < 0 || ctl->listen < 0 || bind(ctl->listen,
	    (struct sockaddr *)&sa, sizeof(sa)) != 0 ||
	    chmod(ctl->path, 0600) != 0 || listen(ctl->listen, 8) != 0 ||
	    vmm_thread(&ctl->thread, "ctl", ctl_main, ctl) != 0) {
		vmm_fail(err, errlen, 0, "cannot listen on %s: %s", ctl->path,
		    strerror(errno));
		ctl_free(ctl);
		return (NULL);
	}
	return (ctl);
}

void
vmm_ctl_stop(struct vmm_ctl *ctl)
{
	uint64_t one = 1;

	if (ctl == NULL)
		return;
	if (write(ctl->quit, &one, sizeof(one)) == sizeof(one))
		pthread_join(ctl->thread, NULL);
	ctl_free(ctl);
}
