/* Memory: zeroed, 64-byte aligned (one cache line, one AVX-512 register), overflow-checked. */
#pragma once

#include "base/err.h"

#include <stddef.h>

/* `count` zeroed elements of `size` bytes; NULL with the error set when there is no memory.
 * A zero `count` gives a valid, empty allocation. Released with mem_free. */
void *mem_new(size_t count, size_t size, struct err *e);
void mem_free(void *p); /* NULL is legal */

/* A zeroed slab mapped in huge pages where the system grants them: for arenas of hundreds of MiB,
 * whose first touch is several times faster that way. Released with mem_slab_free, same size. */
void *mem_slab_new(size_t bytes, struct err *e);
void mem_slab_free(void *p, size_t bytes);

/* Bytes rounded up to whole cache lines: what lies behind so many is aligned as well. */
static inline size_t mem_lines(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

/* The resident set of this process in bytes, now and at its peak; 0 where /proc is absent. */
size_t mem_resident(void);
size_t mem_resident_peak(void);
