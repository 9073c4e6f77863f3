/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * message_test.c: hv_kvp_daemon(8): each operation on each pool, answered or
 * refused, and messages that no driver would send.
 */

#include <atf-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "facts.h"
#include "message.h"
#include "version.h"

#define	CASE(name, text)						\
ATF_TC(name);								\
ATF_TC_HEAD(name, tc)							\
{									\
	atf_tc_set_md_var(tc, "descr", text);				\
}									\
ATF_TC_BODY(name, tc)

static struct kvp k;
static struct hv_kvp_msg m;

static void
setup(void)
{
	ATF_REQUIRE_EQ(0, pools_open(&k.pools, "p"));
	k.helper.fd = -1;
}

static uint32_t
send_op(unsigned int op, unsigned int pool)
{
	m.hdr.kvp_hdr.operation = (uint8_t)op;
	m.hdr.kvp_hdr.pool = (uint8_t)pool;
	m.hdr.kvp_hdr.pad = 0;
	message_answer(&k, &m);
	return (m.hdr.error);
}

static uint32_t
set(unsigned int pool, const char *key, const char *value)
{
	memset(&m, 0, sizeof(m));
	strcpy((char *)m.body.kvp_set.data.key, key);
	strcpy((char *)m.body.kvp_set.data.msg_value.value, value);
	return (send_op(HV_KVP_OP_SET, pool));
}

static uint32_t
get(unsigned int pool, const char *key)
{
	memset(&m, 0, sizeof(m));
	strcpy((char *)m.body.kvp_get.data.key, key);
	return (send_op(HV_KVP_OP_GET, pool));
}

static uint32_t
delete(unsigned int pool, const char *key)
{
	memset(&m, 0, sizeof(m));
	strcpy((char *)m.body.kvp_delete.key, key);
	return (send_op(HV_KVP_OP_DELETE, pool));
}

static uint32_t
at(unsigned int pool, uint32_t index)
{
	memset(&m, 0, sizeof(m));
	m.body.kvp_enum_data.index = index;
	return (send_op(HV_KVP_OP_ENUMERATE, pool));
}

static const char *
got_value(void)
{
	return ((const char *)m.body.kvp_get.data.msg_value.value);
}

CASE(operations, "Set, get, enumerate and delete in each pool that has them")
{
	static const unsigned int pools[] = { 0, 1, 3, 4 };
	size_t i;

	setup();
	for (i = 0; i < 4; i++) {
		ATF_CHECK_EQ(HV_KVP_E_NO_MORE, get(pools[i], "k"));
		ATF_CHECK_EQ(HV_KVP_E_NO_MORE, at(pools[i], 0));
		ATF_CHECK_EQ(HV_KVP_E_NO_MORE, delete(pools[i], "k"));
		ATF_CHECK_EQ(HV_KVP_S_OK, set(pools[i], "k", "value"));
		ATF_CHECK_EQ(HV_KVP_S_OK, get(pools[i], "k"));
		ATF_CHECK_STREQ("value", got_value());
		ATF_CHECK_EQ(HV_REG_SZ, m.body.kvp_get.data.value_type);
		ATF_CHECK_EQ(2, m.body.kvp_get.data.key_size);
		ATF_CHECK_EQ(6, m.body.kvp_get.data.value_size);
		ATF_CHECK_EQ(HV_KVP_S_OK, at(pools[i], 0));
		ATF_CHECK_STREQ("k",
		    (char *)m.body.kvp_enum_data.data.key);
		ATF_CHECK_EQ(HV_KVP_E_NO_MORE, at(pools[i], 1));
		ATF_CHECK_EQ(HV_KVP_S_OK, delete(pools[i], "k"));
		ATF_CHECK_EQ(HV_KVP_E_NO_MORE, get(pools[i], "k"));
	}
}

CASE(facts, "Pool 2: ten facts by index and by key, which nobody can change")
{
	uint32_t i;

	setup();
	for (i = 0; i < FACTS_COUNT; i++) {
		ATF_CHECK_EQ(HV_KVP_S_OK, at(HV_KVP_POOL_AUTO, i));
		ATF_CHECK_STREQ(fact_key(i),
		    (char *)m.body.kvp_enum_data.data.key);
		ATF_CHECK_EQ(HV_KVP_S_OK, get(HV_KVP_POOL_AUTO, fact_key(i)));
	}
	ATF_CHECK_EQ(HV_KVP_E_NO_MORE, at(HV_KVP_POOL_AUTO, FACTS_COUNT));
	ATF_CHECK_EQ(HV_KVP_E_NO_MORE, at(HV_KVP_POOL_AUTO, ~0u));
	ATF_CHECK_EQ(HV_KVP_E_NO_MORE, get(HV_KVP_POOL_AUTO, "OSNam"));
	ATF_CHECK_EQ(HV_KVP_S_OK, get(HV_KVP_POOL_AUTO,
	    "IntegrationServicesVersion"));
	ATF_CHECK_STREQ(HV_VERSION, got_value());
	ATF_CHECK_EQ(HV_KVP_E_INVALIDARG, set(HV_KVP_POOL_AUTO, "OSName",
	    "x"));
	ATF_CHECK_EQ(HV_KVP_E_INVALIDARG, delete(HV_KVP_POOL_AUTO, "OSName"));
	/* Without a helper the name is the system's own, no error text. */
	ATF_CHECK_EQ(HV_KVP_S_OK, get(HV_KVP_POOL_AUTO,
	    "FullyQualifiedDomainName"));
	ATF_CHECK(strchr(got_value(), '\n') == NULL && got_value()[0] != 0);
}

