/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * linux.h: what the files of linux/ share: guest memory, the loader's view of
 * modules, the machine, the control socket.
 */

#ifndef KLDRUN_LINUX_H
#define KLDRUN_LINUX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "kld.h"

#define	KLD_EXIT_USAGE	64	/* sysexits(3) */
#define	KLD_EXIT_LOAD	2	/* a module could not be loaded */
#define	KLD_EXIT_PANIC	3
#define	KLD_EXIT_HOST	4	/* the host went away or refused */
#define	KLD_EXIT_LEAK	5

/* mem.c */
int mem_init(int memfd, uint64_t size);
void *mem_image_alloc(size_t size);

/* loader.c */
struct module_file {
	struct module_file *next;
	struct kld_image image;
	char name[64];
	uint8_t *base;
	size_t size, text_size;
	struct symbol {
		const char *name;
		uintptr_t addr, size;
		bool global;
	} *syms;
	size_t nsyms;
};
struct module_file *loader_load(const char *path);
const struct module_file *loader_find(uintptr_t pc);
const char *loader_symbol(const struct module_file *, uintptr_t pc,
    uintptr_t *offset);
void loader_symbols(void (*put)(void *, const char *), void *arg);

/* machine.c */
int machine_join(int vmfd);		/* receives the hello */
int machine_standalone(int ncpus, uint64_t mem_size);
void machine_ready(void);
void machine_exit(int status);
extern bool machine_has_host;

/* trap.c */
void trap_init(void);
void trap_thread_init(void);
void trap_backtrace(uintptr_t pc, uintptr_t fp);

/* ctl.c */
int ctl_serve(const char *dir);
int ctl_client(const char *dir, int argc, char **argv);

/* main.c */
void main_stop(void);
void env_set(const char *assignment);

/* stub.S */
extern char kld_hypercall_entry[];
uint64_t kld_hypercall(uint64_t control, uint64_t input, uint64_t output);

#endif
