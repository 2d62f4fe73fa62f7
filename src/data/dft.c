#include "data/dft.h"

#include "base/mem.h"

#include <math.h>
#include <string.h>

enum { LANES = 16, PAIR = LANES / 2, GROUP = 7 };
typedef float lanes __attribute__((vector_size(LANES * sizeof(float))));
typedef float lanes_at __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));

struct dft {
    int h, w, rows, cols;
    int half;          /* rows from the centre to the edge: h / 2 */
    int waves;         /* |frequency| along h: 0 … rows / 2, in whole groups */
    float *cos, *sin;  /* (half + 1, waves) / sqrt(h) */
    lanes *sum, *diff; /* (half + 1): rows at equal distance from the centre, of eight columns */
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
    d->half = h / 2;
    d->waves = whole(rows / 2 + 1, GROUP);
    d->wide = whole(cols, LANES);
    const size_t waves = (size_t)d->waves, wide = (size_t)d->wide, half = (size_t)d->half + 1;
    if (!(d->cos = mem_new(half * waves, sizeof(float), e)) ||
        !(d->sin = mem_new(half * waves, sizeof(float), e)) ||
        !(d->sum = mem_new(half, sizeof(lanes), e)) ||
        !(d->diff = mem_new(half, sizeof(lanes), e)) ||
        !(d->re = mem_new((size_t)w * wide, sizeof(float), e)) ||
        !(d->im = mem_new((size_t)w * wide, sizeof(float), e)) ||
        !(d->even = mem_new(2 * waves * (size_t)w, sizeof(float), e)) ||
        !(d->odd = mem_new(2 * waves * (size_t)w, sizeof(float), e))) {
        dft_free(d);
        return NULL;
    }
    for (int y = 0; y <= d->half; y++)
        for (int f = 0; f <= rows / 2; f++) {
            double turn = 2.0 * M_PI * f * y / h;
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
    void *const all[] = {d->sum, d->diff, d->cos, d->sin, d->re, d->im, d->even, d->odd};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        mem_free(all[i]);
    mem_free(d);
}

static lanes load(const float *from, int n)
{
    lanes v = {0};
    if (n == PAIR)
        v = *(const lanes_at *)from;
    else
        memcpy(&v, from, 2 * (size_t)n * sizeof *from);
    return v;
}

/* Sums and differences of the rows y before and behind the centre, columns [x, x + n): cosines
 * meet the ones, sines the others. */
static void fold_rows(struct dft *d, const float *image, int x, int n)
{
    const size_t line = 2 * (size_t)d->w;
    const float *centre = image + (size_t)d->half * line + 2 * (size_t)x;
    d->sum[0] = load(centre, n);
    for (int y = 1; y <= d->half; y++) {
        const lanes before = load(centre - (size_t)y * line, n);
        lanes behind = {0};
        if (y + d->half < d->h) behind = load(centre + (size_t)y * line, n);
        d->sum[y] = behind + before;
        d->diff[y] = behind - before;
    }
}

/* Products along the columns: one load serves a group of frequencies, and each its negative. */
static void transform_columns(struct dft *d, int x, int n)
{
    const size_t line = 2 * (size_t)d->w, size = 2 * (size_t)n * sizeof(float);
    for (int f = 0; f < d->waves; f += GROUP) {
        lanes even[GROUP] = {{0}}, odd[GROUP] = {{0}};
        const float *c = d->cos + f, *s = d->sin + f;
        for (int y = 0; y <= d->half; y++, c += d->waves, s += d->waves)
            for (int i = 0; i < GROUP; i++) {
                even[i] += c[i] * d->sum[y];
                odd[i] += s[i] * d->diff[y];
            }
        for (int i = 0; i < GROUP; i++) {
            size_t to = (size_t)(f + i) * line + 2 * (size_t)x;
            memcpy(d->even + to, even + i, size);
            memcpy(d->odd + to, odd + i, size);
        }
    }
}

static void store(lanes re, lanes im, int n, float complex *out)
{
    for (int i = 0; i < LANES && i < n; i++)
        out[i] = re[i] + im[i] * I;
}

/* Along the rows, for frequencies f and -f of the columns at once; either may be NULL. */
static void transform_rows(const struct dft *d, int f, float complex *plus, float complex *minus)
{
    const float *even = d->even + (size_t)f * 2 * (size_t)d->w;
    const float *odd = d->odd + (size_t)f * 2 * (size_t)d->w;
    for (int g = 0; g < d->cols; g += LANES) {
        lanes pr = {0}, pi = {0}, mr = {0}, mi = {0};
        const float *wr = d->re + g, *wi = d->im + g;
        for (int x = 0; x < d->w; x++, wr += d->wide, wi += d->wide) {
            const lanes a = *(const lanes_at *)wr, b = *(const lanes_at *)wi;
            /* (cos -+ i sin) times an image value */
            const float er = even[2 * x], ei = even[2 * x + 1];
            const float odr = odd[2 * x + 1], odi = -odd[2 * x];
            pr += (er + odr) * a;
            pr -= (ei + odi) * b;
            pi += (er + odr) * b;
            pi += (ei + odi) * a;
            mr += (er - odr) * a;
            mr -= (ei - odi) * b;
            mi += (er - odr) * b;
            mi += (ei - odi) * a;
        }
        if (plus) store(pr, pi, d->cols - g, plus + g);
        if (minus) store(mr, mi, d->cols - g, minus + g);
    }
}

void dft_centre(struct dft *d, const float complex *image, float complex *out)
{
    for (int x = 0; x < d->w; x += PAIR) {
        const int n = d->w - x < PAIR ? d->w - x : PAIR;
        fold_rows(d, (const float *)image, x, n);
        transform_columns(d, x, n);
    }
    const int zero = d->rows / 2; /* row of frequency 0 */
    for (int f = 0; f <= zero; f++)
        transform_rows(d, f, zero + f < d->rows ? out + (zero + f) * d->cols : NULL,
                       out + (zero - f) * d->cols);
}
