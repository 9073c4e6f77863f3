/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * newbus_bus.c: device classes, drivers and their modules, hints, the generic
 * bus methods, and the root of the tree: root0 with one nexus0 below it, where
 * FreeBSD's amd64 has its own.
 */

#include "newbus.h"
#include <sys/rman.h>
#include <sys/sbuf.h>
#include <sys/cpuset.h>
#include <sys/smp.h>

void kld_disks_report(void (*)(void *, const char *), void *) __weak_symbol;

static TAILQ_HEAD(, devclass) devclasses = TAILQ_HEAD_INITIALIZER(devclasses);
static bool configured;

/*
 * The newbus lock is Giant, as in FreeBSD 15: recursive, and let go by a
 * thread that sleeps, which drivers that wait in attach rely on.
 */
void
bus_topo_lock(void)
{
	mtx_lock(&Giant);
}

void
bus_topo_unlock(void)
{
	mtx_unlock(&Giant);
}

void
bus_topo_assert(void)
{
	_mtx_assert(&Giant, MA_OWNED, __FILE__, __LINE__);
}

struct mtx *
bus_topo_mtx(void)
{
	return (&Giant);
}

/* Device classes */

devclass_t
devclass_find(const char *name)
{
	devclass_t dc;

	if (name == NULL)
		return (NULL);
	TAILQ_FOREACH(dc, &devclasses, link)
		if (strcmp(dc->name, name) == 0)
			return (dc);
	return (NULL);
}

devclass_t
devclass_create(const char *name)
{
	devclass_t dc;

	dc = devclass_find(name);
	if (dc != NULL)
		return (dc);
	/* Classes live for ever: their names outlive the module. */
	dc = os_alloc(sizeof(*dc));
	memset(dc, 0, sizeof(*dc));
	dc->name = os_alloc(strlen(name) + 1);
	strlcpy(dc->name, name, strlen(name) + 1);
	TAILQ_INIT(&dc->drivers);
	TAILQ_INSERT_TAIL(&devclasses, dc, link);
	return (dc);
}

const char *
devclass_get_name(devclass_t dc)
{
	return (dc != NULL ? dc->name : NULL);
}

device_t
devclass_get_device(devclass_t dc, int unit)
{
	if (dc == NULL || unit < 0 || unit >= dc->maxunit)
		return (NULL);
	return (dc->devices[unit]);
}

void *
devclass_get_softc(devclass_t dc, int unit)
{
	device_t dev;

	dev = devclass_get_device(dc, unit);
	return (dev != NULL ? device_get_softc(dev) : NULL);
}

int
devclass_get_count(devclass_t dc)
{
	int i, n;

	for (i = n = 0; i < dc->maxunit; i++)
		n += dc->devices[i] != NULL;
	return (n);
}

int
devclass_get_maxunit(devclass_t dc)
{
	return (dc != NULL ? dc->maxunit : -1);
}

int
devclass_find_free_unit(devclass_t dc, int unit)
{
	for (; dc != NULL && unit < dc->maxunit; unit++)
		if (dc->devices[unit] == NULL)
			break;
	return (unit);
}

int
devclass_get_devices(devclass_t dc, device_t **listp, int *countp)
{
	device_t *list;
	int i, n;

	n = devclass_get_count(dc);
	list = kld_malloc_caller(n * sizeof(*list), M_TEMP, M_NOWAIT | M_ZERO,
	    __builtin_return_address(0));
	if (list == NULL)
		return (ENOMEM);
	for (i = n = 0; i < dc->maxunit; i++)
		if (dc->devices[i] != NULL)
			list[n++] = dc->devices[i];
	*listp = list;
	*countp = n;
	return (0);
}

void
devclass_set_parent(devclass_t dc, devclass_t parent)
{
	dc->parent = parent;
}

devclass_t
devclass_get_parent(devclass_t dc)
{
	return (dc->parent);
}

