/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * GUIDs in text and the classes of device that they stand for.
 */

#include <hvk/error.h>
#include <hvk/guid.h>

/* Place in memory of each byte of the text, hyphens left out. */
static const uint8_t guid_order[16] = {
	3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15
};

static bool
hyphen_after(unsigned int byte)
{
	return (byte == 3 || byte == 5 || byte == 7 || byte == 9);
}

void
hvk_guid_format(const struct hvk_guid *guid, char text[HVK_GUID_TEXT])
{
	static const char digits[] = "0123456789abcdef";
	unsigned int i;
	uint8_t b;

	for (i = 0; i < HVK_COUNT(guid_order); i++) {
		b = guid->b[guid_order[i]];
		*text++ = digits[b >> 4];
		*text++ = digits[b & 15];
		if (hyphen_after(i))
			*text++ = '-';
	}
	*text = '\0';
}

/* The value of a hexadecimal digit; 16 for anything else. */
static unsigned int
digit(char c)
{
	if (c >= '0' && c <= '9')
		return ((unsigned int)(c - '0'));
	if (c >= 'a' && c <= 'f')
		return ((unsigned int)(c - 'a') + 10);
	if (c >= 'A' && c <= 'F')
		return ((unsigned int)(c - 'A') + 10);
	return (16);
}

int
hvk_guid_parse(const char *text, struct hvk_guid *guid)
{
	struct hvk_guid value;
	unsigned int high, i, low;
	bool braces;

	braces = *text == '{';
	if (braces)
		text++;
	for (i = 0; i < HVK_COUNT(guid_order); i++) {
		high = digit(text[0]);
		if (high > 15)
			return (HVK_RANGE);
		low = digit(text[1]);
		if (low > 15)
			return (HVK_RANGE);
		value.b[guid_order[i]] = (uint8_t)(high << 4 | low);
		text += 2;
		if (hyphen_after(i) && *text++ != '-')
			return (HVK_RANGE);
	}
	if (braces && *text++ != '}')
		return (HVK_RANGE);
	if (*text != '\0')
		return (HVK_RANGE);
	*guid = value;
	return (HVK_OK);
}

static const struct {
	struct hvk_guid	guid;
	const char	*name;
} guid_classes[] = {
	{ HVK_GUID_NETWORK, "network" },
	{ HVK_GUID_IDE, "ide" },
	{ HVK_GUID_SCSI, "scsi" },
	{ HVK_GUID_FIBRE_CHANNEL, "fibre channel" },
	{ HVK_GUID_SHUTDOWN, "shutdown" },
	{ HVK_GUID_TIMESYNC, "time synchronisation" },
	{ HVK_GUID_HEARTBEAT, "heartbeat" },
	{ HVK_GUID_KVP, "key-value pairs" },
	{ HVK_GUID_VSS, "backup" },
	{ HVK_GUID_FCOPY, "file copy" },
	{ HVK_GUID_DYNAMIC_MEMORY, "dynamic memory" },
	{ HVK_GUID_MOUSE, "mouse" },
	{ HVK_GUID_KEYBOARD, "keyboard" },
	{ HVK_GUID_VIDEO, "video" },
	{ HVK_GUID_VPCI, "pci pass-through" },
	{ HVK_GUID_NETWORK_DIRECT, "network direct" },
	{ HVK_GUID_AVMA1, "activation" },
	{ HVK_GUID_AVMA2, "inherited activation" },
	{ HVK_GUID_REMOTE_DESKTOP, "remote desktop" },
	{ HVK_GUID_INITIAL_CONFIG, "initial configuration" },
};

const char *
hvk_guid_class(const struct hvk_guid *type)
{
	unsigned int i;

	for (i = 0; i < HVK_COUNT(guid_classes); i++)
		if (hvk_guid_eq(type, &guid_classes[i].guid))
			return (guid_classes[i].name);
	return (NULL);
}
