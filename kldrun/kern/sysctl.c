/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * sysctl.c: the sysctl(9) tree: static sets of modules, dynamic nodes and
 * contexts, the standard handlers, and the text form that `kldrun sysctl`
 * prints. Guarded by sysctl_lock; a handler runs without it.
 */

#include "kern.h"
#include <sys/counter.h>
#include <sys/sbuf.h>
#include <sys/sx.h>
#include <sys/sysctl.h>
#include <sys/time.h>

static struct sx sysctl_lock;
static MALLOC_DEFINE(M_SYSCTLOID, "sysctloid", "sysctl dynamic oids");

struct sysctl_oid_list sysctl__children = RB_INITIALIZER(&sysctl__children);
RB_GENERATE(sysctl_oid_list, sysctl_oid, oid_link, cmp_sysctl_oid);

SYSCTL_ROOT_NODE(CTL_KERN, kern, CTLFLAG_RW, 0, "High kernel, proc, limits");
SYSCTL_ROOT_NODE(CTL_VM, vm, CTLFLAG_RW, 0, "Virtual memory");
SYSCTL_ROOT_NODE(CTL_VFS, vfs, CTLFLAG_RW, 0, "File system");
SYSCTL_ROOT_NODE(CTL_NET, net, CTLFLAG_RW, 0, "Network");
SYSCTL_ROOT_NODE(CTL_DEBUG, debug, CTLFLAG_RW, 0, "Debugging");
SYSCTL_ROOT_NODE(CTL_HW, hw, CTLFLAG_RW, 0, "hardware");
SYSCTL_ROOT_NODE(CTL_MACHDEP, machdep, CTLFLAG_RW, 0, "machine dependent");
SYSCTL_ROOT_NODE(OID_AUTO, dev, CTLFLAG_RW, 0, "Devices");
SYSCTL_ROOT_NODE(OID_AUTO, security, CTLFLAG_RW, 0, "Security");
SYSCTL_ROOT_NODE(OID_AUTO, compat, CTLFLAG_RW, 0, "Compatibility");
SYSCTL_NODE(_hw, OID_AUTO, bus, CTLFLAG_RW, 0, "Newbus");
SYSCTL_NODE(_kern, OID_AUTO, cam, CTLFLAG_RW, 0, "CAM Subsystem");
SYSCTL_NODE(_kern, OID_AUTO, features, CTLFLAG_RD, 0, "Kernel Features");
SYSCTL_NODE(_kern, OID_AUTO, ipc, CTLFLAG_RW, 0, "IPC");
SYSCTL_NODE(_kern, OID_AUTO, timecounter, CTLFLAG_RW, 0, "Timecounter");
SYSCTL_NODE(_kern, OID_AUTO, eventtimer, CTLFLAG_RW, 0, "Event timers");

static int next_number = CTL_AUTO_START;

static void
register_locked(struct sysctl_oid *oid)
{
	struct sysctl_oid *p;

	RB_FOREACH(p, sysctl_oid_list, oid->oid_parent)
		if (strcmp(p->oid_name, oid->oid_name) == 0) {
			if ((oid->oid_kind & CTLTYPE) == CTLTYPE_NODE)
				p->oid_refcnt++;
			else
				printf("can't re-use a leaf (%s)!\n",
				    oid->oid_name);
			return;
		}
	oid->oid_refcnt++;
	if (oid->oid_number < 0)
		oid->oid_number = next_number++;
	RB_INSERT(sysctl_oid_list, oid->oid_parent, oid);
}

void
sysctl_wlock(void)
{
	sx_xlock(&sysctl_lock);
}

void
sysctl_wunlock(void)
{
	sx_xunlock(&sysctl_lock);
}

/* The dotted name of an oid, from the root. */
static void
oid_name(struct sysctl_oid *oid, char *buf, size_t len)
{
	char tail[256];

	strlcpy(buf, oid->oid_name, len);
	while (oid->oid_parent != &sysctl__children && oid->oid_parent != NULL) {
		oid = SYSCTL_PARENT(oid);
		strlcpy(tail, buf, sizeof(tail));
		snprintf(buf, len, "%s.%s", oid->oid_name, tail);
	}
}

static int run_handler(struct sysctl_oid *, struct sysctl_req *);
static int set_from_text(struct sysctl_oid *, const char *);

