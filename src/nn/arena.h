/* Where tensors lie in one block of memory. A span is alive at every time from..to, both included;
 * spans that are alive at one time never share a byte. */
#pragma once

#include <stddef.h>

struct span {
    size_t bytes;
    int from, to;
    size_t offset; /* found by arena_place */
};

enum { ARENA_ALIGN = 64 };

/* Gives every span an offset, a multiple of ARENA_ALIGN: largest first, each at the lowest place
 * that is free during its whole life. Returns the bytes of the block. `order` is room for n
 * numbers. */
size_t arena_place(struct span *s, int n, int *order);
