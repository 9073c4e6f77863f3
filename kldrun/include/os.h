/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * os.h: everything that the FreeBSD-shaped half of kldrun (kern/) may ask of
 * Linux (linux/). Both halves include this file, so it uses plain C types
 * only: no type of either system crosses here, because off_t, errno values
 * and va_list-less structures differ between the two worlds.
 *
 * Errors are returned as FreeBSD errno values where kern/ passes them on,
 * otherwise as -1.
 */

#ifndef KLDRUN_OS_H
#define KLDRUN_OS_H

typedef unsigned char os_u8;
typedef unsigned int os_u32;
typedef unsigned long os_u64;

/* Time: nanoseconds. Deadlines are on the monotonic clock; 0 is "never". */
os_u64 os_monotonic_ns(void);
os_u64 os_realtime_ns(void);
void os_sleep_until(os_u64 deadline);

/* Futexes. os_futex_wait returns 0 (woken or changed) or 1 (deadline). */
int os_futex_wait(volatile os_u32 *word, os_u32 expect, os_u64 deadline);
void os_futex_wake(volatile os_u32 *word, int count);
void os_yield(void);

/*
 * A mutex for kern/'s own tables: three states (free, held, contended), no
 * owner, no recursion. Zero is a valid, free lock.
 */
struct os_lock {
	volatile os_u32 word;
};
void os_lock(struct os_lock *);
void os_unlock(struct os_lock *);

/* Threads. The new thread runs on `stack` with its gs base set to `gs`. */
int os_thread_create(void (*fn)(void *), void *arg, void *stack, os_u64 size,
    void *gs, const char *name, os_u64 *handle);
void os_thread_join(os_u64 handle);
void os_thread_exit(void) __attribute__((noreturn));
void os_thread_name(const char *name);
int os_thread_id(void);
void os_set_gs(void *gs);

/* Memory that is not guest memory: kldrun's own tables. Never NULL. */
void *os_alloc(os_u64 size);
void *os_realloc(void *p, os_u64 size);
void os_free(void *p);
/* Zero-filled address space that costs nothing until touched. */
void *os_reserve(os_u64 size);

/* Memory that modules must not touch, where AddressSanitizer is built in. */
void os_poison(const void *p, os_u64 len);
void os_unpoison(const void *p, os_u64 len);

/* Guest memory: [0, size) is mapped at os_guest_base(). */
os_u8 *os_guest_base(void);
os_u64 os_guest_size(void);
/*
 * The last os_low_size() bytes of guest memory are mapped a second time at
 * os_low_base(), below 2 GiB, for module images and thread stacks.
 */
os_u8 *os_low_base(void);
os_u64 os_low_size(void);
/* prot: 1 read, 2 write, 4 execute; page aligned. */
int os_protect(void *addr, os_u64 size, int prot);
/* Virtual address to guest-physical; -1 when it is no guest memory. */
os_u64 os_vtophys(const void *va);

/* The console (stdout) and the end of the process. */
void os_console_write(const char *s, os_u64 len);
void os_exit(int status) __attribute__((noreturn));
/* The guest ends by itself, in order, as if the host had asked it to. */
void os_guest_ends(int restart);
/* Prints a backtrace of the caller, then ends the process with status 3. */
void os_die(void) __attribute__((noreturn));
/* Name of the module function that holds `pc`: "hv_vmbus.ko`f+0x12". */
void os_symbol_name(const void *pc, char *buf, os_u64 len);
int os_in_module(const void *pc);
/* A function of a loaded module by name, or NULL. */
void *os_module_symbol(const char *name);

os_u64 os_random(void);
int os_ncpus(void);
int os_bounce_forced(void);
/* 0, or -1 when the variable is not set by --env. */
int os_env_get(const char *name, char *buf, os_u64 len);
int os_env_next(int cursor, char *name, os_u64 nlen, char *val, os_u64 vlen);
/* Run directory (--dir) or NULL. */
const char *os_run_dir(void);