/* CTLFLAG_TUN: a leaf starts from the kernel environment. */
static void
load_tunable(struct sysctl_oid *oid)
{
	char name[256], value[256];
	u_int kind;

	if ((oid->oid_kind & CTLTYPE) == CTLTYPE_NODE ||
	    (oid->oid_kind & (CTLFLAG_TUN | CTLFLAG_NOFETCH)) != CTLFLAG_TUN)
		return;
	oid_name(oid, name, sizeof(name));
	if (os_env_get(name, value, sizeof(value)) != 0)
		return;
	kind = oid->oid_kind;
	oid->oid_kind |= CTLFLAG_WR;
	if (set_from_text(oid, value) != 0)
		printf("Setting sysctl %s failed\n", name);
	oid->oid_kind = kind;
}

static void
need_lock(const char *who)
{
	if (!sx_xlocked(&sysctl_lock))
		panic("%s: the caller does not hold sysctl_wlock()", who);
}

/* Both as in the kernel: between sysctl_wlock() and sysctl_wunlock(). */
void
sysctl_register_oid(struct sysctl_oid *oid)
{
	need_lock(__func__);
	register_locked(oid);
	/* Handlers run without the lock here. */
	sx_xunlock(&sysctl_lock);
	load_tunable(oid);
	sx_xlock(&sysctl_lock);
}

void
sysctl_unregister_oid(struct sysctl_oid *oid)
{
	struct sysctl_oid *p;

	need_lock(__func__);
	RB_FOREACH(p, sysctl_oid_list, oid->oid_parent)
		if (p == oid)
			break;
	if (p == NULL) {
		printf("%s: failed(%d) to unregister sysctl(%s)\n", __func__,
		    oid->oid_number < 0 ? EINVAL : ENOENT, oid->oid_name);
		kld_unload_failures++;
		return;
	}
	oid->oid_refcnt = 0;
	RB_REMOVE(sysctl_oid_list, oid->oid_parent, oid);
}

void
kld_sysctl_register(void **set, void **end)
{
	struct sysctl_oid *oid;
	void **p;

	sx_xlock(&sysctl_lock);
	/* Nodes first, so that a leaf's dotted name is complete. */
	for (p = set; p < end; p++)
		if ((((struct sysctl_oid *)*p)->oid_kind & CTLTYPE) ==
		    CTLTYPE_NODE)
			sysctl_register_oid(*p);
	for (p = set; p < end; p++) {
		oid = *p;
		if ((oid->oid_kind & CTLTYPE) != CTLTYPE_NODE)
			sysctl_register_oid(oid);
	}
	sx_xunlock(&sysctl_lock);
}

void
kld_sysctl_unregister(void **set, void **end)
{
	void **p;

	sx_xlock(&sysctl_lock);
	for (p = end; p-- > set;)
		if ((((struct sysctl_oid *)*p)->oid_kind & CTLTYPE) !=
		    CTLTYPE_NODE)
			sysctl_unregister_oid(*p);
	for (p = end; p-- > set;)
		if ((((struct sysctl_oid *)*p)->oid_kind & CTLTYPE) ==
		    CTLTYPE_NODE)
			sysctl_unregister_oid(*p);
	sx_xunlock(&sysctl_lock);
}

void
kld_sysctl_boot(void)
{
	extern void *__start_set_sysctl_set[] __weak_symbol;
	extern void *__stop_set_sysctl_set[] __weak_symbol;

	sx_init(&sysctl_lock, "sysctl lock");
	kld_sysctl_register(__start_set_sysctl_set, __stop_set_sysctl_set);
}

int
sysctl_ctx_init(struct sysctl_ctx_list *c)
{
	TAILQ_INIT(c);
	return (0);
}

struct sysctl_ctx_entry *
sysctl_ctx_entry_add(struct sysctl_ctx_list *clist, struct sysctl_oid *oid)
{
	struct sysctl_ctx_entry *e;

	if (clist == NULL || oid == NULL)
		return (NULL);
	e = malloc(sizeof(*e), M_SYSCTLOID, M_WAITOK);
	e->entry = oid;
	TAILQ_INSERT_HEAD(clist, e, link);
	return (e);
}

struct sysctl_ctx_entry *
sysctl_ctx_entry_find(struct sysctl_ctx_list *clist, struct sysctl_oid *oid)
{
	struct sysctl_ctx_entry *e;

	TAILQ_FOREACH(e, clist, link)
		if (e->entry == oid)
			return (e);
	return (NULL);
}

