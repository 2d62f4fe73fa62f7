/* High-frequency error norm (Ravishankar and Bresler, IEEE TMI 30(5), 2011): the Euclidean norm of
 * the difference of the images after a Laplacian of Gaussian of 15x15 pixels and sigma 1.5
 * (Matlab's fspecial: sum made 0), by default over that norm of the reference, which makes it
 * independent of units. The filter is linear: the difference is filtered once. It is a sum of
 * three products of a row and a column:
 *
 *     LoG = P(y) g(x) + g(y) (P(x) - 2 / sigma^2 g(x)) - mean,     P(t) = t^2 g(t) / sigma^4 */
#include "base/mem.h"
#include "base/par.h"
#include "eval/metric.h"
#include "eval/plane.h"
#include "eval/range.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { TAPS = 15, HALF = TAPS / 2, TERMS = 3, ROWS = 16, LANES = PLANE_LANES };
enum { NORM_REFERENCE, NORM_NONE, BORDER_REFLECT = 0, BORDER_ZERO };
typedef plane_lanes lanes;

static const char *const norms[] = {"reference", "none", NULL};
static const char *const borders[] = {"reflect", "zero", NULL};

struct hfen_conf {
    int norm, border;
};

static const struct cfg_field fields[] = {
    CFG_CHOICE(struct hfen_conf, norm, "reference", norms,
               "what the norm is divided by: that of the filtered reference, or nothing"),
    CFG_CHOICE(struct hfen_conf, border, "reflect", borders,
               "what lies outside the images: their mirror images, the edge pixel repeated, or 0"),
    CFG_END};

struct hfen {
    double down[TERMS][TAPS], along[TERMS][TAPS]; /* filters along y and x */
    struct plane padded;                          /* HALF pixels more on every side */
    size_t stride;                                /* doubles of a row of scratch */
    double *scratch;                              /* (tasks, TERMS, stride) */
    double *sum;                                  /* (tasks) */
};

static void close_hfen(void *state)
{
    struct hfen *s = state;
    if (!s) return;
    plane_free(&s->padded);
    mem_free(s->scratch);
    mem_free(s->sum);
    mem_free(s);
}

static void make_filters(struct hfen *s)
{
    const double sigma2 = 1.5 * 1.5;
    double g[TAPS], p[TAPS], total = 0.0, spread = 0.0;
    for (int k = 0; k < TAPS; k++)
        total += g[k] = exp(-0.5 * (k - HALF) * (k - HALF) / sigma2);
    for (int k = 0; k < TAPS; k++) {
        g[k] /= total;
        spread += p[k] = (k - HALF) * (k - HALF) * g[k] / (sigma2 * sigma2);
    }
    double mean = (2.0 * spread - 2.0 / sigma2) / (TAPS * TAPS);
    for (int k = 0; k < TAPS; k++) {
        s->down[0][k] = p[k];
        s->along[0][k] = g[k];
        s->down[1][k] = g[k];
        s->along[1][k] = p[k] - 2.0 / sigma2 * g[k];
        s->down[2][k] = 1.0;
        s->along[2][k] = -mean;
    }
}

static void *open_hfen(const void *conf, int h, int w, struct err *e)
{
    (void)conf;
    struct hfen *s = mem_new(1, sizeof *s, e);
    if (!s) return NULL;
    make_filters(s);
    size_t tasks = ((size_t)h + ROWS - 1) / ROWS;
    if (plane_new(&s->padded, h + 2 * HALF, w + 2 * HALF, e)) goto fail;
    s->stride = s->padded.stride;
    s->scratch = mem_new(tasks * TERMS, s->stride * sizeof *s->scratch, e);
    s->sum = mem_new(tasks, sizeof *s->sum, e);
    if (s->scratch && s->sum) return s;
fail:
    close_hfen(s);
    return NULL;
}

/* Where pixel i lies in an image of n that is mirrored at its edges, again and again. */
static int mirrored(int i, int n)
{
    i %= 2 * n;
    if (i < 0) i += 2 * n;
    return i < n ? i : 2 * n - 1 - i;
}

