/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * request.c: what hv_netconf answers (netconf.h). Nothing in a request is
 * believed: an adapter is looked for, addresses are numbers.
 */

#include <sys/socket.h>
#include <netdb.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "apply.h"
#include "iface.h"
#include "log.h"
#include "request.h"

#define	NAME_SECONDS	300	/* a name is asked for again after these */
#define	NAME_WAIT_MS	2000	/* what a question waits for the resolver */

/*
 * The name comes from a resolver that may take its time, so a thread asks and
 * the last answer is what there is. name_lock guards all of it.
 */
static pthread_mutex_t name_lock = PTHREAD_MUTEX_INITIALIZER;
static char name_known[NETCONF_TEXT];
static time_t name_when;
static bool name_asking;

static time_t
uptime(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (ts.tv_sec + 1);
}

static void *
name_main(void *arg)
{
	struct addrinfo hints = { .ai_flags = AI_CANONNAME,
	    .ai_socktype = SOCK_STREAM };
	struct addrinfo *info;
	char host[256];

	(void)arg;
	if (gethostname(host, sizeof(host) - 1) != 0)
		strcpy(host, "localhost");
	host[sizeof(host) - 1] = '\0';
	info = NULL;
	if (strchr(host, '.') == NULL)
		(void)getaddrinfo(host, NULL, &hints, &info);
	pthread_mutex_lock(&name_lock);
	/* An answer that is no longer name is worth less than the host name. */
	if (info != NULL && info->ai_canonname != NULL &&
	    strchr(info->ai_canonname, '.') != NULL)
		snprintf(name_known, sizeof(name_known), "%s",
		    info->ai_canonname);
	else
		snprintf(name_known, sizeof(name_known), "%s", host);
	name_when = uptime();
	name_asking = false;
	pthread_mutex_unlock(&name_lock);
	if (info != NULL)
		freeaddrinfo(info);
	return (NULL);
}

void
request_begin(void)
{
	pthread_t t;

	pthread_mutex_lock(&name_lock);
	if (!name_asking && (name_when == 0 ||
	    uptime() - name_when > NAME_SECONDS) &&
	    pthread_create(&t, NULL, name_main, NULL) == 0) {
		pthread_detach(t);
		name_asking = true;
	}
	pthread_mutex_unlock(&name_lock);
}

static void
name_get(char *buf, size_t len)
{
	struct timespec nap = { 0, 20000000 };
	int ms;

	request_begin();
	for (ms = 0;; ms += 20) {
		pthread_mutex_lock(&name_lock);
		snprintf(buf, len, "%s", name_known);
		pthread_mutex_unlock(&name_lock);
		if (buf[0] != '\0')
			return;
		if (ms >= NAME_WAIT_MS)
			break;
		nanosleep(&nap, NULL);
	}
	if (gethostname(buf, len - 1) != 0)
		buf[0] = '\0';
	buf[len - 1] = '\0';
}

/* Appends with a ';' between; what does not fit is left out. */
static void
append(uint16_t *array, size_t size, const char *text)
{
	char *buf;
	size_t used;

	buf = (char *)array;
	used = strnlen(buf, size);
	if (used + strlen(text) + 2 <= size)
		snprintf(buf + used, size - used, "%s%s", used != 0 ? ";" : "",
		    text);
}

static uint32_t
get_ip(struct hv_kvp_ipaddr_value *v)
{
	struct hv_kvp_ipaddr_value out;
	struct iface_state s;
	char name[IFNAMSIZ], text[PLAN_TEXT];
	int i;

	if (!iface_find((char *)v->adapter_id, sizeof(v->adapter_id), name))
		return (HV_KVP_E_NOT_FOUND);
	iface_state(name, &s);
	memset(&out, 0, sizeof(out));
	memcpy(out.adapter_id, v->adapter_id, sizeof(out.adapter_id));
	out.dhcp_enabled = s.dhcp;
	for (i = 0; i < s.naddresses; i++) {
		out.addr_family |= s.addresses[i].family == AF_INET ?
		    ADDR_FAMILY_IPV4 : ADDR_FAMILY_IPV6;
		append(out.ip_addr, sizeof(out.ip_addr),
		    address_text(&s.addresses[i], text));
		if (s.addresses[i].family == AF_INET)
			address_mask(&s.addresses[i], text);
		else
			snprintf(text, sizeof(text), "/%d",
			    s.addresses[i].prefix);
		append(out.sub_net, sizeof(out.sub_net), text);
	}
	for (i = 0; i < s.ngateways; i++)
		append(out.gate_way, sizeof(out.gate_way),
		    address_text(&s.gateways[i], text));
	for (i = 0; i < s.ndns; i++)
		append(out.dns_addr, sizeof(out.dns_addr),
		    address_text(&s.dns[i], text));
	*v = out;
	return (HV_KVP_S_OK);
}

static uint32_t
set_ip(const struct hv_kvp_ipaddr_value *v)
{
	char name[IFNAMSIZ], text[64];
	static struct plan p;
	const char *wrong;

	if (!iface_find((const char *)v->adapter_id, sizeof(v->adapter_id),
	    name)) {
		log_msg(LOG_ERR, "no interface of adapter %s",
		    log_text(text, sizeof(text), (const char *)v->adapter_id,
		    sizeof(v->adapter_id)));
		return (HV_KVP_E_NOT_FOUND);
	}
	wrong = plan_parse(&p, v);
	if (wrong != NULL) {
		log_msg(LOG_ERR, "%s: the host's configuration is refused: %s",
		    name, wrong);
		return (HV_KVP_E_INVALIDARG);
	}
	return (apply_plan(name, &p) == NULL ? HV_KVP_S_OK : HV_KVP_E_FAIL);
}

void
request_answer(struct netconf_msg *m)
{
	switch (m->op) {
	case NETCONF_FQDN:
		name_get(m->u.text, sizeof(m->u.text));
		m->status = HV_KVP_S_OK;
		break;
	case NETCONF_ADDRESSES4:
	case NETCONF_ADDRESSES6:
		iface_all(m->op == NETCONF_ADDRESSES4 ? AF_INET : AF_INET6,
		    m->u.text, sizeof(m->u.text));
		m->status = HV_KVP_S_OK;
		break;
	case NETCONF_GET:
		m->status = get_ip(&m->u.ip);
		break;
	case NETCONF_SET:
		m->status = set_ip(&m->u.ip);
		break;
	default:
		m->status = HV_KVP_E_NOT_SUPPORTED;
	}
}
