/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 */

/*
 * What the two halves of the Hyper-V model share: hypervisor.c (registers and
 * hypercalls) and hypervisor_synic.c (pages, timers, time).
 */

#ifndef HVK_HYPERVISOR_PRIV_H
#define	HVK_HYPERVISOR_PRIV_H

#include <hvk/host/hypervisor.h>

HVK_INLINE uint64_t
hv_load(const uint64_t *word)
{
	return (__atomic_load_n(word, __ATOMIC_ACQUIRE));
}

HVK_INLINE void
hv_store(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/* [gpa, gpa + len) in guest memory, len at most a page, or NULL. */
HVK_INLINE uint8_t *
hv_memory(const struct hvk_hv_view *view, uint64_t gpa, uint32_t len)
{
	if (view->size < len || gpa > view->size - len)
		return (NULL);
	if (gpa < view->gap_end && gpa + len > view->gap_start)
		return (NULL);
	return (view->base + gpa);
}

/* The page of guest memory that a register names, or NULL. */
HVK_INLINE uint8_t *
hv_page(const struct hvk_hv_view *view, uint64_t value)
{
	return (hv_memory(view, value & HVK_MSR_PAGE_MASK, HVK_PAGE_SIZE));
}

HVK_INLINE bool
hv_has_tsc_page(const struct hvk_hv_config *c)
{
	return (c->tsc_hz != 0 && !c->no_tsc_page);
}

/* (tsc * scale) >> 64 */
HVK_INLINE uint64_t
hv_scaled(uint64_t tsc, uint64_t scale)
{
	uint64_t a = tsc >> 32, b = tsc & UINT32_MAX;
	uint64_t c = scale >> 32, d = scale & UINT32_MAX;
	uint64_t middle = (b * d >> 32) + (a * d & UINT32_MAX) +
	    (b * c & UINT32_MAX);

	return (a * c + (a * d >> 32) + (b * c >> 32) + (middle >> 32));
}

/* The register access is refused, and why. */
HVK_INLINE int
hv_refuse(struct hvk_hv_result *result, enum hvk_hv_refusal why)
{
	result->refused = why;
	return (HVK_REJECT);
}

/*
 * May the register `word` of the model name the page of `value`?  NONE, or why
 * not; *page is the page when it is enabled, else NULL.
 */
enum hvk_hv_refusal hv_claim(const struct hvk_hv *, const uint64_t *word,
	    uint64_t value, const struct hvk_hv_view *, uint8_t **page);
void	hv_fill_tsc_page(struct hvk_hv *, const struct hvk_hv_view *);
int	hv_write_synic(struct hvk_hv *, uint32_t vp, uint32_t msr,
	    uint64_t value, const struct hvk_hv_view *,
	    struct hvk_hv_result *);
int	hv_write_stimer(struct hvk_hv *, uint32_t vp, unsigned reg,
	    uint64_t value, uint64_t now, const struct hvk_hv_view *,
	    struct hvk_hv_result *);

#endif /* !HVK_HYPERVISOR_PRIV_H */
