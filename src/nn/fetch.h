/* Fetching ahead by hand, for loops that memory bounds: they follow several rows at once, or stop
 * and go, and the processor does not see in time what comes next. What is to be written is fetched
 * as well, so that no store waits for its line. Addresses may lie beyond the end of the data. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { FETCH_AHEAD = 512, FETCH_LINE = 16 }; /* floats: how far, and what one fetch brings */

static inline const void *fetch_address(const float *x, size_t at)
{
    return (const void *)((uintptr_t)x + (at + FETCH_AHEAD) * sizeof *x);
}

/* The lines of `len` floats, FETCH_AHEAD behind x. */
static inline void fetch_to_read(const float *x, size_t len)
{
    for (size_t i = 0; i < len; i += FETCH_LINE)
        __builtin_prefetch(fetch_address(x, i), 0);
}

static inline void fetch_to_write(const float *x, size_t len)
{
    for (size_t i = 0; i < len; i += FETCH_LINE)
        __builtin_prefetch(fetch_address(x, i), 1);
}
