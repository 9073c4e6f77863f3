/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * Sharing pages with the host, for threads that want to wait for the answer.
 */

#include "vmbus_var.h"

/* What a status of the machine means to a driver. */
static int
vmbus_gpadl_errno(enum hvk_client_status status)
{

	switch (status) {
	case HVK_CLIENT_OK:
		return (0);
	case HVK_CLIENT_REVOKED:
		return (ENXIO);
	case HVK_CLIENT_TIMEOUT:
		return (ETIMEDOUT);
	default:
		return (EIO);
	}
}

/*
 * On failure *result is NULL when the host never had the pages, and a handle to
 * destroy when it may have them.
 */
int
vmbus_gpadl_create(struct vmbus_channel *chan, const uint64_t *pfn,
    uint32_t npfn, struct hvk_client_gpadl **result)
{
	struct vmbus_softc *sc = chan->ch_sc;
	struct hvk_client_gpadl *gpadl;
	struct vmbus_wait wait;
	int error;

	*result = NULL;
	memset(&wait, 0, sizeof(wait));
	mtx_lock(&sc->sc_lock);
	if (chan->ch_client == NULL) {
		mtx_unlock(&sc->sc_lock);
		return (ENXIO);
	}
	error = hvk_client_gpadl_create(sc->sc_client, chan->ch_client, pfn,
	    npfn, &wait, &gpadl, vmbus_now());
	if (error != HVK_OK) {
		mtx_unlock(&sc->sc_lock);
		return (error == HVK_RANGE ? EINVAL :
		    error == HVK_NOSPACE ? ENOSPC : ENXIO);
	}
	vmbus_conn_wait(sc, &wait);
	/* Not held: the slot may be somebody else's already. */
	if (wait.vw_event.held) {
		gpadl->user = NULL;
		*result = gpadl;
	}
	mtx_unlock(&sc->sc_lock);
	return (vmbus_gpadl_errno(wait.vw_event.status));
}

int
vmbus_gpadl_destroy(struct vmbus_channel *chan, struct hvk_client_gpadl *gpadl)
{
	struct vmbus_softc *sc = chan->ch_sc;
	struct vmbus_wait wait;
	int error;

	memset(&wait, 0, sizeof(wait));
	mtx_lock(&sc->sc_lock);
	gpadl->user = &wait;
	error = hvk_client_gpadl_teardown(sc->sc_client, gpadl, vmbus_now());
	if (error != HVK_OK) {
		gpadl->user = NULL;
		mtx_unlock(&sc->sc_lock);
		return (EBUSY);
	}
	vmbus_conn_wait(sc, &wait);
	mtx_unlock(&sc->sc_lock);
	return (vmbus_gpadl_errno(wait.vw_event.status));
}

int
vmbus_chan_gpadl_create(struct vmbus_channel *chan, const uint64_t *pfn,
    uint32_t npfn, uint32_t *handle)
{
	struct hvk_client_gpadl *gpadl;
	int error;

	*handle = 0;
	error = vmbus_gpadl_create(chan, pfn, npfn, &gpadl);
	if (gpadl != NULL)
		*handle = gpadl->handle;
	return (error);
}

int
vmbus_chan_gpadl_destroy(struct vmbus_channel *chan, uint32_t handle)
{
	struct vmbus_softc *sc = chan->ch_sc;
	struct hvk_client_gpadl *gpadl;

	mtx_lock(&sc->sc_lock);
	gpadl = hvk_client_gpadl_find(sc->sc_client, handle);
	mtx_unlock(&sc->sc_lock);
	if (gpadl == NULL || gpadl->chan != chan->ch_client)
		return (EINVAL);
	return (vmbus_gpadl_destroy(chan, gpadl));
}
