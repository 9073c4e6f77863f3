/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * module.c: SYSINITs in subsystem order, kernel modules and what they depend
 * on, tunables and the kernel environment, and the life of kldrun's kernel:
 * boot, then orderly shutdown with the leak report.
 *
 * Modules named on the command line are loaded as loader(8) preloads them:
 * all SYSINITs, theirs and kldrun's own, run in one sorted sequence.
 */

#include "kern.h"
#include <sys/bus.h>
#include <sys/eventhandler.h>
#include <sys/linker.h>
#include <sys/linker_set.h>
#include <sys/module.h>
#include <sys/sx.h>
#include <sys/sysctl.h>
#include <machine/specialreg.h>

void kld_disks_shutdown(void) __weak_symbol;

struct module {
	TAILQ_ENTRY(module) link;
	struct kfile *file;
	const moduledata_t *data;
	modspecific_t specific;
	int id, refs;
	bool loaded;
};

struct kfile {
	TAILQ_ENTRY(kfile) link;
	struct kld_image *image;
	struct linker_file lf;
};

static TAILQ_HEAD(kfiles, kfile) files = TAILQ_HEAD_INITIALIZER(files);
static TAILQ_HEAD(modulelist, module) modules = TAILQ_HEAD_INITIALIZER(modules);
struct sx modules_sx;
struct mtx Giant;
int cold = 1;
int pti;
int vm_guest = VM_GUEST_NO;
int kdb_active;
int rebooting;
bool scheduler_stopped;
char kernelname[] = "/boot/kernel/kernel";
const char osrelease[] = "15.0-RELEASE";
const char ostype[] = "FreeBSD";
const char machine[] = "amd64";
static int boot_failures;
int kld_unload_failures;

#define	MAXINIT	1024
#define	UNLOAD_TRIES	300	/* 100 ms apart */
#define	KEPT_TRIES	10
static struct sysinit *inits[MAXINIT];
static int ninits;

static int
init_before(const void *a, const void *b)
{
	const struct sysinit *x, *y;

	x = *(struct sysinit *const *)a;
	y = *(struct sysinit *const *)b;
	if (x->subsystem != y->subsystem)
		return (x->subsystem < y->subsystem ? -1 : 1);
	if (x->order != y->order)
		return (x->order < y->order ? -1 : 1);
	return (0);
}

/* Stable insertion: equal ones run in the order in which files were loaded. */
void
kld_sysinit_add(struct sysinit **set, struct sysinit **end)
{
	int i;

	for (; set < end; set++) {
		if (ninits == MAXINIT)
			panic("kldrun: more than %d SYSINITs", MAXINIT);
		for (i = ninits++; i > 0 &&
		    init_before(set, &inits[i - 1]) < 0; i--)
			inits[i] = inits[i - 1];
		inits[i] = *set;
	}
}

static void
run_inits(u_int upto)
{
	static int done;

	for (; done < ninits && inits[done]->subsystem <= upto; done++)
		if (inits[done]->subsystem != SI_SUB_DUMMY)
			inits[done]->func(inits[done]->udata);
}

void
kld_boot(void)
{
	extern struct sysinit *__start_set_sysinit_set[] __weak_symbol;
	extern struct sysinit *__stop_set_sysinit_set[] __weak_symbol;

	kld_thread_boot();
	kld_malloc_boot();
	mtx_init(&Giant, "Giant", NULL, MTX_DEF | MTX_RECURSE);
	sx_init(&modules_sx, "module subsystem sx lock");
	kld_sysctl_boot();
	kld_newbus_boot();
	kld_sysinit_add(__start_set_sysinit_set, __stop_set_sysinit_set);
}

/* Versions and dependencies, as the linker of FreeBSD would resolve them. */

