/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * All adapters of a guest, and the administrator's commands for them.
 * Locking: `lock' is held around each command; it is taken first of all (see
 * net_int.h).  An adapter that was removed stays in the table, unplugged.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net_int.h"

#define	FLAP_MAX	10000	/* changes of a link a second */

struct vmm_nets {
	pthread_mutex_t	lock;
	struct vmm_bus	*bus;
	uint32_t	queues;
	char		seed[256];
	struct net_nic	*nic[NET_NICS];
};

static const char *
word(const json_t *in, const char *key)
{
	const char *s = json_string_value(json_object_get(in, key));

	return (s != NULL ? s : "");
}

struct vmm_nets *
vmm_nets_create(struct vmm_bus *bus, const char *seed, uint32_t queues)
{
	struct vmm_nets *nets = calloc(1, sizeof(*nets));

	if (nets != NULL) {
		pthread_mutex_init(&nets->lock, NULL);
		nets->bus = bus;
		nets->queues = queues;
		snprintf(nets->seed, sizeof(nets->seed), "%s", seed);
	}
	return (nets);
}

void
vmm_nets_destroy(struct vmm_nets *nets)
{
	uint32_t i;

	if (nets == NULL)
		return;
	for (i = 0; i < NET_NICS; i++)
		if (nets->nic[i] != NULL)
			net_nic_free(nets->nic[i]);
	pthread_mutex_destroy(&nets->lock);
	free(nets);
}

/* The slot of a name: "net0".."net15", or -1. */
static int
slot_of(const char *name)
{
	char *end;
	long n;

	if (strncmp(name, "net", 3) != 0 ||
	    !isdigit((unsigned char)name[3]))
		return (-1);
	n = strtol(name + 3, &end, 10);
	return (*end == '\0' && n >= 0 && n < (long)NET_NICS &&
	    strlen(name) <= 5 ? (int)n : -1);
}

static struct net_nic *
find(struct vmm_nets *nets, const json_t *in, char *err, size_t errlen)
{
	const char *name = word(in, "name");
	int i = slot_of(name);

	if (i < 0 || nets->nic[i] == NULL || nets->nic[i]->removed) {
		vmm_fail(err, errlen, 0, "no adapter '%.32s'; `hvk ctl nic "
		    "list` lists them", name);
		return (NULL);
	}
	return (nets->nic[i]);
}

/* ---- plugging */

/* lock held */
static int
add(struct vmm_nets *nets, const json_t *in, json_t *out, char *err,
    size_t errlen)
{
	json_t *keys = json_copy((json_t *)(uintptr_t)in);
	const char *name = word(in, "name");
	struct net_nic *nic;
	char text[8];
	int i, error = 0;

	json_object_set_new(keys, "seed", json_string(nets->seed));
	if (json_object_get(keys, "queues") == NULL)
		json_object_set_new(keys, "queues",
		    json_integer((json_int_t)nets->queues));
	if (*name == '\0') {
		for (i = 0; i < (int)NET_NICS && nets->nic[i] != NULL &&
		    !nets->nic[i]->removed; i++)
			continue;
		snprintf(text, sizeof(text), "net%d", i);
		json_object_set_new(keys, "name", json_string(text));
		name = text;
	}
	i = slot_of(name);
	if (i < 0)
		error = vmm_fail(err, errlen, -EINVAL, "'%.32s' is no "
		    "adapter's name; use net0 to net%u", name, NET_NICS - 1);
	else if (nets->nic[i] == NULL) {
		nets->nic[i] = net_nic_create(nets->bus, keys, err, errlen);
		if (nets->nic[i] == NULL)
			error = -EINVAL;
	} else if (!nets->nic[i]->removed)
		error = vmm_fail(err, errlen, -EEXIST, "%s is there already",
		    name);
	else {
		nic = nets->nic[i];
		error = net_nic_configure(nic, keys, err, errlen);
		if (error == 0) {
			error = vmm_bus_reoffer(nets->bus, name, out, err,
			    errlen);
			if (error != 0)
				net_nic_unplug(nic);
			else
				nic->removed = false;
		}
	}
	json_decref(keys);
	if (error == 0 && out != NULL)
		json_object_set_new(out, "nic", net_nic_json(nets->nic[i]));
	return (error);
}

