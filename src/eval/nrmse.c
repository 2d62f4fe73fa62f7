/* Normalised root mean squared error: |image - reference| / |reference|, Euclidean norms. */
#include "eval/range.h"

#include <math.h>
#include <stdio.h>

static int score(void *state, const void *conf, const struct metric_pair *pair, double *out,
                 struct err *e)
{
    (void)state;
    (void)conf;
    if (images_check(pair, e)) return -1;
    const float *reference = pair->reference, *image = pair->image;
    const size_t n = (size_t)pair->h * (size_t)pair->w;
    double square = 0.0, norm = 0.0;
#pragma omp simd reduction(+ : square, norm)
    for (size_t i = 0; i < n; i++) {
        double r = (double)reference[i], d = (double)image[i] - r;
        square += d * d;
        norm += r * r;
    }
    if (!(norm > 0.0)) return err_set(e, ERR_DATA, "the reference is zero everywhere");
    *out = sqrt(square / norm);
    return 0;
}

static void variant(const void *conf, char *text, int size)
{
    (void)conf;
    snprintf(text, (size_t)size,
             "per image, Euclidean norm of the difference over the reference's");
}

const struct metric metric_nrmse = {
    .kind = {"nrmse", "norm of the difference over the norm of the reference", NULL, 0},
    .label = "NRMSE",
    .unit = "",
    .better = -1,
    .score = score,
    .variant = variant,
};
