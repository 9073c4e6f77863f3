/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * System calls of FreeBSD/amd64 without a C library, and the few functions that
 * a program needs.  Every call returns what the kernel returned, or minus the
 * error's number.
 */

#ifndef FBSD_SYS_H
#define	FBSD_SYS_H

#include <sys/types.h>
#include <sys/syscall.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline long
sys6(long n, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;
	unsigned char failed;

	__asm__ __volatile__("syscall; setc %1"
	    : "=a" (ret), "=q" (failed), "+r" (r10), "+r" (r8), "+r" (r9),
	      "+d" (c)
	    : "0" (n), "D" (a), "S" (b)
	    : "rcx", "r11", "cc", "memory");
	return (failed ? -ret : ret);
}

#define	sys0(n)			sys6((n), 0, 0, 0, 0, 0, 0)
#define	sys1(n, a)		sys6((n), (long)(a), 0, 0, 0, 0, 0)
#define	sys2(n, a, b)		sys6((n), (long)(a), (long)(b), 0, 0, 0, 0)
#define	sys3(n, a, b, c)	sys6((n), (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define	sys4(n, a, b, c, d)						\
	sys6((n), (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)

/* text.c */
void	*memcpy(void *, const void *, size_t);
void	*memset(void *, int, size_t);
int	 memcmp(const void *, const void *, size_t);
void	say(const char *fmt, ...) __attribute__((__format__(__printf__, 1, 2)));
/* One line "check: NAME ok|fail DETAIL". */
void	check(const char *name, bool ok, const char *fmt, ...)
	    __attribute__((__format__(__printf__, 3, 4)));
void	check_report(void);
extern unsigned checks_failed;

void	sleep_ms(unsigned);
uint64_t now_ms(void);
size_t	length(const char *);
bool	equal(const char *, const char *);
/* Does the text contain it? */
bool	contains(const char *text, const char *part);
/* A string or number by sysctl; false when there is none. */
bool	sysctl_text(const char *name, char *, size_t);
bool	sysctl_number(const char *name, uint64_t *);
/* An int by sysctl: 0, or minus the error. */
long	sysctl_set(const char *name, int);
/* A variable of the kernel's environment. */
bool	environment(const char *name, char *, size_t);

/* disk.c */
void	check_disk(const char *path);
void	check_grow(const char *path);
bool	disk_wait(const char *path, bool there, unsigned ms);

/* kld.c */
bool	modules_loaded(void);		/* are they ours? */
void	check_modules(void);
void	check_reload(void);

/* memory.c */
void	check_memory(void);

/* crash.c */
void	check_crashes(void);

/* daemon.c, and processes of others */
void	check_daemons(void);
/* Its id; what it prints goes to `out', if that is a descriptor. */
long	run_start(const char *const argv[], int out);
/* Its status; -1 when it was a signal or the time is up. */
int	run_wait(long pid, unsigned ms);
long	mount_on(const char *type, const char *from, const char *path, int flags);
long	read_file(const char *path, void *, size_t);
bool	is_there(const char *path);

/* backup.c */
void	check_backup(void);

/* machine.c */
void	check_machine(void);
void	check_cpus(void);

/* change.c */
void	check_channels(void);
void	check_changes(void);

/* net.c */
void	check_net(const char *ifname);
/* The interface's first address of IPv4, in host order, or 0. */
uint32_t net_address(const char *ifname);

/* dhcp.c: an address by DHCP in host order, or 0 */
uint32_t dhcp(const char *ifname, const uint8_t *mac);

/* service.c */
void	check_services(void);
/* The host is to switch us off; true when it did. */
void	check_shutdown(void);

#endif	/* !FBSD_SYS_H */
