/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * Log lines, error lines, the clock, named threads.  No state of its own.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <hvk/vmm.h>

void
vmm_log(const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	int n;

	n = snprintf(line, sizeof(line), "hvk: ");
	va_start(ap, fmt);
	n += vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, ap);
	va_end(ap);
	if (n > (int)sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	line[n++] = '\n';
	/* One write, so that lines of several threads do not mix. */
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return;
}

int
vmm_fail(char *err, size_t errlen, int ret, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, errlen, fmt, ap);
	va_end(ap);
	return (ret);
}

uint64_t
vmm_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec);
}

uint64_t
vmm_deadline(uint32_t ms)
{

	return (vmm_now_ns() + (uint64_t)ms * 1000000u);
}

int
vmm_left_ms(uint64_t deadline)
{
	uint64_t now = vmm_now_ns();

	if (now >= deadline)
		return (0);
	/* Round up: a wait of 0 would spin until the deadline. */
	return ((int)((deadline - now + 999999u) / 1000000u));
}

int
vmm_thread(void *thread, const char *name, void *(*fn)(void *), void *arg)
{
	sigset_t all, old;
	int error;

	/* Signals belong to the main thread alone. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = pthread_create((pthread_t *)thread, NULL, fn, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (error == 0)
		pthread_setname_np(*(pthread_t *)thread, name);
	return (-error);
}
