/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * reboot.c: how a module ends the guest. shutdown_nice(9) asks init(8) for an
 * orderly shutdown; there is no init here, so what follows it does: the
 * handlers of shutdown_pre_sync, shutdown_post_sync, then every module is
 * detached and unloaded, then shutdown_final. The host hears what kind of end
 * it is, as it would by a reset or a power-off.
 */

#include "kern.h"
#include <sys/eventhandler.h>
#include <sys/reboot.h>
#include <sys/sysctl.h>

static volatile int howto_asked = -1;

static const char *
howto_name(int howto)
{
	if ((howto & RB_POWEROFF) != 0)
		return ("power off");
	if ((howto & RB_HALT) != 0)
		return ("halt");
	if ((howto & RB_POWERCYCLE) != 0)
		return ("power cycle");
	return ("restart");
}

void
shutdown_nice(int howto)
{
	printf("kldrun: orderly shutdown (%s)\n", howto_name(howto));
	if (!atomic_cmpset_int(__DEVOLATILE(int *, &howto_asked), -1, howto))
		return;
	os_guest_ends((howto & (RB_POWEROFF | RB_HALT)) == 0);
}

void
kern_reboot(int howto)
{
	shutdown_nice(howto);
	for (;;)
		pause("reboot", hz);
}

/* Before modules go, and after. */
void
kld_shutdown_handlers(int final)
{
	int howto;

	howto = howto_asked != -1 ? howto_asked : RB_POWEROFF;
	if (final) {
		EVENTHANDLER_INVOKE(shutdown_final, howto);
		return;
	}
	EVENTHANDLER_INVOKE(shutdown_pre_sync, howto);
	EVENTHANDLER_INVOKE(shutdown_post_sync, howto);
}
