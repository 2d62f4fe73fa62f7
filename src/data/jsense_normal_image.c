#include "data/jsense_normal.h"

#include "base/mem.h"

#include <string.h>

enum { LANES = 16, STRIP = 4, FEWEST_COILS = 4 };
static const size_t MOST_BYTES = (size_t)16 << 20;

typedef float lanes __attribute__((vector_size(LANES * sizeof(float))));
typedef float lanes_at __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));

/* Images are rows of `side` samples without gaps, so that a displacement d is one offset in memory;
 * where it leaves the image, N is zero. */
struct normal_image {
    int k, side, rows; /* of the image: cols + k-1, rows + k-1 */
    int blocks;        /* of LANES samples, a whole number of strips */
    int reach, taps;   /* 2 k - 1; reach^2 and, where that is odd, one more that is zero */
    size_t pad;        /* samples before and behind an image */
    float *matrix;     /* (blocks, taps, 2, LANES) */
    float *products;   /* (2, k^2, k^2): H */
    float *mask;       /* P in the geometry of images, padded */
    float *xr, *xi;    /* image to multiply with, padded */
};

static size_t matrix_floats(const struct jsense_model *j)
{
    const size_t side = (size_t)(j->cols + j->k - 1), rows = (size_t)(j->rows + j->k - 1);
    const size_t strip = LANES * STRIP, reach = (size_t)(2 * j->k - 1);
    return (side * rows + strip - 1) / strip * strip * 2 * (reach * reach + 1);
}

bool normal_image_pays(const struct jsense_model *j)
{
    return j->coils >= FEWEST_COILS && matrix_floats(j) * sizeof(float) <= MOST_BYTES;
}

struct normal_image *normal_image_new(const struct jsense_model *j, struct err *e)
{
    struct normal_image *n = mem_new(1, sizeof *n, e);
    if (!n) return NULL;
    n->k = j->k;
    n->side = j->cols + j->k - 1;
    n->rows = j->rows + j->k - 1;
    n->blocks = (n->side * n->rows + LANES * STRIP - 1) / (LANES * STRIP) * STRIP;
    n->reach = 2 * j->k - 1;
    n->taps = (n->reach * n->reach + 1) / 2 * 2;
    n->pad = (size_t)((j->k - 1) * (n->side + 1) + LANES);
    const size_t padded = (size_t)(n->blocks * LANES) + 2 * n->pad, one = sizeof(float);
    if ((n->matrix = mem_new(matrix_floats(j), one, e)) &&
        (n->products = mem_new(2 * (size_t)(j->k * j->k) * (size_t)(j->k * j->k), one, e)) &&
        (n->mask = mem_new(padded, one, e)) && (n->xr = mem_new(padded, one, e)) &&
        (n->xi = mem_new(padded, one, e)))
        return n;
    normal_image_free(n);
    return NULL;
}

void normal_image_free(struct normal_image *n)
{
    if (!n) return;
    float *const all[] = {n->matrix, n->products, n->mask, n->xr, n->xi};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        mem_free(all[i]);
    mem_free(n);
}

static void coil_products(struct normal_image *n, const struct jsense_model *j)
{
    const int kk = j->k * j->k;
    float *hr = n->products, *hi = hr + (size_t)kk * (size_t)kk;
    memset(hr, 0, 2 * (size_t)kk * (size_t)kk * sizeof *hr);
    for (int c = 0; c < j->coils; c++) {
        const float *re = j->maps + (size_t)(2 * c) * (size_t)kk, *im = re + kk;
        for (int q = 0; q < kk; q++)
            for (int o = 0; o < kk; o++) {
                hr[q * kk + o] += re[q] * re[o] + im[q] * im[o];
                hi[q * kk + o] += re[q] * im[o] - im[q] * re[o];
            }
    }
}

