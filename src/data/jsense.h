/* JSENSE (Ying & Sheng 2007) in sigpy's formulation: coil sensitivities and image of the
 * calibration region are small kernels in k-space, alternately solved by conjugate gradients. See
 * jsense.c for the equations. */
#pragma once

#include "base/cfg.h"
#include "base/err.h"

#include <complex.h>

struct jsense_conf {
    int kernel;         /* side of a sensitivity kernel, k-space samples */
    double calibration; /* side of the calibration square as a fraction of the phase width */
    int iterations, inner_iterations;
    double lambda;
};
extern const struct cfg_field jsense_fields[];

struct jsense; /* work space for one (coils, h, w) */
struct jsense *jsense_new(const struct jsense_conf *c, int coils, int h, int w, struct err *e);
void jsense_free(struct jsense *j);

/* Sensitivity kernels (coil, kernel, kernel) from fully sampled k-space (coil, h, w). */
int jsense_kernels(struct jsense *j, const float complex *kspace, float complex *kernels,
                   struct err *e);
/* Kernels -> maps (coil, h, w) with unit root-sum-of-squares; 0 where all coils are 0. */
void jsense_maps(struct jsense *j, const float complex *kernels, float complex *maps);
/* sum_c conj(maps_c) image_c; (coil, h, w) x 2 -> (h, w). */
void coils_combine(const float complex *maps, const float complex *images, int coils, int h, int w,
                   float complex *out);
/* sqrt(sum_c |image_c|^2) */
void coils_rss(const float complex *images, int coils, int h, int w, float *out);
