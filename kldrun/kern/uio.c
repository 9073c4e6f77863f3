/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * uio.c: uiomove(9). What stands for user space is the private buffer of a
 * connection to a character device.
 */

#include "kern.h"
#include <sys/uio.h>

int
uiomove(void *cp, int n, struct uio *uio)
{
	struct iovec *iov;
	char *p;
	size_t cnt;

	if (n < 0)
		return (EINVAL);
	for (p = cp; n > 0 && uio->uio_resid > 0;) {
		iov = uio->uio_iov;
		cnt = MIN(iov->iov_len, (size_t)n);
		if (cnt == 0) {
			if (uio->uio_iovcnt <= 1)
				return (EFAULT);
			uio->uio_iov++;
			uio->uio_iovcnt--;
			continue;
		}
		if (uio->uio_rw == UIO_READ)
			memcpy(iov->iov_base, p, cnt);
		else
			memcpy(p, iov->iov_base, cnt);
		iov->iov_base = (char *)iov->iov_base + cnt;
		iov->iov_len -= cnt;
		uio->uio_resid -= cnt;
		uio->uio_offset += cnt;
		p += cnt;
		n -= cnt;
	}
	return (0);
}

int
uiomove_nofault(void *cp, int n, struct uio *uio)
{
	return (uiomove(cp, n, uio));
}

int
uiomove_frombuf(void *buf, int buflen, struct uio *uio)
{
	if (uio->uio_offset < 0 || uio->uio_resid < 0)
		return (EINVAL);
	if (buflen <= 0 || uio->uio_offset >= buflen)
		return (0);
	return (uiomove((char *)buf + uio->uio_offset,
	    buflen - (int)uio->uio_offset, uio));
}
