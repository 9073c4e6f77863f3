/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * The thread of one integration service: agrees on versions when the guest
 * opens the channel, sends what a command or the service itself wants to know,
 * one question at a time, and gives the answer to whoever waits.
 * Locking: see ic.h.
 */
#include <sys/eventfd.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <hvk/wire/vmbus.h>

#include "ic.h"

#define	NEGOTIATE_MS	60000u		/* guests wait for their daemons */
#define	AGREE_MS	5000u		/* a command waits for that */
#define	CALL_MS		45000u		/* more than any request may take */
#define	SLEEP_MS	1000

uint64_t
ic_now(void)
{

	return (vmm_now_ns() / 1000000);
}

struct ic *
ic_find(struct vmm_services *s, enum hvk_ic_type type)
{
	unsigned i;

	for (i = 0; s != NULL && i < s->n; i++)
		if (s->ic[i]->ops->type == type)
			return (s->ic[i]);
	return (NULL);
}

static void
ic_wake(struct ic *ic)
{
	uint64_t one = 1;

	if (ic->wake >= 0 && write(ic->wake, &one, sizeof(one)) < 0 &&
	    errno != EAGAIN)
		vmm_log("%s: cannot wake the service", ic->name);
}

/* The question has its answer, or will never have one; lock held. */
static void
call_over(struct ic *ic, int error)
{
	struct ic_call *c = ic->call;

	if (c == NULL)
		return;
	c->error = error;
	if (error == 0)
		*c->reply = ic->in;
	c->done = true;
	ic->call = NULL;
	pthread_cond_broadcast(&ic->cond);
}

static void
answer_over(struct ic *ic, bool silent)
{

	if (ic->own) {
		ic->own = false;
		if (ic->ops->answered != NULL)
			ic->ops->answered(ic, silent);
		return;
	}
	/* One that has not begun is another's: what it asks comes later. */
	if (ic->call != NULL && ic->call->started)
		call_over(ic, silent ? -ETIMEDOUT : 0);
}

static void
negotiate(struct ic *ic)
{

	if (ic->call != NULL && ic->call->started)
		call_over(ic, -ETIMEDOUT);
	ic->own = false;
	hvk_ic_host_open(&ic->host, ic_now(), &ic->out);
	ic->unsent = true;
	ic->fault_asked = false;
}

static void
ic_event(struct ic *ic, enum hvk_ic_host_event event)
{

	switch (event) {
	case HVK_IC_HOST_AGREED:
		if (ic->ops->agreed != NULL)
			ic->ops->agreed(ic);
		pthread_cond_broadcast(&ic->cond);
		break;
	case HVK_IC_HOST_NO_VERSION:
		vmm_log("%s: the guest knows none of our versions", ic->name);
		pthread_cond_broadcast(&ic->cond);
		break;
	case HVK_IC_HOST_REPLY:
		answer_over(ic, false);
		break;
	case HVK_IC_HOST_SILENT:
		ic->unsent = false;	/* if there never was room for it */
		if (ic->host.phase == HVK_IC_HOST_NEGOTIATING)
			negotiate(ic);
		else
			answer_over(ic, true);
		break;
	default:
		break;
	}
}

static void
ic_receive(struct ic *ic)
{
	struct hvk_packet p;
	int error;

	while (!ic->broken && (error = hvk_ring_rx_next(ic->rx, ic->packet,
	    sizeof(ic->packet), &p)) != HVK_AGAIN) {
		if (error == HVK_OK)
			ic_event(ic, hvk_ic_host_input(&ic->host, &p,
			    &ic->in));
		else if (error == HVK_FATAL) {
			ic->broken = true;
			vmm_log("%s: the guest broke its ring; the service is "
			    "dead until it is opened again", ic->name);
		}
	}
	if (hvk_ring_rx_release(ic->rx))
		vmm_channel_signal(ic->channel);
}