int
sysctl_ctx_entry_del(struct sysctl_ctx_list *clist, struct sysctl_oid *oid)
{
	struct sysctl_ctx_entry *e;

	if ((e = sysctl_ctx_entry_find(clist, oid)) == NULL)
		return (ENOENT);
	TAILQ_REMOVE(clist, e, link);
	free(e, M_SYSCTLOID);
	return (0);
}

int
sysctl_ctx_free(struct sysctl_ctx_list *clist)
{
	struct sysctl_ctx_entry *e;
	int error, last;

	error = 0;
	while ((e = TAILQ_FIRST(clist)) != NULL) {
		last = sysctl_remove_oid(e->entry, 1, 0);
		if (last != 0)
			error = last;
		TAILQ_REMOVE(clist, e, link);
		free(e, M_SYSCTLOID);
	}
	return (error);
}

struct sysctl_oid *
sysctl_add_oid(struct sysctl_ctx_list *clist, struct sysctl_oid_list *parent,
    int number, const char *name, int kind, void *arg1, intmax_t arg2,
    int (*handler)(SYSCTL_HANDLER_ARGS), const char *fmt, const char *descr,
    const char *label)
{
	struct sysctl_oid *oid;

	if (parent == NULL)
		return (NULL);
	sx_xlock(&sysctl_lock);
	RB_FOREACH(oid, sysctl_oid_list, parent)
		if (strcmp(oid->oid_name, name) == 0)
			break;
	if (oid != NULL) {
		if ((oid->oid_kind & CTLTYPE) != CTLTYPE_NODE) {
			sx_xunlock(&sysctl_lock);
			printf("can't re-use a leaf (%s)!\n", name);
			return (NULL);
		}
		oid->oid_refcnt++;
		sx_xunlock(&sysctl_lock);
		sysctl_ctx_entry_add(clist, oid);
		return (oid);
	}
	oid = kld_malloc_caller(sizeof(*oid), M_SYSCTLOID, M_WAITOK | M_ZERO,
	    __builtin_return_address(0));
	oid->oid_parent = parent;
	RB_INIT(&oid->oid_children);
	oid->oid_number = number;
	oid->oid_kind = kind | CTLFLAG_DYN;
	oid->oid_handler = handler;
	oid->oid_name = strdup(name, M_SYSCTLOID);
	oid->oid_descr = descr != NULL ? strdup(descr, M_SYSCTLOID) : NULL;
	oid->oid_arg1 = arg1;
	oid->oid_arg2 = arg2;
	oid->oid_fmt = fmt;
	oid->oid_label = label != NULL ? strdup(label, M_SYSCTLOID) : NULL;
	register_locked(oid);
	sx_xunlock(&sysctl_lock);
	sysctl_ctx_entry_add(clist, oid);
	load_tunable(oid);
	return (oid);
}

static int
remove_locked(struct sysctl_oid *oid, int del, int recurse)
{
	struct sysctl_oid *child, *next;
	int error;

	if ((oid->oid_kind & CTLFLAG_DYN) == 0)
		return (EINVAL);
	if ((oid->oid_kind & CTLTYPE) == CTLTYPE_NODE && oid->oid_refcnt == 1)
		RB_FOREACH_SAFE(child, sysctl_oid_list, &oid->oid_children,
		    next) {
			if (!recurse)
				return (ENOTEMPTY);
			error = remove_locked(child, del, recurse);
			if (error != 0)
				return (error);
		}
	if (--oid->oid_refcnt > 0)
		return (0);
	RB_REMOVE(sysctl_oid_list, oid->oid_parent, oid);
	/* A handler that is running keeps its oid until it returns. */
	while (oid->oid_running > 0)
		sx_sleep(&oid->oid_running, &sysctl_lock, 0, "oidrm", 0);
	if (del) {
		free(__DECONST(char *, oid->oid_name), M_SYSCTLOID);
		free(__DECONST(char *, oid->oid_descr), M_SYSCTLOID);
		free(__DECONST(char *, oid->oid_label), M_SYSCTLOID);
		free(oid, M_SYSCTLOID);
	}
	return (0);
}

int
sysctl_remove_oid(struct sysctl_oid *oid, int del, int recurse)
{
	int error;

	sx_xlock(&sysctl_lock);
	error = remove_locked(oid, del, recurse);
	sx_xunlock(&sysctl_lock);
	return (error);
}

