/* JSENSE (Ying & Sheng 2007) in sigpy's formulation: coil sensitivities and image of the
 * calibration region are small kernels in k-space, alternately solved by conjugate gradients. See
 * jsense_model.h for the equations. */
#pragma once

#include "base/cfg.h"
#include "base/err.h"

#include <complex.h>
#include <stdbool.h>

struct jsense_conf {
    int kernel;         /* side of a sensitivity kernel, k-space samples */
    double calibration; /* side of the calibration square as a fraction of the phase width */
    int iterations, inner_iterations;
    double lambda;
    const char *maps; /* folder of maps made elsewhere (maps_file.h); "" or NULL: none */
};
extern const struct cfg_field jsense_fields[];
static inline bool jsense_given(const struct jsense_conf *c)
{
    return c->maps && *c->maps;
}

struct jsense { /* work space of one thread for one (coils, h, w) */
    struct jsense_conf conf;
    int coils, h, w;
    int rows, cols;             /* of the calibration square, the middle of k-space (h, w) */
    struct jsense_model *model; /* private, as what follows */
    struct sens *sens;
};
struct jsense *jsense_new(const struct jsense_conf *c, int coils, int h, int w, struct err *e);
void jsense_free(struct jsense *j);

/* The calibration square of k-space (coil, h, w): (coil, rows, cols). */
void jsense_square(const struct jsense *j, const float complex *kspace, float complex *square);
/* Sensitivity kernels (coil, kernel, kernel) from the calibration square (coil, rows, cols). False,
 * with kernels of 0, when the square holds only zeros. */
bool jsense_kernels(struct jsense *j, const float complex *square, float complex *kernels);

/* Kernels -> maps (coil, h, w) with unit root-sum-of-squares; 0 where all coils are 0. */
void jsense_maps(struct jsense *j, const float complex *kernels, float complex *maps);
/* sum_c conj(maps_c) image_c with the maps of the kernels, which are never stored, and, where rss
 * is not NULL, the root-sum-of-squares: images (coil, h, w) -> out (h, w), rss (h, w). */
void jsense_combine(struct jsense *j, const float complex *kernels, const float complex *images,
                    float complex *out, float *rss);

/* The same of maps at hand. */
void coils_combine(const float complex *maps, const float complex *images, int coils, int h, int w,
                   float complex *out);
/* Divides maps (coil, h, w) by their root-sum-of-squares; 0 stays 0. */
void coils_unit_rss(float complex *maps, int coils, int h, int w);
/* sqrt(sum_c |image_c|^2) */
void coils_rss(const float complex *images, int coils, int h, int w, float *out);
