/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * One virtual processor of the kld engine: its exits, served on a thread.
 * Whatever is malformed ends this processor's service and nothing else.
 */
#include <sys/socket.h>

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "kld.h"

/* false: not an exit we know. */
static bool
serve(struct kld_vcpu *v, struct kld_exit *e)
{
	uint32_t regs[4];
	bool ok = true;

	switch (e->kind) {
	case KLD_EXIT_CPUID:
		vmm_bus_cpuid(v->bus, v->index, (uint32_t)e->a,
		    (uint32_t)e->b, regs);
		e->a = regs[0];
		e->b = regs[1];
		e->c = regs[2];
		e->d = regs[3];
		break;
	case KLD_EXIT_RDMSR:
		ok = vmm_bus_rdmsr(v->bus, v->index, (uint32_t)e->a, &e->b);
		break;
	case KLD_EXIT_WRMSR:
		ok = vmm_bus_wrmsr(v->bus, v->index, (uint32_t)e->a, e->b);
		break;
	case KLD_EXIT_HYPERCALL:
		e->d = vmm_bus_hypercall(v->bus, v->index, e->a, e->b, e->c);
		break;
	default:
		return (false);
	}
	e->fault = ok ? 0 : 1;
	return (true);
}

void *
kld_vcpu_main(void *arg)
{
	struct kld_vcpu *v = arg;
	struct kld_exit e;
	ssize_t n;

	for (;;) {
		/* MSG_TRUNC: the true length, so that a long one shows. */
		n = recv(v->sock, &e, sizeof(e), MSG_TRUNC);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		if (n != sizeof(e) || !serve(v, &e)) {
			vmm_log("processor %u: malformed exit (%zd bytes, "
			    "kind %u); the processor is stopped", v->index, n,
			    n >= 4 ? e.kind : 0);
			break;
		}
		atomic_fetch_add_explicit(&v->exits, 1, memory_order_relaxed);
		/* One request, one reply: a full socket is the guest's doing. */
		n = send(v->sock, &e, sizeof(e), MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n != sizeof(e)) {
			if (n < 0 && errno != EPIPE && errno != ECONNRESET)
				vmm_log("processor %u: does not take its "
				    "replies; it is stopped", v->index);
			break;
		}
	}
	/* The guest's next exit fails at once instead of waiting for ever. */
	shutdown(v->sock, SHUT_RDWR);
	return (NULL);
}
