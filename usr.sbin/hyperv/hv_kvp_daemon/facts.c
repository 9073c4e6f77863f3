/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * facts.c: see facts.h. Facts: the names and their order are Microsoft's; the
 * values are those that FreeBSD has reported: the release without its branch
 * ("14.1") as OSVersion and OSBuildNumber.
 */

#include <sys/utsname.h>

#include <stdio.h>
#include <string.h>

#include "facts.h"
#include "version.h"

#define	HELPER_SECONDS	5

static const char *const keys[FACTS_COUNT] = {
	"FullyQualifiedDomainName", "IntegrationServicesVersion",
	"NetworkAddressIPv4", "NetworkAddressIPv6", "OSBuildNumber",
	"OSName", "OSMajorVersion", "OSMinorVersion", "OSVersion",
	"ProcessorArchitecture"
};

const char *
fact_key(uint32_t index)
{
	return (index < FACTS_COUNT ? keys[index] : NULL);
}

static void
ask(struct helper *h, uint32_t op, char *buf, size_t len)
{
	static struct netconf_msg m;

	memset(&m, 0, sizeof(m));
	m.op = op;
	buf[0] = '\0';
	if (helper_ask(h, &m, HELPER_SECONDS))
		snprintf(buf, len, "%.*s", (int)sizeof(m.u.text) - 1,
		    m.u.text);
}

/* One of the numbers of a release, 0 the first. */
static void
release_part(const char *release, int part, char *buf, size_t len)
{
	for (; part > 0 && release != NULL; part--) {
		release = strchr(release, '.');
		if (release != NULL)
			release++;
	}
	if (release == NULL)
		release = "0";
	snprintf(buf, len, "%.*s", (int)strspn(release, "0123456789"),
	    release);
}

static struct utsname u;

/*
 * In capability mode uname(3) fails as a whole, since kern.version cannot be
 * asked for there.
 */
void
facts_start(void)
{
	if (uname(&u) != 0)
		memset(&u, 0, sizeof(u));
}

void
fact_value(struct helper *h, uint32_t index, char *buf, size_t len)
{
	if (u.sysname[0] == '\0')
		facts_start();
	buf[0] = '\0';
	switch (index) {
	case 0:
		ask(h, NETCONF_FQDN, buf, len);
		if (buf[0] == '\0')
			snprintf(buf, len, "%s", u.nodename);
		break;
	case 1:
		snprintf(buf, len, "%s", HV_VERSION);
		break;
	case 2:
		ask(h, NETCONF_ADDRESSES4, buf, len);
		break;
	case 3:
		ask(h, NETCONF_ADDRESSES6, buf, len);
		break;
	case 4:
	case 8:
		snprintf(buf, len, "%.*s", (int)strcspn(u.release, "-"),
		    u.release);
		break;
	case 5:
		snprintf(buf, len, "%s", u.sysname);
		break;
	case 6:
		release_part(u.release, 0, buf, len);
		break;
	case 7:
		release_part(u.release, 1, buf, len);
		break;
	case 9:
		snprintf(buf, len, "%s", u.machine);
		break;
	}
}
