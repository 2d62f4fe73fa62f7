#include "data/jsense_normal.h"

#include "base/mem.h"

#include <string.h>

enum { LANES = 8, GROUP = 4 };
typedef double lanes __attribute__((vector_size(LANES * sizeof(double))));
typedef double lanes_at __attribute__((vector_size(LANES * sizeof(double)), aligned(8), may_alias));

struct normal_maps {
    int n, wide;     /* k^2, and in whole vectors */
    double *re, *im; /* (n, wide): G transposed, which is its conjugate */
    int stride;      /* of the image below */
    double *ir, *ii; /* image kernel r, real and imaginary */
    int cols;        /* of the window below, in whole vectors */
    double *wr, *wi; /* (rows, cols): P[p] r[p + k-1 - q] of one q, zeros behind the columns */
};

static int whole(int n)
{
    return (n + LANES - 1) / LANES * LANES;
}

struct normal_maps *normal_maps_new(const struct jsense_model *j, struct err *e)
{
    struct normal_maps *n = mem_new(1, sizeof *n, e);
    if (!n) return NULL;
    n->n = j->k * j->k;
    n->wide = whole(n->n);
    n->cols = whole(j->cols);
    n->stride = n->cols + whole(j->k - 1 + GROUP); /* groups read a little too far */
    const size_t matrix = (size_t)n->n * (size_t)n->wide, one = sizeof(double);
    const size_t image = (size_t)n->stride * (size_t)(j->rows + j->k);
    const size_t window = (size_t)j->rows * (size_t)n->cols;
    if ((n->re = mem_new(matrix, one, e)) && (n->im = mem_new(matrix, one, e)) &&
        (n->ir = mem_new(image, one, e)) && (n->ii = mem_new(image, one, e)) &&
        (n->wr = mem_new(window, one, e)) && (n->wi = mem_new(window, one, e)))
        return n;
    normal_maps_free(n);
    return NULL;
}

void normal_maps_free(struct normal_maps *n)
{
    if (!n) return;
    double *const all[] = {n->re, n->im, n->ir, n->ii, n->wr, n->wi};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        mem_free(all[i]);
    mem_free(n);
}

static double sum(lanes v)
{
    return ((v[0] + v[1]) + (v[2] + v[3])) + ((v[4] + v[5]) + (v[6] + v[7]));
}

/* The window of shift (row, col) = k-1 - q, where P lets it through. */
static void cut_window(struct normal_maps *n, const struct jsense_model *j, int row, int col)
{
    for (int y = 0; y < j->rows; y++) {
        const float *mask = j->mask + jsense_model_at(j, y, 0);
        const size_t from = (size_t)(y + row) * (size_t)n->stride + (size_t)col;
        double *wr = n->wr + (size_t)y * (size_t)n->cols, *wi = n->wi + (wr - n->wr);
        for (int x = 0; x < j->cols; x++) {
            wr[x] = (double)mask[x] * n->ir[from + (size_t)x];
            wi[x] = (double)mask[x] * n->ii[from + (size_t)x];
        }
    }
}

/* re, im[i] = sum_p conj(window[p]) r[p + (row, col + i)], i < GROUP. */
static void products(const struct normal_maps *n, int rows, int row, int col, double *re,
                     double *im)
{
    lanes a[GROUP] = {{0}}, b[GROUP] = {{0}};
    for (int y = 0; y < rows; y++) {
        const size_t from = (size_t)(y + row) * (size_t)n->stride + (size_t)col;
        const double *wr = n->wr + (size_t)y * (size_t)n->cols, *wi = n->wi + (wr - n->wr);
        const double *ir = n->ir + from, *ii = n->ii + from;
        for (int x = 0; x < n->cols; x += LANES) {
            const lanes tr = *(const lanes_at *)(wr + x), ti = *(const lanes_at *)(wi + x);
            for (int i = 0; i < GROUP; i++) {
                const lanes r = *(const lanes_at *)(ir + x + i);
                const lanes m = *(const lanes_at *)(ii + x + i);
                a[i] += tr * r;
                a[i] += ti * m;
                b[i] += tr * m;
                b[i] -= ti * r;
            }
        }
    }
    for (int i = 0; i < GROUP; i++) {
        re[i] = sum(a[i]);
        im[i] = sum(b[i]);
    }
}

/* In terms of shifts t = k-1 - q, which run from 0 to k-1 along both axes. */
void normal_maps_update(struct normal_maps *n, const struct jsense_model *j)
{
    const int k = j->k;
    for (int y = 0; y < j->rows + k - 1; y++)
        for (int x = 0; x < j->cols + k - 1; x++) {
            size_t from = (size_t)y * (size_t)j->stride + (size_t)x;
            size_t to = (size_t)y * (size_t)n->stride + (size_t)x;
            n->ir[to] = (double)j->image[from];
            n->ii[to] = (double)j->image[from + j->plane];
        }
    for (int t = 0; t < n->n; t++) {
        cut_window(n, j, t / k, t % k);
        for (int row = t / k; row < k; row++)
            for (int col = row == t / k ? t % k : 0; col < k; col += GROUP) {
                double re[GROUP], im[GROUP];
                products(n, j->rows, row, col, re, im);
                for (int i = 0; i < GROUP && col + i < k; i++) {
                    const size_t q = (size_t)(n->n - 1 - t);
                    const size_t other = (size_t)(n->n - 1 - (row * k + col + i));
                    const size_t wide = (size_t)n->wide;
                    n->re[other * wide + q] = n->re[q * wide + other] = re[i];
                    n->im[other * wide + q] = im[i]; /* G[q, other], transposed */
                    n->im[q * wide + other] = -im[i];
                }
            }
        n->im[(size_t)(n->n - 1 - t) * (size_t)(n->wide + 1)] = 0.0;
    }
}

void normal_maps_times(struct normal_maps *n, const struct jsense_model *j, const double *x,
                       double *y)
{
    enum { BLOCK = 4 };
    for (int c = 0; c < j->coils; c++, x += 2 * n->n, y += 2 * n->n)
        for (int q = 0; q < n->n; q += BLOCK * LANES) {
            const int vectors = (n->wide - q) / LANES < BLOCK ? (n->wide - q) / LANES : BLOCK;
            lanes re[BLOCK] = {{0}}, im[BLOCK] = {{0}};
            for (int o = 0; o < n->n; o++) {
                const double *gr = n->re + (size_t)o * (size_t)n->wide + q;
                const double *gi = n->im + (gr - n->re);
                const double xr = x[o], xi = x[o + n->n];
                for (int i = 0; i < vectors; i++) {
                    const lanes a = *(const lanes_at *)(gr + i * LANES);
                    const lanes b = *(const lanes_at *)(gi + i * LANES);
                    re[i] += xr * a;
                    re[i] -= xi * b;
                    im[i] += xr * b;
                    im[i] += xi * a;
                }
            }
            for (int i = 0; i < BLOCK * LANES && q + i < n->n; i++) {
                y[q + i] = re[i / LANES][i % LANES];
                y[q + i + n->n] = im[i / LANES][i % LANES];
            }
        }
}