/* The machine: a vCPU exit to the host. Without a host: faults (1). */
int os_rdmsr(int cpu, os_u32 msr, os_u64 *value);
int os_wrmsr(int cpu, os_u32 msr, os_u64 value);
void os_cpuid(int cpu, os_u32 leaf, os_u32 subleaf, os_u32 regs[4]);
/* Waits for interrupts of a vCPU; fills 256 bits of vectors. -1 at exit. */
int os_interrupt_wait(int cpu, os_u64 vectors[4]);
void os_interrupt_self(int cpu, int vector);
/* True if an interrupt of this vector ends without an EOI. */
int os_vector_auto_eoi(int vector);

/*
 * Sockets and files for devices that leave kldrun (NBD and the like).
 * Paths are Linux paths; results are file descriptors or -1.
 */
int os_unix_listen(const char *path);
int os_unix_accept(int fd);
long os_fd_read(int fd, void *buf, os_u64 len);
/* Reads or writes all of it: 0, or -1 on error or end of file. */
int os_fd_read_all(int fd, void *buf, os_u64 len);
int os_fd_write_all(int fd, const void *buf, os_u64 len);
struct os_iovec {
	void *base;
	os_u64 len;
};
int os_fd_writev_all(int fd, struct os_iovec *iov, int n);
void os_fd_shutdown(int fd);
void os_fd_close(int fd);
void os_unlink(const char *path);
/* A new file to write to, or one made empty. */
int os_file_create(const char *path);
/* 1 readable, 0 deadline, -1 hung up or error. */
int os_fd_poll_in(int fd, os_u64 deadline);

/*
 * For character devices: sockets that keep packets apart (the socket gets
 * `mode'; directories above it are made), and events.
 */
int os_seq_listen(const char *path, int mode);
/* One packet of both parts: 0, or -1. */
int os_seq_send(int fd, const void *head, os_u64 hlen, const void *data,
    os_u64 len);
int os_event_new(void);
void os_event_signal(int fd);
void os_event_clear(int fd);
/* Waits for either: 1 the first, 2 the second, 3 both; -1 on error. */
int os_fd_poll_two(int a, int b);
/* Until the other end has closed. */
void os_fd_wait_hup(int fd);
/* The process at the other end; name is never unterminated. */
void os_peer(int fd, int *pid, char *name, os_u64 len);
/* The errno of Linux for one of FreeBSD. */
int os_linux_errno(int error);

/*
 * A tap: a Linux network interface whose other side is ours, with several
 * queues and a virtio-net header before each frame. spec: NAME[,netns=NS].
 * NULL: `why' says what failed. A tap that exists is taken over.
 */
struct os_tap;
struct os_tap *os_tap_open(const char *spec, int queues, const os_u8 mac[6],
    char *why, os_u64 len);
const char *os_tap_name(const struct os_tap *);
const char *os_tap_netns(const struct os_tap *);	/* "" for ours */
/* After os_tap_stop() every waiting os_tap_read() returns -1. */
void os_tap_stop(struct os_tap *);
void os_tap_close(struct os_tap *);
/* What may be left to us: checksums, segmentation of TCP over IPv4 and 6. */
#define	OS_TAP_CSUM	1
#define	OS_TAP_TSO4	2
#define	OS_TAP_TSO6	4
int os_tap_offload(struct os_tap *, int what);
int os_tap_gso_max(struct os_tap *, int bytes);
int os_tap_carrier(struct os_tap *, int up);
/* Waits for a frame: bytes with header, 0 to try again, -1 at the end. */
long os_tap_read(struct os_tap *, int queue, struct os_iovec *, int n);
/* 0, or -1: dropped. */
int os_tap_write(struct os_tap *, int queue, struct os_iovec *, int n);
#define	OS_TAP_UP	1
#define	OS_TAP_PROMISC	2
#define	OS_TAP_ALLMULTI	4
#define	OS_TAP_GROUPS	64
struct os_tap_state {
	int flags, mtu;
	os_u8 mac[6];
	int ngroups;			/* more than fit: OS_TAP_ALLMULTI */
	os_u8 group[OS_TAP_GROUPS][6];
};
/* From the one thread that watches this tap: what Linux has it set to. */
int os_tap_state(struct os_tap *, struct os_tap_state *);
int os_tap_set_up(struct os_tap *, int up);
int os_tap_set_mtu(struct os_tap *, int mtu);
int os_tap_set_mac(struct os_tap *, const os_u8 mac[6]);

#endif