/* x - y, or x where y is NULL, with its border. */
static void fill(const struct hfen *s, int border, const float *x, const float *y, int h, int w)
{
    const struct plane *p = &s->padded;
    for (int i = -HALF; i < h + HALF; i++) {
        double *row = plane_row(p, i + HALF);
        int from = mirrored(i, h);
        const float *a = x + (size_t)from * (size_t)w, *b = y ? y + (size_t)from * (size_t)w : NULL;
        if (border == BORDER_ZERO && from != i) { /* stays zero */
            continue;
        }
        for (int j = 0; j < w; j++)
            row[j + HALF] = (double)a[j] - (b ? (double)b[j] : 0.0);
        for (int j = 1; j <= HALF && border == BORDER_REFLECT; j++) {
            row[HALF - j] = row[HALF + mirrored(-j, w)];
            row[HALF + w - 1 + j] = row[HALF + mirrored(w - 1 + j, w)];
        }
    }
}

static void square_rows(void *ctx, int task)
{
    const struct hfen *s = ctx;
    const struct plane *p = &s->padded;
    int h = p->h - 2 * HALF, w = p->w - 2 * HALF;
    double *line = s->scratch + (size_t)task * TERMS * s->stride, total = 0.0;
    for (int i = task * ROWS; i < (task + 1) * ROWS && i < h; i++) {
        for (int j = 0; j < p->w; j += LANES) {
            lanes sum[TERMS] = {0}, v;
            for (int k = 0; k < TAPS; k++) {
                memcpy(&v, plane_row(p, i + k) + j, sizeof v);
                for (int t = 0; t < TERMS; t++)
                    sum[t] += s->down[t][k] * v;
            }
            for (int t = 0; t < TERMS; t++)
                memcpy(line + (size_t)t * s->stride + j, &sum[t], sizeof sum[t]);
        }
        lanes square = {0};
        for (int j = 0; j < w; j += LANES) {
            lanes sum = {0}, v;
            for (int k = 0; k < TAPS; k++)
                for (int t = 0; t < TERMS; t++) {
                    memcpy(&v, line + (size_t)t * s->stride + j + k, sizeof v);
                    sum += s->along[t][k] * v;
                }
            for (int l = w - j; l < LANES; l++)
                sum[l] = 0.0;
            square += sum * sum;
        }
        for (int l = 0; l < LANES; l++)
            total += square[l];
    }
    s->sum[task] = total;
}

static double norm(struct hfen *s)
{
    int tasks = (s->padded.h - 2 * HALF + ROWS - 1) / ROWS;
    double sum = 0.0;
    par_for(tasks, square_rows, s);
    for (int k = 0; k < tasks; k++)
        sum += s->sum[k];
    return sqrt(sum);
}

static int score(void *state, const void *conf, const struct metric_pair *pair, double *out,
                 struct err *e)
{
    struct hfen *s = state;
    const struct hfen_conf *c = conf;
    const float *reference = pair->reference, *image = pair->image;
    const int h = pair->h, w = pair->w;
    if (images_check(pair, e)) return -1;
    double of = 1.0;
    if (c->norm == NORM_REFERENCE) {
        double largest = 0.0;
        for (size_t i = 0; i < (size_t)h * (size_t)w; i++)
            largest = fabs((double)reference[i]) > largest ? fabs((double)reference[i]) : largest;
        fill(s, c->border, reference, NULL, h, w);
        of = norm(s);
        if (!(of > 1e-12 * largest)) /* a constant leaves rounding */
            return err_set(e, ERR_DATA, "the reference has no edges: it is constant");
    }
    fill(s, c->border, image, reference, h, w);
    *out = norm(s) / of;
    return 0;
}

static void variant(const void *conf, char *text, int size)
{
    const struct hfen_conf *c = conf;
    snprintf(text, (size_t)size,
             "Euclidean norm after a Laplacian of Gaussian of 15x15 pixels, sigma 1.5, %s; %s",
             c->norm == NORM_REFERENCE ? "over that of the reference" : "in units of the images",
             c->border == BORDER_REFLECT ? "images mirrored at their borders"
                                         : "zero outside of the images");
}

const struct metric metric_hfen = {
    .kind = {"hfen", "high-frequency error norm (Ravishankar and Bresler 2011)", fields,
             sizeof(struct hfen_conf)},
    .label = "HFEN",
    .unit = "",
    .better = -1,
    .open = open_hfen,
    .close = close_hfen,
    .score = score,
    .variant = variant,
};
