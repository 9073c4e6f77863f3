/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * `hvk ctl`: turns a command line into one JSON request to a running host, and
 * its reply into aligned tables, or prints the reply as it is (--json).
 */
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <hvk/vmm.h>

#include "ctl.h"

#define	REPLY_S		60	/* a device may take its time to answer */
#define	REPLY_MAX	(4u << 20)
#define	COLUMNS		24

static void
ctl_help(void)
{

	printf("usage: hvk ctl [--dir DIR | --name NAME] [--json] COMMAND\n\n"
	    "Asks or tells the host of a running guest.\n\nCommands:\n"
	    "  info                       the guest, its bus and devices\n"
	    "  channels                   every channel and its state\n"
	    "  stat                       packets, signals, interrupts\n"
	    "  disk list                  disks of a controller\n"
	    "  disk add SPEC              plug in FILE|URI[,readonly]"
	    "[,lun=N]...\n"
	    "  disk remove LUN|FILE       pull it out\n"
	    "  disk resize LUN|FILE [SIZE]  to SIZE, by +SIZE, or to what the "
	    "file is now\n"
	    "  disk eject LUN, disk insert LUN FILE   of a CD-ROM\n"
	    "  nic list, nic stat [NAME]  adapters and their counters\n"
	    "  nic add SPEC               plug in slirp|tap[:IF]|pair:SOCKET"
	    "[,name=netN][,mac=...]...\n"
	    "  nic remove NAME            pull it out\n"
	    "  nic link NAME up|down [SPEED], nic link NAME flap [HZ]\n"
	    "  nic vlan NAME none|ID|trunk:LIST[/NATIVE]\n"
	    "  nic mac NAME MAC, nic offload NAME LIST   the guest sees it "
	    "replugged\n"
	    "  nic capture NAME FILE|off [frames|vmbus|both]   a pcapng file\n"
	    "  rescind DEVICE [CHANNEL]   take the device away, or a "
	    "sub-channel\n"
	    "  offer DEVICE               bring it back\n"
	    "  inject TARGET FAULT [count=N] [ms=N]   break N answers (0: all)\n"
	    "  inject off                 stop breaking things\n"
	    "  trace on FILE, trace off   write control messages to FILE\n"
	    "  nmi                        send a non-maskable interrupt\n"
	    "  reset                      reset the machine (engine kvm)\n");
	ctl_services_help();
	printf("\nTARGET is a device (scsi0), control (the bus itself) or all. FAULT "
	    "is drop, delay,\nshort, hostile or silence. Disk commands take "
	    "--controller NAME (scsi0).\n\nExamples:\n"
	    "  hvk ctl info\n"
	    "  hvk ctl --json channels | jq .channels\n"
	    "  hvk ctl disk add more.img,readonly\n"
	    "  hvk ctl disk resize 0 +64M\n"
	    "  hvk ctl nic link net0 down\n"
	    "  hvk ctl nic capture net0 net0.pcapng\n"
	    "  hvk ctl inject scsi0 delay count=100 ms=20\n");
}

/* ---- request */

int
ctl_usage(const char *what)
{

	vmm_log("usage: hvk ctl %s; see `hvk ctl --help`", what);
	return (EX_USAGE_);
}

static void
set_lun_or_path(json_t *req, const char *arg)
{
	char *end, *full;
	long lun = strtol(arg, &end, 10);

	if (*arg != '\0' && *end == '\0') {
		json_object_set_new(req, "lun", json_integer(lun));
		return;
	}
	full = realpath(arg, NULL);
	json_object_set_new(req, "path", json_string(full != NULL ? full :
	    arg));
	free(full);
}

/* The host has another working directory: give it the whole path. */
static void
absolute(json_t *disk)
{
	const char *path = json_string_value(json_object_get(disk, "path"));
	const char *be = json_string_value(json_object_get(disk, "backend"));
	char *full;

	if (path == NULL || (be != NULL && strcmp(be, "raw") != 0))
		return;
	full = realpath(path, NULL);
	if (full != NULL)
		json_object_set_new(disk, "path", json_string(full));
	free(full);
}