/* What to say next, if nothing is outstanding. */
static void
ic_compose(struct ic *ic)
{
	struct ic_call *c = ic->call;
	int error;

	if (ic->unsent || ic->host.waiting ||
	    ic->host.phase != HVK_IC_HOST_READY)
		return;
	if (c != NULL && !c->started) {
		error = c->make(&ic->host, ic_now(), c->arg, &ic->out);
		if (error != HVK_OK) {
			call_over(ic, error == HVK_REJECT ? -EOPNOTSUPP :
			    error == HVK_NOSPACE ? -EMSGSIZE : -EINVAL);
			return;
		}
		c->started = true;
	} else if (c == NULL && ic->ops->periodic != NULL &&
	    ic_now() >= ic->due) {
		if (ic->ops->periodic(ic, ic_now()) != HVK_OK)
			return;
		ic->own = true;
		ic->asked_ns = vmm_now_ns();
	} else
		return;
	ic->unsent = true;
	ic->fault_asked = false;
}

/* Lies of several kinds in turn; now and then the truth follows. */
static int
send_hostile(struct ic *ic)
{
	struct hvk_ic_message *m = &ic->out;
	static _Thread_local struct hvk_ic_message lie;
	uint32_t i, word;

	lie = *m;
	switch (ic->mischief++ % 8) {
	case 0:			/* a size of the pipe that cannot be */
		word = 0xfffffff0u;
		memcpy(lie.bytes + 4, &word, 4);
		break;
	case 1:			/* a body longer than the message */
		lie.bytes[18] = lie.bytes[19] = 0xff;
		break;
	case 2:			/* of a service that nobody has */
		lie.bytes[12] ^= 0x40;
		break;
	case 3:			/* nothing but noise in the body */
		for (i = HVK_IC_FRAME; i < lie.len; i++)
			lie.bytes[i] = (uint8_t)(i * 151 + ic->mischief);
		break;
	case 4:			/* sizes in the body as large as can be */
		memset(lie.bytes + HVK_IC_FRAME, 0xff,
		    lie.len - HVK_IC_FRAME);
		break;
	case 5:			/* no frame at all */
		lie.len = 8;
		break;
	case 6:			/* a list of versions that goes on for ever */
		memset(lie.bytes + 12, 0, 2);
		memset(lie.bytes + HVK_IC_FRAME, 0xff, lie.len >
		    HVK_IC_FRAME + 4 ? 4 : 0);
		break;
	default:		/* twice */
		break;
	}
	if (hvk_tx_inband(ic->tx, 0, false, lie.bytes, lie.len) == HVK_AGAIN)
		return (HVK_AGAIN);
	return (hvk_tx_inband(ic->tx, 0, false, m->bytes, m->len));
}

static int
send_out(struct ic *ic)
{
	enum vmm_fault fault = FAULT_NONE;
	uint32_t arg = 0;

	if (!ic->fault_asked)
		fault = vmm_channel_fault(ic->channel, &arg);
	ic->fault_asked = true;
	switch (fault) {
	case FAULT_DROP:
	case FAULT_SILENCE:
		return (HVK_OK);
	case FAULT_DELAY:
		ic->not_before = ic_now() + (arg != 0 ? arg : 1);
		return (HVK_AGAIN);
	case FAULT_SHORT:
		return (hvk_tx_inband(ic->tx, 0, false, ic->out.bytes,
		    arg != 0 && arg < ic->out.len ? arg : 20));
	case FAULT_HOSTILE:
		return (send_hostile(ic));
	default:
		return (hvk_tx_inband(ic->tx, 0, false, ic->out.bytes,
		    ic->out.len));
	}
}

static void
ic_send(struct ic *ic)
{
	int error;

	if (!ic->unsent || ic->broken || ic_now() < ic->not_before)
		return;
	error = send_out(ic);
	if (error == HVK_AGAIN) {
		(void)hvk_ring_tx_want(ic->tx, HVK_DESCRIPTOR_SIZE +
		    hvk_align8(ic->out.len));
		return;
	}
	ic->unsent = false;
	if (error == HVK_FATAL)
		ic->broken = true;
	if (hvk_ring_tx_publish(ic->tx))
		vmm_channel_signal(ic->channel);
}

