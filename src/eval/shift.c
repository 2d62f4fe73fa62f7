/* Shift in x by a fraction of a pixel: the rows are rolled (periodic), between the pixels the image
 * is its interpolating cubic spline (paper section 2.3 rolls "with tricubic interpolation"). A
 * positive level moves the content towards larger x. The same as scipy.ndimage.shift(x, (0, level),
 * order=3, mode="grid-wrap").
 *
 * The cubic spline through x is sum_k c_k B(t - k) with c = (sqrt 3 z^|m|) * x, z = sqrt 3 - 2
 * (Unser, IEEE Signal Processing Magazine 16(6), 1999, eqs. 5 and 13), B the cubic B-spline. A
 * shift by d samples it at j - d: that is one convolution of the row with a fixed kernel, the four
 * values of B at the distance in question convolved with sqrt 3 z^|m|. As |z|^32 < 1e-18, 68 taps
 * are exact. */
#include "eval/perturb.h"

#include <math.h>
#include <stdlib.h>

enum { REACH = 32, TAPS = 2 * REACH + 4 };

struct shift_conf {
    double extent;
};

static const struct cfg_field fields[] = {
    CFG_REAL(struct shift_conf, extent, "1.2", 1e-6, 1e3, "px", "largest shift"), CFG_END};

static double extent(const void *conf)
{
    return ((const struct shift_conf *)conf)->extent;
}

/* tap[k] is the weight of x[j - (k - REACH - 1)] in y[j], for a shift by `part` in (0, 1). */
static void make_taps(double part, double tap[TAPS])
{
    const double t = part, u = 1.0 - part, z = sqrt(3.0) - 2.0;
    /* B at the distance from sample m = -1, 0, 1, 2 to the point `part`. */
    const double b[4] = {u * u * u / 6.0, 2.0 / 3.0 - t * t * (2.0 - t) / 2.0,
                         2.0 / 3.0 - u * u * (2.0 - u) / 2.0, t * t * t / 6.0};
    for (int k = 0; k < TAPS; k++) {
        tap[k] = 0.0;
        for (int m = -1; m <= 2; m++)
            tap[k] += b[m + 1] * sqrt(3.0) * pow(z, abs(k - REACH - 1 - m));
    }
}

static int apply(const void *conf, double level, struct rng rng, const float *x, int h, int w,
                 float *y, struct err *e)
{
    (void)conf;
    (void)rng;
    (void)e;
    double tap[TAPS], whole = floor(level), part = level - whole;
    make_taps(part, tap);
    int roll = (int)(whole - floor(whole / w) * w); /* in [0, w) */
    for (int i = 0; i < h; i++) {
        const float *from = x + (size_t)i * (size_t)w;
        float *to = y + (size_t)i * (size_t)w;
        for (int j = 0; j < w; j++) {
            int at = (j - roll + w) % w;
            if (part == 0.0) {
                to[j] = from[at];
                continue;
            }
            double sum = 0.0;
            at = (at + (REACH + 1)) % w;
            for (int k = 0; k < TAPS; k++) {
                sum += tap[k] * (double)from[at];
                at = at > 0 ? at - 1 : w - 1;
            }
            to[j] = (float)sum;
        }
    }
    return 0;
}

const struct perturb perturb_shift = {
    .kind = {"shift", "rows rolled by a fraction of a pixel, periodic cubic spline", fields,
             sizeof(struct shift_conf)},
    .label = "Pixel shift in x",
    .unit = "px",
    .difference = true,
    .extent = extent,
    .apply = apply,
};
