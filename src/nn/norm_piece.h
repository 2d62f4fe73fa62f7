/* The passes of a norm over a piece of an image. All run over `tiles`: as many pixels as make whole
 * columns, beside coefficients repeated as often, so that any number of channels is as fast as any
 * other. Eight tiles are a `block`; sums over the rows of a block stay in registers.
 *
 * With z = (x - mean) scale + shift the result is y = drop(relu(z)); backward finds the sign of z
 * again by the same expression. No state, no memory, no threads. */
#pragma once

#include <stddef.h>

enum { NORM_LANES = 16, NORM_ROWS = 8 }; /* floats of a column; tiles of a block */

struct norm_piece {
    const float *x;
    size_t len, tile; /* floats; tile: whole columns */
    /* Rows of `tile` coefficients: mean, scale, shift; for norm_apply_back also a, b, d. */
    const float *mean;
    float slope, survivor;     /* of the ReLU, 1: none; what dropout multiplies by */
    const unsigned char *mask; /* of dropout (nn/dropout.h), at the piece; NULL: none */
};

/* The sums of x and x^2 over each column place, to s[0] … and s[tile] … */
void norm_sum(const struct norm_piece *p, double *s);
void norm_apply(const struct norm_piece *p, float *y);
/* With g the gradient of z that dy makes: the sums of g and g (x - mean), likewise. */
void norm_sum_back(const struct norm_piece *p, const float *dy, double *s);
/* dx = a g + b (x - mean) + d; dx may be dy. */
void norm_apply_back(const struct norm_piece *p, const float *dy, float *dx);