static int
ic_timeout(const struct ic *ic)
{
	uint64_t now = ic_now(), next = hvk_ic_host_deadline(&ic->host);

	if (ic->ops->periodic != NULL && !ic->host.waiting &&
	    ic->host.phase == HVK_IC_HOST_READY && ic->due < next)
		next = ic->due;
	if (ic->unsent && ic->not_before > now && ic->not_before < next)
		next = ic->not_before;
	if (ic->unsent && ic->not_before <= now && next > now + 20)
		next = now + 20;	/* no room: look again */
	if (next <= now)
		return (0);
	return (next - now < SLEEP_MS ? (int)(next - now) : SLEEP_MS);
}

static void *
ic_main(void *arg)
{
	struct ic *ic = arg;
	struct pollfd fds[2];
	uint64_t n;
	int ms;

	pthread_mutex_lock(&ic->lock);
	negotiate(ic);
	while (!ic->stop) {
		hvk_ring_rx_mask(ic->rx);
		ic_receive(ic);
		ic_event(ic, hvk_ic_host_tick(&ic->host, ic_now()));
		if (ic->call != NULL && (ic->broken ||
		    ic_now() >= ic->call->deadline))
			call_over(ic, ic->broken ? -ECONNRESET : -ETIMEDOUT);
		ic_compose(ic);
		ic_send(ic);
		if (!ic->broken && hvk_ring_rx_unmask(ic->rx))
			continue;
		ms = ic_timeout(ic);
		pthread_mutex_unlock(&ic->lock);
		fds[0] = (struct pollfd){ .fd = vmm_channel_kick_fd(
		    ic->channel), .events = POLLIN };
		fds[1] = (struct pollfd){ .fd = ic->wake, .events = POLLIN };
		(void)poll(fds, 2, ms);
		if ((fds[0].revents & POLLIN) != 0 &&
		    read(fds[0].fd, &n, sizeof(n)) < 0)
			n = 0;
		if ((fds[1].revents & POLLIN) != 0 &&
		    read(fds[1].fd, &n, sizeof(n)) < 0)
			n = 0;
		pthread_mutex_lock(&ic->lock);
	}
	pthread_mutex_unlock(&ic->lock);
	return (NULL);
}

/* ---- as a device */

static int
ic_open(void *arg, struct vmm_channel *channel)
{
	struct ic *ic = arg;
	int error;

	pthread_mutex_lock(&ic->lock);
	if (ic->channel != NULL) {
		pthread_mutex_unlock(&ic->lock);
		return (-EBUSY);
	}
	ic->channel = channel;
	ic->rx = vmm_channel_rx(channel);
	ic->tx = vmm_channel_tx(channel);
	ic->stop = ic->broken = ic->unsent = ic->own = false;
	ic->not_before = 0;
	ic->opened++;
	ic->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	error = ic->wake < 0 ? -errno : vmm_thread(&ic->thread, "hvk-ic",
	    ic_main, ic);
	if (error != 0) {
		if (ic->wake >= 0)
			close(ic->wake);
		ic->wake = -1;
		ic->channel = NULL;
	}
	pthread_mutex_unlock(&ic->lock);
	return (error);
}

static void
ic_close(void *arg, struct vmm_channel *channel)
{
	struct ic *ic = arg;

	pthread_mutex_lock(&ic->lock);
	if (ic->channel != channel) {
		pthread_mutex_unlock(&ic->lock);
		return;
	}
	ic->stop = true;
	ic_wake(ic);
	pthread_mutex_unlock(&ic->lock);
	pthread_join(ic->thread, NULL);
	pthread_mutex_lock(&ic->lock);
	hvk_ic_host_close(&ic->host);
	call_over(ic, -ECONNRESET);
	if (ic->ops->closed != NULL)
		ic->ops->closed(ic);
	close(ic->wake);
	ic->wake = -1;
	ic->channel = NULL;
	pthread_cond_broadcast(&ic->cond);
	pthread_mutex_unlock(&ic->lock);
}

