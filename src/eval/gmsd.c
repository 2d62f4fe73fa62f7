/* Gradient magnitude similarity deviation (Xue, Zhang, Mou, Bovik, IEEE TIP 23(2), 2014): images
 * of 0..1 are halved by 2x2 means; Prewitt gradients (zero outside); the standard deviation, over
 * the image, of the similarity of their magnitudes (T = 170 / 255^2, the paper's 170 for 0..255).
 * An odd side is first padded by zeros at its end, as piq does. */
#include "base/mem.h"
#include "base/par.h"
#include "eval/pyramid.h"

#include <math.h>
#include <stdio.h>

enum { ROWS = 16, SMALLEST = 6 };

struct gmsd {
    struct halved pair;
    struct plane similarity;
};

static void close_gmsd(void *state)
{
    struct gmsd *s = state;
    if (!s) return;
    halved_free(&s->pair);
    plane_free(&s->similarity);
    mem_free(s);
}

static void *open_gmsd(const void *conf, int h, int w, struct err *e)
{
    (void)conf;
    struct gmsd *s = mem_new(1, sizeof *s, e);
    if (!s) return NULL;
    if (!halved_new(&s->pair, h, w, 1, SMALLEST, e) &&
        !plane_new(&s->similarity, (h + 1) / 2, (w + 1) / 2, e))
        return s;
    close_gmsd(s);
    return NULL;
}

/* Squared magnitude of the Prewitt gradient at column j of the middle one of three rows. */
static inline double gradient(const double *p, const double *q, const double *r, int j)
{
    double x = (p[j + 1] + q[j + 1] + r[j + 1]) - (p[j - 1] + q[j - 1] + r[j - 1]);
    double y = (r[j - 1] + r[j] + r[j + 1]) - (p[j - 1] + p[j] + p[j + 1]);
    return (x * x + y * y) / 9.0;
}

static void similarity_rows(void *ctx, int task)
{
    const struct gmsd *s = ctx;
    const double t = 170.0 / (255.0 * 255.0);
    const struct plane *a = &s->pair.half[0], *b = &s->pair.half[1];
    for (int i = task * ROWS; i < (task + 1) * ROWS && i < a->h; i++) {
        const double *restrict pa = plane_row(a, i) - a->stride, *restrict pb =
                                                                     plane_row(b, i) - b->stride;
        const double *restrict qa = pa + a->stride, *restrict qb = pb + b->stride;
        const double *restrict ra = qa + a->stride, *restrict rb = qb + b->stride;
        double *restrict y = plane_row(&s->similarity, i);
#pragma omp simd
        for (int j = 0; j < a->w; j++) {
            double ga = gradient(pa, qa, ra, j), gb = gradient(pb, qb, rb, j);
            y[j] = (2.0 * sqrt(ga * gb) + t) / (ga + gb + t);
        }
    }
}

static double deviation(const struct plane *p)
{
    double n = (double)p->h * (double)p->w, sum = 0.0, square = 0.0;
    for (int i = 0; i < p->h; i++) {
        const double *x = plane_row(p, i);
#pragma omp simd reduction(+ : sum)
        for (int j = 0; j < p->w; j++)
            sum += x[j];
    }
    double mean = sum / n;
    for (int i = 0; i < p->h; i++) {
        const double *x = plane_row(p, i);
#pragma omp simd reduction(+ : square)
        for (int j = 0; j < p->w; j++)
            square += (x[j] - mean) * (x[j] - mean);
    }
    return sqrt(square / n);
}

static int score(void *state, const void *conf, const struct metric_pair *pair, double *out,
                 struct err *e)
{
    struct gmsd *s = state;
    if (halved_fill(&s->pair, conf, pair, 1.0, e)) return -1;
    s->similarity.h = s->pair.half[0].h;
    s->similarity.w = s->pair.half[0].w;
    par_for((s->similarity.h + ROWS - 1) / ROWS, similarity_rows, s);
    *out = deviation(&s->similarity);
    return 0;
}

static void variant(const void *conf, char *text, int size)
{
    snprintf(text, (size_t)size, "Xue 2014: after 2x2 means, T = 170 in units of 0..255, %s",
             range_text(conf));
}

const struct metric metric_gmsd = {
    .kind = {"gmsd", "gradient magnitude similarity deviation (Xue 2014)", range_fields,
             sizeof(struct range_conf)},
    .label = "GMSD",
    .unit = "",
    .better = -1,
    .open = open_gmsd,
    .close = close_gmsd,
    .wants_scan = range_wants_scan,
    .score = score,
    .variant = variant,
};