int
sysctl_remove_name(struct sysctl_oid *parent, const char *name, int del,
    int recurse)
{
	struct sysctl_oid *oid;
	int error;

	error = ENOENT;
	sx_xlock(&sysctl_lock);
	RB_FOREACH(oid, sysctl_oid_list, &parent->oid_children)
		if (strcmp(oid->oid_name, name) == 0) {
			error = remove_locked(oid, del, recurse);
			break;
		}
	sx_xunlock(&sysctl_lock);
	return (error);
}

void
sysctl_rename_oid(struct sysctl_oid *oid, const char *name)
{
	char *old;

	sx_xlock(&sysctl_lock);
	old = __DECONST(char *, oid->oid_name);
	oid->oid_name = strdup(name, M_SYSCTLOID);
	sx_xunlock(&sysctl_lock);
	free(old, M_SYSCTLOID);
}

int
sysctl_wire_old_buffer(struct sysctl_req *req, size_t len)
{
	return (0);
}

/* The standard handlers. arg1 NULL: the value is the constant arg2. */

static int
handle_value(void *value, size_t size, struct sysctl_req *req, bool fixed)
{
	int error;

	error = SYSCTL_OUT(req, value, size);
	if (error != 0 || req->newptr == NULL)
		return (error);
	return (fixed ? EPERM : SYSCTL_IN(req, value, size));
}

#define	HANDLER(name, type)						\
int									\
name(SYSCTL_HANDLER_ARGS)						\
{									\
	type v;								\
	int error;							\
									\
	v = arg1 != NULL ? *(volatile type *)arg1 : (type)arg2;		\
	error = handle_value(&v, sizeof(v), req, arg1 == NULL);		\
	if (error == 0 && req->newptr != NULL)				\
		*(volatile type *)arg1 = v;				\
	return (error);							\
}

HANDLER(sysctl_handle_bool, bool)
HANDLER(sysctl_handle_8, int8_t)
HANDLER(sysctl_handle_16, int16_t)
HANDLER(sysctl_handle_32, int32_t)
HANDLER(sysctl_handle_64, int64_t)
HANDLER(sysctl_handle_int, int)
HANDLER(sysctl_handle_long, long)

int
sysctl_handle_string(SYSCTL_HANDLER_ARGS)
{
	size_t n;
	int error;

	n = arg2 > 0 ? strnlen(arg1, arg2 - 1) : strlen(arg1);
	error = SYSCTL_OUT(req, arg1, n);
	if (error == 0)
		error = SYSCTL_OUT(req, "", 1);
	if (error != 0 || req->newptr == NULL)
		return (error);
	if (arg2 == 0)
		return (EPERM);
	n = req->newlen - req->newidx;
	if (n >= (size_t)arg2)
		return (EINVAL);
	error = SYSCTL_IN(req, arg1, n);
	((char *)arg1)[n] = '\0';
	return (error);
}

int
sysctl_handle_opaque(SYSCTL_HANDLER_ARGS)
{
	return (handle_value(arg1, arg2, req, false));
}

int
sysctl_handle_counter_u64(SYSCTL_HANDLER_ARGS)
{
	uint64_t v;
	int error;

	v = counter_u64_fetch(*(counter_u64_t *)arg1);
	error = SYSCTL_OUT(req, &v, sizeof(v));
	if (error == 0 && req->newptr != NULL)
		counter_u64_zero(*(counter_u64_t *)arg1);
	return (error);
}

int
sysctl_handle_counter_u64_array(SYSCTL_HANDLER_ARGS)
{
	counter_u64_t *c;
	uint64_t v;
	intmax_t i;
	int error;

	c = arg1;
	for (i = 0, error = 0; i < arg2 && error == 0; i++) {
		v = counter_u64_fetch(c[i]);
		error = SYSCTL_OUT(req, &v, sizeof(v));
		if (req->newptr != NULL)
			counter_u64_zero(c[i]);
	}
	return (error);
}

int
sysctl_msec_to_ticks(SYSCTL_HANDLER_ARGS)
{
	int error, ms;

	ms = *(int *)arg1 * 1000 / hz;
	error = handle_value(&ms, sizeof(ms), req, false);
	if (error == 0 && req->newptr != NULL)
		*(int *)arg1 = ms * hz / 1000;
	return (error);
}