static const char *
phase_name(const struct ic *ic)
{
	static const char *const names[HVK_IC_HOST_NPHASES] = {
		"closed", "negotiating", "ready", "refused" };

	return (ic->channel == NULL ? "closed" : names[ic->host.phase]);
}

static json_t *
version_json(uint32_t version)
{

	return (version == 0 ? json_null() : json_sprintf("%u.%u",
	    version >> 16, version & 0xffff));
}

static void
ic_info(void *arg, json_t *into)
{
	struct ic *ic = arg;

	pthread_mutex_lock(&ic->lock);
	json_object_set_new(into, "phase", json_string(phase_name(ic)));
	json_object_set_new(into, "framework",
	    version_json(ic->host.framework));
	json_object_set_new(into, "version", version_json(ic->host.version));
	json_object_set_new(into, "requests", json_integer(
	    ic->host.requests));
	json_object_set_new(into, "replies", json_integer(ic->host.replies));
	json_object_set_new(into, "timeouts", json_integer(
	    ic->host.timeouts));
	json_object_set_new(into, "stale", json_integer(ic->host.stale));
	json_object_set_new(into, "rejected", json_integer(
	    ic->host.rejected));
	if (ic->ops->info != NULL)
		ic->ops->info(ic, into);
	pthread_mutex_unlock(&ic->lock);
}

static const struct vmm_device_ops ic_device_ops = {
	.open = ic_open,
	.close = ic_close,
	.info = ic_info,
};

/* ---- commands */

/* Until the versions are agreed on; lock held. */
static int
wait_ready(struct ic *ic, char *err, size_t errlen)
{
	uint64_t end = ic_now() + AGREE_MS;
	struct timespec ts;

	while (ic->host.phase == HVK_IC_HOST_NEGOTIATING && !ic->cancelled &&
	    ic->channel != NULL && ic_now() < end) {
		clock_gettime(CLOCK_MONOTONIC, &ts);
		ts.tv_nsec += 50000000;
		if (ts.tv_nsec >= 1000000000) {
			ts.tv_nsec -= 1000000000;
			ts.tv_sec++;
		}
		pthread_cond_timedwait(&ic->cond, &ic->lock, &ts);
	}
	if (ic->cancelled)
		return (vmm_fail(err, errlen, -ECANCELED,
		    "the host is stopping"));
	if (ic->channel == NULL)
		return (vmm_fail(err, errlen, -ENOTCONN, "the guest does not "
		    "use the %s service: its driver (hv_utils) is not loaded, "
		    "or not yet", ic->name));
	if (ic->host.phase == HVK_IC_HOST_REFUSED)
		return (vmm_fail(err, errlen, -EPROTONOSUPPORT, "guest and "
		    "host have no version of the %s service in common",
		    ic->name));
	if (ic->host.phase != HVK_IC_HOST_READY)
		return (vmm_fail(err, errlen, -EAGAIN, "the guest has not "
		    "agreed on a version of the %s service; perhaps its daemon "
		    "does not run", ic->name));
	return (0);
}

