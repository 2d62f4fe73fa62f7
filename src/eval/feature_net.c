#include "eval/feature_net.h"

#include "base/mem.h"
#include "base/par.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

struct tap {
    const float *now; /* the plan's, `len` values */
    float *reference; /* the same of the reference */
    size_t len;
};

struct features {
    struct graph *graph;
    struct params *params;
    struct plan *plan;
    float *input; /* the plan's */
    size_t pixels;
    int n;
    struct tap *tap;
    bool known;       /* the reference's features */
    float *reference; /* (h, w) as it was given */
};

void features_free(struct features *f)
{
    if (!f) return;
    plan_free(f->plan);
    params_free(f->params);
    graph_free(f->graph);
    for (int k = 0; f->tap && k < f->n; k++)
        mem_free(f->tap[k].reference);
    mem_free(f->tap);
    mem_free(f->reference);
    mem_free(f);
}

struct features *features_new(struct graph *g, struct params *p, const char *const *taps, int n,
                              int h, int w, struct err *e)
{
    struct features *f = mem_new(1, sizeof *f, e);
    if (!f) {
        params_free(p);
        graph_free(g);
        return NULL;
    }
    *f = (struct features){.graph = g, .params = p, .n = n, .pixels = (size_t)h * (size_t)w};
    f->plan = plan_new(
        g, p, (struct plan_conf){.batch = 1, .height = h, .width = w, .precision = NN_FP32_WHOLE},
        e);
    f->reference = mem_new(f->pixels, sizeof *f->reference, e);
    f->tap = mem_new((size_t)n, sizeof *f->tap, e);
    if (!f->plan) err_wrap(e, "an image of %dx%d", h, w);
    if (!f->plan || !f->reference || !f->tap) goto fail;
    f->input = plan_input(f->plan, "input");
    for (int k = 0; k < n; k++) {
        struct shape shape;
        f->tap[k].now = plan_output(f->plan, taps[k], &shape);
        f->tap[k].len = shape_len(shape);
        f->tap[k].reference = mem_new(f->tap[k].len, sizeof(float), e);
        if (!f->tap[k].reference) goto fail;
    }
    return f;
fail:
    features_free(f);
    return NULL;
}

static double square_difference(const void *ctx, size_t from, size_t to)
{
    const struct tap *t = ctx;
    const float *restrict a = t->now, *restrict b = t->reference;
    double sum = 0.0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = from; i < to; i++) {
        double d = (double)a[i] - (double)b[i];
        sum += d * d;
    }
    return sum;
}

int features_distance(struct features *f, features_input *input, const void *ctx,
                      const struct metric_pair *pair, double *out, struct err *e)
{
    const float *reference = pair->reference;
    if (!f->known || memcmp(reference, f->reference, f->pixels * sizeof *reference) != 0) {
        f->known = false;
        if (input(ctx, reference, reference, f->pixels, f->input, e)) return -1;
        plan_forward(f->plan, (struct step_key){0});
        for (int k = 0; k < f->n; k++)
            memcpy(f->tap[k].reference, f->tap[k].now, f->tap[k].len * sizeof(float));
        memcpy(f->reference, reference, f->pixels * sizeof *reference);
        f->known = true;
    }
    if (input(ctx, reference, pair->image, f->pixels, f->input, e)) return -1;
    plan_forward(f->plan, (struct step_key){0});
    for (int k = 0; k < f->n; k++) {
        out[k] = par_sum(f->tap[k].len, square_difference, &f->tap[k]) / (double)f->tap[k].len;
        if (!isfinite(out[k]))
            return err_set(e, ERR_DATA,
                           "the features are not finite: the image has values too far "
                           "from those of its reference");
    }
    return 0;
}