static int
request_disk(json_t *req, int argc, char **argv)
{
	char cmd[64], err[VMM_ERRLEN];
	json_t *disk;

	if (argc < 2)
		return (ctl_usage("disk list|add|remove|resize|eject|insert"));
	snprintf(cmd, sizeof(cmd), "disk %.40s", argv[1]);
	json_object_set_new(req, "cmd", json_string(cmd));
	if (strcmp(argv[1], "list") == 0 && argc == 2)
		return (0);
	if (strcmp(argv[1], "add") == 0 && argc == 3) {
		disk = vmm_disk_parse(argv[2], false, err, sizeof(err));
		if (disk == NULL) {
			vmm_log("%s", err);
			return (EX_USAGE_);
		}
		absolute(disk);
		json_object_set_new(req, "disk", disk);
		return (0);
	}
	if (argc < 3)
		return (ctl_usage("disk list|add|remove|resize|eject|insert ..."));
	set_lun_or_path(req, argv[2]);
	if (strcmp(argv[1], "resize") == 0 && argc == 4)
		json_object_set_new(req, "size", json_string(argv[3]));
	else if (strcmp(argv[1], "insert") == 0 && argc == 4) {
		json_object_set_new(req, "path", json_string(argv[3]));
		absolute(req);
	} else if (argc != 3)
		return (ctl_usage("disk remove LUN, disk resize LUN [SIZE]"));
	return (0);
}

static int
request_inject(json_t *req, int argc, char **argv)
{
	unsigned long v;
	char *eq, *end;
	int i;

	if (argc == 2 && strcmp(argv[1], "off") == 0) {
		json_object_set_new(req, "target", json_string("all"));
		json_object_set_new(req, "fault", json_string("off"));
		return (0);
	}
	if (argc < 3)
		return (ctl_usage("inject TARGET FAULT [count=N] [ms=N]"));
	json_object_set_new(req, "target", json_string(argv[1]));
	json_object_set_new(req, "fault", json_string(argv[2]));
	for (i = 3; i < argc; i++) {
		eq = strchr(argv[i], '=');
		if (eq == NULL)
			return (ctl_usage("inject TARGET FAULT [count=N] [ms=N]"));
		*eq = '\0';
		errno = 0;
		v = strtoul(eq + 1, &end, 10);
		if (errno != 0 || *end != '\0' || end == eq + 1 ||
		    v > 0xffffffffu || (strcmp(argv[i], "count") != 0 &&
		    strcmp(argv[i], "ms") != 0))
			return (ctl_usage("inject TARGET FAULT [count=N] [ms=N]"));
		json_object_set_new(req, argv[i], json_integer((long)v));
	}
	return (0);
}

/* The host has another working directory, and makes the file. */
void
ctl_set_path(json_t *req, const char *key, const char *file)
{
	char cwd[2048], path[4200];

	if (file[0] == '/' || getcwd(cwd, sizeof(cwd)) == NULL)
		snprintf(path, sizeof(path), "%s", file);
	else
		snprintf(path, sizeof(path), "%s/%s", cwd, file);
	json_object_set_new(req, key, json_string(path));
}

static int
request_trace(json_t *req, int argc, char **argv)
{

	if (argc == 2 && strcmp(argv[1], "off") == 0)
		return (0);
	if (argc != 3 || strcmp(argv[1], "on") != 0)
		return (ctl_usage("trace on FILE, or trace off"));
	ctl_set_path(req, "file", argv[2]);
	return (0);
}

