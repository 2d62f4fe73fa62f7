/* What the transforms (winograd_tile.c, winograd_weights.c) and the products (winograd_product.c)
 * share: a line of 16 channels as a vector, and where it lies. */
#pragma once

#include "nn/winograd_tile.h"

#include <string.h>

#define INLINE static inline __attribute__((always_inline))

enum { LANES = WINO_LANES, TILE = 4, SIDE = 6 }; /* pixels of a tile, and points */

static const float A = 0.70710678118654752f, B = 1.41421356237309505f; /* the points ±A, ±B */

typedef float vec __attribute__((vector_size(64)));
typedef float half __attribute__((vector_size(32)));
typedef float quarter __attribute__((vector_size(16)));

INLINE void load(vec *v, const float *p)
{
    memcpy(v, p, sizeof *v);
}
INLINE void store(float *p, const vec *v)
{
    memcpy(p, v, sizeof *v);
}

INLINE size_t place_of(struct wino_layout l, int block, int tile)
{
    return (size_t)block * l.tiles * LANES + (size_t)(tile * (block < l.full ? LANES : l.tail));
}