int
vmm_nets_add(struct vmm_nets *nets, const json_t *in, json_t *out, char *err,
    size_t errlen)
{
	int error;

	pthread_mutex_lock(&nets->lock);
	error = add(nets, in, out, err, errlen);
	pthread_mutex_unlock(&nets->lock);
	return (error);
}

/* `rescind net0' may have been before: then only the cable is pulled. */
static int
ctl_remove(struct vmm_nets *nets, struct net_nic *nic, char *err,
    size_t errlen)
{
	int error;

	error = vmm_bus_rescind(nets->bus, nic->name, err, errlen);
	if (error != 0 && error != -EALREADY)
		return (error);
	nic->removed = true;
	net_nic_unplug(nic);
	return (0);
}

/* What a guest reads only at start-up is changed as by another adapter. */
static int
replug(struct vmm_nets *nets, struct net_nic *nic, json_t *out, char *err,
    size_t errlen)
{
	int error;

	error = vmm_bus_rescind(nets->bus, nic->name, err, errlen);
	if (error == 0)
		error = vmm_bus_reoffer(nets->bus, nic->name, out, err,
		    errlen);
	return (error == -EALREADY ? 0 : error);
}

/* ---- changes */

static int
ctl_link(struct net_nic *nic, const json_t *in, char *err, size_t errlen)
{
	const json_t *up = json_object_get(in, "up");
	const json_t *speed = json_object_get(in, "speed");
	json_int_t hz = json_integer_value(json_object_get(in, "flap"));

	if (hz < 0 || hz > FLAP_MAX)
		return (vmm_fail(err, errlen, -ERANGE, "give 1 to %d changes "
		    "of the link a second", FLAP_MAX));
	if ((!json_is_boolean(up) && hz == 0) || (speed != NULL &&
	    json_integer_value(speed) <= 0))
		return (vmm_fail(err, errlen, -EINVAL, "say up or down, and a "
		    "speed in bits a second, or flap"));
	pthread_rwlock_wrlock(&nic->state);
	if (hz == 0)
		nic->link = json_is_true(up);
	nic->flap_at = vmm_now_ns();
	nic->flap_hz = (uint32_t)hz;
	if (speed != NULL)
		nic->speed = (uint64_t)json_integer_value(speed);
	pthread_rwlock_unlock(&nic->state);
	net_nic_wake(nic);
	return (0);
}

static int
ctl_vlan(struct net_nic *nic, const json_t *in, char *err, size_t errlen)
{
	struct net_vlan v;

	if (net_vlan_parse(word(in, "vlan"), &v) != 0)
		return (vmm_fail(err, errlen, -EINVAL, "vlan '%.64s': give "
		    "none, 1..4094, or trunk:LIST[/NATIVE] such as "
		    "trunk:10-20+30/1", word(in, "vlan")));
	pthread_rwlock_wrlock(&nic->state);
	nic->vlan = v;
	pthread_rwlock_unlock(&nic->state);
	return (0);
}

static int
ctl_mac(struct net_nic *nic, const json_t *in, char *err, size_t errlen)
{
	uint8_t m[6];

	if (net_mac_parse(word(in, "mac"), m) != 0)
		return (vmm_fail(err, errlen, -EINVAL, "'%.32s' is no address "
		    "for an adapter; give one such as 02:00:00:00:00:01",
		    word(in, "mac")));
	pthread_rwlock_wrlock(&nic->state);
	memcpy(nic->mac, m, sizeof(m));
	pthread_rwlock_unlock(&nic->state);
	return (0);
}

static int
ctl_offload(struct net_nic *nic, const json_t *in, char *err, size_t errlen)
{
	const char *list = word(in, "offload");

	if (net_offload_parse(list) == 0 ||
	    strlen(list) >= sizeof(nic->offload))
		return (vmm_fail(err, errlen, -EINVAL, "offload '%.32s': give "
		    "all, none, or some of csum+rxcsum+lso+rsc+rss", list));
	pthread_rwlock_wrlock(&nic->state);
	snprintf(nic->offload, sizeof(nic->offload), "%s", list);
	pthread_rwlock_unlock(&nic->state);
	return (0);
}

