/* Gaussian blur: the sampled Gaussian of sigma `level` cut at round(4 sigma), normalised, along
 * both axes; beyond its edges the image is mirrored, the edge pixel repeated (d c b a | a b c d | d
 * c b a). The same as scipy.ndimage.gaussian_filter(x, level, mode="reflect", truncate=4). */
#include "base/mem.h"
#include "eval/perturb.h"

#include <math.h>
#include <string.h>

struct blur_conf {
    double extent;
};

static const struct cfg_field fields[] = {
    CFG_REAL(struct blur_conf, extent, "4.5", 1e-6, 100, "px", "largest sigma"), CFG_END};

static double extent(const void *conf)
{
    return ((const struct blur_conf *)conf)->extent;
}

/* The index in [0, n) of which `i`, any integer, is the mirror image. */
static int mirror(int i, int n)
{
    i %= 2 * n;
    if (i < 0) i += 2 * n;
    return i < n ? i : 2 * n - 1 - i;
}

/* y (h, w) = x blurred down the columns. The kernel is (2 radius + 1). */
static void blur_columns(const double *kernel, int radius, const float *x, int h, int w, double *y)
{
    for (int i = 0; i < h; i++) {
        double *to = y + (size_t)i * (size_t)w;
        for (int k = -radius; k <= radius; k++) {
            const float *from = x + (size_t)mirror(i + k, h) * (size_t)w;
            for (int j = 0; j < w; j++)
                to[j] += kernel[k + radius] * (double)from[j];
        }
    }
}

/* y (w) = the row x blurred; `padded` has room for w + 2 radius. */
static void blur_row(const double *kernel, int radius, const double *x, int w, double *padded,
                     float *y)
{
    for (int j = -radius; j < w + radius; j++)
        padded[j + radius] = x[mirror(j, w)];
    for (int j = 0; j < w; j++) {
        double sum = 0.0;
        for (int k = 0; k <= 2 * radius; k++)
            sum += kernel[k] * padded[j + k];
        y[j] = (float)sum;
    }
}

static int apply(const void *conf, double level, struct rng rng, const float *x, int h, int w,
                 float *y, struct err *e)
{
    (void)conf;
    (void)rng;
    int radius = (int)(4.0 * level + 0.5), rc = -1;
    double *kernel = mem_new(2 * (size_t)radius + 1, sizeof *kernel, e);
    double *padded = mem_new((size_t)w + 2 * (size_t)radius, sizeof *padded, e);
    double *half = mem_new((size_t)h * (size_t)w, sizeof *half, e), sum = 0.0;
    if (!kernel || !padded || !half) goto out;
    rc = 0;
    if (radius == 0) { /* the kernel is one pixel */
        memcpy(y, x, (size_t)h * (size_t)w * sizeof *x);
        goto out;
    }
    for (int k = -radius; k <= radius; k++)
        sum += kernel[k + radius] = exp(-0.5 * k * k / (level * level));
    for (int k = 0; k <= 2 * radius; k++)
        kernel[k] /= sum;
    blur_columns(kernel, radius, x, h, w, half);
    for (int i = 0; i < h; i++)
        blur_row(kernel, radius, half + (size_t)i * (size_t)w, w, padded,
                 y + (size_t)i * (size_t)w);
out:
    mem_free(kernel);
    mem_free(padded);
    mem_free(half);
    return rc;
}

const struct perturb perturb_blur = {
    .kind = {"blur", "Gaussian blur", fields, sizeof(struct blur_conf)},
    .label = "Gaussian blur σ",
    .unit = "px",
    .extent = extent,
    .apply = apply,
};
