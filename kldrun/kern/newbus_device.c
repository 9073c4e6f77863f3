/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * newbus_device.c: the device tree: devices, their names, probe, attach and
 * detach, and the messages that a FreeBSD console shows for them.
 */

#include "newbus.h"
#include <sys/sbuf.h>
#include <sys/stdarg.h>

device_t root_bus;
devclass_t root_devclass;

static int
device_name_text(device_t dev, char *buf, size_t n)
{
	if (device_get_name(dev) == NULL)
		return (snprintf(buf, n, "unknown: "));
	return (snprintf(buf, n, "%s: ", device_get_nameunit(dev)));
}

static int
devclass_take_unit(devclass_t dc, device_t dev, int unit)
{
	int i;

	if (unit == DEVICE_UNIT_ANY)
		for (unit = 0; unit < dc->maxunit; unit++)
			if (dc->devices[unit] == NULL)
				break;
	if (unit >= dc->maxunit) {
		dc->devices = os_realloc(dc->devices,
		    (unit + 1) * sizeof(device_t));
		for (i = dc->maxunit; i <= unit; i++)
			dc->devices[i] = NULL;
		dc->maxunit = unit + 1;
	}
	if (dc->devices[unit] != NULL)
		return (EEXIST);
	dc->devices[unit] = dev;
	dev->unit = unit;
	dev->devclass = dc;
	snprintf(dev->nameunit, sizeof(dev->nameunit), "%s%d", dc->name, unit);
	return (0);
}

static void
devclass_drop(device_t dev)
{
	if (dev->devclass == NULL)
		return;
	dev->devclass->devices[dev->unit] = NULL;
	dev->devclass = NULL;
	if ((dev->flags & DF_WILDCARD) != 0)
		dev->unit = -1;
	dev->nameunit[0] = '\0';
	dev->flags &= ~DF_FIXEDCLASS;
}

static device_t
device_make(device_t parent, const char *name, int unit)
{
	devclass_t dc;
	device_t dev;

	dc = NULL;
	if (name != NULL && (dc = devclass_create(name)) == NULL)
		return (NULL);
	dev = malloc(sizeof(*dev), M_BUS, M_WAITOK | M_ZERO);
	dev->parent = parent;
	TAILQ_INIT(&dev->children);
	dev->unit = unit;
	dev->flags = DF_ENABLED;
	dev->state = DS_NOTPRESENT;
	if (unit == DEVICE_UNIT_ANY)
		dev->flags |= DF_WILDCARD;
	if (dc != NULL) {
		dev->flags |= DF_FIXEDCLASS;
		if (devclass_take_unit(dc, dev, unit) != 0) {
			free(dev, M_BUS);
			return (NULL);
		}
	}
	return (dev);
}

device_t
device_add_child_ordered(device_t dev, u_int order, const char *name, int unit)
{
	device_t child, at;

	child = device_make(dev, name, unit);
	if (child == NULL)
		return (NULL);
	child->order = order;
	TAILQ_FOREACH(at, &dev->children, link)
		if (at->order > order)
			break;
	if (at != NULL)
		TAILQ_INSERT_BEFORE(at, child, link);
	else
		TAILQ_INSERT_TAIL(&dev->children, child, link);
	return (child);
}

device_t
device_add_child(device_t dev, const char *name, int unit)
{
	return (device_add_child_ordered(dev, 0, name, unit));
}

int
device_delete_children(device_t dev)
{
	device_t child;
	int error;

	while ((child = TAILQ_FIRST(&dev->children)) != NULL) {
		error = device_delete_child(dev, child);
		if (error != 0)
			return (error);
	}
	return (0);
}

int
device_delete_child(device_t dev, device_t child)
{
	int error;

	error = device_detach(child);
	if (error != 0)
		return (error);
	error = device_delete_children(child);
	if (error != 0)
		return (error);
	if (dev != NULL && dev->ops != NULL)
		BUS_CHILD_DELETED(dev, child);
	if (child->devclass != NULL)
		devclass_drop(child);
	if (child->parent != NULL)
		TAILQ_REMOVE(&dev->children, child, link);
	device_set_driver(child, NULL);
	device_set_desc(child, NULL);
	free(child, M_BUS);
	return (0);
}