static int
version_of(const char *name)
{
	struct kfile *f;
	struct mod_metadata *md;
	void **p;

	if (strcmp(name, "kernel") == 0)
		return (__FreeBSD_version);
	TAILQ_FOREACH(f, &files, link)
		for (p = f->image->metadata; p < f->image->metadata_end; p++) {
			md = *p;
			if (md->md_type == MDT_VERSION &&
			    strcmp(md->md_cval, name) == 0)
				return (((const struct mod_version *)
				    md->md_data)->mv_version);
		}
	/* What GENERIC has compiled in and kldrun implements. */
	if (strcmp(name, "cam") == 0 || strcmp(name, "acpi") == 0)
		return (1);
	return (-1);
}

static int
check_depends(struct kld_image *image)
{
	const struct mod_depend *dep;
	struct mod_metadata *md;
	int have;
	void **p;

	for (p = image->metadata; p < image->metadata_end; p++) {
		md = *p;
		if (md->md_type != MDT_DEPEND)
			continue;
		dep = md->md_data;
		have = version_of(md->md_cval);
		if (have < 0) {
			printf("KLD %s: depends on %s - not available or "
			    "version mismatch\n", image->name, md->md_cval);
			return (ENOENT);
		}
		/* Any kernel of the same major version is one it runs on. */
		if (strcmp(md->md_cval, "kernel") == 0 &&
		    dep->md_ver_minimum / 100000 == have / 100000)
			continue;
		if (have < dep->md_ver_minimum || have > dep->md_ver_maximum) {
			printf("KLD %s: depends on %s %d..%d, there is %d\n",
			    image->name, md->md_cval, dep->md_ver_minimum,
			    dep->md_ver_maximum, have);
			return (ENOEXEC);
		}
	}
	return (0);
}

int
kld_module_loaded(struct kld_image *image, void **file)
{
	struct kfile *f;
	int error;

	f = os_alloc(sizeof(*f));
	memset(f, 0, sizeof(*f));
	f->image = image;
	f->lf.filename = __DECONST(char *, image->name);
	TAILQ_INSERT_TAIL(&files, f, link);
	error = check_depends(image);
	if (error != 0) {
		TAILQ_REMOVE(&files, f, link);
		os_free(f);
		return (error);
	}
	kld_sysctl_register(image->sysctl, image->sysctl_end);
	kld_sysinit_add((struct sysinit **)image->sysinit,
	    (struct sysinit **)image->sysinit_end);
	*file = f;
	return (0);
}

int
kld_boot_finish(void)
{
	run_inits(SI_SUB_KLD);
	run_inits(SI_SUB_CONFIGURE);
	run_inits(SI_SUB_LAST);
	return (boot_failures);
}

/*
 * Threads and interrupts work from the start, so drivers find the kernel that
 * kldload(8) would load them into rather than one that boots.
 */
static void
uncold(void *arg)
{
	cold = 0;
}
SYSINIT(uncold, SI_SUB_DRIVERS, SI_ORDER_FIRST, uncold, NULL);

/* The kernel itself looks for its hypervisor, before any driver. */
static void
find_hypervisor(void *arg)
{
	os_u32 regs[4];

	os_cpuid(0, 1, 0, regs);
	if ((regs[2] & CPUID2_HV) == 0)
		return;
	os_cpuid(0, 0x40000000, 0, regs);
	vm_guest = memcmp(&regs[1], "Microsoft Hv", 12) == 0 ? VM_GUEST_HV :
	    VM_GUEST_VM;
}
SYSINIT(find_hypervisor, SI_SUB_CPU, SI_ORDER_FIRST, find_hypervisor, NULL);

/* The file whose metadata names this module. */
static struct kfile *
file_of(const moduledata_t *data)
{
	struct kfile *f;
	struct mod_metadata *md;
	void **p;

	TAILQ_FOREACH(f, &files, link)
		for (p = f->image->metadata; p < f->image->metadata_end; p++) {
			md = *p;
			if (md->md_type == MDT_MODULE && md->md_data == data)
				return (f);
		}
	return (NULL);
}

