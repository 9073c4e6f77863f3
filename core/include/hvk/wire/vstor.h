/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * Storage (SCSI, IDE accelerator, Fibre Channel): the 64-byte packet that
 * every request and reply carries.  Facts: wire.md section 17.
 */

#ifndef HVK_WIRE_VSTOR_H
#define	HVK_WIRE_VSTOR_H

#include <hvk/types.h>

#define	HVK_VSTOR_VERSION(major, minor)	((uint16_t)((major) << 8 | (minor)))
#define	HVK_VSTOR_VERSION_WIN2008	HVK_VSTOR_VERSION(2, 0)
#define	HVK_VSTOR_VERSION_WIN2008R2	HVK_VSTOR_VERSION(4, 2)
#define	HVK_VSTOR_VERSION_WIN2012	HVK_VSTOR_VERSION(5, 1)
#define	HVK_VSTOR_VERSION_WIN2012R2	HVK_VSTOR_VERSION(6, 0)
#define	HVK_VSTOR_VERSION_WIN10		HVK_VSTOR_VERSION(6, 2)

enum hvk_vstor_operation {
	HVK_VSTOR_COMPLETE_IO		= 1,	/* host */
	HVK_VSTOR_REMOVE_DEVICE		= 2,	/* host */
	HVK_VSTOR_EXECUTE_SRB		= 3,
	HVK_VSTOR_RESET_LUN		= 4,
	HVK_VSTOR_RESET_ADAPTER		= 5,
	HVK_VSTOR_RESET_BUS		= 6,
	HVK_VSTOR_BEGIN_INIT		= 7,
	HVK_VSTOR_END_INIT		= 8,
	HVK_VSTOR_QUERY_VERSION		= 9,
	HVK_VSTOR_QUERY_PROPERTIES	= 10,
	HVK_VSTOR_ENUMERATE_BUS		= 11,	/* host */
	HVK_VSTOR_FC_HBA_DATA		= 12,
	HVK_VSTOR_CREATE_SUBCHANNELS	= 13,
	HVK_VSTOR_EVENT			= 14	/* host */
};

#define	HVK_VSTOR_WANT_COMPLETION	0x1u	/* flags of a packet */

#define	HVK_VSTOR_OK			0x00000000u
#define	HVK_VSTOR_FAIL			0xc0000001u
#define	HVK_VSTOR_BAD_PARAMETER		0xc000000du
#define	HVK_VSTOR_BAD_REQUEST		0xc0000010u
#define	HVK_VSTOR_BAD_VERSION		0xc0000059u
#define	HVK_VSTOR_BAD_STATE		0xc0000184u

#define	HVK_VSTOR_WRITE			0	/* direction of an SRB */
#define	HVK_VSTOR_READ			1
#define	HVK_VSTOR_NODATA		2

#define	HVK_VSTOR_CDB_MAX		16
#define	HVK_VSTOR_SENSE_MAX		20
#define	HVK_VSTOR_SRB_LENGTH		0x34	/* protocol 5.1 and later */
#define	HVK_VSTOR_SRB_LENGTH_OLD	0x24

#define	HVK_SRBF_QUEUE_ACTION		0x00000002u
#define	HVK_SRBF_NO_DISCONNECT		0x00000004u
#define	HVK_SRBF_NO_SYNC		0x00000008u
#define	HVK_SRBF_DATA_IN		0x00000040u
#define	HVK_SRBF_DATA_OUT		0x00000080u

#define	HVK_SRB_UNTAGGED		0xff
#define	HVK_SRB_SIMPLE			0x20

#define	HVK_SRB_STATUS(s)		((s) & 0x3f)
#define	HVK_SRB_PENDING			0x00
#define	HVK_SRB_SUCCESS			0x01
#define	HVK_SRB_ABORTED			0x02
#define	HVK_SRB_ERROR			0x04
#define	HVK_SRB_INVALID_REQUEST		0x06
#define	HVK_SRB_TIMEOUT			0x09
#define	HVK_SRB_SELECTION_TIMEOUT	0x0a
#define	HVK_SRB_BUS_RESET		0x0e
#define	HVK_SRB_DATA_OVERRUN		0x12
#define	HVK_SRB_INVALID_LUN		0x20
#define	HVK_SRB_INTERNAL_ERROR		0x30
#define	HVK_SRB_QUEUE_FROZEN		0x40
#define	HVK_SRB_AUTOSENSE_VALID		0x80

