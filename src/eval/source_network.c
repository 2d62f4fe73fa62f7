/* Networks of train-recon, applied on the fly: the scans are undersampled, zero-filled, divided by
 * the 95th percentile of the magnitude as in training, passed through, and multiplied back. */
#include "base/mem.h"
#include "data/undersample.h"
#include "eval/reconstructor.h"
#include "eval/source.h"

#include <math.h>
#include <stdio.h>

struct network_conf {
    struct cfg_texts checkpoints;
    struct undersample_conf undersample;
};

static const struct cfg_field fields[] = {
    CFG_TEXTS(struct network_conf, checkpoints, NULL,
              "checkpoints of train-recon; each is a method, named after its folder"),
    CFG_GROUP(struct network_conf, undersample, undersample_fields, "what they start from"),
    CFG_END};

struct network {
    struct undersample from;
    struct reconstructor net;
    float complex *zero; /* (h, w) */
    size_t pixels;
};

static int methods(const void *conf)
{
    return ((const struct network_conf *)conf)->checkpoints.n;
}

static void name(const void *conf, int k, char *text, int size)
{
    source_name_of_path(((const struct network_conf *)conf)->checkpoints.v[k], true, text, size);
}

static void describe(const void *conf, int k, char *text, int size)
{
    const struct network_conf *c = conf;
    snprintf(text, (size_t)size, "network %s, mask %s, seed %llu", c->checkpoints.v[k],
             c->undersample.mask.kind->name, (unsigned long long)c->undersample.seed);
}

static void close_network(void *state)
{
    struct network *n = state;
    if (!n) return;
    undersample_release(&n->from);
    reconstructor_release(&n->net);
    mem_free(n->zero);
    mem_free(n);
}

static void *open_network(const void *conf, int k, struct images *im, struct err *e)
{
    const struct network_conf *c = conf;
    struct network *n = mem_new(1, sizeof *n, e);
    if (!n) return NULL;
    const struct reconstructor_conf net = {.checkpoint = c->checkpoints.v[k],
                                           .batch = 1,
                                           .height = im->height,
                                           .width = im->width,
                                           .precision = NN_FP32,
                                           .from = c->undersample,
                                           .images = im};
    n->pixels = (size_t)im->height * (size_t)im->width;
    n->zero = mem_new(n->pixels, sizeof *n->zero, e);
    if (n->zero && !reconstructor_open(&n->net, &net, e) &&
        !undersample_init(&n->from, c->undersample, im, e))
        return n;
    close_network(n);
    return NULL;
}

static int read(void *state, int i, const float *reference, float *magnitude, struct err *e)
{
    (void)reference;
    struct network *n = state;
    const struct image at = n->from.images->list[i];
    const struct mask_key key = undersample_own_mask(&n->from, at.scan);
    if (undersample_slice(&n->from, at.scan, at.slice, key, n->zero, e)) return -1;
    const double top = undersample_scale(&n->from, n->zero);
    float scale = top > 0.0 ? (float)top : 1.0f; /* an empty image stays empty */
    for (size_t p = 0; p < n->pixels; p++) {
        n->net.input[2 * p] = crealf(n->zero[p]) / scale;
        n->net.input[2 * p + 1] = cimagf(n->zero[p]) / scale;
    }
    reconstructor_tell(&n->net, 0, &n->from, at.scan);
    reconstructor_run(&n->net);
    for (size_t p = 0; p < n->pixels; p++)
        magnitude[p] = scale * hypotf(n->net.output[2 * p], n->net.output[2 * p + 1]);
    return 0;
}

const struct source source_network = {
    .kind = {"network", "checkpoints of train-recon, applied to the undersampled scans", fields,
             sizeof(struct network_conf)},
    .methods = methods,
    .name = name,
    .describe = describe,
    .open = open_network,
    .close = close_network,
    .read = read,
};
