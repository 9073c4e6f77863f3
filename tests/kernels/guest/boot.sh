# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# What the kernel found at boot: the hypervisor, its clock, the processors.
expect boot.hypervisor 'Hypervisor detected: Microsoft Hyper-V' \
    "$(dmesg | grep -o 'Hypervisor detected:.*')"
expect boot.clock hyperv_clocksource_tsc_page \
    "$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
expect boot.cpus "$(sed -n 's/.* cpus=\([0-9]*\).*/\1/p' /proc/cmdline)" "$(nproc)"
