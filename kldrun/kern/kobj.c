/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The hvkit authors
 *
 * kobj.c: kobj(9) method dispatch: each class's methods, those it inherits,
 * then the interface's default. The cache in front of it is inlined in every
 * interface call of a module.
 */

#include "kern.h"
#include <sys/bus.h>
#include <sys/kobj.h>

static struct os_lock kobj_lock;
static unsigned int kobj_next_id = 1;
static kobj_method_t null_method;

int
kobj_error_method(void)
{
	return (ENXIO);
}

static void
compile_locked(kobj_class_t cls, kobj_ops_t ops)
{
	kobj_method_t *m;
	int i;

	for (m = cls->methods; m->desc != NULL; m++)
		if (m->desc->id == 0)
			m->desc->id = kobj_next_id++;
	for (i = 0; i < KOBJ_CACHE_SIZE; i++)
		ops->cache[i] = &null_method;
	ops->cls = cls;
	cls->ops = ops;
}

/* Inherited classes too, so that all their methods have numbers. */
static void
compile_class(kobj_class_t cls)
{
	kobj_class_t *base;

	if (cls->ops != NULL)
		return;
	if (cls->baseclasses != NULL)
		for (base = cls->baseclasses; *base != NULL; base++)
			compile_class(*base);
	compile_locked(cls, os_alloc(sizeof(struct kobj_ops)));
}

void
kobj_class_compile(kobj_class_t cls)
{
	os_lock(&kobj_lock);
	compile_class(cls);
	os_unlock(&kobj_lock);
}

void
kobj_class_compile_static(kobj_class_t cls, kobj_ops_t ops)
{
	os_lock(&kobj_lock);
	compile_locked(cls, ops);
	os_unlock(&kobj_lock);
}

void
kobj_class_free(kobj_class_t cls)
{
	os_lock(&kobj_lock);
	os_free(cls->ops);
	cls->ops = NULL;
	os_unlock(&kobj_lock);
}

static kobj_method_t *
lookup_class(kobj_class_t cls, kobjop_desc_t desc)
{
	kobj_class_t *base;
	kobj_method_t *m;

	for (m = cls->methods; m != NULL && m->desc != NULL; m++)
		if (m->desc == desc)
			return (m);
	if (cls->baseclasses != NULL)
		for (base = cls->baseclasses; *base != NULL; base++)
			if ((m = lookup_class(*base, desc)) != NULL)
				return (m);
	return (NULL);
}

kobj_method_t *
kobj_lookup_method(kobj_class_t cls, kobj_method_t **cep, kobjop_desc_t desc)
{
	kobj_method_t *m;

	/* An interface method that no class names has no number yet. */
	if (desc->id == 0) {
		os_lock(&kobj_lock);
		if (desc->id == 0)
			desc->id = kobj_next_id++;
		os_unlock(&kobj_lock);
		cep = NULL;
	}
	m = lookup_class(cls, desc);
	if (m == NULL)
		m = &desc->deflt;
	if (cep != NULL)
		*cep = m;
	return (m);
}

void
kobj_init(kobj_t obj, kobj_class_t cls)
{
	os_lock(&kobj_lock);
	compile_class(cls);
	obj->ops = cls->ops;
	cls->refs++;
	os_unlock(&kobj_lock);
}

void
kobj_init_static(kobj_t obj, kobj_class_t cls)
{
	kobj_init(obj, cls);
}

kobj_t
kobj_create(kobj_class_t cls, struct malloc_type *mtype, int mflags)
{
	kobj_t obj;

	obj = kld_malloc_caller(cls->size, mtype, mflags | M_ZERO,
	    __builtin_return_address(0));
	if (obj != NULL)
		kobj_init(obj, cls);
	return (obj);
}

void
kobj_delete(kobj_t obj, struct malloc_type *mtype)
{
	kobj_class_t cls;

	cls = obj->ops->cls;
	os_lock(&kobj_lock);
	if (--cls->refs == 0) {
		os_free(cls->ops);
		cls->ops = NULL;
	}
	os_unlock(&kobj_lock);
	obj->ops = NULL;
	if (mtype != NULL)
		free(obj, mtype);
}
