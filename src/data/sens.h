/* Sensitivity kernels to maps: the inverse transform of a few frequencies, by products with small
 * matrices, eight pixels of all coils at a time, normalised and used while they are in registers.
 * Private to jsense.c. */
#pragma once

#include "base/err.h"

#include <complex.h>

struct sens;
/* Kernels (coil, k, k) whose element (row, col) is the centre of k-space; maps of (h, w). */
struct sens *sens_new(int coils, int k, int row, int col, int h, int w, struct err *e);
void sens_free(struct sens *s);
void sens_maps(struct sens *s, const float complex *kernels, float complex *maps);
void sens_combine(struct sens *s, const float complex *kernels, const float complex *images,
                  float complex *out, float *rss);