int
ic_ask(struct ic *ic, ic_make_t *make, void *arg, struct hvk_ic_message *reply,
    char *err, size_t errlen)
{
	struct ic_call c = { .make = make, .arg = arg, .reply = reply };
	int error;

	pthread_mutex_lock(&ic->turn);
	pthread_mutex_lock(&ic->lock);
	error = wait_ready(ic, err, errlen);
	if (error == 0) {
		c.deadline = ic_now() + CALL_MS;
		ic->call = &c;
		ic_wake(ic);
		while (!c.done)
			pthread_cond_wait(&ic->cond, &ic->lock);
		error = c.error;
		err[0] = '\0';
		if (error == -ETIMEDOUT)
			(void)vmm_fail(err, errlen, 0, "the guest did not "
			    "answer the %s request in time", ic->name);
		else if (error == -ECONNRESET)
			(void)vmm_fail(err, errlen, 0, "the guest closed the "
			    "%s service before it answered", ic->name);
		else if (error == -ECANCELED)
			(void)vmm_fail(err, errlen, 0, "the host is stopping");
		else if (error == -EOPNOTSUPP)
			(void)vmm_fail(err, errlen, 0, "version %u.%u of the "
			    "%s service, which the guest speaks, has no such "
			    "request", ic->host.version >> 16,
			    ic->host.version & 0xffff, ic->name);
		else if (error == -EMSGSIZE)
			(void)vmm_fail(err, errlen, 0, "a string is too long "
			    "for a message of the %s service", ic->name);
		else if (error != 0)
			(void)vmm_fail(err, errlen, 0, "no such request of the "
			    "%s service, or a number out of range", ic->name);
	}
	pthread_mutex_unlock(&ic->lock);
	pthread_mutex_unlock(&ic->turn);
	return (error);
}

int
ic_status(const struct ic *ic, const struct hvk_ic_message *reply,
    const char *what, char *err, size_t errlen)
{
	uint32_t status = hvk_ic_header(reply).status;

	(void)ic;
	if (status == HVK_IC_OK)
		return (0);
	return (vmm_fail(err, errlen, -EREMOTEIO, "%s: %s (guest's status "
	    "0x%08x)", what, hvk_ic_strstatus(status), status));
}

static const struct {
	const char	*word;		/* first of the command */
	enum hvk_ic_type type;		/* whose it is */
	int		(*fn)(struct vmm_services *, const char *,
			    const json_t *, json_t *, char *, size_t);
} commands[] = {
	{ "heartbeat", HVK_IC_HEARTBEAT, ic_heartbeat_ctl },
	{ "time", HVK_IC_TIMESYNC, ic_time_ctl },
	{ "kvp", HVK_IC_KVP, ic_kvp_ctl },
	{ "ip", HVK_IC_KVP, ic_ip_ctl },
	{ "backup", HVK_IC_VSS, ic_backup_ctl },
	{ "copy", HVK_IC_FCOPY, ic_copy_ctl },
};

static int
command_index(const char *cmd)
{
	size_t i, n;

	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		n = strlen(commands[i].word);
		if (strncmp(cmd, commands[i].word, n) == 0 &&
		    (cmd[n] == '\0' || cmd[n] == ' '))
			return ((int)i);
	}
	return (-1);
}

bool
vmm_services_knows(const char *cmd)
{

	return (command_index(cmd) >= 0 || strcmp(cmd, "shutdown") == 0 ||
	    strcmp(cmd, "restart") == 0);
}

int
vmm_services_ctl(struct vmm_services *s, const char *cmd, const json_t *in,
    json_t *out, char *err, size_t errlen)
{
	int i = command_index(cmd);
	const char *name;

	if (i < 0)
		return (-ENOSYS);
	if (ic_find(s, commands[i].type) == NULL) {
		name = hvk_ic_service(commands[i].type)->name;
		return (vmm_fail(err, errlen, -ENODEV, "this guest is run "
		    "without the %s service (-o %s=no)", name, name));
	}
	return (commands[i].fn(s, cmd, in, out, err, errlen));
}

/* ---- all of them */

static const struct ic_ops *const all_ops[] = {
	&ic_shutdown_ops, &ic_timesync_ops, &ic_heartbeat_ops, &ic_kvp_ops,
	&ic_vss_ops, &ic_fcopy_ops,
};

