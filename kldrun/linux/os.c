/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * os.c: the os_* services that need nothing but Linux: time, futexes,
 * threads, memory, the console, sockets. See os.h for the contracts.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <asm/prctl.h>
#include <time.h>
#include <unistd.h>

#include "linux.h"

static os_u64
clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ((os_u64)ts.tv_sec * 1000000000 + (os_u64)ts.tv_nsec);
}

os_u64
os_monotonic_ns(void)
{
	return (clock_ns(CLOCK_MONOTONIC));
}

os_u64
os_realtime_ns(void)
{
	return (clock_ns(CLOCK_REALTIME));
}

static struct timespec
ns_to_timespec(os_u64 ns)
{
	return ((struct timespec){ (time_t)(ns / 1000000000),
	    (long)(ns % 1000000000) });
}

void
os_sleep_until(os_u64 deadline)
{
	struct timespec ts;

	ts = ns_to_timespec(deadline);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) ==
	    EINTR)
		continue;
}

int
os_futex_wait(volatile os_u32 *word, os_u32 expect, os_u64 deadline)
{
	struct timespec ts;
	long r;

	ts = ns_to_timespec(deadline);
	r = syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, expect,
	    deadline != 0 ? &ts : NULL, NULL, FUTEX_BITSET_MATCH_ANY);
	return (r != 0 && errno == ETIMEDOUT);
}

void
os_futex_wake(volatile os_u32 *word, int count)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

void
os_yield(void)
{
	sched_yield();
}