int
sysctl_msec_to_sbintime(SYSCTL_HANDLER_ARGS)
{
	int64_t ms;
	int error;

	ms = sbttoms(*(sbintime_t *)arg1);
	error = handle_value(&ms, sizeof(ms), req, false);
	if (error == 0 && req->newptr != NULL)
		*(sbintime_t *)arg1 = mstosbt(ms);
	return (error);
}

int
sysctl_usec_to_sbintime(SYSCTL_HANDLER_ARGS)
{
	int64_t us;
	int error;

	us = sbttous(*(sbintime_t *)arg1);
	error = handle_value(&us, sizeof(us), req, false);
	if (error == 0 && req->newptr != NULL)
		*(sbintime_t *)arg1 = ustosbt(us);
	return (error);
}

/* One request: the old value goes into a growing buffer. */

struct value {
	char *p;
	size_t len, room;
};

static int
req_old(struct sysctl_req *req, const void *p, size_t len)
{
	struct value *v;

	v = req->oldptr;
	if (v->len + len > v->room) {
		v->room = v->len + len + 256;
		v->p = os_realloc(v->p, v->room);
	}
	memcpy(v->p + v->len, p, len);
	v->len += len;
	return (0);
}

static int
req_new(struct sysctl_req *req, void *p, size_t len)
{
	if (req->newptr == NULL)
		return (0);
	if (req->newlen - req->newidx < len)
		return (EINVAL);
	memcpy(p, (const char *)req->newptr + req->newidx, len);
	req->newidx += len;
	return (0);
}

static int
run_handler(struct sysctl_oid *oid, struct sysctl_req *req)
{
	int error;

	req->td = curthread;
	req->oldfunc = req_old;
	req->newfunc = req_new;
	if (oid->oid_handler == NULL)
		return (EINVAL);
	sx_xlock(&sysctl_lock);
	oid->oid_running++;
	sx_xunlock(&sysctl_lock);
	error = oid->oid_handler(oid, oid->oid_arg1, oid->oid_arg2, req);
	sx_xlock(&sysctl_lock);
	if (--oid->oid_running == 0)
		wakeup(&oid->oid_running);
	sx_xunlock(&sysctl_lock);
	return (error);
}

static size_t
leaf_size(const struct sysctl_oid *oid)
{
	static const uint8_t sizes[CTLTYPE + 1] = {
		[CTLTYPE_INT] = 4, [CTLTYPE_UINT] = 4, [CTLTYPE_LONG] = 8,
		[CTLTYPE_ULONG] = 8, [CTLTYPE_S64] = 8, [CTLTYPE_U64] = 8,
		[CTLTYPE_S8] = 1, [CTLTYPE_U8] = 1, [CTLTYPE_S16] = 2,
		[CTLTYPE_U16] = 2, [CTLTYPE_S32] = 4, [CTLTYPE_U32] = 4,
	};

	/* SYSCTL_BOOL is an 8-bit leaf in FreeBSD too. */
	return (sizes[oid->oid_kind & CTLTYPE]);
}

/* Opaque values are shown, and may be set, as hexadecimal digits. */
#define	OPAQUE_MAX	1024

static int
from_hex(const char *text, uint8_t *to, size_t *len)
{
	char digits[3] = "";
	char *end;
	size_t n;

	for (n = 0; text[0] != '\0'; text += 2, n++) {
		if (text[1] == '\0' || n == OPAQUE_MAX)
			return (EINVAL);
		memcpy(digits, text, 2);
		to[n] = strtouq(digits, &end, 16);
		if (*end != '\0')
			return (EINVAL);
	}
	*len = n;
	return (0);
}

static int
set_from_text(struct sysctl_oid *oid, const char *text)
{
	uint8_t opaque[OPAQUE_MAX];
	struct value old = { NULL, 0, 0 };
	struct sysctl_req req;
	char *end;
	uint64_t v;
	int error;

	if ((oid->oid_kind & CTLFLAG_WR) == 0)
		return (EPERM);
	memset(&req, 0, sizeof(req));
	req.oldptr = &old;
	if ((oid->oid_kind & CTLTYPE) == CTLTYPE_STRING) {
		req.newptr = text;
		req.newlen = strlen(text);
	} else if ((oid->oid_kind & CTLTYPE) == CTLTYPE_OPAQUE) {
		error = from_hex(text, opaque, &req.newlen);
		if (error != 0)
			return (error);
		req.newptr = opaque;
	} else {
		v = strtouq(text, &end, 0);
		if (end == text || *end != '\0' || leaf_size(oid) == 0)
			return (EINVAL);
		req.newptr = &v;
		req.newlen = leaf_size(oid);
	}
	error = run_handler(oid, &req);
	os_free(old.p);
	return (error);
}