device_t
device_find_child(device_t dev, const char *classname, int unit)
{
	device_t child;

	TAILQ_FOREACH(child, &dev->children, link)
		if (child->devclass != NULL &&
		    strcmp(child->devclass->name, classname) == 0 &&
		    (unit == DEVICE_UNIT_ANY || child->unit == unit))
			return (child);
	return (NULL);
}

/* Drivers of the parent's class and of the classes above it. */
int
device_probe_child(device_t dev, device_t child)
{
	struct driverlink *best, *dl;
	devclass_t dc;
	int pri, result;

	best = NULL;
	pri = 0;
	if (child->state == DS_ALIVE)
		return (0);
	for (dc = dev->devclass; dc != NULL; dc = dc->parent)
		TAILQ_FOREACH(dl, &dc->drivers, link) {
			if ((child->flags & DF_FIXEDCLASS) != 0 &&
			    strcmp(dl->driver->name,
			    child->devclass->name) != 0)
				continue;
			device_set_driver(child, dl->driver);
			if ((child->flags & DF_FIXEDCLASS) == 0 &&
			    device_set_devclass(child, dl->driver->name) != 0) {
				device_set_driver(child, NULL);
				continue;
			}
			result = DEVICE_PROBE(child);
			if ((child->flags & DF_FIXEDCLASS) == 0)
				devclass_drop(child);
			device_set_driver(child, NULL);
			if (result > 0 || (result <= BUS_PROBE_NOWILDCARD &&
			    (child->flags & DF_WILDCARD) != 0 &&
			    (child->flags & DF_FIXEDCLASS) == 0))
				continue;
			if (best == NULL || result > pri) {
				best = dl;
				pri = result;
			}
			if (result == 0)
				goto found;
		}
	if (best == NULL)
		return (ENXIO);
found:
	device_set_driver(child, best->driver);
	if ((child->flags & DF_FIXEDCLASS) == 0)
		device_set_devclass(child, best->driver->name);
	/* Again, so that the description is the winner's. */
	DEVICE_PROBE(child);
	child->state = DS_ALIVE;
	return (0);
}

int
device_probe(device_t dev)
{
	int error;

	if (dev->state >= DS_ALIVE)
		return (-1);
	if ((dev->flags & DF_ENABLED) == 0)
		return (-1);
	error = device_probe_child(dev->parent, dev);
	if (error != 0 && (dev->flags & DF_DONENOMATCH) == 0) {
		BUS_PROBE_NOMATCH(dev->parent, dev);
		dev->flags |= DF_DONENOMATCH;
	}
	return (error);
}

int
device_probe_and_attach(device_t dev)
{
	int error;

	error = device_probe(dev);
	if (error == -1)
		return (0);
	return (error != 0 ? error : device_attach(dev));
}

int
device_attach(device_t dev)
{
	int error;

	if (resource_disabled(dev->driver->name, dev->unit)) {
		device_disable(dev);
		if (bootverbose)
			device_printf(dev, "disabled via hints entry\n");
		return (ENXIO);
	}
	kld_device_sysctl_init(dev);
	if (!device_is_quiet(dev))
		BUS_PRINT_CHILD(dev->parent, dev);
	dev->state = DS_ATTACHING;
	error = DEVICE_ATTACH(dev);
	if (error != 0) {
		printf("device_attach: %s%d attach returned %d\n",
		    dev->driver->name, dev->unit, error);
		kld_device_sysctl_fini(dev);
		if ((dev->flags & DF_FIXEDCLASS) == 0)
			devclass_drop(dev);
		device_set_driver(dev, NULL);
		dev->state = DS_NOTPRESENT;
		return (error);
	}
	dev->flags |= DF_ATTACHED_ONCE;
	dev->state = DS_ATTACHED;
	dev->flags &= ~DF_DONENOMATCH;
	return (0);
}

