/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * The serial port on our own standard input and output, with a copy of the
 * output in DIR/console.log.  On a terminal the keys go to the guest as they
 * are, but for the escape key, Ctrl-A; from a file or pipe every byte does.
 *
 * One thread.  The guest's processors only wake it, so that a slow terminal
 * never stops them: see uart.c for what a full queue does.
 */
#include <sys/eventfd.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <hvk/vmm.h>

#include "dev.h"

#define	LOG_MAX		(64u << 20)
#define	DRAIN_MS	2000u
#define	ESCAPE		0x01		/* Ctrl-A */

struct dev_console {
	struct dev_uart	*uart;
	struct dev_machine machine;
	pthread_t	thread;
	int		wake;
	int		log;
	uint64_t	logged;
	bool		terminal;	/* standard input is one, and ours */
	bool		escaped;
	struct termios	saved;
	uint8_t		in[256];
	size_t		in_head, in_n;
	bool		in_ended;
	_Atomic bool	quit;
	_Atomic bool	done;
	char		dir[96];
};

static void
woken(void *arg)
{
	struct dev_console *c = arg;
	uint64_t one = 1;

	if (write(c->wake, &one, sizeof(one)) < 0)
		return;			/* full: it is awake */
}

static void
write_all(int fd, const uint8_t *buf, size_t len)
{
	ssize_t n;

	while (len > 0) {
		n = write(fd, buf, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		buf += n;
		len -= (size_t)n;
	}
}

/* True if something came out. */
static bool
output(struct dev_console *c)
{
	uint8_t buf[4096];
	size_t n = dev_uart_output(c->uart, buf, sizeof(buf));

	if (n == 0)
		return (false);
	write_all(STDOUT_FILENO, buf, n);
	if (c->log >= 0 && c->logged < LOG_MAX) {
		write_all(c->log, buf, n);
		c->logged += n;
		if (c->logged >= LOG_MAX)
			vmm_log("console.log is full; the rest of the console "
			    "is not kept");
	}
	return (true);
}

static void
say(const char *text)
{

	write_all(STDERR_FILENO, (const uint8_t *)text, strlen(text));
}

/* The key after the escape key. */
static void
command(struct dev_console *c, uint8_t key)
{
	char line[256];

	switch (key) {
	case 'x':
		say("\nhvk: quit\n");
		c->machine.event(c->machine.arg, DEV_QUIT);
		break;
	case 'p':
		c->machine.event(c->machine.arg, DEV_POWER_BUTTON);
		break;
	case 'r':
		c->machine.event(c->machine.arg, DEV_RESET);
		break;
	case 'n':
		c->machine.event(c->machine.arg, DEV_NMI);
		break;
	case 'c':
		snprintf(line, sizeof(line), "\nhvk: for commands, in "
		    "another terminal: hvk ctl --dir %s info\n", c->dir);
		say(line);
		break;
	default:
		say("\nhvk: Ctrl-A then x quits, p presses the power button, "
		    "r resets, n sends an NMI,\nhvk: c shows how to reach "
		    "hvk ctl, Ctrl-A sends a Ctrl-A\n");
		break;
	}
}

/* One byte of input: true if it is for the guest. */
static bool
for_guest(struct dev_console *c, uint8_t byte)
{

	if (!c->terminal)
		return (true);
	if (!c->escaped) {
		c->escaped = byte == ESCAPE;
		return (!c->escaped);
	}
	c->escaped = false;
	if (byte == ESCAPE)
		return (true);
	command(c, byte);
	return (false);
}

static void
read_input(struct dev_console *c)
{
	uint8_t buf[sizeof(c->in)];
	ssize_t n, i;

	n = read(STDIN_FILENO, buf, sizeof(buf));
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		c->in_ended = true;
		return;
	}
	c->in_head = c->in_n = 0;
	for (i = 0; i < n; i++)
		if (for_guest(c, buf[i]))
			c->in[c->in_n++] = buf[i];
}

static void
feed(struct dev_console *c)
{

	while (c->in_n > 0 && dev_uart_input(c->uart, c->in[c->in_head])) {
		c->in_head++;
		c->in_n--;
	}
}

static void *
console_main(void *arg)
{
	struct dev_console *c = arg;
	struct pollfd p[2];
	uint64_t n;

	while (!atomic_load(&c->quit)) {
		while (output(c))
			continue;
		feed(c);
		p[0] = (struct pollfd){ .fd = c->wake, .events = POLLIN };
		/* Read no more while the guest has not taken the last. */
		p[1] = (struct pollfd){ .fd = c->in_ended || c->in_n > 0 ? -1 :
		    STDIN_FILENO, .events = POLLIN };
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			break;
		if (p[0].revents != 0 && read(c->wake, &n, sizeof(n)) < 0)
			continue;
		if (p[1].revents != 0)
			read_input(c);
	}
	while (output(c))
		continue;
	atomic_store(&c->done, true);
	return (NULL);
}

static void
terminal_raw(struct dev_console *c)
{
	struct termios raw;

	/* Not ours when we run in the background of a shell. */
	if (!isatty(STDIN_FILENO) || tcgetpgrp(STDIN_FILENO) != getpgrp() ||
	    tcgetattr(STDIN_FILENO, &c->saved) != 0)
		return;
	raw = c->saved;
	cfmakeraw(&raw);
	raw.c_oflag |= OPOST;		/* our own lines need it */
	if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0)
		c->terminal = true;
}

struct dev_console *
dev_console_start(struct dev_uart *uart, const struct dev_machine *machine,
    const char *dir, char *err, size_t errlen)
{
	struct dev_console *c = calloc(1, sizeof(*c));
	char path[128];
	int error;

	if (c == NULL) {
		vmm_fail(err, errlen, 0, "out of memory");
		return (NULL);
	}
	c->uart = uart;
	c->machine = *machine;
	snprintf(c->dir, sizeof(c->dir), "%s", dir);
	snprintf(path, sizeof(path), "%s/console.log", dir);
	c->log = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC |
	    O_NOFOLLOW, 0600);
	c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->log < 0 || c->wake < 0) {
		vmm_fail(err, errlen, 0, "cannot make %s: %s", path,
		    strerror(errno));
		goto fail;
	}
	terminal_raw(c);
	error = vmm_thread(&c->thread, "console", console_main, c);
	if (error != 0) {
		vmm_fail(err, errlen, 0, "cannot start a thread: %s",
		    strerror(-error));
		goto fail;
	}
	dev_uart_notify(uart, woken, c);
	return (c);
fail:
	if (c->terminal)
		tcsetattr(STDIN_FILENO, TCSANOW, &c->saved);
	if (c->log >= 0)
		close(c->log);
	if (c->wake >= 0)
		close(c->wake);
	free(c);
	return (NULL);
}

void
dev_console_stop(struct dev_console *c)
{
	uint64_t deadline = vmm_deadline(DRAIN_MS);
	struct timespec ts = { 0, 5000000 };

	if (c == NULL)
		return;
	atomic_store(&c->quit, true);
	woken(c);
	while (!atomic_load(&c->done) && vmm_left_ms(deadline) > 0)
		nanosleep(&ts, NULL);
	if (c->terminal)
		tcsetattr(STDIN_FILENO, TCSANOW, &c->saved);
	if (!atomic_load(&c->done)) {
		/* Stuck writing to our own output: leave it to exit(). */
		pthread_detach(c->thread);
		return;
	}
	pthread_join(c->thread, NULL);
	dev_uart_notify(c->uart, NULL, NULL);
	close(c->log);
	close(c->wake);
	free(c);
}
