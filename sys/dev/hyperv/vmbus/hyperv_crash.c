/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * A panic is told to the host: what it was, and the last of the kernel's
 * messages, by the crash registers.
 *
 * The page for the text exists from attach on, since nothing can be allocated
 * in a panic.  No lock: one thread runs then, and the others are stopped; the
 * page is nobody else's.  The kernel's own page of text is read by its own
 * function, whose lock a panic does not take.
 * Facts: wire.md section 2 (0x40000100 to 0x40000105).
 */

#include "vmbus_var.h"

#include <sys/eventhandler.h>
#include <sys/msgbuf.h>
#include <sys/proc.h>
#include <vm/vm.h>
#include <vm/pmap.h>

SYSCTL_DECL(_hw_vmbus);
static int crash_text = 1;
SYSCTL_INT(_hw_vmbus, OID_AUTO, crash_text, CTLFLAG_RWTUN, &crash_text, 0,
    "In a panic, give the host the last kernel messages");

static eventhandler_tag	crash_tag;
static char		*crash_page;
static vm_paddr_t	crash_pa;
static bool		crash_told;

/* The panic's own line, then as much of what led to it as has room. */
static u_int
crash_compose(char *page)
{
	struct msgbuf *mb = msgbufp;
	u_int from, i, len, room, seq;

	i = snprintf(page, PAGE_SIZE, "panic: %s\n", panicstr);
	if (i >= PAGE_SIZE)
		return (PAGE_SIZE - 1);
	room = PAGE_SIZE - i;
	if (mb == NULL || mb->msg_magic != MSG_MAGIC)
		return (i);
	seq = MSGBUF_SEQSUB(mb, mb->msg_wseq, room);
	len = msgbuf_peekbytes(mb, page + i, room, &seq);
	/* What was never written is zero. */
	for (from = i; len > 0; from++, len--)
		if (page[from] != '\0')
			page[i++] = page[from];
	return (i);
}

static void
crash_report(void *arg __unused, int howto __unused)
{
	uint64_t control;
	u_int len;

	/* A second panic, in a handler, has nothing to add to the first. */
	if (panicstr == NULL || crash_told)
		return;
	crash_told = true;
	len = 0;
	control = hyperv_rdmsr(HVK_MSR_CRASH_CONTROL);
	if ((control & HVK_CRASH_NOTIFY) == 0)
		return;
	if ((control & HVK_CRASH_MESSAGE) != 0 && crash_text != 0)
		len = crash_compose(crash_page);
	hyperv_wrmsr(HVK_MSR_CRASH_P0, __FreeBSD_version);
	hyperv_wrmsr(HVK_MSR_CRASH_P0 + 1,
	    hyperv_rdmsr(HVK_MSR_GUEST_OS_ID));
	hyperv_wrmsr(HVK_MSR_CRASH_P0 + 2, curthread->td_tid);
	hyperv_wrmsr(HVK_MSR_CRASH_P0 + 3, len != 0 ? crash_pa : 0);
	hyperv_wrmsr(HVK_MSR_CRASH_P0 + 4, len);
	hyperv_wrmsr(HVK_MSR_CRASH_CONTROL, HVK_CRASH_NOTIFY |
	    (len != 0 ? HVK_CRASH_MESSAGE : 0));
}

/* Where the host has the registers; before file systems are looked after. */
void
hyperv_crash_start(void)
{

	if ((hyperv_info.misc & HVK_MISC_CRASH_MSRS) == 0)
		return;
	crash_page = HVK_KMEM_ALLOC(PAGE_SIZE, M_WAITOK | M_ZERO);
	crash_pa = vtophys(crash_page);
	crash_tag = EVENTHANDLER_REGISTER(shutdown_pre_sync, crash_report,
	    NULL, SHUTDOWN_PRI_FIRST);
}

void
hyperv_crash_stop(void)
{

	if (crash_tag == NULL)
		return;
	EVENTHANDLER_DEREGISTER(shutdown_pre_sync, crash_tag);
	crash_tag = NULL;
	HVK_KMEM_FREE(crash_page, PAGE_SIZE);
	crash_page = NULL;
}