int
device_detach(device_t dev)
{
	int error;

	if (dev->busy > 0)
		return (EBUSY);
	if (dev->state == DS_ATTACHING) {
		device_printf(dev, "device in attaching state! Deferring "
		    "detach.\n");
		return (EBUSY);
	}
	if (dev->state != DS_ATTACHED)
		return (0);
	error = DEVICE_DETACH(dev);
	if (error != 0)
		return (error);
	if (dev->parent != root_bus)
		device_printf(dev, "detached\n");
	if (dev->parent != NULL)
		BUS_CHILD_DETACHED(dev->parent, dev);
	kld_device_sysctl_fini(dev);
	if ((dev->flags & DF_FIXEDCLASS) == 0)
		devclass_drop(dev);
	device_verbose(dev);
	dev->state = DS_NOTPRESENT;
	device_set_driver(dev, NULL);
	return (0);
}

int
device_quiesce(device_t dev)
{
	if (dev->busy > 0)
		return (EBUSY);
	return (dev->state == DS_ATTACHED ? DEVICE_QUIESCE(dev) : 0);
}

int
device_shutdown(device_t dev)
{
	return (dev->state < DS_ATTACHED ? 0 : DEVICE_SHUTDOWN(dev));
}

void
device_busy(device_t dev)
{
	if (atomic_fetchadd_int(&dev->busy, 1) == 0 && dev->parent != NULL)
		device_busy(dev->parent);
}

void
device_unbusy(device_t dev)
{
	if (dev->busy == 0)
		panic("device_unbusy: %s is not busy", dev->nameunit);
	if (atomic_fetchadd_int(&dev->busy, -1) == 1 && dev->parent != NULL)
		device_unbusy(dev->parent);
}

int
device_set_driver(device_t dev, driver_t *driver)
{
	if (dev->driver == driver)
		return (0);
	if (dev->softc != NULL && (dev->flags & DF_EXTERNALSOFTC) == 0) {
		free(dev->softc, M_BUS);
		dev->softc = NULL;
	}
	device_set_desc(dev, NULL);
	if (dev->ops != NULL)
		kobj_delete((kobj_t)dev, NULL);
	dev->driver = driver;
	if (driver == NULL)
		return (0);
	kobj_init((kobj_t)dev, (kobj_class_t)driver);
	if ((dev->flags & DF_EXTERNALSOFTC) == 0 && driver->size > 0)
		dev->softc = malloc(driver->size, M_BUS, M_WAITOK | M_ZERO);
	return (0);
}

void
device_set_softc(device_t dev, void *softc)
{
	if (dev->softc != NULL && (dev->flags & DF_EXTERNALSOFTC) == 0)
		free(dev->softc, M_BUS);
	dev->softc = softc;
	if (softc != NULL)
		dev->flags |= DF_EXTERNALSOFTC;
	else
		dev->flags &= ~DF_EXTERNALSOFTC;
}

int
device_set_devclass(device_t dev, const char *classname)
{
	if (classname == NULL) {
		devclass_drop(dev);
		return (0);
	}
	if (dev->devclass != NULL)
		return (EINVAL);
	return (devclass_take_unit(devclass_create(classname), dev,
	    (dev->flags & DF_WILDCARD) != 0 ? DEVICE_UNIT_ANY : dev->unit));
}

int
device_set_devclass_fixed(device_t dev, const char *classname)
{
	int error;

	error = device_set_devclass(dev, classname);
	if (error == 0 && classname != NULL)
		dev->flags |= DF_FIXEDCLASS;
	return (error);
}

bool
device_is_devclass_fixed(device_t dev)
{
	return ((dev->flags & DF_FIXEDCLASS) != 0);
}

