/* The self-supervised feature distance (paper section 2.3): both images pass through the encoder of
 * the network trained to in-paint, cut after the ReLU of one convolution; the distance is the
 * element-wise mean squared error between the two feature maps. Of several layers, the sum of
 * `weights` times the distance at each, from one pass.
 *
 * Each image is z-scored by itself (as in the authors' code), so the distance does not change with
 * a x + b, a > 0, applied to either. A constant image counts as all zero. */
#include "data/normalise.h"
#include "eval/feature_net.h"
#include "eval/metric.h"
#include "eval/range.h"
#include "nn/ckpt.h"
#include "nn/unet.h"

#include <stdio.h>
#include <string.h>

struct ssfd_conf {
    const char *checkpoint, *layer;
    struct cfg_texts layers;
    struct cfg_reals weights;
};

static const struct cfg_field fields[] = {
    CFG_TEXT(struct ssfd_conf, checkpoint, NULL, "checkpoint of train-ssl"),
    CFG_TEXT(struct ssfd_conf, layer, "conv9",
             "features after the ReLU of this convolution: conv1, conv2, … or blockB_reluR"),
    CFG_TEXTS(struct ssfd_conf, layers, "[]", "instead of `layer`: several, combined linearly"),
    CFG_REALS(
        struct ssfd_conf, weights, "[]", 0, 1e12, "",
        "factors of the distances at `layers` (fit-ssfd finds them from reader scores); none: "
        "all 1"),
    CFG_END};

enum { MOST_LAYERS = 16 };

static int layers_of(const struct ssfd_conf *c)
{
    return c->layers.n ? c->layers.n : 1;
}

/* The encoder up to the last of the layers, whose taps' names go into tap. */
static int build(const char *checkpoint, const char *const *layers, int n, char tap[][32],
                 struct graph *g, struct err *e)
{
    struct ckpt_info info;
    if (ckpt_read_info(checkpoint, &info, e)) return -1;
    if (strcmp(info.task, "ssl") != 0 || info.unet.in_channels != 1) {
        err_set(e, ERR_DATA,
                "%s: a network of task '%s' with %d input channels; the distance needs one of task "
                "'ssl' with 1",
                checkpoint, info.task, info.unet.in_channels);
        return err_hint(e, "give a checkpoint that train-ssl wrote");
    }
    unet_build(g, &info.unet, graph_input(g, "input", 1));
    for (int k = 0; k < n; k++) {
        if (unet_tap(&info.unet, layers[k], tap[k], e)) return -1;
        for (int l = 0; l < k; l++)
            if (strcmp(tap[l], tap[k]) == 0)
                return err_set(e, ERR_CONFIG, "layers '%s' and '%s' are the same", layers[l],
                               layers[k]);
        graph_output(g, graph_find(g, tap[k]));
    }
    return graph_seal(g, e);
}

static void close_ssfd(void *state)
{
    features_free(state);
}

static void *open_ssfd(const void *conf, int h, int w, struct err *e)
{
    const struct ssfd_conf *c = conf;
    const char *const *layers = c->layers.n ? c->layers.v : &c->layer;
    const int n = layers_of(c);
    char tap[MOST_LAYERS][32];
    const char *name[MOST_LAYERS];
    struct params *p = NULL;
    struct graph *g = NULL;
    if (n > MOST_LAYERS) {
        err_set(e, ERR_CONFIG, "%d layers; 1 to %d are possible", n, MOST_LAYERS);
        return NULL;
    }
    if (c->weights.n && c->weights.n != c->layers.n) {
        err_set(e, ERR_CONFIG, "%d weights for %d layers", c->weights.n, c->layers.n);
        err_hint(e,
                 "give `weights` a number for each of `layers`, in their order, or leave it out");
        return NULL;
    }
    if (!(g = graph_new())) {
        err_set(e, ERR_FAILED, "out of memory");
        return NULL;
    }
    if (build(c->checkpoint, layers, n, tap, g, e) || !(p = params_new(g, e)) ||
        ckpt_load(c->checkpoint, p, false, e)) {
        params_free(p);
        graph_free(g);
        return NULL;
    }
    for (int k = 0; k < n; k++)
        name[k] = tap[k];
    return features_new(g, p, name, n, h, w, e);
}

static int zscored(const void *ctx, const float *reference, const float *x, size_t n, float *input,
                   struct err *e)
{
    (void)ctx;
    memcpy(input, x, n * sizeof *x);
    double sd = normalise_zscore(input, n);
    if (x == reference && !(sd > 0.0))
        return err_set(e, ERR_DATA, "the reference is constant: it has no z-score");
    return 0;
}

static int score(void *state, const void *conf, const struct metric_pair *pair, double *out,
                 struct err *e)
{
    const struct ssfd_conf *c = conf;
    double at[MOST_LAYERS], sum = 0.0;
    if (images_check(pair, e) || features_distance(state, zscored, NULL, pair, at, e)) return -1;
    for (int k = 0; k < layers_of(c); k++)
        sum += (c->weights.n ? c->weights.v[k] : 1.0) * at[k];
    *out = sum;
    return 0;
}

/* "conv9", or "0.5 conv3 + 2 conv9". */
static void combination(const struct ssfd_conf *c, char *text, int size)
{
    int at = c->layers.n ? 0 : snprintf(text, (size_t)size, "%s", c->layer);
    for (int k = 0; k < c->layers.n && at < size; k++)
        at += snprintf(text + at, (size_t)(size - at), "%s%.9g %s", k ? " + " : "",
                       c->weights.n ? c->weights.v[k] : 1.0, c->layers.v[k]);
}

static void variant(const void *conf, char *text, int size)
{
    const struct ssfd_conf *c = conf;
    char layers[512];
    combination(c, layers, sizeof layers);
    snprintf(text, (size_t)size,
             "mean squared error of the features after the ReLU of %s, each image z-scored by "
             "itself, encoder %s",
             layers, c->checkpoint);
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
