/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * Can /dev/kvm run a kernel with Hyper-V's interrupt controller?  Prints one
 * line for each capability; status 0: all are there, 1: not, 2: no KVM.
 */
#include <sys/ioctl.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>

int
main(void)
{
	static const struct { const char *name; int cap; } caps[] = {
		{ "HYPERV_SYNIC2", KVM_CAP_HYPERV_SYNIC2 },
		{ "HYPERV_VP_INDEX", KVM_CAP_HYPERV_VP_INDEX },
		{ "HYPERV_EVENTFD", KVM_CAP_HYPERV_EVENTFD },
		{ "HYPERV_CPUID", KVM_CAP_HYPERV_CPUID },
		{ "HYPERV_ENFORCE_CPUID", KVM_CAP_HYPERV_ENFORCE_CPUID },
		{ "X86_USER_SPACE_MSR", KVM_CAP_X86_USER_SPACE_MSR },
	};
	int fd, missing = 0;
	size_t i;

	fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		printf("/dev/kvm: %s\n", strerror(errno));
		return (2);
	}
	printf("KVM API %d", ioctl(fd, KVM_GET_API_VERSION, 0));
	for (i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
		int v = ioctl(fd, KVM_CHECK_EXTENSION, caps[i].cap);

		printf(" %s=%d", caps[i].name, v);
		missing += v <= 0;
	}
	printf("\n");
	return (missing != 0);
}
