/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * What the files of `hvk ctl' share.  One thread.
 */
#ifndef _VMM_CTL_H_
#define	_VMM_CTL_H_

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

/* ---- ctl.c */
int	ctl_usage(const char *what);		/* EX_USAGE_ */
/* One request to the host in dir; NULL after saying why not. */
json_t	*ctl_exchange(const char *dir, const json_t *req);
/* Print a reply; the exit status it means. */
int	ctl_print(json_t *reply, bool json);

/* A file's whole path into the request. */
void	ctl_set_path(json_t *req, const char *key, const char *file);

/* ---- ctl_nic.c: argv[0] is "nic"; 0 or an exit status. */
int	ctl_request_nic(json_t *req, int argc, char **argv);

/* ---- ctl_services.c */
void	ctl_services_help(void);
bool	ctl_services_knows(const char *cmd);
/* Ask, show progress where it takes long, print; the exit status. */
int	ctl_services(const char *dir, bool json, int argc, char **argv);
int	ctl_lsvmbus(const char *dir, bool json, int argc, char **argv);

/* ---- ctl_copy.c */
int	ctl_copy(const char *dir, bool json, int argc, char **argv);
void	ctl_catch(void);		/* signals that interrupt */
bool	ctl_interrupted(void);
/* On a terminal only; `last' ends the line. */
void	ctl_progress(const char *what, uint64_t done, uint64_t size,
	    bool last);

/* ---- ctl_backup.c */
int	ctl_backup(const char *dir, bool json, int argc, char **argv);

#endif /* _VMM_CTL_H_ */
