/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * vmbus0: the bus that the host's synthetic devices sit on, for newbus.
 *
 * It attaches where the base system's driver does, below the first pcib or ACPI
 * container, under the same module names and with a newer version: when it is
 * preloaded by loader(8) its names are registered before those of the kernel,
 * whose driver then stays out.  On a machine without ACPI it attaches to the
 * nexus.
 *
 * Locking: attach and detach run under the bus topology lock; see vmbus_var.h.
 */

#include "vmbus_var.h"

#include <sys/sbuf.h>
#include <sys/smp.h>

#include "device_if.h"
#include "bus_if.h"

struct vmbus_softc *vmbus_sc;

static bool
vmbus_present(void)
{
	devclass_t dc;

	if (!hyperv_identify())
		return (false);
	dc = devclass_find("vmbus");
	return (dc == NULL || devclass_get_device(dc, 0) == NULL);
}

static void
vmbus_identify(driver_t *driver __unused, device_t parent)
{
	devclass_t acpi;

	if (device_get_unit(parent) > 0 || !vmbus_present())
		return;
	if (strcmp(device_get_name(parent), "nexus") == 0) {
		acpi = devclass_find("acpi");
		if (cold || (acpi != NULL &&
		    devclass_get_device(acpi, 0) != NULL))
			return;
	}
	device_add_child(parent, "vmbus", 0);
}

static int
vmbus_probe(device_t dev)
{

	if (device_get_unit(dev) != 0 || !hyperv_identify())
		return (ENXIO);
	device_set_desc(dev, "Hyper-V Vmbus");
	return (BUS_PROBE_DEFAULT);
}

/* Undo whatever has been done; what was not is nothing to do. */
static void
vmbus_teardown(struct vmbus_softc *sc)
{

	vmbus_conn_stop(sc);
	if (sc->sc_devtq != NULL) {
		taskqueue_free(sc->sc_devtq);
		sc->sc_devtq = NULL;
	}
	if (sc->sc_gonetq != NULL) {
		taskqueue_free(sc->sc_gonetq);
		sc->sc_gonetq = NULL;
	}
	vmbus_synic_stop(sc);
	vmbus_dev_free_all(sc);
	if (sc->sc_hypercalls) {
		hyperv_crash_stop();
		hyperv_stop();
		sc->sc_hypercalls = false;
	}
	if (sc->sc_client != NULL)
		vmbus_conn_free(sc);
	sc->sc_connected = false;
}

static int
vmbus_doattach(struct vmbus_softc *sc)
{
	int error;

	error = hyperv_start();
	if (error != 0)
		return (error);
	sc->sc_hypercalls = true;
	hyperv_crash_start();
	sc->sc_devtq = taskqueue_create("hyperv dev", M_WAITOK,
	    taskqueue_thread_enqueue, &sc->sc_devtq);
	taskqueue_start_threads(&sc->sc_devtq, VMBUS_DEV_THREADS, PI_DISK,
	    "vmbusdev");
	sc->sc_gonetq = taskqueue_create("hyperv gone", M_WAITOK,
	    taskqueue_thread_enqueue, &sc->sc_gonetq);
	taskqueue_start_threads(&sc->sc_gonetq, 1, PI_DISK, "vmbussch");
	error = vmbus_synic_start(sc);
	if (error == 0)
		error = vmbus_conn_start(sc);
	if (error != 0) {
		vmbus_teardown(sc);
		return (error);
	}
	vmbus_sysctl_attach(sc);
	return (0);
}

/* Interrupts and sleeping work now; the boot waits for us. */
static void
vmbus_hook(void *arg)
{
	struct vmbus_softc *sc = arg;

	if (vmbus_doattach(sc) != 0)
		device_printf(sc->sc_dev, "no devices\n");
	config_intrhook_disestablish(&sc->sc_hook);
}

static int
vmbus_attach(device_t dev)
{
	struct vmbus_softc *sc = device_get_softc(dev);
	int error;

	sc->sc_dev = dev;
	sc->sc_vector = -1;
	mtx_init(&sc->sc_lock, "vmbus", NULL, MTX_DEF);
	callout_init_mtx(&sc->sc_timer, &sc->sc_lock, 0);
	TAILQ_INIT(&sc->sc_primaries);
	vmbus_sc = sc;
	if (cold) {
		sc->sc_hook.ich_func = vmbus_hook;
		sc->sc_hook.ich_arg = sc;
		return (config_intrhook_establish(&sc->sc_hook));
	}
	error = vmbus_doattach(sc);
	if (error != 0) {
		vmbus_sc = NULL;
		mtx_destroy(&sc->sc_lock);
	}
	return (error);
}