/* N[s, s + d] of a strip of samples from s on, d = (dy, dx). */
static void tap(struct normal_image *n, size_t s, int dy, int dx, float *to, size_t next)
{
    const int k = n->k, kk = k * k;
    const float *hr = n->products, *hi = hr + (size_t)kk * (size_t)kk;
    lanes re[STRIP] = {{0}}, im[STRIP] = {{0}};
    for (int v = dy > 0 ? dy : 0; v < k && v - dy < k; v++)
        for (int u = dx > 0 ? dx : 0; u < k && u - dx < k; u++) {
            const int q = v * k + u, other = q - dy * k - dx;
            const float r = hr[q * kk + other], i = hi[q * kk + other];
            /* sample s meets q at p = s + q - (k-1) */
            const float *p = n->mask + n->pad + s + v * n->side + u - (k - 1) * (n->side + 1);
            for (int b = 0; b < STRIP; b++) {
                const lanes m = *(const lanes_at *)(p + b * LANES);
                re[b] += r * m;
                im[b] += i * m;
            }
        }
    for (int b = 0; b < STRIP; b++, to += next) {
        memcpy(to, re + b, sizeof *re);
        memcpy(to + LANES, im + b, sizeof *im);
    }
}

void normal_image_update(struct normal_image *n, const struct jsense_model *j)
{
    coil_products(n, j);
    for (int y = 0; y < j->rows; y++)
        memcpy(n->mask + n->pad + (size_t)y * (size_t)n->side, j->mask + jsense_model_at(j, y, 0),
               (size_t)j->cols * sizeof *n->mask);
    const size_t block = 2 * LANES * (size_t)n->taps;
    for (int b = 0; b < n->blocks; b += STRIP)
        for (int t = 0; t < n->reach * n->reach; t++)
            tap(n, (size_t)(b * LANES), t / n->reach - (n->k - 1), t % n->reach - (n->k - 1),
                n->matrix + (size_t)b * block + 2 * LANES * (size_t)t, block);
}

/* One block of samples: sums over pairs of taps in chains of their own. */
static void block_times(const struct normal_image *n, int b, lanes *re, lanes *im)
{
    lanes rr[2] = {{0}}, ii[2] = {{0}}, ri[2] = {{0}}, ir[2] = {{0}};
    const lanes *m = (const lanes *)n->matrix + (size_t)b * 2 * (size_t)n->taps;
    const size_t at = n->pad + (size_t)(b * LANES) - (size_t)((n->k - 1) * (n->side + 1));
    int dy = 0, dx = 0;
    for (int t = 0; t < n->taps; t += 2)
        for (int i = 0; i < 2; i++, m += 2) {
            const size_t from = at + (size_t)(dy * n->side + dx);
            const lanes xr = *(const lanes_at *)(n->xr + from);
            const lanes xi = *(const lanes_at *)(n->xi + from);
            rr[i] += m[0] * xr;
            ii[i] += m[1] * xi;
            ri[i] += m[0] * xi;
            ir[i] += m[1] * xr;
            if (++dx == n->reach) {
                dx = 0;
                if (dy < n->reach - 1) dy++; /* the odd tap out is zero, wherever it reads */
            }
        }
    *re = (rr[0] + rr[1]) - (ii[0] + ii[1]);
    *im = (ri[0] + ri[1]) + (ir[0] + ir[1]);
}

void normal_image_times(struct normal_image *n, const struct jsense_model *j, const double *x,
                        double *y)
{
    const double *xi = x + j->plane;
    for (int row = 0; row < n->rows; row++) {
        const size_t from = (size_t)row * (size_t)j->stride, to = n->pad + (size_t)(row * n->side);
        for (int i = 0; i < n->side; i++) {
            n->xr[to + (size_t)i] = (float)x[from + (size_t)i];
            n->xi[to + (size_t)i] = (float)xi[from + (size_t)i];
        }
    }
    int row = 0, col = 0;
    for (int b = 0; b < n->blocks; b++) {
        lanes re, im;
        block_times(n, b, &re, &im);
        for (int i = 0; i < LANES && row < n->rows; i++) {
            const size_t to = (size_t)row * (size_t)j->stride + (size_t)col;
            y[to] = (double)re[i];
            y[to + j->plane] = (double)im[i];
            if (++col == n->side) {
                col = 0;
                row++;
            }
        }
    }
}
