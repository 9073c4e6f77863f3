/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * The kld engine: makes the shared parts of the machine, starts kldrun, raises
 * its interrupts, registers its doorbells.  See <hvk/kld.h> for the protocol.
 *
 * Locking: sending on the control socket is one sendmsg, so needs none;
 * interrupts are atomic.  Everything else belongs to the main thread.
 *
 * The guest's process holds the other ends of all descriptors and may do to
 * them what the kernel lets it do.
 */
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <dirent.h>

#include "kld.h"

#define	MAX_MODULES	64
#define	MAX_ENV		100

static void
interrupt(void *arg, const struct hvk_hv_irq *irq)
{
	struct kld *k = arg;
	uint64_t bit = 1ull << (irq->vector & 63), one = 1, old;
	uint32_t cpu = irq->vp;

	if (cpu >= k->ncpus)
		return;
	old = atomic_fetch_or_explicit(
	    &k->shared->vcpu[cpu].irr[irq->vector >> 6], bit,
	    memory_order_acq_rel);
	if ((old & bit) != 0)
		return;
	/* EAGAIN: the counter is full, so the guest has a wake-up coming. */
	if (write(k->vcpu[cpu].irq, &one, sizeof(one)) < 0)
		return;
}

static int
doorbell(void *arg, uint32_t connection, int fd)
{

	return (kld_send(arg, KLD_CTL_DOORBELL, connection, fd));
}

static const struct vmm_machine_ops kld_ops = {
	.interrupt = interrupt,
	.doorbell = doorbell,
};

static void
close_fd(int *fd)
{

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int
make_shared(struct kld *k)
{

	k->shared_fd = memfd_create("hvk-shared", MFD_CLOEXEC |
	    MFD_ALLOW_SEALING);
	if (k->shared_fd < 0)
		return (-errno);
	if (ftruncate(k->shared_fd, sizeof(struct kld_shared)) != 0 ||
	    fcntl(k->shared_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW |
	    F_SEAL_SEAL) != 0)
		return (-errno);
	k->shared = mmap(NULL, sizeof(struct kld_shared), PROT_READ |
	    PROT_WRITE, MAP_SHARED, k->shared_fd, 0);
	if (k->shared == MAP_FAILED) {
		k->shared = NULL;
		return (-errno);
	}
	return (0);
}

static int
make_vcpus(struct kld *k)
{
	struct kld_vcpu *v;
	uint32_t i;
	int sv[2];

	for (i = 0; i < k->ncpus; i++) {
		v = &k->vcpu[i];
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
		    sv) != 0)
			return (-errno);
		v->sock = sv[0];
		v->guest = sv[1];
		v->irq = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (v->irq < 0)
			return (-errno);
	}
	return (0);
}

struct kld *
kld_create(const struct kld_config *conf, char *err, size_t errlen)
{
	struct kld *k;
	uint32_t i;
	int error, sv[2];

	k = calloc(1, sizeof(*k));
	if (k == NULL) {
		vmm_fail(err, errlen, 0, "out of memory");
		return (NULL);
	}
	k->ncpus = conf->ncpus;
	k->shared_fd = k->ctl = k->ctl_guest = k->out = k->pidfd = -1;
	k->mem.fd = -1;
	for (i = 0; i < KLD_MAXCPU; i++) {
		k->vcpu[i].kld = k;
		k->vcpu[i].index = i;
		k->vcpu[i].sock = k->vcpu[i].guest = k->vcpu[i].irq = -1;
	}
	if (guest_mem_create(&k->mem, conf->mem_size, err, errlen) != 0)
		goto fail;
	error = make_shared(k);
	if (error == 0)
		error = make_vcpus(k);
	if (error == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC,
	    0, sv) != 0)
		error = -errno;
	if (error != 0) {
		vmm_fail(err, errlen, 0, "cannot make the machine: %s",
		    strerror(-error));
		goto fail;
	}
	k->ctl = sv[0];
	k->ctl_guest = sv[1];
	k->machine.ops = &kld_ops;
	k->machine.arg = k;
	k->machine.mem = &k->mem;
	k->machine.ncpus = k->ncpus;
	return (k);
fail:
	kld_destroy(k);
	return (NULL);
}