static void
value_text(struct sysctl_oid *oid, const struct value *v, struct kld_out *o)
{
	size_t i, n;
	uint64_t u;

	n = leaf_size(oid);
	if ((oid->oid_kind & CTLTYPE) == CTLTYPE_STRING) {
		kld_outf(o, "%.*s", (int)v->len, v->p != NULL ? v->p : "");
		return;
	}
	if (n == 0) {
		for (i = 0; i < v->len && i < OPAQUE_MAX; i++)
			kld_outf(o, "%02x", (u_char)v->p[i]);
		return;
	}
	for (i = 0; i + n <= v->len; i += n) {
		u = 0;
		memcpy(&u, v->p + i, n);
		if (i > 0)
			kld_outf(o, " ");
		switch (oid->oid_kind & CTLTYPE) {
		case CTLTYPE_INT:
		case CTLTYPE_S32:
			kld_outf(o, "%d", (int)u);
			break;
		case CTLTYPE_LONG:
		case CTLTYPE_S64:
			kld_outf(o, "%jd", (intmax_t)u);
			break;
		case CTLTYPE_S8:
			kld_outf(o, "%d", (int8_t)u);
			break;
		case CTLTYPE_S16:
			kld_outf(o, "%d", (int16_t)u);
			break;
		default:
			kld_outf(o, "%ju", (uintmax_t)u);
		}
	}
}

static void
show(struct sysctl_oid *oid, struct kld_out *o)
{
	struct value v = { NULL, 0, 0 };
	struct sysctl_req req;
	struct sysctl_oid *child;
	char name[256];

	if ((oid->oid_kind & CTLTYPE) == CTLTYPE_NODE &&
	    oid->oid_handler == NULL) {
		/* Those to be skipped are shown when they are named. */
		RB_FOREACH(child, sysctl_oid_list, &oid->oid_children)
			if ((child->oid_kind & CTLFLAG_SKIP) == 0)
				show(child, o);
		return;
	}
	if ((oid->oid_kind & CTLFLAG_RD) == 0)
		return;
	oid_name(oid, name, sizeof(name));
	memset(&req, 0, sizeof(req));
	req.oldptr = &v;
	if (run_handler(oid, &req) == 0) {
		kld_outf(o, "%s: ", name);
		value_text(oid, &v, o);
		kld_outf(o, "\n");
	}
	os_free(v.p);
}

static struct sysctl_oid *
lookup(const char *name)
{
	struct sysctl_oid_list *list;
	struct sysctl_oid *oid;
	size_t n;

	for (list = &sysctl__children;; name += n + 1) {
		n = strchr(name, '.') != NULL ?
		    (size_t)(strchr(name, '.') - name) : strlen(name);
		RB_FOREACH(oid, sysctl_oid_list, list)
			if (strlen(oid->oid_name) == n &&
			    strncmp(oid->oid_name, name, n) == 0)
				break;
		if (oid == NULL || name[n] == '\0')
			return (oid);
		list = &oid->oid_children;
	}
}

int
kld_sysctl_command(const char *arg, void (*out)(void *, const char *),
    void *arg2)
{
	struct kld_out o = { out, arg2 };
	struct sysctl_oid *oid;
	char name[256];
	const char *eq;
	int error;

	if (strcmp(arg, "-a") == 0) {
		RB_FOREACH(oid, sysctl_oid_list, &sysctl__children)
			show(oid, &o);
		return (0);
	}
	eq = strchr(arg, '=');
	strlcpy(name, arg, sizeof(name));
	if (eq != NULL && (size_t)(eq - arg) < sizeof(name))
		name[eq - arg] = '\0';
	oid = lookup(name);
	if (oid == NULL) {
		kld_outf(&o, "sysctl: unknown oid '%s'\n", name);
		return (ENOENT);
	}
	if (eq != NULL) {
		error = set_from_text(oid, eq + 1);
		if (error != 0) {
			kld_outf(&o, "sysctl: %s=%.80s: %s\n", name, eq + 1,
			    kld_strerror(error));
			return (error);
		}
	}
	show(oid, &o);
	return (0);
}