static int
vmbus_detach(device_t dev)
{
	struct vmbus_softc *sc = device_get_softc(dev);
	int error;

	error = vmbus_dev_detach_all(sc);
	if (error != 0)
		return (error);
	vmbus_teardown(sc);
	vmbus_sc = NULL;
	mtx_destroy(&sc->sc_lock);
	return (0);
}

static int
vmbus_read_ivar(device_t dev __unused, device_t child, int which,
    uintptr_t *result)
{
	struct vmbus_channel *chan = device_get_ivars(child);

	if (chan == NULL)
		return (ENOENT);
	switch (which) {
	case VMBUS_IVAR_CHANNEL:
		*result = (uintptr_t)chan;
		return (0);
	case VMBUS_IVAR_TYPE:
		*result = (uintptr_t)&chan->ch_type;
		return (0);
	case VMBUS_IVAR_INSTANCE:
		*result = (uintptr_t)&chan->ch_instance;
		return (0);
	default:
		return (ENOENT);
	}
}

/*
 * Beside a kernel with drivers of its own this is the one sign that a module is
 * missing from loader.conf: the kernel's driver does not serve our bus.
 */
static void
vmbus_probe_nomatch(device_t dev, device_t child)
{
	static const struct {
		struct hvk_guid	 type;
		const char	*module;
	} modules[] = {
		{ HVK_GUID_SCSI, "hv_storvsc.ko" },
		{ HVK_GUID_IDE, "hv_storvsc.ko" },
		{ HVK_GUID_NETWORK, "hv_netvsc.ko" },
		{ HVK_GUID_SHUTDOWN, "hv_utils.ko" },
		{ HVK_GUID_TIMESYNC, "hv_utils.ko" },
		{ HVK_GUID_HEARTBEAT, "hv_utils.ko" },
	};
	struct vmbus_channel *chan = device_get_ivars(child);
	const char *name;
	size_t i;

	if (chan == NULL)
		return;
	name = hvk_guid_class(&chan->ch_type);
	for (i = 0; i < nitems(modules); i++)
		if (hvk_guid_eq(&chan->ch_type, &modules[i].type))
			device_printf(dev, "channel %u, %s: no driver, it is "
			    "in %s\n", chan->ch_id, name, modules[i].module);
}

static int
vmbus_child_pnpinfo(device_t dev __unused, device_t child, struct sbuf *sb)
{
	struct vmbus_channel *chan = device_get_ivars(child);
	char text[HVK_GUID_TEXT];

	if (chan == NULL)
		return (0);
	hvk_guid_format(&chan->ch_type, text);
	sbuf_printf(sb, "classid=%s", text);
	hvk_guid_format(&chan->ch_instance, text);
	sbuf_printf(sb, " deviceid=%s", text);
	return (0);
}
HVK_PNPINFO_WRAP(vmbus_child_pnpinfo)

uint32_t
vmbus_get_version(device_t child)
{
	struct vmbus_softc *sc = device_get_softc(device_get_parent(child));

	return (sc->sc_client->version);
}

uint64_t
vmbus_reference_time(void)
{

	return (hyperv_reference_time());
}

bus_dma_tag_t
vmbus_get_dma_tag(device_t child)
{

	return (bus_get_dma_tag(device_get_parent(child)));
}

static device_method_t vmbus_methods[] = {
	DEVMETHOD(device_identify,	vmbus_identify),
	DEVMETHOD(device_probe,		vmbus_probe),
	DEVMETHOD(device_attach,	vmbus_attach),
	DEVMETHOD(device_detach,	vmbus_detach),
	DEVMETHOD(device_shutdown,	bus_generic_shutdown),
	DEVMETHOD(device_suspend,	bus_generic_suspend),
	DEVMETHOD(device_resume,	bus_generic_resume),

	DEVMETHOD(bus_add_child,	bus_generic_add_child),
	DEVMETHOD(bus_print_child,	bus_generic_print_child),
	DEVMETHOD(bus_read_ivar,	vmbus_read_ivar),
	DEVMETHOD(bus_probe_nomatch,	vmbus_probe_nomatch),
	HVK_PNPINFO_METHOD(vmbus_child_pnpinfo),

	DEVMETHOD_END
};

static driver_t vmbus_driver = {
	"vmbus",
	vmbus_methods,
	sizeof(struct vmbus_softc)
};

HVK_DRIVER_MODULE(vmbus, nexus, vmbus_driver);
HVK_DRIVER_MODULE(vmbus, pcib, vmbus_driver);
HVK_DRIVER_MODULE(vmbus, acpi_syscontainer, vmbus_driver);
MODULE_VERSION(vmbus, VMBUS_MODVER);
