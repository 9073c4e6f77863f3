#include <errno.h>
#include "boot_elf.h"
bool boot_freebsd_is(const struct boot_image *im) { (void)im; return (false); }
int boot_freebsd(struct boot *b) { return (BOOT_FAIL(b, -ENOSYS, "no FreeBSD protocol")); }
