#include "data/dft.h"

#include "base/mem.h"

#include <math.h>
#include <string.h>

enum { LANES = 16, PAIR = LANES / 2, GROUP = 6 };
typedef float lanes __attribute__((vector_size(LANES * sizeof(float))));
typedef float lanes_at __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));

struct dft {
    int h, w, rows, cols;
    int waves;         /* |frequency| along h: 0 … rows / 2, in whole groups */
    float *cos, *sin;  /* (h, waves) / sqrt(h) */
    int wide;          /* cols in whole vectors */
    float *re, *im;    /* (w, wide): exp(-2 pi i g x / w) / sqrt(w) */
    float *even, *odd; /* (waves, w) complex: the image times cos, times sin */
};

static int whole(int n, int part)
{
    return (n + part - 1) / part * part;
}

struct dft *dft_new(int h, int w, int rows, int cols, struct err *e)
{
    struct dft *d = mem_new(1, sizeof *d, e);
    if (!d) return NULL;
    *d = (struct dft){.h = h, .w = w, .rows = rows, .cols = cols};
    d->waves = whole(rows / 2 + 1, GROUP);
    d->wide = whole(cols, LANES);
    const size_t waves = (size_t)d->waves, wide = (size_t)d->wide;
    if (!(d->cos = mem_new((size_t)h * waves, sizeof(float), e)) ||
        !(d->sin = mem_new((size_t)h * waves, sizeof(float), e)) ||
        !(d->re = mem_new((size_t)w * wide, sizeof(float), e)) ||
        !(d->im = mem_new((size_t)w * wide, sizeof(float), e)) ||
        !(d->even = mem_new(2 * waves * (size_t)w, sizeof(float), e)) ||
        !(d->odd = mem_new(2 * waves * (size_t)w, sizeof(float), e))) {
        dft_free(d);
        return NULL;
    }
    for (int y = 0; y < h; y++)
        for (int f = 0; f <= rows / 2; f++) {
            double turn = 2.0 * M_PI * f * (y - h / 2) / h;
            d->cos[(size_t)y * waves + (size_t)f] = (float)(cos(turn) / sqrt(h));
            d->sin[(size_t)y * waves + (size_t)f] = (float)(sin(turn) / sqrt(h));
        }
    for (int x = 0; x < w; x++)
        for (int g = 0; g < cols; g++) {
            double turn = 2.0 * M_PI * (g - cols / 2) * (x - w / 2) / w;
            d->re[(size_t)x * wide + (size_t)g] = (float)(cos(turn) / sqrt(w));
            d->im[(size_t)x * wide + (size_t)g] = (float)(-sin(turn) / sqrt(w));
        }
    return d;
}

void dft_free(struct dft *d)
{
    if (!d) return;
    float *const all[] = {d->cos, d->sin, d->re, d->im, d->even, d->odd};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        mem_free(all[i]);
    mem_free(d);
}

/* Sums down the columns [x, x + n) of the image: one load serves a group of frequencies, and each
 * of them its negative. */
static void fold_columns(struct dft *d, const float *image, int x, int n)
{
    const size_t line = 2 * (size_t)d->w, size = 2 * (size_t)n * sizeof(float);
    for (int f = 0; f < d->waves; f += GROUP) {
        lanes even[GROUP] = {{0}}, odd[GROUP] = {{0}};
        const float *c = d->cos + f, *s = d->sin + f, *at = image + 2 * (size_t)x;
        for (int y = 0; y < d->h; y++, c += d->waves, s += d->waves, at += line) {
            lanes v = {0};
            if (n == PAIR)
                v = *(const lanes_at *)at;
            else
                memcpy(&v, at, size);
            for (int i = 0; i < GROUP; i++) {
                even[i] += c[i] * v;
                odd[i] += s[i] * v;
            }
        }
        for (int i = 0; i < GROUP; i++) {
            size_t to = (size_t)(f + i) * line + 2 * (size_t)x;
            memcpy(d->even + to, even + i, size);
            memcpy(d->odd + to, odd + i, size);
        }
    }
}

/* One row of the result: frequency f = -rows / 2 + row along h. */
static void unfold_row(const struct dft *d, int row, float complex *out)
{
    const int f = row - d->rows / 2;
    const float sign = f < 0 ? -1.0f : 1.0f;
    const size_t wave = (size_t)(f < 0 ? -f : f) * 2 * (size_t)d->w;
    const float *even = d->even + wave, *odd = d->odd + wave;
    for (int g = 0; g < d->cols; g += LANES) {
        lanes re = {0}, im = {0};
        const float *wr = d->re + g, *wi = d->im + g;
        for (int x = 0; x < d->w; x++, wr += d->wide, wi += d->wide) {
            lanes a = *(const lanes_at *)wr, b = *(const lanes_at *)wi;
            /* cos - i sin, times an image value */
            float tr = even[2 * x] + sign * odd[2 * x + 1];
            float ti = even[2 * x + 1] - sign * odd[2 * x];
            re += tr * a;
            re -= ti * b;
            im += tr * b;
            im += ti * a;
        }
        for (int i = 0; i < LANES && g + i < d->cols; i++)
            out[g + i] = re[i] + im[i] * I;
    }
}

void dft_centre(struct dft *d, const float complex *image, float complex *out)
{
    for (int x = 0; x < d->w; x += PAIR)
        fold_columns(d, (const float *)image, x, d->w - x < PAIR ? d->w - x : PAIR);
    for (int row = 0; row < d->rows; row++)
        unfold_row(d, row, out + (size_t)row * (size_t)d->cols);
}
