/* Eight complex numbers, real and imaginary parts alternating, in one vector of the compiler's. */
#pragma once

#include <complex.h>
#include <string.h>

enum { LANES = 16, LANES_COMPLEX = LANES / 2 };
typedef float lanes __attribute__((vector_size(LANES * sizeof(float))));

/* (im, re) of every (re, im). */
static inline lanes lanes_swapped(lanes v)
{
    return __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
}

/* (-re, im) */
static inline lanes lanes_real_negated(lanes v)
{
    return v * (lanes){-1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1};
}

/* i v */
static inline lanes lanes_times_i(lanes v)
{
    return lanes_real_negated(lanes_swapped(v));
}

/* The first n of them from memory, the others 0. */
static inline lanes lanes_load(const float complex *from, int n)
{
    lanes v = {0};
    if (n == LANES_COMPLEX)
        memcpy(&v, from, sizeof v);
    else
        memcpy(&v, from, (size_t)n * sizeof *from);
    return v;
}
