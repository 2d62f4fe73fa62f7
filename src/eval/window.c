#include "eval/window.h"

#include "base/mem.h"
#include "base/par.h"

#include <math.h>
#include <string.h>

enum { ROWS = 16, LANES = PLANE_LANES, MOMENTS = 5 };
typedef plane_lanes lanes;

struct window window_gaussian(int taps, double sigma)
{
    struct window win = {.taps = taps};
    double sum = 0.0;
    for (int k = 0; k < taps; k++) {
        double t = (k - taps / 2) / sigma;
        sum += win.tap[k] = exp(-0.5 * t * t);
    }
    for (int k = 0; k < taps; k++)
        win.tap[k] /= sum;
    return win;
}

struct window window_uniform(int taps)
{
    struct window win = {.taps = taps};
    for (int k = 0; k < taps; k++)
        win.tap[k] = 1.0 / taps;
    return win;
}

struct windowing {
    int bands;
    size_t stride;    /* doubles of a row of scratch */
    double *scratch;  /* (bands, 2 MOMENTS, stride): sums down the columns, then under the window */
    double (*sum)[2]; /* (bands) */
};

struct windowing *windowing_new(int h, int w, struct err *e)
{
    struct windowing *s = mem_new(1, sizeof *s, e);
    if (!s) return NULL;
    s->bands = (h + ROWS - 1) / ROWS;
    s->stride = ((size_t)w + 2 * PLANE_SLACK) / LANES * LANES;
    s->scratch = mem_new((size_t)s->bands * 2 * MOMENTS, s->stride * sizeof *s->scratch, e);
    s->sum = mem_new((size_t)s->bands, sizeof *s->sum, e);
    if (s->scratch && s->sum) return s;
    windowing_free(s);
    return NULL;
}

void windowing_free(struct windowing *s)
{
    if (!s) return;
    mem_free(s->scratch);
    mem_free(s->sum);
    mem_free(s);
}

/* Window sums of a, b, a^2, b^2, ab down each column. */
static void columns(const struct window *win, const struct plane *a, const struct plane *b, int top,
                    double *out, size_t stride)
{
    for (int j = 0; j < a->w; j += LANES) {
        const double *pa = plane_row(a, top) + j, *pb = plane_row(b, top) + j;
        lanes m[MOMENTS] = {0}, u, v;
        for (int k = 0; k < win->taps; k++, pa += a->stride, pb += b->stride) {
            memcpy(&u, pa, sizeof u);
            memcpy(&v, pb, sizeof v);
            lanes tu = win->tap[k] * u, tv = win->tap[k] * v;
            m[0] += tu;
            m[1] += tv;
            m[2] += tu * u;
            m[3] += tv * v;
            m[4] += tu * v;
        }
        for (int q = 0; q < MOMENTS; q++)
            memcpy(out + (size_t)q * stride + j, &m[q], sizeof m[q]);
    }
}

/* Then along the rows, and central moments of both. */
static void rows(const struct window *win, const double *in, int n, double *out, size_t stride)
{
    for (int j = 0; j < n; j += LANES) {
        lanes m[MOMENTS] = {0}, v;
        for (int k = 0; k < win->taps; k++)
            for (int q = 0; q < MOMENTS; q++) {
                memcpy(&v, in + (size_t)q * stride + j + k, sizeof v);
                m[q] += win->tap[k] * v;
            }
        m[2] -= m[0] * m[0];
        m[3] -= m[1] * m[1];
        m[4] -= m[0] * m[1];
        for (int q = 0; q < MOMENTS; q++)
            memcpy(out + (size_t)q * stride + j, &m[q], sizeof m[q]);
    }
}

struct job {
    struct windowing *s;
    const struct window *win;
    const struct plane *a, *b;
    struct plane *y;
    moments_row *row;
    const void *ctx;
};

static void sum_band(void *ctx, int band)
{
    const struct job *job = ctx;
    struct windowing *s = job->s;
    int high = job->a->h - job->win->taps + 1, wide = job->a->w - job->win->taps + 1;
    double *in = s->scratch + (size_t)band * 2 * MOMENTS * s->stride;
    double *out = in + MOMENTS * s->stride;
    struct moments m = {
        wide, out, out + s->stride, out + 2 * s->stride, out + 3 * s->stride, out + 4 * s->stride};
    double sum[2] = {0.0, 0.0};
    for (int i = band * ROWS; i < (band + 1) * ROWS && i < high; i++) {
        columns(job->win, job->a, job->b, i, in, s->stride);
        rows(job->win, in, wide, out, s->stride);
        job->row(job->ctx, &m, sum);
    }
    memcpy(s->sum[band], sum, sizeof sum);
}

void windowing_sum(struct windowing *s, const struct window *win, const struct plane *a,
                   const struct plane *b, moments_row *row, const void *ctx, double sum[2])
{
    struct job job = {.s = s, .win = win, .a = a, .b = b, .row = row, .ctx = ctx};
    int bands = (a->h - win->taps + 1 + ROWS - 1) / ROWS;
    par_for(bands, sum_band, &job);
    sum[0] = sum[1] = 0.0;
    for (int k = 0; k < bands; k++) {
        sum[0] += s->sum[k][0];
        sum[1] += s->sum[k][1];
    }
}

static void reduce_band(void *ctx, int band)
{
    const struct job *job = ctx;
    const struct window *win = job->win;
    const struct plane *x = job->a;
    double *in = job->s->scratch + (size_t)band * 2 * MOMENTS * job->s->stride;
    double *out = in + job->s->stride;
    for (int i = band * ROWS; i < (band + 1) * ROWS && i < job->y->h; i++) {
        for (int j = 0; j < x->w; j += LANES) {
            const double *p = plane_row(x, 2 * i) + j;
            lanes sum = {0}, v;
            for (int k = 0; k < win->taps; k++, p += x->stride) {
                memcpy(&v, p, sizeof v);
                sum += win->tap[k] * v;
            }
            memcpy(in + j, &sum, sizeof sum);
        }
        for (int j = 0; j < x->w - win->taps + 1; j += LANES) {
            lanes sum = {0}, v;
            for (int k = 0; k < win->taps; k++) {
                memcpy(&v, in + j + k, sizeof v);
                sum += win->tap[k] * v;
            }
            memcpy(out + j, &sum, sizeof sum);
        }
        double *y = plane_row(job->y, i);
        for (int j = 0; j < job->y->w; j++)
            y[j] = out[2 * j];
    }
}

void windowing_reduce(struct windowing *s, const struct window *win, const struct plane *x,
                      struct plane *y)
{
    y->h = (x->h - win->taps + 2) / 2;
    y->w = (x->w - win->taps + 2) / 2;
    struct job job = {.s = s, .win = win, .a = x, .y = y};
    par_for((y->h + ROWS - 1) / ROWS, reduce_band, &job);
}

void structure_row(const void *structure, const struct moments *m, double sum[2])
{
    const struct structure *s = structure;
    double c1 = s->c1, c2 = s->c2, factor = s->covariance, whole = 0.0, part = 0.0;
    const double *restrict a = m->a, *restrict b = m->b;
    const double *restrict aa = m->aa, *restrict bb = m->bb, *restrict ab = m->ab;
#pragma omp simd reduction(+ : whole, part)
    for (int j = 0; j < m->n; j++) {
        double light = (2.0 * a[j] * b[j] + c1) / (a[j] * a[j] + b[j] * b[j] + c1);
        double rest = (2.0 * factor * ab[j] + c2) / (factor * (aa[j] + bb[j]) + c2);
        whole += light * rest;
        part += rest;
    }
    sum[0] += whole;
    sum[1] += part;
}