void
module_register_init(const void *arg)
{
	const moduledata_t *data;
	struct module *mod;
	int error;

	data = arg;
	mod = module_lookupbyname(data->name);
	if (mod != NULL) {
		printf("module_register: cannot register %s; already loaded\n",
		    data->name);
		boot_failures++;
		return;
	}
	mod = os_alloc(sizeof(*mod));
	memset(mod, 0, sizeof(*mod));
	mod->data = data;
	mod->file = file_of(data);
	TAILQ_INSERT_TAIL(&modules, mod, link);
	error = data->evhand == NULL ? 0 :
	    data->evhand(mod, MOD_LOAD, data->priv);
	if (error != 0) {
		printf("module_register_init: MOD_LOAD (%s, %p, %p) error %d\n",
		    data->name, (void *)data->evhand, data->priv, error);
		TAILQ_REMOVE(&modules, mod, link);
		os_free(mod);
		boot_failures++;
		return;
	}
	mod->loaded = true;
	if (kld_generic_has(data->name)) {
		/*
		 * The kernel's own module of that name was refused, but its
		 * start-up runs even so, and finds this one.
		 */
		error = data->evhand(mod, MOD_LOAD, data->priv);
		if (error != 0) {
			printf("module_register_init: MOD_LOAD (%s, %p, %p) "
			    "error %d\n", data->name, (void *)data->evhand,
			    data->priv, error);
			boot_failures++;
		}
	}
}

module_t
module_lookupbyname(const char *name)
{
	struct module *mod;

	TAILQ_FOREACH(mod, &modules, link)
		if (strcmp(mod->data->name, name) == 0)
			return (mod);
	return (NULL);
}

const char *
module_getname(module_t mod)
{
	return (mod->data->name);
}

int
module_getid(module_t mod)
{
	return (mod->id);
}

void
module_setspecific(module_t mod, modspecific_t *data)
{
	mod->specific = *data;
}

/* Unloads one file: its modules, then SYSUNINITs in reverse order. */
static int
unload(struct kfile *f)
{
	struct sysinit **uninit, *t;
	struct module *mod, *prev;
	int error, i, j, n;

	TAILQ_FOREACH(mod, &modules, link)
		if (mod->file == f && mod->data->evhand != NULL) {
			error = mod->data->evhand(mod, MOD_QUIESCE,
			    mod->data->priv);
			if (error != 0 && error != EOPNOTSUPP)
				return (error);
		}
	TAILQ_FOREACH_REVERSE_SAFE(mod, &modules, modulelist, link, prev) {
		if (mod->file != f)
			continue;
		error = mod->data->evhand == NULL ? 0 :
		    mod->data->evhand(mod, MOD_UNLOAD, mod->data->priv);
		if (error != 0)
			return (error);
		TAILQ_REMOVE(&modules, mod, link);
		os_free(mod);
	}
	n = f->image->sysuninit_end - f->image->sysuninit;
	uninit = (struct sysinit **)f->image->sysuninit;
	for (i = 0; i < n; i++)
		for (j = i + 1; j < n; j++)
			if (init_before(&uninit[i], &uninit[j]) < 0) {
				t = uninit[i];
				uninit[i] = uninit[j];
				uninit[j] = t;
			}
	for (i = 0; i < n; i++)
		uninit[i]->func(uninit[i]->udata);
	kld_sysctl_unregister(f->image->sysctl, f->image->sysctl_end);
	return (0);
}

/*
 * Busy is an attach or a detach that is under way: they end.  Or a device whose
 * memory the host still holds: it cannot be unloaded, and should not be.
 */
static int
unload_patiently(struct kfile *f)
{
	int error, tries;

	error = unload(f);
	for (tries = 0; error == EBUSY && tries < UNLOAD_TRIES; tries++) {
		kld_kept_find();
		if (kld_kept_pages() != 0 && tries >= KEPT_TRIES)
			break;
		pause("kldbusy", MAX(hz / 10, 1));
		error = unload(f);
	}
	return (error);
}

/* Modules that stay because of what the host holds. */
static int staying;