struct sysctl_oid *
devclass_get_sysctl_tree(devclass_t dc)
{
	if (dc->sysctl_tree == NULL) {
		sysctl_ctx_init(&dc->sysctl_ctx);
		dc->sysctl_tree = SYSCTL_ADD_NODE(&dc->sysctl_ctx,
		    SYSCTL_STATIC_CHILDREN(_dev), OID_AUTO, dc->name,
		    CTLFLAG_RD | CTLFLAG_MPSAFE, NULL, "");
		SYSCTL_ADD_STRING(&dc->sysctl_ctx,
		    SYSCTL_CHILDREN(dc->sysctl_tree), OID_AUTO, "%parent",
		    CTLFLAG_RD, __DECONST(char *, ""), 0, "parent class");
	}
	return (dc->sysctl_tree);
}

struct sysctl_ctx_list *
devclass_get_sysctl_ctx(devclass_t dc)
{
	(void)devclass_get_sysctl_tree(dc);
	return (&dc->sysctl_ctx);
}

/* Drivers. A new one is offered to every attached bus of its class. */

int
devclass_add_driver(devclass_t dc, driver_t *driver, int pass, devclass_t *dcp)
{
	struct driverlink *dl;
	devclass_t own;
	int i;

	dl = os_alloc(sizeof(*dl));
	dl->driver = driver;
	dl->pass = pass;
	kobj_class_compile(driver);
	own = devclass_create(driver->name);
	if (driver->baseclasses != NULL && own->parent == NULL)
		own->parent = devclass_create(driver->baseclasses[0]->name);
	if (dcp != NULL)
		*dcp = own;
	TAILQ_INSERT_TAIL(&dc->drivers, dl, link);
	driver->refs++;
	if (!configured)
		return (0);
	for (i = 0; i < dc->maxunit; i++)
		if (dc->devices[i] != NULL &&
		    dc->devices[i]->state >= DS_ATTACHED)
			BUS_DRIVER_ADDED(dc->devices[i], driver);
	return (0);
}

static int
driver_detach_all(devclass_t bus, driver_t *driver)
{
	devclass_t dc;
	device_t dev;
	int error, i;

	dc = devclass_find(driver->name);
	for (i = 0; dc != NULL && i < dc->maxunit; i++) {
		dev = dc->devices[i];
		if (dev == NULL || dev->driver != driver ||
		    dev->parent == NULL || dev->parent->devclass != bus)
			continue;
		error = device_detach(dev);
		if (error != 0)
			return (error);
	}
	return (0);
}

int
devclass_delete_driver(devclass_t bus, driver_t *driver)
{
	struct driverlink *dl;
	int error;

	TAILQ_FOREACH(dl, &bus->drivers, link)
		if (dl->driver == driver)
			break;
	if (dl == NULL)
		return (ENOENT);
	error = driver_detach_all(bus, driver);
	if (error != 0)
		return (error);
	TAILQ_REMOVE(&bus->drivers, dl, link);
	os_free(dl);
	if (--driver->refs == 0)
		kobj_class_free(driver);
	return (0);
}

int
driver_module_handler(module_t mod, int what, void *arg)
{
	struct driver_module_data *d;
	devclass_t bus;
	int error, i;

	d = arg;
	bus = devclass_create(d->dmd_busname);
	error = 0;
	bus_topo_lock();
	switch (what) {
	case MOD_LOAD:
		if (d->dmd_chainevh != NULL)
			error = d->dmd_chainevh(mod, what, d->dmd_chainarg);
		if (error == 0)
			error = devclass_add_driver(bus, d->dmd_driver,
			    d->dmd_pass, d->dmd_devclass);
		break;
	case MOD_UNLOAD:
		error = devclass_delete_driver(bus, d->dmd_driver);
		if (error == 0 && d->dmd_chainevh != NULL)
			error = d->dmd_chainevh(mod, what, d->dmd_chainarg);
		break;
	case MOD_QUIESCE: {
		devclass_t dc = devclass_find(d->dmd_driver->name);

		for (i = 0; dc != NULL && i < dc->maxunit && error == 0; i++)
			if (dc->devices[i] != NULL &&
			    dc->devices[i]->driver == d->dmd_driver)
				error = device_quiesce(dc->devices[i]);
		if (error == 0 && d->dmd_chainevh != NULL) {
			error = d->dmd_chainevh(mod, what, d->dmd_chainarg);
			if (error == EOPNOTSUPP)
				error = 0;
		}
		break;
	}
	case MOD_SHUTDOWN:
		if (d->dmd_chainevh != NULL)
			error = d->dmd_chainevh(mod, what, d->dmd_chainarg);
		break;
	default:
		error = EOPNOTSUPP;
	}
	bus_topo_unlock();
	return (error);
}

