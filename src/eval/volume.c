#include "eval/volume.h"

#include "base/mem.h"

#include <math.h>
#include <string.h>

enum { SIDE = 7, MOMENTS = 5 };

int volume_init(struct volume *v, int h, int w, double maximum, struct err *e)
{
    *v = (struct volume){.h = h, .w = w, .maximum = maximum};
    if (h < SIDE || w < SIDE)
        return err_set(e, ERR_DATA, "an image of %dx%d is smaller than the %dx%d window of SSIM", h,
                       w, SIDE, SIDE);
    v->rows = mem_new((size_t)w * MOMENTS, sizeof *v->rows, e);
    return v->rows ? 0 : -1;
}

void volume_release(struct volume *v)
{
    mem_free(v->rows);
    *v = (struct volume){0};
}

/* Sums of a, b, a^2, b^2, ab over the rows of the windows whose first row is `top`, by column. */
static void sum_columns(const struct volume *v, const float *a, const float *b, int top)
{
    size_t w = (size_t)v->w;
    double *a1 = v->rows, *b1 = a1 + w, *a2 = b1 + w, *b2 = a2 + w, *ab = b2 + w;
    memset(v->rows, 0, MOMENTS * w * sizeof *v->rows);
    for (size_t i = (size_t)top; i < (size_t)top + SIDE; i++)
        for (size_t j = 0; j < w; j++) {
            double x = (double)a[i * w + j], y = (double)b[i * w + j];
            a1[j] += x;
            b1[j] += y;
            a2[j] += x * x;
            b2[j] += y * y;
            ab[j] += x * y;
        }
}

static double window_ssim(const struct volume *v, int left)
{
    const double n = SIDE * SIDE, sample = n / (n - 1.0);
    const double c1 = 1e-4 * v->maximum * v->maximum, c2 = 9e-4 * v->maximum * v->maximum;
    double m[MOMENTS] = {0};
    for (int q = 0; q < MOMENTS; q++)
        for (int k = 0; k < SIDE; k++)
            m[q] += v->rows[(size_t)q * (size_t)v->w + (size_t)(left + k)] / n;
    double aa = sample * (m[2] - m[0] * m[0]), bb = sample * (m[3] - m[1] * m[1]);
    double ab = sample * (m[4] - m[0] * m[1]);
    return (2.0 * m[0] * m[1] + c1) * (2.0 * ab + c2) /
           ((m[0] * m[0] + m[1] * m[1] + c1) * (aa + bb + c2));
}

void volume_add(struct volume *v, const float *reference, const float *image)
{
    for (size_t i = 0, n = (size_t)v->h * (size_t)v->w; i < n; i++) {
        double r = (double)reference[i], d = (double)image[i] - r;
        v->square += d * d;
        v->norm += r * r;
    }
    double sum = 0.0;
    for (int top = 0; top + SIDE <= v->h; top++) {
        sum_columns(v, reference, image, top);
        for (int left = 0; left + SIDE <= v->w; left++)
            sum += window_ssim(v, left);
    }
    v->ssim += sum / ((double)(v->h - SIDE + 1) * (double)(v->w - SIDE + 1));
    v->slices++;
}

struct volume_scores volume_scores(const struct volume *v)
{
    if (!(v->maximum > 0.0) || !v->slices) return (struct volume_scores){NAN, NAN, NAN};
    double mean = v->square / ((double)v->slices * (double)v->h * (double)v->w);
    return (struct volume_scores){.psnr = mean > 0.0 ? 10.0 * log10(v->maximum * v->maximum / mean)
                                                     : INFINITY,
                                  .ssim = v->ssim / v->slices,
                                  .nmse = v->square / v->norm};
}
