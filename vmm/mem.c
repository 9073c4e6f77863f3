/*-
 * SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The hvkit authors
 *
 * Guest memory: one sealed memfd, guest physical 0..size, mapped once as a
 * whole, and mapped again page run by page run where a ring must be contiguous.
 *
 * Locking: none needed; base, size and fd do not change after creation.
 */
#include <sys/mman.h>

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include <hvk/vmm.h>

/*
 * Linux allows 65,530 mappings a process by default.  A guest that scatters
 * its rings on purpose must not use them all up.
 */
#define	MAX_RUNS	32768u

int
guest_mem_create_gap(struct guest_mem *mem, uint64_t size, uint64_t gap_start,
    uint64_t gap_end, char *err, size_t errlen)
{
	uint64_t end = size <= gap_start ? size : gap_end + (size - gap_start);
	int error;

	error = guest_mem_create(mem, end, err, errlen);
	if (error != 0)
		return (error);
	/* Hardly a page of the gap exists: nothing ever touches it. */
	mem->gap_start = gap_start;
	mem->gap_end = gap_end;
	return (0);
}

int
guest_mem_clear(struct guest_mem *mem)
{

	if (fallocate(mem->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
	    (off_t)mem->size) != 0)
		return (-errno);
	return (0);
}

int
guest_mem_create(struct guest_mem *mem, uint64_t size, char *err,
    size_t errlen)
{
	void *base;
	int fd;

	memset(mem, 0, sizeof(*mem));
	mem->fd = -1;
	fd = memfd_create("hvk-guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return (vmm_fail(err, errlen, -errno,
		    "cannot make guest memory: %s", strerror(errno)));
	/* A guest that shrank the file would kill the host by SIGBUS. */
	if (ftruncate(fd, (off_t)size) != 0 || fcntl(fd, F_ADD_SEALS,
	    F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
		vmm_fail(err, errlen, 0, "cannot make %llu MiB of guest "
		    "memory: %s; try a smaller --memory",
		    (unsigned long long)(size >> 20), strerror(errno));
		close(fd);
		return (-ENOMEM);
	}
	base = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (base == MAP_FAILED) {
		vmm_fail(err, errlen, 0, "cannot map %llu MiB of guest "
		    "memory: %s; try a smaller --memory",
		    (unsigned long long)(size >> 20), strerror(errno));
		close(fd);
		return (-ENOMEM);
	}
	mem->base = base;
	mem->size = size;
	mem->fd = fd;
	return (0);
}

void
guest_mem_destroy(struct guest_mem *mem)
{

	if (mem->base != NULL)
		munmap(mem->base, mem->size);
	if (mem->fd >= 0)
		close(mem->fd);
	mem->base = NULL;
	mem->size = 0;
	mem->fd = -1;
}

void *
guest_mem_view(const struct guest_mem *mem, uint64_t gpa, uint64_t len)
{

	if (gpa > mem->size || len > mem->size - gpa)
		return (NULL);
	if (gpa < mem->gap_end && gpa + len > mem->gap_start)
		return (NULL);
	return (mem->base + gpa);
}

/* How many pages from pfn[0] on follow each other in guest memory. */
static uint32_t
run_length(const uint64_t *pfn, uint32_t n)
{
	uint32_t i;

	for (i = 1; i < n && pfn[i] == pfn[0] + i; i++)
		continue;
	return (i);
}

void *
guest_mem_map(struct guest_mem *mem, const uint64_t *pfn, uint32_t n,
    uint32_t *runs)
{
	uint64_t pages = mem->size / VMM_PAGE;
	size_t len = (size_t)n * VMM_PAGE;
	uint32_t count = 0, i, k;
	uint8_t *va;

	for (i = 0; i < n; i++)
		if (pfn[i] >= pages || (pfn[i] >= mem->gap_start / VMM_PAGE &&
		    pfn[i] < mem->gap_end / VMM_PAGE)) {
			errno = ERANGE;
			return (NULL);
		}
	if (n == 0) {
		errno = EINVAL;
		return (NULL);
	}
	for (i = 0; i < n; i += run_length(pfn + i, n - i))
		count++;
	if (atomic_fetch_add(&mem->runs, count) + count > MAX_RUNS) {
		atomic_fetch_sub(&mem->runs, count);
		errno = ENOSPC;
		return (NULL);
	}
	va = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS |
	    MAP_NORESERVE, -1, 0);
	if (va == MAP_FAILED)
		goto fail;
	for (i = 0; i < n; i += k) {
		k = run_length(pfn + i, n - i);
		if (mmap(va + (size_t)i * VMM_PAGE, (size_t)k * VMM_PAGE,
		    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, mem->fd,
		    (off_t)(pfn[i] * VMM_PAGE)) == MAP_FAILED) {
			munmap(va, len);
			goto fail;
		}
	}
	*runs = count;
	return (va);
fail:
	atomic_fetch_sub(&mem->runs, count);
	return (NULL);
}

void
guest_mem_unmap(struct guest_mem *mem, void *va, uint32_t n, uint32_t runs)
{

	if (va == NULL)
		return;
	munmap(va, (size_t)n * VMM_PAGE);
	atomic_fetch_sub(&mem->runs, runs);
}
