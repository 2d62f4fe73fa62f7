/* XXH3, 64 bits: a fast hash that tells changed bytes from unchanged ones. xxh.c alone includes
 * xxhash.h. */
#pragma once

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

uint64_t xxh_of(const void *x, size_t bytes);

struct xxh; /* of what comes piece by piece */
struct xxh *xxh_new(struct err *e);
void xxh_add(struct xxh *h, const void *x, size_t bytes); /* h may be NULL */
uint64_t xxh_result(const struct xxh *h);
void xxh_free(struct xxh *h);