int
device_set_unit(device_t dev, int unit)
{
	devclass_t dc;

	if (unit == dev->unit)
		return (0);
	dc = dev->devclass;
	if (unit < dc->maxunit && dc->devices[unit] != NULL)
		return (EBUSY);
	dc->devices[dev->unit] = NULL;
	return (devclass_take_unit(dc, dev, unit));
}

static void
set_desc(device_t dev, char *desc, bool copied)
{
	if (dev->desc_copied)
		free(dev->desc, M_BUS);
	dev->desc = desc;
	dev->desc_copied = copied;
}

void
device_set_desc(device_t dev, const char *desc)
{
	set_desc(dev, __DECONST(char *, desc), false);
}

void
device_set_desc_copy(device_t dev, const char *desc)
{
	set_desc(dev, strdup(desc, M_BUS), true);
}

void
device_set_descf(device_t dev, const char *fmt, ...)
{
	va_list ap;
	char *p;

	va_start(ap, fmt);
	vasprintf(&p, M_BUS, fmt, ap);
	va_end(ap);
	set_desc(dev, p, true);
}

const char *
device_get_desc(device_t dev)
{
	return (dev->desc);
}

devclass_t
device_get_devclass(device_t dev)
{
	return (dev->devclass);
}

driver_t *
device_get_driver(device_t dev)
{
	return (dev->driver);
}

u_int32_t
device_get_flags(device_t dev)
{
	return (dev->devflags);
}

void
device_set_flags(device_t dev, u_int32_t flags)
{
	dev->devflags = flags;
}

device_t
device_get_parent(device_t dev)
{
	return (dev->parent);
}

int
device_get_children(device_t dev, device_t **listp, int *countp)
{
	device_t child, *list;
	int n;

	n = 0;
	TAILQ_FOREACH(child, &dev->children, link)
		n++;
	*countp = n;
	*listp = NULL;
	if (n == 0)
		return (0);
	/* The caller frees the list with M_TEMP. */
	list = kld_malloc_caller(n * sizeof(device_t), M_TEMP,
	    M_NOWAIT | M_ZERO, __builtin_return_address(0));
	if (list == NULL)
		return (ENOMEM);
	n = 0;
	TAILQ_FOREACH(child, &dev->children, link)
		list[n++] = child;
	*listp = list;
	return (0);
}

void *
device_get_ivars(device_t dev)
{
	return (dev->ivars);
}

void
device_set_ivars(device_t dev, void *ivars)
{
	dev->ivars = ivars;
}

const char *
device_get_name(device_t dev)
{
	return (dev != NULL && dev->devclass != NULL ? dev->devclass->name :
	    NULL);
}

const char *
device_get_nameunit(device_t dev)
{
	return (dev->nameunit[0] != '\0' ? dev->nameunit : NULL);
}

void *
device_get_softc(device_t dev)
{
	return (dev->softc);
}

device_state_t
device_get_state(device_t dev)
{
	return (dev->state);
}

int
device_get_unit(device_t dev)
{
	return (dev->unit);
}

struct sysctl_ctx_list *
device_get_sysctl_ctx(device_t dev)
{
	return (&dev->sysctl_ctx);
}

struct sysctl_oid *
device_get_sysctl_tree(device_t dev)
{
	return (dev->sysctl_tree);
}

int
device_is_alive(device_t dev)
{
	return (dev->state >= DS_ALIVE);
}

int
device_is_attached(device_t dev)
{
	return (dev->state >= DS_ATTACHED);
}

int
device_is_enabled(device_t dev)
{
	return ((dev->flags & DF_ENABLED) != 0);
}

int
device_is_suspended(device_t dev)
{
	return ((dev->flags & DF_SUSPENDED) != 0);
}

int
device_is_quiet(device_t dev)
{
	return ((dev->flags & DF_QUIET) != 0);
}

int
device_has_quiet_children(device_t dev)
{
	return ((dev->flags & DF_QUIET_CHILDREN) != 0);
}

void
device_quiet(device_t dev)
{
	dev->flags |= DF_QUIET;
}

void
device_quiet_children(device_t dev)
{
	dev->flags |= DF_QUIET_CHILDREN;
}