/* hint.NAME.UNIT.RESOURCE from the kernel environment. */

int
resource_string_value(const char *name, int unit, const char *resname,
    const char **result)
{
	static char value[8][128];
	static int slot;
	char var[128];
	int n;

	snprintf(var, sizeof(var), "hint.%s.%d.%s", name, unit, resname);
	n = slot++ % nitems(value);
	if (os_env_get(var, value[n], sizeof(value[n])) != 0)
		return (ENOENT);
	*result = value[n];
	return (0);
}

int
resource_long_value(const char *name, int unit, const char *resname,
    long *result)
{
	const char *s;
	char *end;

	if (resource_string_value(name, unit, resname, &s) != 0)
		return (ENOENT);
	*result = strtol(s, &end, 0);
	return (*s != '\0' && *end == '\0' ? 0 : EFTYPE);
}

int
resource_int_value(const char *name, int unit, const char *resname,
    int *result)
{
	long v;
	int error;

	error = resource_long_value(name, unit, resname, &v);
	if (error == 0)
		*result = v;
	return (error);
}

int
resource_disabled(const char *name, int unit)
{
	int v;

	return (resource_int_value(name, unit, "disabled", &v) == 0 && v != 0);
}

/* The generic bus methods. */

void
bus_identify_children(device_t dev)
{
	struct driverlink *dl;
	devclass_t dc;

	for (dc = dev->devclass; dc != NULL; dc = dc->parent)
		TAILQ_FOREACH(dl, &dc->drivers, link)
			DEVICE_IDENTIFY(dl->driver, dev);
}

#undef bus_generic_probe
int
bus_generic_probe(device_t dev)
{
	bus_identify_children(dev);
	return (0);
}

void
bus_attach_children(device_t dev)
{
	device_t child, next;

	TAILQ_FOREACH_SAFE(child, &dev->children, link, next)
		device_probe_and_attach(child);
}

#undef bus_generic_attach
int
bus_generic_attach(device_t dev)
{
	bus_attach_children(dev);
	return (0);
}

void
bus_delayed_attach_children(device_t dev)
{
	bus_attach_children(dev);
}

void
bus_enumerate_hinted_children(device_t dev)
{
}

int
bus_detach_children(device_t dev)
{
	device_t child;
	int error;

	TAILQ_FOREACH_REVERSE(child, &dev->children, device_list, link) {
		error = device_detach(child);
		if (error != 0)
			return (error);
	}
	return (0);
}

int
bus_generic_detach(device_t dev)
{
	int error;

	error = bus_detach_children(dev);
	return (error != 0 ? error : device_delete_children(dev));
}

int
bus_generic_shutdown(device_t dev)
{
	device_t child;

	TAILQ_FOREACH_REVERSE(child, &dev->children, device_list, link)
		device_shutdown(child);
	return (0);
}

int
bus_generic_suspend_child(device_t dev, device_t child)
{
	int error;

	error = DEVICE_SUSPEND(child);
	if (error == 0)
		child->flags |= DF_SUSPENDED;
	return (error);
}

int
bus_generic_resume_child(device_t dev, device_t child)
{
	DEVICE_RESUME(child);
	child->flags &= ~DF_SUSPENDED;
	return (0);
}

int
bus_generic_suspend(device_t dev)
{
	device_t child;
	int error;

	TAILQ_FOREACH_REVERSE(child, &dev->children, device_list, link)
		if ((error = BUS_SUSPEND_CHILD(dev, child)) != 0)
			return (error);
	return (0);
}