static int
make_request(json_t *req, int argc, char **argv)
{
	static const char *const plain[] = { "info", "channels", "stat",
	    "nmi", "reset" };
	uint64_t n;
	size_t i;

	json_object_set_new(req, "cmd", json_string(argv[0]));
	for (i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		if (strcmp(argv[0], plain[i]) == 0)
			return (argc == 1 ? 0 : ctl_usage(plain[i]));
	if (strcmp(argv[0], "disk") == 0)
		return (request_disk(req, argc, argv));
	if (strcmp(argv[0], "nic") == 0)
		return (ctl_request_nic(req, argc, argv));
	if (strcmp(argv[0], "inject") == 0)
		return (request_inject(req, argc, argv));
	if (strcmp(argv[0], "trace") == 0)
		return (request_trace(req, argc, argv));
	if (strcmp(argv[0], "rescind") == 0 || strcmp(argv[0], "offer") == 0) {
		if (argc != 2 && (argc != 3 || argv[0][0] != 'r' ||
		    vmm_parse_size(argv[2], &n) != 0))
			return (ctl_usage("rescind DEVICE [CHANNEL], "
			    "offer DEVICE"));
		json_object_set_new(req, "device", json_string(argv[1]));
		if (argc == 3)
			json_object_set_new(req, "channel",
			    json_integer((json_int_t)n));
		return (0);
	}
	vmm_log("no command '%s'; `hvk ctl --help` lists them", argv[0]);
	return (EX_USAGE_);
}

/* ---- talking */

static int
dial(const char *dir)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct timeval tv = { REPLY_S, 0 };
	int fd;

	if (snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/hvk.sock", dir) >=
	    (int)sizeof(sa.sun_path)) {
		vmm_log("%s: path too long for a socket", dir);
		return (-1);
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return (-1);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0) {
		if (errno == ENOENT || errno == ECONNREFUSED)
			vmm_log("no guest runs in %s; start one with `hvk run`"
			    ", or name its --dir", dir);
		else
			vmm_log("%s: %s", sa.sun_path, strerror(errno));
		close(fd);
		return (-1);
	}
	return (fd);
}

static json_t *
ask(int fd, const json_t *req)
{
	char *text = json_dumps(req, JSON_COMPACT), *buf;
	size_t len = 0, cap = 65536;
	json_t *rep = NULL;
	ssize_t n = -1;

	buf = malloc(cap);
	if (text == NULL || buf == NULL || send(fd, text, strlen(text),
	    MSG_NOSIGNAL) < 0 || send(fd, "\n", 1, MSG_NOSIGNAL) < 0)
		goto out;
	while (len < REPLY_MAX) {
		n = recv(fd, buf + len, cap - len, 0);
		/* Who caught a signal looks at that between two questions. */
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
		if (buf[len - 1] == '\n')
			break;
		if (len == cap) {
			cap *= 2;
			buf = realloc(buf, cap);
			if (buf == NULL)
				break;
		}
	}
	if (buf != NULL && len > 0)
		rep = json_loadb(buf, len, 0, NULL);
out:
	if (rep == NULL)
		vmm_log("the host %s", n == 0 ? "closed the connection" :
		    "does not answer");
	free(text);
	free(buf);
	return (rep);
}

/* ---- tables */

static void
cell(const json_t *v, char *out, size_t len)
{

	switch (v == NULL ? JSON_NULL : json_typeof(v)) {
	case JSON_STRING:
		snprintf(out, len, "%s", json_string_value(v));
		break;
	case JSON_INTEGER:
		snprintf(out, len, "%lld", (long long)json_integer_value(v));
		break;
	case JSON_REAL:
		snprintf(out, len, "%.2f", json_real_value(v));
		break;
	case JSON_TRUE:
		snprintf(out, len, "yes");
		break;
	case JSON_FALSE:
		snprintf(out, len, "no");
		break;
	default:
		snprintf(out, len, "-");
	}
}

static bool
plain(const json_t *v)
{

	return (!json_is_object(v) && !json_is_array(v));
}

/* A list of objects, one a line; columns as they first appear. */
static void
print_list(json_t *list)
{
	const char *col[COLUMNS], *key;
	int width[COLUMNS];
	char text[256];
	unsigned n = 0, c;
	json_t *o, *v;
	size_t i;

	json_array_foreach(list, i, o)
		json_object_foreach(o, key, v) {
			for (c = 0; c < n && strcmp(col[c], key) != 0; c++)
				continue;
			if (c == n && n < COLUMNS && plain(v)) {
				col[n] = key;
				width[n++] = (int)strlen(key);
			}
			if (c == n)
				continue;
			cell(v, text, sizeof(text));
			if ((int)strlen(text) > width[c])
				width[c] = (int)strlen(text);
		}
	for (c = 0; c < n; c++)
		printf("%-*s%s", c + 1 < n ? width[c] : 0, col[c],
		    c + 1 < n ? "  " : "\n");
	json_array_foreach(list, i, o)
		for (c = 0; c < n; c++) {
			cell(json_object_get(o, col[c]), text, sizeof(text));
			printf("%-*s%s", c + 1 < n ? width[c] : 0, text,
			    c + 1 < n ? "  " : "\n");
		}
}

