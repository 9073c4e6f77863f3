/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * kld.h: the calls between the two halves of kldrun. Names that begin with
 * kld_ are never visible to modules; everything else that kern/ defines is.
 * Plain C types only, as in os.h.
 */

#ifndef KLDRUN_KLD_H
#define KLDRUN_KLD_H

#include "os.h"

/* One row per symbol that modules may import (generated at link time). */
struct kld_export {
	const char *name;
	void *addr;
};
extern const struct kld_export kld_exports[];
extern const os_u64 kld_nexports;

/* A loaded module as its linker sets describe it (linux/ fills it). */
struct kld_image {
	const char *name;		/* "hv_vmbus.ko" */
	void **sysinit, **sysinit_end;
	void **sysuninit, **sysuninit_end;
	void **sysctl, **sysctl_end;
	void **metadata, **metadata_end;
};

/* linux/ calls into kern/ */
/* Turns the calling Linux thread into thread0; before anything else. */
void kld_boot(void);
/* A module was relocated: register it. 0 or a FreeBSD errno. */
int kld_module_loaded(struct kld_image *, void **file);
/* Runs what boot would run up to and including SI_SUB_LAST. */
int kld_boot_finish(void);
/* Detach and unload everything in reverse. Number of leaks. */
int kld_shutdown(void);
int kld_leak_report(int final, void (*out)(void *, const char *), void *arg);
void kld_devices_report(void (*out)(void *, const char *), void *arg);
/* arg: NAME, NAME=VALUE or "-a" [NAME]; text goes to out; 0 or errno. */
int kld_sysctl_command(const char *arg, void (*out)(void *, const char *),
    void *arg2);
/* As ifconfig(8): [-a | IF [WORD [VALUE]]...]; the exit status. */
int kld_ifconfig_command(char **args, int n,
    void (*out)(void *, const char *), void *arg2);
/* Deliver one interrupt vector on the calling interrupt thread. */
void kld_interrupt_thread_start(int ncpus);
/* Adopt a Linux thread (a ctl connection) into a kernel thread and back. */
int kld_thread_spawn(void (*fn)(void *), void *arg, const char *name);
int kld_curcpu(void);
int kld_in_kernel_thread(void);
const char *kld_curthread_name(void);
/* On a kernel thread. */
void kld_nmi(void *);
/* What went to the console, for the message buffer. */
void kld_msgbuf_add(const char *, os_u64 len);
/* The end of a panic: what a kernel would still do. */
void kld_panicked(const char *what);
/* Symbol of kldrun itself that holds pc, from the export table. */
const char *kld_strerror(int error);

#endif