int
bus_generic_resume(device_t dev)
{
	device_t child;

	TAILQ_FOREACH(child, &dev->children, link)
		BUS_RESUME_CHILD(dev, child);
	return (0);
}

int
bus_print_child_header(device_t dev, device_t child)
{
	if (device_get_desc(child) != NULL)
		return (printf("%s: <%s>", device_get_nameunit(child),
		    device_get_desc(child)));
	return (printf("%s", device_get_nameunit(child)));
}

int
bus_print_child_footer(device_t dev, device_t child)
{
	return (printf(" on %s\n", device_get_nameunit(dev)));
}

int
bus_print_child_domain(device_t dev, device_t child)
{
	return (0);
}

/* In one piece, so that no other thread's line comes in between. */
int
bus_generic_print_child(device_t dev, device_t child)
{
	if (device_get_desc(child) != NULL)
		return (printf("%s: <%s> on %s\n", device_get_nameunit(child),
		    device_get_desc(child), device_get_nameunit(dev)));
	return (printf("%s on %s\n", device_get_nameunit(child),
	    device_get_nameunit(dev)));
}

int
bus_generic_read_ivar(device_t dev, device_t child, int which,
    uintptr_t *result)
{
	return (ENOENT);
}

int
bus_generic_write_ivar(device_t dev, device_t child, int which,
    uintptr_t value)
{
	return (ENOENT);
}

void
bus_generic_driver_added(device_t dev, driver_t *driver)
{
	device_t child, next;

	DEVICE_IDENTIFY(driver, dev);
	TAILQ_FOREACH_SAFE(child, &dev->children, link, next)
		if (child->state == DS_NOTPRESENT)
			device_probe_and_attach(child);
}

void
bus_generic_new_pass(device_t dev)
{
}

device_t
bus_generic_add_child(device_t dev, u_int order, const char *name, int unit)
{
	return (device_add_child_ordered(dev, order, name, unit));
}

int
bus_null_rescan(device_t dev)
{
	return (ENODEV);
}

int
bus_generic_child_present(device_t dev, device_t child)
{
	return (1);
}

int
bus_generic_child_location(device_t dev, device_t child, struct sbuf *sb)
{
	return (0);
}

int
bus_generic_child_pnpinfo(device_t dev, device_t child, struct sbuf *sb)
{
	return (0);
}

int
bus_generic_get_device_path(device_t bus, device_t child, const char *locator,
    struct sbuf *sb)
{
	return (EINVAL);
}

bus_dma_tag_t
bus_generic_get_dma_tag(device_t dev, device_t child)
{
	return (dev->parent != NULL ? BUS_GET_DMA_TAG(dev->parent, child) :
	    NULL);
}

bus_space_tag_t
bus_generic_get_bus_tag(device_t dev, device_t child)
{
	return (0);
}

int
bus_generic_get_domain(device_t dev, device_t child, int *domain)
{
	*domain = 0;
	return (0);
}

int
bus_generic_get_cpus(device_t dev, device_t child, enum cpu_sets op,
    size_t setsize, cpuset_t *cpuset)
{
	if (setsize != sizeof(cpuset_t))
		return (EINVAL);
	*cpuset = all_cpus;
	return (0);
}

ssize_t
bus_generic_get_property(device_t dev, device_t child, const char *propname,
    void *propvalue, size_t size, device_property_type_t type)
{
	return (-1);
}

int
bus_helper_reset_prepare(device_t dev, int flags)
{
	return (0);
}

int
bus_helper_reset_post(device_t dev, int flags)
{
	return (0);
}

/*
 * Hardware resources: kldrun has none to give, so every allocation fails and
 * every other request is refused, as on a bus without that resource.
 */
struct resource *
bus_generic_alloc_resource(device_t dev, device_t child, int type, int *rid,
    rman_res_t start, rman_res_t end, rman_res_t count, u_int flags)
{
	return (NULL);
}

