/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * panic.c: panic(9) and what leads to it: failed assertions, an NMI as GENERIC
 * takes it, the administrator's debug.kdb.panic. It goes as in the kernel: the
 * text, a backtrace, the handlers of shutdown_pre_sync, the end.
 *
 * The kernel stops the other processors first. Other threads here run on for
 * the milliseconds that it takes, so nothing below takes a lock of theirs.
 */

#include "kern.h"
#include <sys/kassert.h>
#undef kassert_panic
#include <sys/reboot.h>
#include <sys/stdarg.h>
#include <sys/sysctl.h>

const char *panicstr;

static volatile uintptr_t panicking;	/* the thread */

/* A thread that panics while another does waits for the end. */
static bool
panic_begin(void)
{
	if (atomic_cmpset_ptr(&panicking, 0, (uintptr_t)curthread))
		return (true);
	while (panicking != (uintptr_t)curthread)
		os_sleep_until(os_monotonic_ns() + 1000000000);
	return (false);
}

/* After text and backtrace; a fault of the processor comes here by itself. */
void
kld_panicked(const char *what)
{
	static volatile u_int once;

	if (panicstr == NULL)
		panicstr = what;
	(void)panic_begin();
	if (atomic_fetchadd_int(&once, 1) == 0)
		kld_panic_handlers(RB_AUTOBOOT | RB_DUMP | RB_NOSYNC);
}

void
vpanic(const char *fmt, va_list ap)
{
	static char buf[512];

	if (panic_begin()) {
		vsnprintf(buf, sizeof(buf), fmt, ap);
		panicstr = buf;
		printf("panic: %s\n", buf);
	} else {
		printf("panic: ");
		vprintf(fmt, ap);
		printf("\n");
	}
	printf("cpuid = %d\n", kld_curcpu());
	printf("thread = \"%s\" (%d)\n", curthread->td_name, curthread->td_tid);
	os_die();
}

void
panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vpanic(fmt, ap);
	va_end(ap);
	__builtin_unreachable();
}

void
kassert_panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vpanic(fmt, ap);
	va_end(ap);
	__builtin_unreachable();
}

static int panic_on_nmi = 0xff;
SYSCTL_INT(_machdep, OID_AUTO, panic_on_nmi, CTLFLAG_RWTUN, &panic_on_nmi, 0,
    "Panic on NMI");

/* There is no debugger here, and no chipset that could claim it. */
void
kld_nmi(void *arg)
{
	printf("NMI/cpu%d ... %s\n", kld_curcpu(), panic_on_nmi != 0 ?
	    "panic" : "ignored, machdep.panic_on_nmi is 0");
	if (panic_on_nmi != 0)
		panic("NMI");
}

static SYSCTL_NODE(_debug, OID_AUTO, kdb, CTLFLAG_RW | CTLFLAG_MPSAFE, NULL,
    "KDB nodes");

static int
sysctl_panic(SYSCTL_HANDLER_ARGS)
{
	int error, i;

	i = 0;
	error = sysctl_handle_int(oidp, &i, 0, req);
	if (error == 0 && req->newptr != NULL && i == 1)
		panic("kdb_sysctl_panic");
	return (error);
}
SYSCTL_PROC(_debug_kdb, OID_AUTO, panic, CTLTYPE_INT | CTLFLAG_RW |
    CTLFLAG_MPSAFE, NULL, 0, sysctl_panic, "I", "set to panic the kernel");
