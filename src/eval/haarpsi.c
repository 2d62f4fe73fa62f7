/* Haar wavelet-based perceptual similarity index (Reisenhofer, Bosse, Kutyniok, Wiegand, Signal
 * Processing: Image Communication 61, 2018), for grey images of 0..255: halved by 2x2 means; Haar
 * filters of 2, 4 and 8 pixels, horizontal and vertical, zero outside; the similarity at the two
 * finer scales, weighted by the magnitude at the coarsest. C = 30, alpha = 4.2. Halving as piq
 * does it: blocks start at the first pixel, odd sides are padded by zeros at their end. */
#include "base/mem.h"
#include "base/par.h"
#include "eval/pyramid.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

enum { ROWS = 16, SCALES = 3, MARGIN = 1 << (SCALES - 1), SMALLEST = 1 << (SCALES + 1) };

static const double C = 30.0, ALPHA = 4.2;

struct haarpsi {
    struct halved pair;
    size_t stride;    /* doubles of a row of scratch */
    double *scratch;  /* (tasks, SCRATCH, stride) */
    double (*sum)[2]; /* (tasks): weighted similarities, weights */
};
enum { LINES = 2, SCRATCH = LINES + 2 * SCALES * 2 };

static void close_haarpsi(void *state)
{
    struct haarpsi *s = state;
    if (!s) return;
    halved_free(&s->pair);
    mem_free(s->scratch);
    mem_free(s->sum);
    mem_free(s);
}

static void *open_haarpsi(const void *conf, int h, int w, struct err *e)
{
    (void)conf;
    struct haarpsi *s = mem_new(1, sizeof *s, e);
    if (!s) return NULL;
    size_t tasks = ((size_t)(h + 1) / 2 + ROWS - 1) / ROWS;
    if (halved_new(&s->pair, h, w, MARGIN, SMALLEST, e)) goto fail;
    s->stride = s->pair.frame[0].stride;
    s->scratch = mem_new(tasks * SCRATCH, s->stride * sizeof *s->scratch, e);
    s->sum = mem_new(tasks, sizeof *s->sum, e);
    if (s->scratch && s->sum) return s;
fail:
    close_haarpsi(s);
    return NULL;
}

/* Magnitudes of the coefficients of row i at a filter of 2 half pixels: upper minus lower half into
 * out[0], left minus right into out[1]. lines: room for two rows. Inlined for each `half`, whose
 * loops are then unrolled. */
static inline __attribute__((always_inline)) void coefficients(const struct plane *p, int i,
                                                               const int half, double *lines,
                                                               size_t stride, double *const out[2])
{
    int first = half - 1, wide = p->w + 2 * MARGIN; /* rows and columns above and left of i, j */
    double *restrict difference = lines, *restrict total = lines + stride;
    for (int j = 0; j < wide; j++)
        difference[j] = total[j] = 0.0;
    for (int k = 0; k < 2 * half; k++) {
        const double *restrict x = plane_row(p, i) + (k - first) * (ptrdiff_t)p->stride - MARGIN;
        double sign = k < half ? 1.0 : -1.0;
#pragma omp simd
        for (int j = 0; j < wide; j++) {
            difference[j] += sign * x[j];
            total[j] += x[j];
        }
    }
    double *restrict y = out[0], *restrict z = out[1], scale = 0.5 / half;
#pragma omp simd
    for (int j = 0; j < p->w; j++) {
        const double *d = difference + MARGIN + j - first, *t = total + MARGIN + j - first;
        double sum = 0.0, side = 0.0;
        for (int k = 0; k < half; k++) {
            sum += d[k] + d[k + half];
            side += t[k] - t[k + half];
        }
        y[j] = fabs(sum) * scale;
        z[j] = fabs(side) * scale;
    }
}

static inline double similarity(double a, double b)
{
    return (2.0 * a * b + C) / (a * a + b * b + C);
}