#define	REFUSED(name, ...)						\
int									\
name(__VA_ARGS__)							\
{									\
	return (EINVAL);						\
}
REFUSED(bus_generic_release_resource, device_t b, device_t c,
    struct resource *r)
REFUSED(bus_generic_activate_resource, device_t b, device_t c,
    struct resource *r)
REFUSED(bus_generic_deactivate_resource, device_t b, device_t c,
    struct resource *r)
REFUSED(bus_generic_adjust_resource, device_t b, device_t c,
    struct resource *r, rman_res_t s, rman_res_t e)
REFUSED(bus_generic_translate_resource, device_t b, int t, rman_res_t s,
    rman_res_t *n)
REFUSED(bus_generic_map_resource, device_t b, device_t c, struct resource *r,
    struct resource_map_request *a, struct resource_map *m)
REFUSED(bus_generic_unmap_resource, device_t b, device_t c,
    struct resource *r, struct resource_map *m)
REFUSED(bus_generic_setup_intr, device_t b, device_t c, struct resource *r,
    int f, driver_filter_t *ff, driver_intr_t *i, void *a, void **p)
REFUSED(bus_generic_teardown_intr, device_t b, device_t c,
    struct resource *r, void *p)
REFUSED(bus_generic_suspend_intr, device_t b, device_t c, struct resource *r)
REFUSED(bus_generic_resume_intr, device_t b, device_t c, struct resource *r)
REFUSED(bus_generic_bind_intr, device_t b, device_t c, struct resource *r,
    int cpu)
REFUSED(bus_generic_config_intr, device_t b, int irq, enum intr_trigger t,
    enum intr_polarity p)
REFUSED(bus_generic_describe_intr, device_t b, device_t c,
    struct resource *r, void *k, const char *d)

struct resource *
bus_alloc_resource(device_t dev, int type, int *rid, rman_res_t start,
    rman_res_t end, rman_res_t count, u_int flags)
{
	return (dev->parent == NULL ? NULL : BUS_ALLOC_RESOURCE(dev->parent,
	    dev, type, rid, start, end, count, flags));
}

/* Wrappers that ask the parent. */
bus_dma_tag_t
bus_get_dma_tag(device_t dev)
{
	return (dev->parent != NULL ? BUS_GET_DMA_TAG(dev->parent, dev) :
	    NULL);
}

int
bus_get_domain(device_t dev, int *domain)
{
	return (BUS_GET_DOMAIN(dev->parent, dev, domain));
}

int
bus_get_cpus(device_t dev, enum cpu_sets op, size_t setsize, cpuset_t *set)
{
	return (BUS_GET_CPUS(dev->parent, dev, op, setsize, set));
}

int
bus_child_present(device_t child)
{
	return (child->parent == NULL ? 1 :
	    BUS_CHILD_PRESENT(child->parent, child));
}

int
bus_child_pnpinfo(device_t child, struct sbuf *sb)
{
	return (child->parent == NULL ? 0 :
	    BUS_CHILD_PNPINFO(child->parent, child, sb));
}

int
bus_child_location(device_t child, struct sbuf *sb)
{
	return (child->parent == NULL ? 0 :
	    BUS_CHILD_LOCATION(child->parent, child, sb));
}

int
bus_get_pass(void)
{
	return (BUS_PASS_DEFAULT);
}

/* root0 and nexus0 */

static int
root_print_child(device_t dev, device_t child)
{
	return (0);
}

static int
quiet_probe(device_t dev)
{
	device_quiet(dev);
	return (0);
}

static int
nexus_attach(device_t dev)
{
	bus_identify_children(dev);
	bus_attach_children(dev);
	return (0);
}

static device_method_t root_methods[] = {
	DEVMETHOD(bus_print_child, root_print_child),
	DEVMETHOD(bus_driver_added, bus_generic_driver_added),
	DEVMETHOD(bus_add_child, bus_generic_add_child),
	DEVMETHOD_END
};
static driver_t root_driver = { "root", root_methods, 1 };

