/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * The records and the environment that loader(8) hands to a FreeBSD kernel.
 * Facts: sys/sys/linker.h, sys/sys/reboot.h, boot(8), loader(8).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "boot_freebsd.h"

#define	RB_SERIAL	0x00001000u

void
boot_block_add(struct boot_block *k, const void *p, size_t len)
{
	uint8_t *data;
	size_t room;

	if (k->failed)
		return;
	if (len > k->room - k->len) {
		room = (k->len + len) * 2 + 4096;
		data = realloc(k->data, room);
		if (data == NULL) {
			k->failed = true;
			return;
		}
		k->data = data;
		k->room = room;
	}
	if (len != 0)
		memcpy(k->data + k->len, p, len);
	k->len += len;
}

void
boot_block_free(struct boot_block *k)
{

	free(k->data);
	memset(k, 0, sizeof(*k));
}

size_t
boot_meta(struct boot_block *k, uint32_t type, const void *p, size_t len)
{
	static const uint8_t zero[8];
	uint32_t head[2] = { type, (uint32_t)len };
	size_t at;

	boot_block_add(k, head, sizeof(head));
	at = k->len;
	boot_block_add(k, p, len);
	boot_block_add(k, zero, (8 - len % 8) % 8);
	return (at);
}

void
boot_meta_string(struct boot_block *k, uint32_t type, const char *s)
{

	boot_meta(k, type, s, strlen(s) + 1);
}

void
boot_meta_u64(struct boot_block *k, uint32_t type, uint64_t v)
{

	boot_meta(k, type, &v, sizeof(v));
}

/* Is name (up to '=') in the block of strings already? */
static const char *
env_get(const struct boot_block *k, const char *name)
{
	size_t at = 0, n = strcspn(name, "=");
	const char *s;

	while (at < k->len) {
		s = (const char *)k->data + at;
		if (strncmp(s, name, n) == 0 && s[n] == '=')
			return (s + n + 1);
		at += strlen(s) + 1;
	}
	return (NULL);
}

static int
env_add(struct boot *b, struct boot_block *k, const char *s, bool weak)
{
	const char *eq = strchr(s, '=');

	if (eq == NULL || eq == s)
		return (BOOT_FAIL(b, -EINVAL, "--env '%s': write NAME=VALUE",
		    s));
	if (env_get(k, s) == NULL)
		boot_block_add(k, s, strlen(s) + 1);
	else if (!weak)
		return (BOOT_FAIL(b, -EINVAL, "--env '%s': the name is given "
		    "twice", s));
	return (0);
}

/* A flag as boot(8) has it: its letter, and the variable that sets it. */
static const struct flag {
	char		letter;
	const char	*name;
	uint32_t	bit;
} flags[] = {
	{ 'a', "boot_askname", 0x00000001u },
	{ 's', "boot_single", 0x00000002u },
	{ 'd', "boot_ddb", 0x00000040u },
	{ 'v', "boot_verbose", 0x00000800u },
	{ 'C', "boot_cdrom", 0x00002000u },
	{ 'm', "boot_mute", 0x00010000u },
	{ 'p', "boot_pause", 0x00100000u },
	{ 'D', "boot_multicons", 0x20000000u },
};
#define	NFLAGS	(sizeof(flags) / sizeof(flags[0]))

static int
letters(struct boot *b, const char *s, uint32_t *howto)
{
	size_t i;

	for (; *s != '\0'; s++) {
		for (i = 0; i < NFLAGS && flags[i].letter != *s; i++)
			continue;
		if (i == NFLAGS)
			return (BOOT_FAIL(b, -EINVAL, "boot flag '-%c' is not "
			    "known; see boot(8)", *s));
		*howto |= flags[i].bit;
	}
	return (0);
}

/* Words of the command line: -flags, or name=value. */
static int
words(struct boot *b, struct boot_block *k, uint32_t *howto)
{
	char *copy, *save = NULL, *word;
	int error = 0;

	if (b->conf->cmdline == NULL)
		return (0);
	copy = strdup(b->conf->cmdline);
	if (copy == NULL)
		return (BOOT_FAIL(b, -ENOMEM, "no memory"));
	for (word = strtok_r(copy, " \t", &save); word != NULL && error == 0;
	    word = strtok_r(NULL, " \t", &save))
		error = *word == '-' ? letters(b, word + 1, howto) :
		    env_add(b, k, word, false);
	free(copy);
	return (error);
}

int
boot_freebsd_env(struct boot *b, struct boot_block *k, uint32_t *howto)
{
	static const char *const defaults[] = {
		"console=comconsole", "hw.uart.console=io:0x3f8,br:115200",
		"kernelname=/boot/kernel/kernel", "boot_serial=YES",
	};
	const char *v;
	char line[64];
	unsigned i;
	int error;

	*howto = RB_SERIAL;
	error = words(b, k, howto);
	for (i = 0; i < b->conf->nenv && error == 0; i++)
		error = env_add(b, k, b->conf->env[i], false);
	for (i = 0; i < sizeof(defaults) / sizeof(defaults[0]) && error == 0;
	    i++)
		error = env_add(b, k, defaults[i], true);
	if (error == 0 && b->conf->mfsroot != NULL)
		error = env_add(b, k, "vfs.root.mountfrom=ufs:/dev/md0", true);
	snprintf(line, sizeof(line), "acpi.rsdp=%#llx",
	    (unsigned long long)b->rsdp);
	if (error == 0)
		error = env_add(b, k, line, true);
	snprintf(line, sizeof(line), "hint.acpi.0.rsdp=%#llx",
	    (unsigned long long)b->rsdp);
	if (error == 0)
		error = env_add(b, k, line, true);
	for (i = 0; i < NFLAGS && error == 0; i++) {
		v = env_get(k, flags[i].name);
		if (v != NULL && strcasecmp(v, "no") != 0)
			*howto |= flags[i].bit;
	}
	boot_block_add(k, "", 1);	/* an empty name ends the list */
	if (k->failed && error == 0)
		error = BOOT_FAIL(b, -ENOMEM, "no memory");
	return (error);
}
