/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * The kld engine: a machine whose processors are threads of a kldrun process.
 * kld_create makes memory and descriptors, kld_launch starts the process and
 * the threads that serve its processors, kld_event reads what it reports.
 */
#ifndef _KLD_KLD_H_
#define	_KLD_KLD_H_

#include <sys/types.h>

#include <pthread.h>

#include <hvk/kld.h>
#include <hvk/vmm.h>

struct kld;

struct kld_vcpu {
	struct kld	*kld;
	struct vmm_bus	*bus;
	uint32_t	index;
	int		sock;		/* host's end */
	int		guest;		/* guest's end, until launched */
	int		irq;		/* eventfd, shared with the guest */
	pthread_t	thread;
	bool		started;
	_Atomic uint64_t exits;
};

struct kld {
	struct vmm_machine machine;
	struct guest_mem mem;
	struct kld_shared *shared;
	int		shared_fd;
	int		ctl;		/* control socket, host's end */
	int		ctl_guest;
	int		out;		/* read end of the guest's output */
	int		pidfd;
	pid_t		pid;
	uint32_t	ncpus;
	struct kld_vcpu	vcpu[KLD_MAXCPU];
};

struct kld_config {
	uint32_t	ncpus;
	uint64_t	mem_size;
};

struct kld_program {
	const char	*kldrun;
	const char	*dir;
	const char	*modules;
	bool		bounce;
	const char *const *env;		/* NAME=VALUE, nenv of them */
	unsigned	nenv;
};

struct kld *kld_create(const struct kld_config *, char *err, size_t errlen);
int	kld_launch(struct kld *, struct vmm_bus *, const struct kld_program *,
	    char *err, size_t errlen);
/* Disconnect the processors and wait for their threads; the guest is gone. */
void	kld_halt(struct kld *);
void	kld_destroy(struct kld *);

/* One message of the control socket: 1 = got it, 0 = none, -1 = closed. */
int	kld_event(struct kld *, struct kld_ctl *);
int	kld_send(struct kld *, uint32_t kind, uint64_t a, int fd);
/* True if the guest changed the mode of a descriptor it shares with us. */
bool	kld_tampered(struct kld *);

void	*kld_vcpu_main(void *);

/* ---- console.c */
struct kld_console;
struct kld_console *kld_console_start(int fd, const char *dir, char *err,
	    size_t errlen);
/* Waits until the guest's output ended, at most `ms`. */
void	kld_console_stop(struct kld_console *, uint32_t ms);

#endif /* _KLD_KLD_H_ */