static device_method_t nexus_methods[] = {
	DEVMETHOD(device_probe, quiet_probe),
	DEVMETHOD(device_attach, nexus_attach),
	DEVMETHOD(device_detach, bus_generic_detach),
	DEVMETHOD(bus_print_child, bus_generic_print_child),
	DEVMETHOD(bus_add_child, bus_generic_add_child),
	DEVMETHOD(bus_get_cpus, bus_generic_get_cpus),
	DEVMETHOD(bus_get_domain, bus_generic_get_domain),
	DEVMETHOD_END
};
static driver_t nexus_driver = { "nexus", nexus_methods, 1 };

void
kld_newbus_boot(void)
{
	root_devclass = devclass_create("root");
	root_bus = os_alloc(sizeof(*root_bus));
	memset(root_bus, 0, sizeof(*root_bus));
	TAILQ_INIT(&root_bus->children);
	strlcpy(root_bus->nameunit, "root0", sizeof(root_bus->nameunit));
	root_bus->devclass = root_devclass;
	root_bus->flags = DF_ENABLED;
	root_bus->state = DS_ATTACHED;
	root_bus->driver = &root_driver;
	kobj_init((kobj_t)root_bus, &root_driver);
}

/* SI_SUB_CONFIGURE: from here on a new driver is tried at once. */
void
kld_newbus_configure(void)
{
	bus_topo_lock();
	configured = true;
	bus_attach_children(root_bus);
	bus_topo_unlock();
}

static void
newbus_start(void *arg)
{
	devclass_add_driver(root_devclass, &nexus_driver, 0, NULL);
	device_add_child(root_bus, "nexus", 0);
}
SYSINIT(newbus, SI_SUB_DRIVERS, SI_ORDER_FIRST, newbus_start, NULL);
SYSINIT(configure, SI_SUB_CONFIGURE, SI_ORDER_MIDDLE, kld_newbus_configure,
    NULL);

static void
report_device(device_t dev, int depth, struct kld_out *o)
{
	struct sbuf *sb;
	device_t child;

	sb = sbuf_new_auto();
	bus_child_pnpinfo(dev, sb);
	sbuf_finish(sb);
	kld_outf(o, "%*s%s%s%s%s%s%s\n", depth * 2, "",
	    dev->nameunit[0] != '\0' ? dev->nameunit : "unknown",
	    dev->desc != NULL ? " <" : "", dev->desc != NULL ? dev->desc : "",
	    dev->desc != NULL ? ">" : "", sbuf_len(sb) > 0 ? " " : "",
	    sbuf_data(sb));
	sbuf_delete(sb);
	TAILQ_FOREACH(child, &dev->children, link)
		report_device(child, depth + 1, o);
}

void
kld_devices_report(void (*out)(void *, const char *), void *arg)
{
	struct kld_out o = { out, arg };
	device_t child;

	bus_topo_lock();
	TAILQ_FOREACH(child, &root_bus->children, link)
		report_device(child, 0, &o);
	bus_topo_unlock();
	if (kld_disks_report != NULL)
		kld_disks_report(out, arg);
}

/* Detaches and removes everything below the root. */
/*
 * Every module is gone: a driver that is still on a bus would be read by the
 * next module that loads, from memory that is free.
 */
static void
stale_drivers(devclass_t dc)
{
	struct driverlink *dl;

	TAILQ_FOREACH(dl, &dc->drivers, link) {
		printf("kldrun: driver %s is still on bus %s\n",
		    dl->driver->name, dc->name);
		kld_unload_failures++;
	}
}

void
kld_newbus_shutdown(void)
{
	devclass_t dc;
	int error;

	bus_topo_lock();
	error = device_delete_children(root_bus);
	TAILQ_FOREACH(dc, &devclasses, link) {
		if (dc->sysctl_tree != NULL) {
			sysctl_ctx_free(&dc->sysctl_ctx);
			dc->sysctl_tree = NULL;
		}
		/* What the host holds keeps its module. */
		if (dc != root_devclass && kld_kept_pages() == 0)
			stale_drivers(dc);
	}
	bus_topo_unlock();
	if (error != 0)
		printf("kldrun: a device did not detach: error %d\n", error);
}