CASE(hostile, "Unknown operations and pools, strings without end, every byte")
{
	unsigned int op, pool;

	setup();
	for (op = HV_KVP_OP_COUNT; op < 256; op++) {
		memset(&m, 0xff, sizeof(m));
		ATF_CHECK_EQ(HV_KVP_E_NOT_SUPPORTED, send_op(op, op));
	}
	for (pool = POOL_COUNT; pool < 256; pool++) {
		ATF_CHECK_EQ(HV_KVP_E_INVALIDARG, set(pool, "k", "v"));
		ATF_CHECK_EQ(HV_KVP_E_INVALIDARG, get(pool, "k"));
		ATF_CHECK_EQ(HV_KVP_E_INVALIDARG, delete(pool, "k"));
		ATF_CHECK_EQ(HV_KVP_E_INVALIDARG, at(pool, 0));
	}
	for (op = 0; op < HV_KVP_OP_GET_IP_INFO; op++) {
		memset(&m, 'x', sizeof(m));
		ATF_CHECK(send_op(op, 0) != HV_KVP_S_OK);
		memset(&m, 0, sizeof(m));
		memset(m.body.kvp_set.data.key, 'k',
		    sizeof(m.body.kvp_set.data.key));
		ATF_CHECK(op == HV_KVP_OP_ENUMERATE ||
		    send_op(op, 0) != HV_KVP_S_OK);
	}
	/* A value without an end, and an empty key. */
	memset(&m, 0, sizeof(m));
	strcpy((char *)m.body.kvp_set.data.key, "k");
	memset(m.body.kvp_set.data.msg_value.value, 'v', 2048);
	ATF_CHECK_EQ(HV_KVP_E_INVALIDARG, send_op(HV_KVP_OP_SET, 0));
	ATF_CHECK_EQ(HV_KVP_E_INVALIDARG, set(0, "", "v"));
	ATF_CHECK_EQ(HV_KVP_E_NO_MORE, at(0, 0));
}

/* A helper that answers once too late, once rightly, then dies. */
CASE(helper, "Network questions without, with, and after a helper")
{
	struct netconf_msg n;
	int sv[2];
	pid_t child;

	setup();
	memset(&m, 0, sizeof(m));
	ATF_CHECK_EQ(HV_KVP_E_FAIL, send_op(HV_KVP_OP_SET_IP_INFO, 0));
	memset(&m, 0, sizeof(m));
	ATF_CHECK_EQ(HV_KVP_E_FAIL, send_op(HV_KVP_OP_GET_IP_INFO, 0));
	ATF_REQUIRE_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv));
	child = fork();
	if (child == 0) {
		close(sv[0]);
		if (recv(sv[1], &n, sizeof(n), 0) != (ssize_t)sizeof(n))
			_exit(1);
		/* An answer to something else comes first. */
		n.serial--;
		n.status = HV_KVP_S_OK;
		(void)!send(sv[1], &n, sizeof(n), 0);
		n.serial++;
		n.status = HV_KVP_E_NOT_FOUND;
		strcpy((char *)n.u.ip.ip_addr, "10.0.0.1");
		(void)!send(sv[1], &n, sizeof(n), 0);
		_exit(0);
	}
	close(sv[1]);
	k.helper.fd = sv[0];
	memset(&m, 0, sizeof(m));
	ATF_CHECK_EQ(HV_KVP_E_NOT_FOUND, send_op(HV_KVP_OP_GET_IP_INFO, 0));
	ATF_CHECK_STREQ("10.0.0.1", (char *)m.body.kvp_ip_val.ip_addr);
	waitpid(child, NULL, 0);
	memset(&m, 0, sizeof(m));
	ATF_CHECK_EQ(HV_KVP_E_FAIL, send_op(HV_KVP_OP_SET_IP_INFO, 0));
	ATF_CHECK_EQ(-1, k.helper.fd);
	ATF_CHECK_EQ(HV_KVP_S_OK, set(0, "k", "the pools go on"));
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, operations);
	ATF_TP_ADD_TC(tp, facts);
	ATF_TP_ADD_TC(tp, hostile);
	ATF_TP_ADD_TC(tp, helper);
	return (atf_no_error());
}