static void
print_object(json_t *o)
{
	const char *key, *sub;
	char text[512], name[80];
	json_t *v, *w;

	json_object_foreach(o, key, v) {
		if (json_is_object(v)) {
			json_object_foreach(v, sub, w) {
				cell(w, text, sizeof(text));
				snprintf(name, sizeof(name), "%s.%s", key,
				    sub);
				printf("  %-18s %s\n", name, text);
			}
		} else if (plain(v)) {
			cell(v, text, sizeof(text));
			printf("  %-18s %s\n", key, text);
		}
	}
}

static void
print_reply(json_t *rep)
{
	const char *key;
	char text[512];
	bool gap = false;
	json_t *v;

	json_object_foreach(rep, key, v) {
		if (strcmp(key, "ok") == 0)
			continue;
		if (plain(v)) {
			cell(v, text, sizeof(text));
			printf("%-18s %s\n", key, text);
			continue;
		}
		if (gap)
			printf("\n");
		gap = true;
		if (json_is_array(v)) {
			print_list(v);
			if (json_array_size(v) == 0)
				printf("no %s\n", key);
		} else {
			printf("%s\n", key);
			print_object(v);
		}
	}
}

json_t *
ctl_exchange(const char *dir, const json_t *req)
{
	json_t *rep;
	int fd;

	fd = dial(dir);
	if (fd < 0)
		return (NULL);
	rep = ask(fd, req);
	close(fd);
	return (rep);
}

int
ctl_print(json_t *rep, bool json)
{
	int status;

	status = json_is_true(json_object_get(rep, "ok")) ? EX_OK_ : EX_FAILED;
	if (json) {
		json_dumpf(rep, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
		printf("\n");
	} else if (status == EX_OK_)
		print_reply(rep);
	else
		vmm_log("%s", json_string_value(json_object_get(rep,
		    "error")));
	return (status);
}

static int
talk(const char *dir, const json_t *req, bool json)
{
	json_t *rep = ctl_exchange(dir, req);
	int status;

	status = rep != NULL ? ctl_print(rep, json) : EX_FAILED;
	json_decref(rep);
	return (status);
}

int
cmd_ctl(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "dir", required_argument, NULL, 'd' },
		{ "name", required_argument, NULL, 'n' },
		{ "controller", required_argument, NULL, 'c' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *dir = NULL, *name = "default", *controller = NULL;
	char path[128], err[VMM_ERRLEN];
	bool json = false;
	json_t *req;
	int c, status;

	while ((c = getopt_long(argc, argv, "h", longopts, NULL)) != -1)
		switch (c) {
		case 'd':
			dir = optarg;
			break;
		case 'n':
			name = optarg;
			break;
		case 'c':
			controller = optarg;
			break;
		case 'j':
			json = true;
			break;
		case 'h':
			ctl_help();
			return (EX_OK_);
		default:
			return (ctl_usage("COMMAND"));
		}
	if (optind == argc)
		return (ctl_usage("COMMAND"));
	if (dir == NULL) {
		if (vmm_rundir_default(name, path, sizeof(path), err,
		    sizeof(err)) != 0) {
			vmm_log("%s", err);
			return (EX_USAGE_);
		}
		dir = path;
	}
	if (ctl_services_knows(argv[optind]))
		return (ctl_services(dir, json, argc - optind,
		    argv + optind));
	req = json_object();
	status = make_request(req, argc - optind, argv + optind);
	if (status == 0 && controller != NULL)
		json_object_set_new(req, "controller",
		    json_string(controller));
	if (status == 0)
		status = talk(dir, req, json);
	json_decref(req);
	return (status);
}