/* exp(x) for x in [-5, 0], to some units in the last place: without a call, for vectors. */
static inline double exponential(double x)
{
    double r = x / 16.0, y = 1.0;
    for (int k = 12; k > 0; k--)
        y = 1.0 + y * (r * (1.0 / k));
    y *= y;
    y *= y;
    y *= y;
    return y * y;
}

/* Adds weighted similarities and weights of one orientation of a row: a[scale][j], b[scale][j]. */
static void sum_row(int w, const double *const a[SCALES], const double *const b[SCALES],
                    double sum[2])
{
    const double *restrict a0 = a[0], *restrict a1 = a[1], *restrict a2 = a[2];
    const double *restrict b0 = b[0], *restrict b1 = b[1], *restrict b2 = b[2];
    double similar = 0.0, total = 0.0;
#pragma omp simd reduction(+ : similar, total)
    for (int j = 0; j < w; j++) {
        double weight = a2[j] > b2[j] ? a2[j] : b2[j];
        double mean = 0.5 * (similarity(a0[j], b0[j]) + similarity(a1[j], b1[j]));
        similar += weight / (1.0 + exponential(-ALPHA * mean));
        total += weight;
    }
    sum[0] += similar;
    sum[1] += total;
}

static void sum_rows(void *ctx, int task)
{
    const struct haarpsi *s = ctx;
    double *lines = s->scratch + (size_t)task * SCRATCH * s->stride, sum[2] = {0.0, 0.0};
    double *c[2][SCALES][2], *at = lines + LINES * s->stride;
    for (int k = 0; k < 2; k++)
        for (int scale = 0; scale < SCALES; scale++)
            for (int o = 0; o < 2; o++, at += s->stride)
                c[k][scale][o] = at;
    for (int i = task * ROWS; i < (task + 1) * ROWS && i < s->pair.half[0].h; i++) {
        for (int k = 0; k < 2; k++) {
            coefficients(&s->pair.half[k], i, 1, lines, s->stride, c[k][0]);
            coefficients(&s->pair.half[k], i, 2, lines, s->stride, c[k][1]);
            coefficients(&s->pair.half[k], i, 4, lines, s->stride, c[k][2]);
        }
        for (int o = 0; o < 2; o++)
            sum_row(s->pair.half[0].w,
                    (const double *const[SCALES]){c[0][0][o], c[0][1][o], c[0][2][o]},
                    (const double *const[SCALES]){c[1][0][o], c[1][1][o], c[1][2][o]}, sum);
    }
    s->sum[task][0] = sum[0];
    s->sum[task][1] = sum[1];
}

static int score(void *state, const void *conf, const struct metric_pair *pair, double *out,
                 struct err *e)
{
    struct haarpsi *s = state;
    if (halved_fill(&s->pair, conf, pair, 255.0, e)) return -1;
    int tasks = (s->pair.half[0].h + ROWS - 1) / ROWS;
    par_for(tasks, sum_rows, s);
    double similar = DBL_EPSILON, weight = DBL_EPSILON; /* piq adds them */
    for (int k = 0; k < tasks; k++) {
        similar += s->sum[k][0];
        weight += s->sum[k][1];
    }
    if (!(weight > DBL_EPSILON))
        return err_set(e, ERR_DATA, "neither image has structure of 16 pixels");
    double mean = similar / weight, root = log(mean / (1.0 - mean)) / ALPHA;
    *out = root * root;
    return 0;
}

static void variant(const void *conf, char *text, int size)
{
    snprintf(text, (size_t)size,
             "Reisenhofer 2018, grey: after 2x2 means, C = 30, alpha = 4.2 in units of 0..255, %s",
             range_text(conf));
}

const struct metric metric_haarpsi = {
    .kind = {"haarpsi", "Haar wavelet-based perceptual similarity index (Reisenhofer 2018)",
             range_fields, sizeof(struct range_conf)},
    .label = "HaarPSI",
    .unit = "",
    .better = 1,
    .open = open_haarpsi,
    .close = close_haarpsi,
    .wants_scan = range_wants_scan,
    .score = score,
    .variant = variant,
};