static struct ic *
ic_create(struct vmm_services *s, const struct ic_ops *ops, uint32_t version,
    char *err, size_t errlen)
{
	const struct hvk_ic_service *service = hvk_ic_service(ops->type);
	const uint32_t mode = HVK_PIPE_MODE_MESSAGE;
	pthread_condattr_t attr;
	struct vmm_offer offer;
	struct ic *ic;

	ic = calloc(1, sizeof(*ic));
	if (ic == NULL || hvk_ic_host_init(&ic->host, ops->type, version,
	    NEGOTIATE_MS) != HVK_OK) {
		vmm_fail(err, errlen, 0, "%s: no version %u.%u of this "
		    "service", service->name, version >> 16,
		    version & 0xffff);
		free(ic);
		return (NULL);
	}
	ic->ops = ops;
	ic->bus = s->bus;
	ic->wake = -1;
	ic->due = UINT64_MAX;
	snprintf(ic->name, sizeof(ic->name), "%s", service->name);
	pthread_mutex_init(&ic->turn, NULL);
	pthread_mutex_init(&ic->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&ic->cond, &attr);
	memset(&offer, 0, sizeof(offer));
	offer.type = service->guid;
	offer.instance = ops->instance;
	offer.name = ic->name;
	offer.flags = HVK_OFFER_ENUMERATE | HVK_OFFER_NAMED_PIPE;
	memcpy(offer.user, &mode, sizeof(mode));
	ic->device = vmm_device_offer(s->bus, &offer, &ic_device_ops, ic);
	if (ic->device == NULL) {
		vmm_fail(err, errlen, 0, "%s cannot be offered: the bus is "
		    "full", ic->name);
		free(ic);
		return (NULL);
	}
	return (ic);
}

/* "yes", "no", or a version; false: none of them. */
static bool
parse_choice(const char *text, bool *on, uint32_t *version)
{
	unsigned major, minor;
	char end;

	*version = 0;
	*on = text == NULL || strcmp(text, "no") != 0;
	if (text == NULL || strcmp(text, "yes") == 0 || !*on)
		return (true);
	if (sscanf(text, "%u.%u%c", &major, &minor, &end) != 2 ||
	    major > 99 || minor > 99)
		return (false);
	*version = HVK_IC_VERSION(major, minor);
	return (true);
}

struct vmm_services *
vmm_services_create(struct vmm_bus *bus, const struct vmm_opts *opts,
    char *err, size_t errlen)
{
	struct vmm_services *s;
	const char *name, *text;
	uint32_t version;
	bool on;
	size_t i;

	s = calloc(1, sizeof(*s));
	if (s == NULL) {
		vmm_fail(err, errlen, 0, "out of memory for the services");
		return (NULL);
	}
	s->bus = bus;
	for (i = 0; i < sizeof(all_ops) / sizeof(all_ops[0]); i++) {
		name = hvk_ic_service(all_ops[i]->type)->name;
		text = vmm_opts_get(opts, name);
		if (!parse_choice(text, &on, &version)) {
			vmm_fail(err, errlen, 0, "%s=%s: use yes, no, or the "
			    "newest version to offer, such as 3.0", name,
			    text);
			vmm_services_destroy(s);
			return (NULL);
		}
		if (!on)
			continue;
		s->ic[s->n] = ic_create(s, all_ops[i], version, err, errlen);
		if (s->ic[s->n] == NULL) {
			vmm_services_destroy(s);
			return (NULL);
		}
		s->n++;
	}
	return (s);
}

void
vmm_services_cancel(struct vmm_services *s)
{
	unsigned i;

	for (i = 0; s != NULL && i < s->n; i++) {
		pthread_mutex_lock(&s->ic[i]->lock);
		s->ic[i]->cancelled = true;
		call_over(s->ic[i], -ECANCELED);
		pthread_cond_broadcast(&s->ic[i]->cond);
		pthread_mutex_unlock(&s->ic[i]->lock);
	}
	if (s != NULL)
		ic_copy_stop(s);
}

void
vmm_services_destroy(struct vmm_services *s)
{
	unsigned i;

	if (s == NULL)
		return;
	for (i = 0; i < s->n; i++) {
		pthread_cond_destroy(&s->ic[i]->cond);
		pthread_mutex_destroy(&s->ic[i]->lock);
		pthread_mutex_destroy(&s->ic[i]->turn);
		free(s->ic[i]);
	}
	free(s);
}
