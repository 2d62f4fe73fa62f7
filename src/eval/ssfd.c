/* The self-supervised feature distance (paper section 2.3): both images pass through the encoder of
 * the network trained to in-paint, cut after the ReLU of one convolution; the distance is the
 * element-wise mean squared error between the two feature maps, summed in double precision.
 *
 * Each image is z-scored by itself (as in the authors' code), so the distance does not change with
 * a x + b, a > 0, applied to either. A constant image counts as all zero. */
#include "base/mem.h"
#include "base/par.h"
#include "data/normalise.h"
#include "eval/metric.h"
#include "eval/range.h"
#include "nn/ckpt.h"
#include "nn/graph.h"
#include "nn/params.h"
#include "nn/plan.h"
#include "nn/unet.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct ssfd_conf {
    const char *checkpoint, *layer;
};

static const struct cfg_field fields[] = {
    CFG_TEXT(struct ssfd_conf, checkpoint, NULL, "checkpoint of train-ssl"),
    CFG_TEXT(struct ssfd_conf, layer, "conv9",
             "features after the ReLU of this convolution: conv1, conv2, … or blockB_reluR"),
    CFG_END};

struct ssfd {
    struct graph *graph;
    struct params *params;
    struct plan *plan;
    float *input;          /* (h, w), the plan's */
    const float *features; /* the plan's, `len` values */
    size_t len;
    /* A study compares one reference with many images: its features are kept until it changes. */
    bool known;
    float *reference;          /* (h, w) as it was given */
    float *reference_features; /* `len` */
};

static void close_ssfd(void *state)
{
    struct ssfd *s = state;
    if (!s) return;
    plan_free(s->plan);
    params_free(s->params);
    graph_free(s->graph);
    mem_free(s->reference);
    mem_free(s->reference_features);
    mem_free(s);
}

/* The encoder up to the layer, with the checkpoint's weights; its tap's name into `tap`. */
static int load_encoder(struct ssfd *s, const struct ssfd_conf *c, char tap[32], struct err *e)
{
    struct ckpt_info info;
    if (ckpt_read_info(c->checkpoint, &info, e)) return -1;
    if (strcmp(info.task, "ssl") != 0 || info.unet.in_channels != 1) {
        err_set(e, ERR_DATA,
                "%s: a network of task '%s' with %d input channels; the distance needs one of task "
                "'ssl' with 1",
                c->checkpoint, info.task, info.unet.in_channels);
        return err_hint(e, "give a checkpoint that train-ssl wrote");
    }
    if (unet_tap(&info.unet, c->layer, tap, e)) return -1;
    if (!(s->graph = graph_new())) return err_set(e, ERR_FAILED, "out of memory");
    unet_build(s->graph, &info.unet, graph_input(s->graph, "input", 1));
    graph_output(s->graph, graph_find(s->graph, tap));
    if (graph_seal(s->graph, e)) return -1;
    if (!(s->params = params_new(s->graph, e))) return -1;
    return ckpt_load(c->checkpoint, s->params, false, e);
}

static void *open_ssfd(const void *conf, int h, int w, struct err *e)
{
    struct ssfd *s = mem_new(1, sizeof *s, e);
    char tap[32];
    if (!s || load_encoder(s, conf, tap, e)) goto fail;
    s->plan =
        plan_new(s->graph, s->params, (struct plan_conf){.batch = 1, .height = h, .width = w}, e);
    if (!s->plan) goto fail;
    struct shape shape;
    s->input = plan_input(s->plan, "input");
    s->features = plan_output(s->plan, tap, &shape);
    s->len = shape_len(shape);
    s->reference = mem_new((size_t)h * (size_t)w, sizeof *s->reference, e);
    s->reference_features = mem_new(s->len, sizeof *s->reference_features, e);
    if (s->reference && s->reference_features) return s;
fail:
    close_ssfd(s);
    return NULL;
}

/* Features of x into the plan's output; the sd of x. */
static double encode(struct ssfd *s, const float *x, size_t n)
{
    memcpy(s->input, x, n * sizeof *x);
    double sd = normalise_zscore(s->input, n);
    plan_forward(s->plan, (struct step_key){0});
    return sd;
}

static double square_difference(const void *ctx, size_t from, size_t to)
{
    const struct ssfd *s = ctx;
    double sum = 0.0;
    for (size_t i = from; i < to; i++) {
        double d = (double)s->features[i] - (double)s->reference_features[i];
        sum += d * d;
    }
    return sum;
}

static int score(void *state, const void *conf, const float *reference, const float *image, int h,
                 int w, double *out, struct err *e)
{
    (void)conf;
    struct ssfd *s = state;
    size_t n = (size_t)h * (size_t)w, bytes = n * sizeof *reference;
    if (images_check(reference, image, h, w, e)) return -1;
    if (!s->known || memcmp(reference, s->reference, bytes) != 0) {
        s->known = false;
        if (!(encode(s, reference, n) > 0.0))
            return err_set(e, ERR_DATA, "the reference is constant: it has no z-score");
        memcpy(s->reference_features, s->features, s->len * sizeof *s->features);
        memcpy(s->reference, reference, bytes);
        s->known = true;
    }
    encode(s, image, n);
    *out = par_sum(s->len, square_difference, s) / (double)s->len;
    return 0;
}

static void variant(const void *conf, char *text, int size)
{
    const struct ssfd_conf *c = conf;
    snprintf(text, (size_t)size,
             "mean squared error of the features after the ReLU of %s, each image z-scored by "
             "itself, encoder %s",
             c->layer, c->checkpoint);
}

const struct metric metric_ssfd = {
    .kind = {"ssfd", "self-supervised feature distance (paper section 2.3)", fields,
             sizeof(struct ssfd_conf)},
    .label = "SSFD",
    .unit = "",
    .better = -1,
    .open = open_ssfd,
    .close = close_ssfd,
    .score = score,
    .variant = variant,
};