void
device_verbose(device_t dev)
{
	dev->flags &= ~DF_QUIET;
}

void
device_enable(device_t dev)
{
	dev->flags |= DF_ENABLED;
}

void
device_disable(device_t dev)
{
	dev->flags &= ~DF_ENABLED;
}

int
device_print_prettyname(device_t dev)
{
	char buf[64];

	device_name_text(dev, buf, sizeof(buf));
	return (printf("%s", buf));
}

static void
device_vlog(device_t dev, const char *fmt, va_list ap)
{
	char buf[512];
	int n;

	n = device_name_text(dev, buf, sizeof(buf));
	vsnprintf(buf + n, sizeof(buf) - n, fmt, ap);
	printf("%s", buf);
}

int
device_printf(device_t dev, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	device_vlog(dev, fmt, ap);
	va_end(ap);
	return (0);
}

int
device_log(device_t dev, int pri, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	device_vlog(dev, fmt, ap);
	va_end(ap);
	return (0);
}

device_t
device_lookup_by_name(const char *name)
{
	devclass_t dc;
	char base[40];
	int n;

	n = strlen(name);
	while (n > 0 && name[n - 1] >= '0' && name[n - 1] <= '9')
		n--;
	if (n >= (int)sizeof(base) || name[n] == '\0')
		return (NULL);
	strlcpy(base, name, n + 1);
	dc = devclass_find(base);
	return (dc == NULL ? NULL :
	    devclass_get_device(dc, strtol(name + n, NULL, 10)));
}

/* dev.<driver>.<unit> with %desc, %driver, %location, %pnpinfo, %parent. */

static int
sysctl_device(SYSCTL_HANDLER_ARGS)
{
	device_t dev;
	struct sbuf sb;
	int error;

	dev = arg1;
	sbuf_new_for_sysctl(&sb, NULL, 512, req);
	switch (arg2) {
	case 0:
		sbuf_cat(&sb, dev->desc != NULL ? dev->desc : "");
		break;
	case 1:
		sbuf_cat(&sb, dev->driver != NULL ? dev->driver->name : "");
		break;
	case 2:
		bus_child_location(dev, &sb);
		break;
	case 3:
		bus_child_pnpinfo(dev, &sb);
		break;
	default:
		if (dev->parent != NULL)
			sbuf_cat(&sb, dev->parent->nameunit);
	}
	error = sbuf_finish(&sb);
	sbuf_delete(&sb);
	return (error);
}

void
kld_device_sysctl_init(device_t dev)
{
	static const char *const names[] = { "%desc", "%driver", "%location",
	    "%pnpinfo", "%parent" };
	struct sysctl_oid_list *kids;
	devclass_t dc;
	char unit[12];
	int i;

	dc = dev->devclass;
	if (dev->sysctl_tree != NULL)
		return;
	(void)devclass_get_sysctl_tree(dc);
	sysctl_ctx_init(&dev->sysctl_ctx);
	snprintf(unit, sizeof(unit), "%d", dev->unit);
	dev->sysctl_tree = SYSCTL_ADD_NODE(&dev->sysctl_ctx,
	    SYSCTL_CHILDREN(dc->sysctl_tree), OID_AUTO, unit,
	    CTLFLAG_RD | CTLFLAG_MPSAFE, NULL, "");
	kids = SYSCTL_CHILDREN(dev->sysctl_tree);
	for (i = 0; i < (int)nitems(names); i++)
		SYSCTL_ADD_PROC(&dev->sysctl_ctx, kids, OID_AUTO, names[i],
		    CTLTYPE_STRING | CTLFLAG_RD | CTLFLAG_MPSAFE, dev, i,
		    sysctl_device, "A", "");
}

void
kld_device_sysctl_fini(device_t dev)
{
	if (dev->sysctl_tree == NULL)
		return;
	sysctl_ctx_free(&dev->sysctl_ctx);
	dev->sysctl_tree = NULL;
}
