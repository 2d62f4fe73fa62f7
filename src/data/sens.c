#include "data/sens.h"

#include "base/mem.h"
#include "data/lanes.h"

#include <math.h>
#include <string.h>

enum {
    ROWS = 16
}; /* worked on together: of every coil a few pages, which the processor finds fast */

struct sens {
    int coils, k, h, w;
    float *down;          /* (h, 2, k): real and imaginary parts of exp(2 pi i (v - row) y / h) */
    float complex *along; /* (w, k), likewise; both with 1 / sqrt of the side */
    lanes *line;          /* (strip of eight columns, coil, k): kernels transformed along w */
    lanes *map;           /* (coil): maps at eight pixels of a row */
};

struct sens *sens_new(int coils, int k, int row, int col, int h, int w, struct err *e)
{
    struct sens *s = mem_new(1, sizeof *s, e);
    if (!s) return NULL;
    *s = (struct sens){.coils = coils, .k = k, .h = h, .w = w};
    const size_t n = (size_t)k, c = (size_t)coils;
    const size_t strips = (size_t)(w + LANES_COMPLEX - 1) / LANES_COMPLEX;
    if (!(s->down = mem_new(2 * n * (size_t)h, sizeof *s->down, e)) ||
        !(s->along = mem_new(n * (size_t)w, sizeof *s->along, e)) ||
        !(s->line = mem_new(strips * c * n, sizeof *s->line, e)) ||
        !(s->map = mem_new(c, sizeof *s->map, e))) {
        sens_free(s);
        return NULL;
    }
    for (int y = 0; y < h; y++)
        for (int v = 0; v < k; v++) {
            double turn = 2.0 * M_PI * (v - row) * (y - h / 2) / h;
            s->down[2 * k * y + v] = (float)(cos(turn) / sqrt(h));
            s->down[2 * k * y + k + v] = (float)(sin(turn) / sqrt(h));
        }
    for (int x = 0; x < w; x++)
        for (int u = 0; u < k; u++) {
            double turn = 2.0 * M_PI * (u - col) * (x - w / 2) / w;
            s->along[k * x + u] = (float complex)(cexp(turn * I) / sqrt(w));
        }
    return s;
}

void sens_free(struct sens *s)
{
    if (!s) return;
    mem_free(s->down);
    mem_free(s->along);
    mem_free(s->line);
    mem_free(s->map);
    mem_free(s);
}

/* line = the rows of every kernel, transformed. */
static void transform_lines(struct sens *s, const float complex *kernels)
{
    const int k = s->k, rows = s->coils * k;
    for (int x = 0; x < s->w; x++) {
        const float complex *e = s->along + (size_t)x * (size_t)k;
        float *to = (float *)(s->line + x / LANES_COMPLEX * rows) + 2 * (x % LANES_COMPLEX);
        for (int i = 0; i < rows; i++) {
            float re = 0.0f, im = 0.0f;
            for (int u = 0; u < k; u++) {
                float ar = crealf(kernels[i * k + u]), ai = cimagf(kernels[i * k + u]);
                re += ar * crealf(e[u]) - ai * cimagf(e[u]);
                im += ar * cimagf(e[u]) + ai * crealf(e[u]);
            }
            to[i * LANES] = re;
            to[i * LANES + 1] = im;
        }
    }
}

/* Both elements of a pair become their sum. */
static lanes pair_sum(lanes v)
{
    return v + lanes_swapped(v);
}

/* map = all coils at row y of a strip, not normalised; returns 1 / their root-sum-of-squares, or 0.
 */
static lanes transform_row(struct sens *s, int x, int y)
{
    const int k = s->k;
    const float *re = s->down + (size_t)(2 * k) * (size_t)y, *im = re + k;
    lanes total = {0};
    for (int c = 0; c < s->coils; c++) {
        const lanes *line = s->line + (x / LANES_COMPLEX * s->coils + c) * k;
        lanes a = {0}, b = {0};
        for (int v = 0; v < k; v++) {
            a += re[v] * line[v];
            b += im[v] * line[v];
        }
        lanes m = a + lanes_times_i(b);
        s->map[c] = m;
        total += m * m;
    }
    total = pair_sum(total);
    lanes scale;
    for (int i = 0; i < LANES; i++)
        scale[i] = total[i] > 0.0f ? 1.0f / sqrtf(total[i]) : 0.0f;
    return scale;
}

static int strip_width(const struct sens *s, int x)
{
    return s->w - x < LANES_COMPLEX ? s->w - x : LANES_COMPLEX;
}

/* The maps at a strip of row y, columns from x on. */
static void store_maps(struct sens *s, int x, int y, float complex *maps)
{
    const size_t plane = (size_t)s->h * (size_t)s->w, n = (size_t)strip_width(s, x);
    float complex *to = maps + (size_t)y * (size_t)s->w + (size_t)x;
    const lanes scale = transform_row(s, x, y);
    for (int c = 0; c < s->coils; c++) {
        const lanes m = scale * s->map[c];
        memcpy(to + (size_t)c * plane, &m, n * sizeof *to);
    }
}

void sens_maps(struct sens *s, const float complex *kernels, float complex *maps)
{
    transform_lines(s, kernels);
    for (int top = 0; top < s->h; top += ROWS)
        for (int x = 0; x < s->w; x += LANES_COMPLEX)
            for (int y = top; y < s->h && y < top + ROWS; y++)
                store_maps(s, x, y, maps);
}

/* The same place of the combined image. */
static void combine(struct sens *s, int x, int y, const float complex *images, float complex *out,
                    float *rss)
{
    const size_t plane = (size_t)s->h * (size_t)s->w;
    const size_t at = (size_t)y * (size_t)s->w + (size_t)x;
    const int n = strip_width(s, x);
    const lanes scale = transform_row(s, x, y);
    lanes re = {0}, im = {0}, energy = {0};
    for (int c = 0; c < s->coils; c++) {
        const lanes v = lanes_load(images + (size_t)c * plane + at, n), m = s->map[c];
        re += m * v;                /* mr vr, mi vi */
        im += m * lanes_swapped(v); /* mr vi, mi vr */
        energy += v * v;
    }
    re = scale * pair_sum(re);
    im = scale * pair_sum(lanes_real_negated(im));
    energy = pair_sum(energy);
    for (int i = 0; i < n; i++) {
        out[at + (size_t)i] = re[2 * i] - im[2 * i] * I;
        if (rss) rss[at + (size_t)i] = sqrtf(energy[2 * i]);
    }
}

void sens_combine(struct sens *s, const float complex *kernels, const float complex *images,
                  float complex *out, float *rss)
{
    transform_lines(s, kernels);
    for (int top = 0; top < s->h; top += ROWS)
        for (int x = 0; x < s->w; x += LANES_COMPLEX)
            for (int y = top; y < s->h && y < top + ROWS; y++)
                combine(s, x, y, images, out, rss);
}