void
os_lock(struct os_lock *l)
{
	os_u32 v;

	v = 0;
	if (__atomic_compare_exchange_n(&l->word, &v, 1, false,
	    __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return;
	while (__atomic_exchange_n(&l->word, 2, __ATOMIC_ACQUIRE) != 0)
		os_futex_wait(&l->word, 2, 0);
}

void
os_unlock(struct os_lock *l)
{
	if (__atomic_exchange_n(&l->word, 0, __ATOMIC_RELEASE) == 2)
		os_futex_wake(&l->word, 1);
}

/*
 * Kernel threads end from anywhere, so the way back to their first frame is
 * a longjmp: the frames between have no unwind tables.
 */
struct start {
	void (*fn)(void *);
	void *arg;
	void *gs;
	char name[16];
};
static _Thread_local jmp_buf thread_end;

static void *
thread_entry(void *p)
{
	struct start s;

	s = *(struct start *)p;
	free(p);
	os_set_gs(s.gs);
	os_thread_name(s.name);
	trap_thread_init();
	if (setjmp(thread_end) == 0)
		s.fn(s.arg);
	return (NULL);
}

int
os_thread_create(void (*fn)(void *), void *arg, void *stack, os_u64 size,
    void *gs, const char *name, os_u64 *handle)
{
	pthread_attr_t attr;
	pthread_t t;
	struct start *s;
	int error;

	s = os_alloc(sizeof(*s));
	s->fn = fn;
	s->arg = arg;
	s->gs = gs;
	snprintf(s->name, sizeof(s->name), "%s", name);
	pthread_attr_init(&attr);
	pthread_attr_setstack(&attr, stack, size);
	error = pthread_create(&t, &attr, thread_entry, s);
	pthread_attr_destroy(&attr);
	*handle = (os_u64)t;
	if (error != 0)
		free(s);
	return (error);
}

void
os_thread_join(os_u64 handle)
{
	pthread_join((pthread_t)handle, NULL);
}

void
os_thread_exit(void)
{
	longjmp(thread_end, 1);
}

void
os_thread_name(const char *name)
{
	char buf[16];

	snprintf(buf, sizeof(buf), "%s", name);
	pthread_setname_np(pthread_self(), buf);
}

int
os_thread_id(void)
{
	return ((int)syscall(SYS_gettid));
}

void
os_set_gs(void *gs)
{
	syscall(SYS_arch_prctl, ARCH_SET_GS, gs);
}

void *
os_alloc(os_u64 size)
{
	void *p;

	p = malloc(size != 0 ? size : 1);
	if (p == NULL) {
		fputs("kldrun: out of memory\n", stderr);
		os_exit(KLD_EXIT_PANIC);
	}
	return (p);
}

void *
os_realloc(void *p, os_u64 size)
{
	p = realloc(p, size);
	if (p == NULL) {
		fputs("kldrun: out of memory\n", stderr);
		os_exit(KLD_EXIT_PANIC);
	}
	return (p);
}

void
os_free(void *p)
{
	free(p);
}

void *
os_reserve(os_u64 size)
{
	void *p;

	p = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED) {
		fputs("kldrun: out of address space\n", stderr);
		os_exit(KLD_EXIT_PANIC);
	}
	return (p);
}

/* Only a build with AddressSanitizer has these. */
void __asan_poison_memory_region(const volatile void *, size_t)
    __attribute__((weak));
void __asan_unpoison_memory_region(const volatile void *, size_t)
    __attribute__((weak));

/* Faults are kldrun's to handle, and malloc(9) reports its own leaks. */
const char *__asan_default_options(void);
const char *
__asan_default_options(void)
{
	return ("detect_leaks=0:handle_segv=0:handle_sigbus=0:handle_sigill=0:"
	    "handle_sigfpe=0:handle_abort=0:use_sigaltstack=0:exitcode=66");
}

void
os_poison(const void *p, os_u64 len)
{
	if (__asan_poison_memory_region != NULL)
		__asan_poison_memory_region(p, len);
}

void
os_unpoison(const void *p, os_u64 len)
{
	if (__asan_unpoison_memory_region != NULL)
		__asan_unpoison_memory_region(p, len);
}

void
os_console_write(const char *s, os_u64 len)
{
	ssize_t n;

	for (; len > 0; s += n, len -= (os_u64)n)
		if ((n = write(STDOUT_FILENO, s, len)) <= 0)
			return;
}

void
os_exit(int status)
{
	machine_exit(status);
	_exit(status);
}

os_u64
os_random(void)
{
	os_u64 v;

	while (getrandom(&v, sizeof(v), 0) != sizeof(v))
		continue;
	return (v);
}

/* Sockets and descriptors */

int
os_unix_listen(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd;

	/* It gets its name when it answers, so that to see it is to reach it. */
	if (snprintf(sun.sun_path, sizeof(sun.sun_path), "%s~", path) >=
	    (int)sizeof(sun.sun_path))
		return (-1);
	unlink(sun.sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return (-1);
	if (bind(fd, (struct sockaddr *)&sun, sizeof(sun)) != 0 ||
	    listen(fd, 64) != 0 || rename(sun.sun_path, path) != 0) {
		close(fd);
		return (-1);
	}
	return (fd);
}

int
os_unix_accept(int fd)
{
	int c;

	do
		c = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	while (c < 0 && (errno == EINTR || errno == ECONNABORTED));
	return (c);
}

long
os_fd_read(int fd, void *buf, os_u64 len)
{
	ssize_t n;

	do
		n = read(fd, buf, len);
	while (n < 0 && errno == EINTR);
	return (n);
}

int
os_fd_read_all(int fd, void *buf, os_u64 len)
{
	char *p;
	long n;

	for (p = buf; len > 0; p += n, len -= (os_u64)n)
		if ((n = os_fd_read(fd, p, len)) <= 0)
			return (-1);
	return (0);
}

int
os_fd_write_all(int fd, const void *buf, os_u64 len)
{
	struct os_iovec iov = { (void *)(uintptr_t)buf, len };

	return (os_fd_writev_all(fd, &iov, 1));
}

/* struct os_iovec has the layout of struct iovec; partial writes go on. */
int
os_fd_writev_all(int fd, struct os_iovec *iov, int n)
{
	struct msghdr m;
	ssize_t done;

	while (n > 0) {
		memset(&m, 0, sizeof(m));
		m.msg_iov = (struct iovec *)iov;
		m.msg_iovlen = (size_t)n;
		done = sendmsg(fd, &m, MSG_NOSIGNAL);
		if (done < 0 && errno == ENOTSOCK)
			done = writev(fd, (struct iovec *)iov, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return (-1);
		for (; n > 0 && (os_u64)done >= iov->len; iov++, n--)
			done -= (ssize_t)iov->len;
		if (n > 0) {
			iov->base = (char *)iov->base + done;
			iov->len -= (os_u64)done;
		}
	}
	return (0);
}

void
os_fd_shutdown(int fd)
{
	shutdown(fd, SHUT_RDWR);
}

void
os_fd_close(int fd)
{
	close(fd);
}

void
os_unlink(const char *path)
{
	unlink(path);
}

int
os_file_create(const char *path)
{
	return (open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
}

int
os_fd_poll_in(int fd, os_u64 deadline)
{
	struct pollfd p = { fd, POLLIN, 0 };
	struct timespec ts;
	os_u64 now;
	int r;

	do {
		now = os_monotonic_ns();
		ts = ns_to_timespec(deadline > now ? deadline - now : 0);
		r = ppoll(&p, 1, deadline != 0 ? &ts : NULL, NULL);
	} while (r < 0 && errno == EINTR);
	if (r <= 0)
		return (r);
	return ((p.revents & POLLIN) != 0 ? 1 : -1);
}