static int
send_fds(int sock, const void *msg, size_t len, const int *fds, uint32_t nfds)
{
	union {
		struct cmsghdr	hdr;
		char		buf[CMSG_SPACE(sizeof(int) * KLD_MAXFDS)];
	} c;
	struct iovec iov = { (void *)(uintptr_t)msg, len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *h;
	ssize_t n;

	if (nfds > 0) {
		memset(&c, 0, sizeof(c));
		mh.msg_control = &c;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		h = CMSG_FIRSTHDR(&mh);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(h), fds, sizeof(int) * nfds);
	}
	do {
		n = sendmsg(sock, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return (n < 0 ? -errno : 0);
}

int
kld_send(struct kld *k, uint32_t kind, uint64_t a, int fd)
{
	struct kld_ctl m = { .kind = kind, .a = a };

	return (send_fds(k->ctl, &m, sizeof(m), &fd, fd >= 0 ? 1 : 0));
}

static int
send_hello(struct kld *k)
{
	struct kld_hello hello = {
		.magic = KLD_MAGIC,
		.version = KLD_VERSION,
		.ncpus = k->ncpus,
		.mem_size = k->mem.size,
	};
	int fds[KLD_MAXFDS];
	uint32_t i, n = 0;

	fds[n++] = k->mem.fd;
	fds[n++] = k->shared_fd;
	for (i = 0; i < k->ncpus; i++)
		fds[n++] = k->vcpu[i].guest;
	for (i = 0; i < k->ncpus; i++)
		fds[n++] = k->vcpu[i].irq;
	return (send_fds(k->ctl, &hello, sizeof(hello), fds, n));
}

static int
is_module(const struct dirent *e)
{
	size_t n = strlen(e->d_name);

	return (n > 3 && strcmp(e->d_name + n - 3, ".ko") == 0);
}

/* Every module of the directory, the bus before its drivers. */
static int
list_modules(const char *dir, char *path[], int max, char *err, size_t errlen)
{
	struct dirent **list;
	int i, n, used = 0, pass;

	n = scandir(dir, &list, is_module, alphasort);
	if (n <= 0)
		return (vmm_fail(err, errlen, -ENOENT, "no modules in %s; "
		    "make them with `make modules`, or say where they are "
		    "with --modules", dir));
	for (pass = 0; pass < 2; pass++)
		for (i = 0; i < n && used < max; i++)
			if ((strcmp(list[i]->d_name, "hv_vmbus.ko") == 0) ==
			    (pass == 0) && asprintf(&path[used], "%s/%s", dir,
			    list[i]->d_name) >= 0)
				used++;
	for (i = 0; i < n; i++)
		free(list[i]);
	free(list);
	return (used);
}

/* In the child: only calls that are safe after fork in a threaded process. */
static void __attribute__((noreturn))
child(struct kld *k, char *const argv[], int out)
{
	sigset_t none;
	int fd;

	setpgid(0, 0);		/* a Ctrl-C is ours to handle */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	fd = open("/dev/null", O_RDONLY);
	dup2(fd, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
	fcntl(k->ctl_guest, F_SETFD, 0);
	execv(argv[0], argv);
	_exit(127);
}

static int
spawn(struct kld *k, char *const argv[], char *err, size_t errlen)
{
	int out[2];

	if (access(argv[0], X_OK) != 0)
		return (vmm_fail(err, errlen, -errno, "cannot run %s: %s; "
		    "build it with `make`, or say where it is with "
		    "-o kldrun=FILE", argv[0], strerror(errno)));
	if (pipe2(out, O_CLOEXEC) != 0)
		return (vmm_fail(err, errlen, -errno, "cannot make a pipe: %s",
		    strerror(errno)));
	k->pid = fork();
	if (k->pid == 0)
		child(k, argv, out[1]);
	close(out[1]);
	k->out = out[0];
	if (k->pid < 0) {
		k->pid = 0;
		return (vmm_fail(err, errlen, -errno, "cannot start %s: %s",
		    argv[0], strerror(errno)));
	}
	k->pidfd = pidfd_open(k->pid, 0);
	if (k->pidfd < 0)
		return (vmm_fail(err, errlen, -errno, "cannot watch %s: %s",
		    argv[0], strerror(errno)));
	return (0);
}

static int
start_vcpus(struct kld *k, struct vmm_bus *bus, char *err, size_t errlen)
{
	struct kld_vcpu *v;
	char name[16];
	uint32_t i;
	int error;

	for (i = 0; i < k->ncpus; i++) {
		v = &k->vcpu[i];
		v->bus = bus;
		snprintf(name, sizeof(name), "vcpu%u", i);
		error = vmm_thread(&v->thread, name, kld_vcpu_main, v);
		if (error != 0)
			return (vmm_fail(err, errlen, error,
			    "cannot start a thread: %s", strerror(-error)));
		v->started = true;
	}
	return (0);
}

int
kld_launch(struct kld *k, struct vmm_bus *bus, const struct kld_program *p,
    char *err, size_t errlen)
{
	char *argv[MAX_MODULES + 2 * MAX_ENV + 12], *mod[MAX_MODULES], fd[16];
	int error, i, n = 0, nmod;
	unsigned e;

	nmod = list_modules(p->modules, mod, MAX_MODULES, err, errlen);
	if (nmod < 0)
		return (nmod);
	snprintf(fd, sizeof(fd), "%d", k->ctl_guest);
	argv[n++] = (char *)(uintptr_t)p->kldrun;
	argv[n++] = (char *)(uintptr_t)"--vm-fd";
	argv[n++] = fd;
	argv[n++] = (char *)(uintptr_t)"--dir";
	argv[n++] = (char *)(uintptr_t)p->dir;
	argv[n++] = (char *)(uintptr_t)"--modules";
	argv[n++] = (char *)(uintptr_t)p->modules;
	if (p->bounce)
		argv[n++] = (char *)(uintptr_t)"--bounce";
	for (e = 0; e < p->nenv && e < MAX_ENV; e++) {
		argv[n++] = (char *)(uintptr_t)"--env";
		argv[n++] = (char *)(uintptr_t)p->env[e];
	}
	for (i = 0; i < nmod; i++)
		argv[n++] = mod[i];
	argv[n] = NULL;
	error = spawn(k, argv, err, errlen);
	for (i = 0; i < nmod; i++)
		free(mod[i]);
	if (error != 0)
		return (error);
	error = send_hello(k);
	if (error != 0)
		return (vmm_fail(err, errlen, error,
		    "cannot greet the guest: %s", strerror(-error)));
	/* The guest holds its ends alone now: its death closes them. */
	close_fd(&k->ctl_guest);
	for (i = 0; i < (int)k->ncpus; i++)
		close_fd(&k->vcpu[i].guest);
	return (start_vcpus(k, bus, err, errlen));
}

int
kld_event(struct kld *k, struct kld_ctl *m)
{
	ssize_t n;

	do {
		n = recv(k->ctl, m, sizeof(*m), MSG_DONTWAIT | MSG_TRUNC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return (errno == EAGAIN ? 0 : -1);
	if (n == 0)
		return (-1);
	if (n != sizeof(*m)) {
		vmm_log("control message of %zd bytes from the guest: ignored",
		    n);
		m->kind = 0;
	}
	return (1);
}

bool
kld_tampered(struct kld *k)
{
	uint64_t drain;
	uint32_t i;
	int fl;

	for (i = 0; i < k->ncpus; i++) {
		fl = fcntl(k->vcpu[i].irq, F_GETFL);
		if (fl >= 0 && (fl & O_NONBLOCK) != 0)
			continue;
		/* A writer of ours may hang on it: put it right, let go. */
		fcntl(k->vcpu[i].irq, F_SETFL, fl | O_NONBLOCK);
		if (read(k->vcpu[i].irq, &drain, sizeof(drain)) < 0)
			return (true);
		return (true);
	}
	return (false);
}

void
kld_halt(struct kld *k)
{
	uint32_t i;

	for (i = 0; i < k->ncpus; i++)
		if (k->vcpu[i].sock >= 0)
			shutdown(k->vcpu[i].sock, SHUT_RDWR);
	(void)kld_tampered(k);
	for (i = 0; i < k->ncpus; i++)
		if (k->vcpu[i].started) {
			pthread_join(k->vcpu[i].thread, NULL);
			k->vcpu[i].started = false;
		}
}

void
kld_destroy(struct kld *k)
{
	uint32_t i;

	if (k == NULL)
		return;
	for (i = 0; i < KLD_MAXCPU; i++) {
		close_fd(&k->vcpu[i].sock);
		close_fd(&k->vcpu[i].guest);
		close_fd(&k->vcpu[i].irq);
	}
	close_fd(&k->ctl);
	close_fd(&k->ctl_guest);
	close_fd(&k->out);
	close_fd(&k->pidfd);
	close_fd(&k->shared_fd);
	if (k->shared != NULL)
		munmap(k->shared, sizeof(struct kld_shared));
	guest_mem_destroy(&k->mem);
	free(k);
}
