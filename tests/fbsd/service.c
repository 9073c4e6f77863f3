/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * The integration services, with the host's help: it says whether our heart
 * beats, and asks for a shutdown as an administrator of the host would.
 */

#include <sys/signal.h>
#include <sys/time.h>

#include "sys.h"

void
check_services(void)
{
	char text[64];

	if (!sysctl_text("dev.hvheartbeat.0.%desc", text, sizeof(text))) {
		say("service: no heartbeat here\n");
		return;
	}
	sleep_ms(3000);
	say("@host heartbeat\n");
	sleep_ms(1000);
}

static volatile int caught;

static void
catch_signal(int sig)
{
	caught = sig;
}

/*
 * The kernel passes the host's wish on to its first process as a signal:
 * SIGUSR2 to power off.
 */
void
check_shutdown(void)
{
	static const int signals[] = { SIGUSR1, SIGUSR2, SIGINT };
	struct sigaction sa;
	char text[64];
	uint64_t end;

	if (!sysctl_text("dev.hvshutdown.0.%desc", text, sizeof(text))) {
		say("service: no shutdown service here\n");
		return;
	}
	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = catch_signal;
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		(void)sys3(SYS_sigaction, signals[i], &sa, 0);
	say("@host shutdown\n");
	for (end = now_ms() + 30000; caught == 0 && now_ms() < end;)
		sleep_ms(100);
	check("service.shutdown", caught == SIGUSR2, "signal %d", caught);
}