int
kld_shutdown(void)
{
	struct kfile *f;
	int error, failed;

	failed = 0;
	kld_unload_failures = 0;
	kld_shutdown_handlers(0);
	rebooting = 1;
	if (kld_disks_shutdown != NULL)
		kld_disks_shutdown();
	while ((f = TAILQ_LAST(&files, kfiles)) != NULL) {
		error = unload_patiently(f);
		if (error == EBUSY && kld_kept_pages() != 0) {
			printf("kldrun: %s stays: the host holds its memory\n",
			    f->image->name);
			staying++;
		} else if (error != 0) {
			printf("kldrun: cannot unload %s: error %d\n",
			    f->image->name, error);
			failed++;
		}
		TAILQ_REMOVE(&files, f, link);
	}
	kld_newbus_shutdown();
	kld_shutdown_handlers(1);
	return (failed + kld_unload_failures);
}

/*
 * final: everything was unloaded, or stays for the host's sake; what a module
 * that stays has allocated is no leak. Returns the number of leaks.
 */
int
kld_leak_report(int final, void (*out)(void *, const char *), void *arg)
{
	struct kld_out o = { out, arg };
	long ever, live, maps;
	int dma, mem;

	kld_kept_find();
	if (final && staying != 0) {
		kld_outf(&o, "kldrun: kept: %ld pages the host may still "
		    "hold, and %d modules\n", kld_kept_pages(), staying);
		return (0);
	}
	mem = kld_malloc_leaks(out, arg, &live, &ever);
	mem += kld_zone_leaks(out, arg);
	dma = kld_busdma_leaks(out, arg, &maps);
	if (kld_kept_pages() != 0)
		kld_outf(&o, "kldrun: kept: %ld pages the host may still "
		    "hold\n", kld_kept_pages());
	if (mem == 0 && dma == 0)
		kld_outf(&o, "kldrun: nothing leaked: %ld allocations, %ld "
		    "busdma maps returned\n", ever, maps);
	else
		kld_outf(&o, "kldrun: %s: %ld of %ld allocations, %d busdma "
		    "objects\n", final ? "leaked" : "held", live, ever, dma);
	return (mem + dma);
}

/* Tunables and the kernel environment (--env). */

int
getenv_string(const char *name, char *data, int size)
{
	return (os_env_get(name, data, size) == 0);
}

static int
env_number(const char *name, quad_t *v)
{
	char buf[64], *end;

	if (os_env_get(name, buf, sizeof(buf)) != 0)
		return (0);
	*v = strtoq(buf, &end, 0);
	return (end != buf && *end == '\0');
}

#define	GETENV(fn, type)						\
int									\
fn(const char *name, type *data)					\
{									\
	quad_t v;							\
									\
	if (!env_number(name, &v))					\
		return (0);						\
	*data = (type)v;						\
	return (1);							\
}
GETENV(getenv_int, int)
GETENV(getenv_uint, unsigned int)
GETENV(getenv_long, long)
GETENV(getenv_ulong, unsigned long)
GETENV(getenv_quad, quad_t)
GETENV(getenv_int64, int64_t)
GETENV(getenv_uint64, uint64_t)
GETENV(getenv_bool, bool)

#define	TUNABLE_FN(type, get)						\
void									\
tunable_##type##_init(const void *data)					\
{									\
	const struct tunable_##type *d = data;				\
									\
	get(d->path, d->var);						\
}
TUNABLE_FN(int, getenv_int)
TUNABLE_FN(long, getenv_long)
TUNABLE_FN(ulong, getenv_ulong)
TUNABLE_FN(int64, getenv_int64)
TUNABLE_FN(uint64, getenv_uint64)
TUNABLE_FN(quad, getenv_quad)
TUNABLE_FN(bool, getenv_bool)

void
tunable_str_init(const void *data)
{
	const struct tunable_str *d;

	d = data;
	getenv_string(d->path, d->var, d->size);
}

char *
kern_getenv(const char *name)
{
	char buf[256];

	if (os_env_get(name, buf, sizeof(buf)) != 0)
		return (NULL);
	return (strdup(buf, M_TEMP));
}

void
freeenv(char *env)
{
	free(env, M_TEMP);
}

static void
bootverbose_tunable(void *arg)
{
	getenv_int("boot_verbose", &bootverbose);
}
SYSINIT(verbose, SI_SUB_TUNABLES, SI_ORDER_FIRST, bootverbose_tunable, NULL);
