/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * sandbox_test.c: the daemons' sandbox on Linux: what it leaves works, and
 * running a program, making a socket or opening one to the network ends the
 * process or fails.
 */

#include <atf-c.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pool.h"
#include "sandbox.h"

#define	CASE(name, text)						\
ATF_TC(name);								\
ATF_TC_HEAD(name, tc)							\
{									\
	atf_tc_set_md_var(tc, "descr", text);				\
}									\
ATF_TC_BODY(name, tc)

/* How a child in the sandbox ended. */
static int
in_sandbox(int (*fn)(void))
{
	int status;
	pid_t child;

	child = fork();
	ATF_REQUIRE(child >= 0);
	if (child == 0) {
		if (!sandbox_enter())
			_exit(99);
		_exit(fn());
	}
	ATF_REQUIRE_EQ(child, waitpid(child, &status, 0));
	return (status);
}

static int
exec_program(void)
{
	execl("/bin/true", "true", (char *)NULL);
	return (1);
}

static int
fork_process(void)
{
	return (fork() < 0 ? 1 : 2);
}

static int
make_socket(void)
{
	return (socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == EACCES ? 0 :
	    1);
}

static int
kill_parent(void)
{
	return (kill(getppid(), 0) == 0 ? 1 : 2);
}

static struct pools ps;

static int
use_pools(void)
{
	struct pool_record r;

	if (pool_set(&ps, 0, "key", "value") != 0 ||
	    pool_get(&ps, 0, "key", &r) != 0 ||
	    pool_at(&ps, 0, 0, &r) != 0 || pool_delete(&ps, 0, "key") != 0)
		return (1);
	return (0);
}

CASE(forbidden, "No program, no process, no socket, no signal")
{
	int status;

	status = in_sandbox(exec_program);
	ATF_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
	status = in_sandbox(fork_process);
	ATF_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
	status = in_sandbox(kill_parent);
	ATF_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
	status = in_sandbox(make_socket);
	ATF_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

CASE(allowed, "The pools can be read and written")
{
	int status;

	ATF_REQUIRE_EQ(0, pools_open(&ps, "p"));
	status = in_sandbox(use_pools);
	ATF_CHECK_MSG(WIFEXITED(status) && WEXITSTATUS(status) == 0,
	    "status %#x", status);
}

ATF_TP_ADD_TCS(tp)
{
	ATF_TP_ADD_TC(tp, forbidden);
	ATF_TP_ADD_TC(tp, allowed);
	return (atf_no_error());
}