struct hvk_vstor_srb {
	uint16_t	length;
	uint8_t		srb_status;
	uint8_t		scsi_status;
	uint8_t		port;
	uint8_t		path;
	uint8_t		target;
	uint8_t		lun;
	uint8_t		cdb_len;
	uint8_t		sense_len;
	uint8_t		direction;
	uint8_t		properties;
	uint32_t	transfer;	/* bytes: wanted, then done */
	union {
		uint8_t	cdb[HVK_VSTOR_CDB_MAX];
		uint8_t	sense[HVK_VSTOR_SENSE_MAX];
	};
	uint16_t	reserved;
	uint8_t		queue_tag;
	uint8_t		queue_action;
	uint32_t	flags;		/* HVK_SRBF_* */
	uint32_t	timeout;	/* seconds */
	uint32_t	sort_key;
};
HVK_SIZE(struct hvk_vstor_srb, 52);
HVK_AT(struct hvk_vstor_srb, length, 0);
HVK_AT(struct hvk_vstor_srb, srb_status, 2);
HVK_AT(struct hvk_vstor_srb, scsi_status, 3);
HVK_AT(struct hvk_vstor_srb, port, 4);
HVK_AT(struct hvk_vstor_srb, path, 5);
HVK_AT(struct hvk_vstor_srb, target, 6);
HVK_AT(struct hvk_vstor_srb, lun, 7);
HVK_AT(struct hvk_vstor_srb, cdb_len, 8);
HVK_AT(struct hvk_vstor_srb, sense_len, 9);
HVK_AT(struct hvk_vstor_srb, direction, 10);
HVK_AT(struct hvk_vstor_srb, properties, 11);
HVK_AT(struct hvk_vstor_srb, transfer, 12);
HVK_AT(struct hvk_vstor_srb, cdb, 16);
HVK_AT(struct hvk_vstor_srb, sense, 16);
HVK_AT(struct hvk_vstor_srb, reserved, 36);
HVK_AT(struct hvk_vstor_srb, queue_tag, 38);
HVK_AT(struct hvk_vstor_srb, queue_action, 39);
HVK_AT(struct hvk_vstor_srb, flags, 40);
HVK_AT(struct hvk_vstor_srb, timeout, 44);
HVK_AT(struct hvk_vstor_srb, sort_key, 48);

#define	HVK_VSTOR_MULTICHANNEL		0x1u	/* flags of the properties */

/* The packet's payload begins at 12, so 64-bit fields are two words. */
struct hvk_vstor_properties {
	uint32_t	reserved;
	uint16_t	max_subchannels;
	uint16_t	reserved2;
	uint32_t	flags;
	uint32_t	max_transfer;	/* bytes */
	uint32_t	reserved3[2];
};
HVK_SIZE(struct hvk_vstor_properties, 24);
HVK_AT(struct hvk_vstor_properties, reserved, 0);
HVK_AT(struct hvk_vstor_properties, max_subchannels, 4);
HVK_AT(struct hvk_vstor_properties, reserved2, 6);
HVK_AT(struct hvk_vstor_properties, flags, 8);
HVK_AT(struct hvk_vstor_properties, max_transfer, 12);
HVK_AT(struct hvk_vstor_properties, reserved3, 16);

struct hvk_vstor_version {
	uint16_t	version;	/* HVK_VSTOR_VERSION() */
	uint16_t	revision;
};
HVK_SIZE(struct hvk_vstor_version, 4);
HVK_AT(struct hvk_vstor_version, version, 0);
HVK_AT(struct hvk_vstor_version, revision, 2);

struct hvk_vstor_fc {
	uint8_t		primary_active;
	uint8_t		reserved[3];
	uint8_t		primary_port[8];
	uint8_t		primary_node[8];
	uint8_t		secondary_port[8];
	uint8_t		secondary_node[8];
};
HVK_SIZE(struct hvk_vstor_fc, 36);
HVK_AT(struct hvk_vstor_fc, primary_active, 0);
HVK_AT(struct hvk_vstor_fc, reserved, 1);
HVK_AT(struct hvk_vstor_fc, primary_port, 4);
HVK_AT(struct hvk_vstor_fc, primary_node, 12);
HVK_AT(struct hvk_vstor_fc, secondary_port, 20);
HVK_AT(struct hvk_vstor_fc, secondary_node, 28);

struct hvk_vstor_packet {
	uint32_t	operation;
	uint32_t	flags;
	uint32_t	status;		/* HVK_VSTOR_OK, ... */
	union {
		struct hvk_vstor_srb		srb;
		struct hvk_vstor_properties	properties;
		struct hvk_vstor_version	version;
		struct hvk_vstor_fc		fc;
		uint16_t			subchannels;
		uint8_t				payload[52];
	};
};
HVK_SIZE(struct hvk_vstor_packet, 64);
HVK_AT(struct hvk_vstor_packet, operation, 0);
HVK_AT(struct hvk_vstor_packet, flags, 4);
HVK_AT(struct hvk_vstor_packet, status, 8);
HVK_AT(struct hvk_vstor_packet, srb, 12);
HVK_AT(struct hvk_vstor_packet, properties, 12);
HVK_AT(struct hvk_vstor_packet, version, 12);
HVK_AT(struct hvk_vstor_packet, fc, 12);
HVK_AT(struct hvk_vstor_packet, subchannels, 12);
HVK_AT(struct hvk_vstor_packet, payload, 12);

/* User data of an IDE offer. */
struct hvk_vstor_ide_user {
	uint16_t	reserved;
	uint8_t		path;
	uint8_t		target;
	uint32_t	reserved2;
	uint32_t	flags;		/* HVK_VSTOR_USER_IDE */
};
HVK_SIZE(struct hvk_vstor_ide_user, 12);
HVK_AT(struct hvk_vstor_ide_user, reserved, 0);
HVK_AT(struct hvk_vstor_ide_user, path, 2);
HVK_AT(struct hvk_vstor_ide_user, target, 3);
HVK_AT(struct hvk_vstor_ide_user, reserved2, 4);
HVK_AT(struct hvk_vstor_ide_user, flags, 8);
#define	HVK_VSTOR_USER_IDE		0x2u

#endif /* !HVK_WIRE_VSTOR_H */
