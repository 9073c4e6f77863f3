# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# Our structures against those of the installed Linux headers, which somebody
# else wrote: size of each, and place and size of each field.  The definitions
# are cut out of the headers at test time and compiled beside ours.

# cut FILE STRUCT...: print the definitions, in this order
cut_out() {
	file=$1
	shift
	for name in "$@"; do
		awk -v want="$name" '
		    $0 ~ "^(struct|union) " want " \\{" { on = 1 }
		    on { print }
		    on && /^\}/ { exit }' "$file" > one
		[ -s one ] || atf_fail "$file has no $name"
		cat one
	done
}

prelude() {
	cat <<'EOF'
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <hvk/wire/vmbus.h>
#include <hvk/wire/ring.h>
#include <hvk/wire/packet.h>
#include <hvk/wire/vstor.h>
typedef uint8_t u8, __u8; typedef uint16_t u16, __u16;
typedef uint32_t u32, __u32; typedef uint64_t u64, __u64;
typedef struct { u8 b[16]; } guid_t;
#define __packed __attribute__((__packed__))
#define PAGE_SIZE 4096
#define MAX_USER_DEFINED_BYTES 120
#define MAX_PIPE_USER_DEFINED_BYTES 116
#define HV_MESSAGE_PAYLOAD_QWORD_COUNT 30
#define HV_MESSAGE_PAYLOAD_BYTE_COUNT 240
#define HV_SYNIC_SINT_COUNT 16
static int bad, checked;
#define PLACE(A, a, B, b) do { checked++;				\
	if (offsetof(A, a) != offsetof(B, b) ||				\
	    sizeof(((A *)0)->a) != sizeof(((B *)0)->b)) { bad++;	\
		printf("%s.%s is not %s.%s\n", #A, #a, #B, #b); } } while (0)
#define BEGIN(A, a, B, b) do { checked++;				\
	if (offsetof(A, a) != offsetof(B, b)) { bad++;			\
		printf("%s.%s is not at %s.%s\n", #A, #a, #B, #b); } } while (0)
#define WHOLE(A, B, n) do { checked++;					\
	if (sizeof(A) - (n) != sizeof(B)) { bad++;			\
		printf("%s is not as long as %s\n", #A, #B); } } while (0)
EOF
}

run() {
	atf_check -o empty -e empty cc -std=gnu11 -w -I "$top/core/include" \
	    -o compare compare.c
	atf_check -o match:" fields, 0 differ" ./compare
}

atf_test_case vmbus
vmbus_head() {
	atf_set descr "control messages, ring and packets agree with Linux's hyperv.h field by field"
}
vmbus_body() {
	header=$(ls /usr/src/linux-headers-*-common/include/linux/hyperv.h \
	    2> /dev/null | tail -1)
	[ -n "$header" ] || atf_skip "no linux-headers package is installed"
	prelude > compare.c
	echo 'enum vmbus_channel_message_type { NONE };' >> compare.c
	cut_out "$header" hv_ring_buffer vmpacket_descriptor \
	    vmtransfer_page_range vmtransfer_page_packet_header gpa_range \
	    vmbus_channel_message_header vmbus_channel_offer \
	    vmbus_channel_offer_channel vmbus_channel_rescind_offer \
	    vmbus_channel_open_channel vmbus_channel_open_result \
	    vmbus_channel_close_channel vmbus_channel_gpadl_header \
	    vmbus_channel_gpadl_body vmbus_channel_gpadl_created \
	    vmbus_channel_gpadl_teardown vmbus_channel_gpadl_torndown \
	    vmbus_channel_relid_released vmbus_channel_initiate_contact \
	    vmbus_channel_tl_connect_request vmbus_channel_modifychannel \
	    vmbus_channel_modifychannel_response \
	    vmbus_channel_version_response >> compare.c
	cat >> compare.c <<'EOF'
int main(void) {
#define R(a, b) PLACE(struct hvk_ring_header, a, struct hv_ring_buffer, b)
R(write, write_index); R(read, read_index); R(mask, interrupt_mask);
R(pending, pending_send_sz); R(features, feature_bits);
R(reserved2, reserved2); BEGIN(struct hvk_ring_header, reserved,
    struct hv_ring_buffer, reserved1);
WHOLE(struct hvk_ring_header, struct hv_ring_buffer, 0);
#define D(a, b) PLACE(struct hvk_descriptor, a, struct vmpacket_descriptor, b)
D(type, type); D(offset8, offset8); D(length8, len8); D(flags, flags);
D(txid, trans_id); WHOLE(struct hvk_descriptor, struct vmpacket_descriptor, 0);
#define X(a, b) do { checked++; if (offsetof(struct hvk_xfer_header, a) + 16 \
	!= offsetof(struct vmtransfer_page_packet_header, b)) { bad++;	\
	puts(#a); } } while (0)
X(pageset, xfer_pageset_id); X(owns, sender_owns_set); X(reserved, reserved);
X(count, range_cnt);
PLACE(struct hvk_xfer_range, len, struct vmtransfer_page_range, byte_count);
PLACE(struct hvk_xfer_range, offset, struct vmtransfer_page_range, byte_offset);
PLACE(struct hvk_gpa_range_header, len, struct gpa_range, byte_count);
PLACE(struct hvk_gpa_range_header, offset, struct gpa_range, byte_offset);
PLACE(struct hvk_msg_header, type, struct vmbus_channel_message_header, msgtype);
WHOLE(struct hvk_msg_header, struct vmbus_channel_message_header, 0);
#define O(a, b) PLACE(struct hvk_msg_offer, a, struct vmbus_channel_offer_channel, b)
O(type, offer.if_type); O(instance, offer.if_instance);
O(flags, offer.chn_flags); O(mmio_mb, offer.mmio_megabytes);
O(user, offer.u.std.user_def); O(subindex, offer.sub_channel_index);
O(mmio_mb_optional, offer.reserved3); O(relid, child_relid);
O(monitor_id, monitorid); O(connection, connection_id);
WHOLE(struct hvk_msg_offer, struct vmbus_channel_offer_channel, 0);
PLACE(struct hvk_msg_relid, relid, struct vmbus_channel_rescind_offer, child_relid);
PLACE(struct hvk_msg_relid, relid, struct vmbus_channel_close_channel, child_relid);
PLACE(struct hvk_msg_relid, relid, struct vmbus_channel_relid_released, child_relid);
WHOLE(struct hvk_msg_relid, struct vmbus_channel_relid_released, 0);
#define P(a, b) PLACE(struct hvk_msg_open, a, struct vmbus_channel_open_channel, b)
P(relid, child_relid); P(open_id, openid); P(gpadl, ringbuffer_gpadlhandle);
P(target_vp, target_vp); P(page_offset, downstream_ringbuffer_pageoffset);
P(user, userdata); WHOLE(struct hvk_msg_open, struct vmbus_channel_open_channel, 8);
#define Q(a, b) PLACE(struct hvk_msg_open_result, a, struct vmbus_channel_open_result, b)
Q(relid, child_relid); Q(open_id, openid); Q(status, status);
WHOLE(struct hvk_msg_open_result, struct vmbus_channel_open_result, 0);
#define G(a, b) PLACE(struct hvk_msg_gpadl_header, a, struct vmbus_channel_gpadl_header, b)
G(relid, child_relid); G(gpadl, gpadl); G(range_bytes, range_buflen);
G(range_count, rangecount);
WHOLE(struct hvk_msg_gpadl_header, struct vmbus_channel_gpadl_header, 0);
PLACE(struct hvk_msg_gpadl_body, number, struct vmbus_channel_gpadl_body, msgnumber);
PLACE(struct hvk_msg_gpadl_body, gpadl, struct vmbus_channel_gpadl_body, gpadl);
#define C(a, b) PLACE(struct hvk_msg_gpadl_created, a, struct vmbus_channel_gpadl_created, b)
C(relid, child_relid); C(gpadl, gpadl); C(status, creation_status);
PLACE(struct hvk_msg_gpadl_teardown, relid, struct vmbus_channel_gpadl_teardown, child_relid);
PLACE(struct hvk_msg_gpadl_teardown, gpadl, struct vmbus_channel_gpadl_teardown, gpadl);
PLACE(struct hvk_msg_gpadl_torndown, gpadl, struct vmbus_channel_gpadl_torndown, gpadl);
#define I(a, b) PLACE(struct hvk_msg_initiate_contact, a, struct vmbus_channel_initiate_contact, b)
I(version, vmbus_version_requested); I(target_vp, target_vcpu);
I(interrupt_page, interrupt_page); I(sint, msg_sint);
I(monitor_in, monitor_page1); I(monitor_out, monitor_page2);
WHOLE(struct hvk_msg_initiate_contact, struct vmbus_channel_initiate_contact, 16);
PLACE(struct hvk_msg_tl_connect_request, endpoint, struct vmbus_channel_tl_connect_request, guest_endpoint_id);
PLACE(struct hvk_msg_tl_connect_request, service, struct vmbus_channel_tl_connect_request, host_service_id);
PLACE(struct hvk_msg_modify_channel, relid, struct vmbus_channel_modifychannel, child_relid);
PLACE(struct hvk_msg_modify_channel, target_vp, struct vmbus_channel_modifychannel, target_vp);
PLACE(struct hvk_msg_modify_channel_response, relid, struct vmbus_channel_modifychannel_response, child_relid);
PLACE(struct hvk_msg_modify_channel_response, status, struct vmbus_channel_modifychannel_response, status);
#define V(a, b) PLACE(struct hvk_msg_version_response, a, struct vmbus_channel_version_response, b)
V(supported, version_supported); V(state, connection_state);
V(connection, msg_conn_id);
WHOLE(struct hvk_msg_version_response, struct vmbus_channel_version_response, 24);
printf("%d fields, %d differ\n", checked, bad); return (bad != 0); }
EOF
	run
}

atf_test_case synic
synic_head() {
	atf_set descr "SynIC messages agree with Linux's hyperv-tlfs.h field by field"
}
synic_body() {
	header=$(ls /usr/src/linux-headers-*-common/include/asm-generic/hyperv-tlfs.h \
	    2> /dev/null | tail -1)
	[ -n "$header" ] || atf_skip "no linux-headers package is installed"
	prelude > compare.c
	cut_out "$header" hv_message_flags hv_port_id hv_message_header \
	    hv_message hv_timer_message_payload >> compare.c
	cat >> compare.c <<'EOF'
int main(void) {
#define M(a, b) PLACE(struct hvk_synic_message, a, struct hv_message, b)
M(type, header.message_type); M(size, header.payload_size);
M(flags, header.message_flags); M(reserved, header.reserved);
M(sender, header.sender); M(payload, u.payload);
WHOLE(struct hvk_synic_message, struct hv_message, 0);
#define T(a, b) PLACE(struct hvk_timer_message, a, struct hv_timer_message_payload, b)
T(timer, timer_index); T(reserved, reserved); T(expiration, expiration_time);
T(delivery, delivery_time);
WHOLE(struct hvk_timer_message, struct hv_timer_message_payload, 0);
printf("%d fields, %d differ\n", checked, bad); return (bad != 0); }
EOF
	run
}

atf_test_case services
services_head() {
	atf_set descr "KVP, VSS and file copy agree with Linux's user-space hyperv.h field by field"
}
services_body() {
	header=/usr/include/linux/hyperv.h
	[ -f "$header" ] || atf_skip "linux-libc-dev is not installed"
	cat > compare.c <<'EOF'
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <hvk/wire/ic.h>
#include <hvk/wire/kvp.h>
#include <hvk/wire/vss.h>
#include <hvk/wire/fcopy.h>
#include <linux/hyperv.h>
EOF
	prelude | sed -n '/^static int bad/,$p' >> compare.c
	cat >> compare.c <<'EOF'
#define SAME(a, b) do { checked++; if ((uint64_t)(a) != (uint64_t)(b)) { bad++;	\
	printf("%s is not %s\n", #a, #b); } } while (0)
#define STATUS(a, b) SAME(HVK_IC_##a, (uint32_t)HV_##b)
int main(void) {
#define K(a, b) PLACE(struct hvk_kvp_value, a, struct hv_kvp_exchg_msg_value, b)
K(type, value_type); K(key_size, key_size); K(value_size, value_size);
K(key, key); K(value, value);
WHOLE(struct hvk_kvp_value, struct hv_kvp_exchg_msg_value, 0);
#define H(a, b) PLACE(struct hvk_kvp_header, a, struct hv_kvp_hdr, b)
H(op, operation); H(pool, pool); H(pad, pad);
WHOLE(struct hvk_kvp_header, struct hv_kvp_hdr, 0);
#define D(a, b) PLACE(struct hvk_kvp_delete, a, struct hv_kvp_msg_delete, b)
D(key_size, key_size); D(key, key);
WHOLE(struct hvk_kvp_delete, struct hv_kvp_msg_delete, 0);
#define E(a, b) PLACE(struct hvk_kvp_enumerate, a, struct hv_kvp_msg_enumerate, b)
E(index, index); E(data, data);
WHOLE(struct hvk_kvp_enumerate, struct hv_kvp_msg_enumerate, 0);
#define I(a, b) PLACE(struct hvk_kvp_ip, a, struct hv_kvp_ipaddr_value, b)
I(adapter, adapter_id); I(family, addr_family); I(dhcp, dhcp_enabled);
I(addresses, ip_addr); I(masks, sub_net); I(gateways, gate_way);
I(dns, dns_addr); WHOLE(struct hvk_kvp_ip, struct hv_kvp_ipaddr_value, 0);
SAME(HVK_KVP_BODY, sizeof(struct hv_kvp_ip_msg));
SAME(HVK_KVP_BODY - sizeof(struct hvk_kvp_ip),
    offsetof(struct hv_kvp_ip_msg, kvp_ip_val));
SAME(HVK_KVP_GET, KVP_OP_GET); SAME(HVK_KVP_SET, KVP_OP_SET);
SAME(HVK_KVP_DELETE, KVP_OP_DELETE); SAME(HVK_KVP_ENUMERATE, KVP_OP_ENUMERATE);
SAME(HVK_KVP_GET_IP, KVP_OP_GET_IP_INFO);
SAME(HVK_KVP_SET_IP, KVP_OP_SET_IP_INFO);
SAME(HVK_KVP_NOPS, KVP_OP_COUNT); SAME(HVK_KVP_NPOOLS, KVP_POOL_COUNT);
SAME(HVK_KVP_EXTERNAL, KVP_POOL_EXTERNAL); SAME(HVK_KVP_GUEST, KVP_POOL_GUEST);
SAME(HVK_KVP_AUTO, KVP_POOL_AUTO);
SAME(HVK_KVP_AUTO_EXTERNAL, KVP_POOL_AUTO_EXTERNAL);
SAME(HVK_KVP_STRING, REG_SZ); SAME(HVK_KVP_U32, REG_U32);
SAME(HVK_KVP_U64_OLD, REG_U64);
SAME(HVK_KVP_FAMILY_V4, ADDR_FAMILY_IPV4);
SAME(HVK_KVP_FAMILY_V6, ADDR_FAMILY_IPV6);
PLACE(struct hvk_vss_message, op, struct hv_vss_msg, vss_hdr.operation);
PLACE(struct hvk_vss_message, reserved, struct hv_vss_msg, vss_hdr.reserved);
PLACE(struct hvk_vss_message, flags, struct hv_vss_msg, vss_cf.flags);
WHOLE(struct hvk_vss_message, struct hv_vss_msg, 0);
SAME(HVK_VSS_CHECK, VSS_OP_HOT_BACKUP);
SAME(HVK_VSS_DEVICES, VSS_OP_GET_DM_INFO);
SAME(HVK_VSS_COMPLETE, VSS_OP_BU_COMPLETE);
SAME(HVK_VSS_FREEZE, VSS_OP_FREEZE); SAME(HVK_VSS_THAW, VSS_OP_THAW);
SAME(HVK_VSS_AUTO_RECOVER, VSS_OP_AUTO_RECOVER);
SAME(HVK_VSS_HOT_BACKUP | HVK_VSS_NO_RECOVERY, VSS_HBU_NO_AUTO_RECOVERY);
#define F(a, b) PLACE(struct hvk_fcopy_start, a, struct hv_start_fcopy, b)
F(header.op, hdr.operation); F(name, file_name); F(path, path_name);
F(flags, copy_flags); F(size, file_size);
BEGIN(struct hvk_fcopy_start, header.id, struct hv_start_fcopy,
    hdr.service_id0);
WHOLE(struct hvk_fcopy_start, struct hv_start_fcopy, 0);
#define W(a, b) PLACE(struct hvk_fcopy_write, a, struct hv_do_fcopy, b)
W(pad, pad); W(offset, offset); W(size, size); W(data, data);
WHOLE(struct hvk_fcopy_write, struct hv_do_fcopy, 0);
SAME(HVK_FCOPY_START, START_FILE_COPY); SAME(HVK_FCOPY_WRITE, WRITE_TO_FILE);
SAME(HVK_FCOPY_COMPLETE, COMPLETE_FCOPY); SAME(HVK_FCOPY_CANCEL, CANCEL_FCOPY);
SAME(HVK_FCOPY_OVERWRITE, OVER_WRITE);
SAME(HVK_FCOPY_CREATE_PATH, CREATE_PATH);
STATUS(OK, S_OK); STATUS(FAIL, E_FAIL); STATUS(NO_MORE, S_CONT);
STATUS(NOT_SUPPORTED, ERROR_NOT_SUPPORTED); STATUS(LOCKED, ERROR_MACHINE_LOCKED);
STATUS(NOT_CONNECTED, ERROR_DEVICE_NOT_CONNECTED);
STATUS(BAD_ARGUMENT, INVALIDARG); STATUS(NOT_FOUND, GUID_NOTFOUND);
STATUS(EXISTS, ERROR_ALREADY_EXISTS); STATUS(DISK_FULL, ERROR_DISK_FULL);
printf("%d fields, %d differ\n", checked, bad); return (bad != 0); }
EOF
	run
}

atf_init_test_cases() {
	atf_add_test_case vmbus
	atf_add_test_case synic
	atf_add_test_case services
}
