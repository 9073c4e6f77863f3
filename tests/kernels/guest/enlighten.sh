# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors
#
# What the host recommends and this kernel follows: translations of other
# processors flushed and interrupts sent by hypercall, interrupts that need no EOI.
# Its own tracepoints count what it asks for, `hvk ctl info` what KVM did.
trace=/sys/kernel/tracing
[ -d $trace/events ] || mount -t tracefs tracefs $trace
# count EVENT [FILTER]: from now on; counted EVENT: so many
count() { echo "hist:keys=common_pid${2:+ if $2}" >"$trace/events/$1/trigger"; }
counted() { sed -n 's/^ *Hits: *\([0-9]*\).*/\1/p' "$trace/events/$1/hist" | head -n 1; }
more_than() { [ "${2:-0}" -gt "$1" ]; }

said=$(dmesg | grep -E -o 'Hyper-V: Using (ext )?hypercalls? for remote TLB flush' | tail -n 1)
expect enlighten.flushsaid 'Hyper-V: Using hypercall for remote TLB flush' "$said"
expect enlighten.ipisaid 'Hyper-V: Using IPI hypercalls' \
    "$(dmesg | grep -o 'Hyper-V: Using IPI hypercalls' | tail -n 1)"
flush=hyperv/hyperv_mmu_flush_tlb_multi
count $flush
count hyperv/hyperv_send_ipi_mask
count hyperv/hyperv_send_ipi_one
host hypercalls before
try enlighten.pages twocpus unmap 100
flushes=$(counted $flush)
ipis=$(($(counted hyperv/hyperv_send_ipi_mask) + $(counted hyperv/hyperv_send_ipi_one)))
# Each page replaced and each one protected is one; KVM has counted them too.
if more_than 199 "$flushes"; then ok enlighten.flush "$flushes by hypercall"; else bad enlighten.flush "${flushes:-none}"; fi
if more_than 9 "$ipis"; then ok enlighten.ipi "$ipis by hypercall"; else bad enlighten.ipi "${ipis:-none}"; fi
host hypercalls enlighten.counted $((flushes + ipis))
for event in $flush hyperv/hyperv_send_ipi_mask hyperv/hyperv_send_ipi_one; do
	echo "!hist:keys=common_pid" >$trace/events/$event/trigger
done

# An interrupt from the other processor, and in its handler the register that ends
# it (0x40000070) or, where the assist page says that none is needed, nothing.
echo 'msr == 1073741936' >$trace/events/msr/write_msr/filter
echo 1024 >$trace/buffer_size_kb
ipi_events="msr/write_msr irq_vectors/call_function_entry irq_vectors/call_function_exit
    irq_vectors/call_function_single_entry irq_vectors/call_function_single_exit
    irq_vectors/reschedule_entry irq_vectors/reschedule_exit"
for event in $ipi_events; do echo 1 >$trace/events/$event/enable; done
for i in $(seq 30); do taskset $((1 + i % 2)) true; done
echo 0 >$trace/tracing_on
for event in $ipi_events; do echo 0 >$trace/events/$event/enable; done
eoi=$(awk '!match($0, /\[[0-9]+\]/) { next }
    { cpu = substr($0, RSTART, RLENGTH) }
    /(call_function|call_function_single|reschedule)_entry:/ { in_it[cpu] = 1; ended[cpu] = 0 }
    /write_msr: 40000070/ && in_it[cpu] { ended[cpu] = 1 }
    /(call_function|call_function_single|reschedule)_exit:/ && in_it[cpu] { all++; lazy += !ended[cpu]; in_it[cpu] = 0 }
    END { print all + 0, lazy + 0 }' $trace/trace)
all=${eoi% *} lazy=${eoi#* }
echo 1 >$trace/tracing_on
echo >$trace/trace
if [ $all -ge 10 ] && [ $((2 * lazy)) -ge $all ]; then
	ok enlighten.eoi "$lazy of $all interrupts from the other processor needed no EOI"
else
	bad enlighten.eoi "$lazy of $all interrupts from the other processor needed no EOI"
fi
echo "figure: core.enlighten stock Linux: $flushes flushes and $ipis interrupts by hypercall, $lazy of $all EOIs left out"