static int
ctl_capture(struct net_nic *nic, const json_t *in, json_t *out, char *err,
    size_t errlen)
{
	const char *file = word(in, "file"), *what = word(in, "what");
	struct net_capture *now = NULL, *old;

	if (*what != '\0' && strcmp(what, "frames") != 0 &&
	    strcmp(what, "vmbus") != 0 && strcmp(what, "both") != 0)
		return (vmm_fail(err, errlen, -EINVAL, "capture frames, vmbus "
		    "or both, not '%.32s'", what));
	if (*file != '\0') {
		now = net_capture_open(file, nic->name, strcmp(what,
		    "vmbus") != 0, strcmp(what, "vmbus") == 0 ||
		    strcmp(what, "both") == 0, err, errlen);
		if (now == NULL)
			return (-EIO);
	}
	pthread_rwlock_wrlock(&nic->state);
	old = atomic_exchange(&nic->capture, now);
	pthread_rwlock_unlock(&nic->state);
	if (old != NULL)
		json_object_set_new(out, "captured", json_integer(
		    (json_int_t)net_capture_count(old)));
	net_capture_close(old);
	return (0);
}

/* ---- all of them */

static int
ctl_list(struct vmm_nets *nets, const json_t *in, json_t *out, bool stat,
    char *err, size_t errlen)
{
	struct net_nic *nic;
	json_t *list;
	uint32_t i;

	if (*word(in, "name") != '\0' && find(nets, in, err, errlen) == NULL)
		return (-ENOENT);
	list = json_array();
	for (i = 0; i < NET_NICS; i++) {
		nic = nets->nic[i];
		if (nic == NULL || nic->removed || (*word(in, "name") !=
		    '\0' && strcmp(word(in, "name"), nic->name) != 0))
			continue;
		if (stat)
			json_object_set_new(out, nic->name,
			    net_nic_stat(nic));
		else
			json_array_append_new(list, net_nic_json(nic));
	}
	if (stat)
		json_decref(list);
	else
		json_object_set_new(out, "nics", list);
	return (0);
}

static int
change(struct vmm_nets *nets, const char *cmd, const json_t *in, json_t *out,
    char *err, size_t errlen)
{
	struct net_nic *nic = find(nets, in, err, errlen);
	int error;

	if (nic == NULL)
		return (-ENOENT);
	if (strcmp(cmd, "nic remove") == 0)
		return (ctl_remove(nets, nic, err, errlen));
	if (strcmp(cmd, "nic capture") == 0)
		return (ctl_capture(nic, in, out, err, errlen));
	if (strcmp(cmd, "nic link") == 0)
		error = ctl_link(nic, in, err, errlen);
	else if (strcmp(cmd, "nic vlan") == 0)
		error = ctl_vlan(nic, in, err, errlen);
	else if (strcmp(cmd, "nic mac") == 0) {
		error = ctl_mac(nic, in, err, errlen);
		if (error == 0)
			error = replug(nets, nic, out, err, errlen);
	} else if (strcmp(cmd, "nic offload") == 0) {
		error = ctl_offload(nic, in, err, errlen);
		if (error == 0)
			error = replug(nets, nic, out, err, errlen);
	} else
		return (vmm_fail(err, errlen, -ENOSYS, "no command '%.40s'; "
		    "`hvk ctl --help` lists them", cmd));
	if (error == 0)
		json_object_set_new(out, "nic", net_nic_json(nic));
	return (error);
}

int
vmm_nets_ctl(struct vmm_nets *nets, const char *cmd, const json_t *in,
    json_t *out, char *err, size_t errlen)
{
	const json_t *nic = json_object_get(in, "nic");
	int error;

	pthread_mutex_lock(&nets->lock);
	if (strcmp(cmd, "nic list") == 0 || strcmp(cmd, "nic stat") == 0)
		error = ctl_list(nets, in, out, strcmp(cmd, "nic stat") == 0,
		    err, errlen);
	else if (strcmp(cmd, "nic add") == 0)
		error = add(nets, json_is_object(nic) ? nic : in, out, err,
		    errlen);
	else
		error = change(nets, cmd, in, out, err, errlen);
	pthread_mutex_unlock(&nets->lock);
	return (error);
}
