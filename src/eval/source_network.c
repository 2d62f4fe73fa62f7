/* Networks of train-recon, applied on the fly: the scans are undersampled, zero-filled, divided by
 * the 95th percentile of the magnitude as in training, passed through, and multiplied back. */
#include "base/mem.h"
#include "data/normalise.h"
#include "eval/source.h"
#include "eval/undersample.h"
#include "nn/ckpt.h"
#include "nn/graph.h"
#include "nn/params.h"
#include "nn/plan.h"
#include "nn/unet.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double TOP_SHARE = 0.05; /* as in training: the authors' TopMagnitudeNormalizer */

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
    struct graph *graph;
    struct params *params;
    struct plan *plan;
    float *input;        /* (h, w, 2), the plan's */
    const float *output; /* (h, w, 2), the plan's */
    float complex *zero; /* (h, w) */
    float *scratch;      /* (h, w) */
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
    plan_free(n->plan);
    params_free(n->params);
    graph_free(n->graph);
    mem_free(n->zero);
    mem_free(n->scratch);
    mem_free(n);
}

static int load(struct network *n, const char *path, int h, int w, struct err *e)
{
    struct ckpt_info info;
    if (ckpt_read_info(path, &info, e)) return -1;
    if (strcmp(info.task, "recon") != 0 || info.unet.in_channels != 2) {
        err_set(e, ERR_DATA,
                "%s: a network of task '%s' with %d input channels; reconstruction needs one of "
                "task 'recon' with 2",
                path, info.task, info.unet.in_channels);
        return err_hint(e, "give a checkpoint that train-recon wrote");
    }
    int multiple = unet_size_multiple(&info.unet);
    if (h % multiple || w % multiple) {
        err_set(e, ERR_CONFIG, "%s: images of %dx%d do not fit, this network takes multiples of %d",
                path, h, w, multiple);
        return err_hint(e, "set data.height and data.width to %d and %d",
                        (h + multiple - 1) / multiple * multiple,
                        (w + multiple - 1) / multiple * multiple);
    }
    if (!(n->graph = graph_new())) return err_set(e, ERR_FAILED, "out of memory");
    graph_output(n->graph, unet_build(n->graph, &info.unet, graph_input(n->graph, "input", 2)));
    if (graph_seal(n->graph, e) || !(n->params = params_new(n->graph, e)) ||
        ckpt_load(path, n->params, false, e))
        return -1;
    n->plan =
        plan_new(n->graph, n->params, (struct plan_conf){.batch = 1, .height = h, .width = w}, e);
    if (!n->plan) return -1;
    struct shape shape;
    n->input = plan_input(n->plan, "input");
    n->output = plan_output(n->plan, "output", &shape);
    return shape.c == 2 ? 0 : err_set(e, ERR_DATA, "%s: the output has %d channels", path, shape.c);
}

static void *open_network(const void *conf, int k, struct images *im, struct err *e)
{
    const struct network_conf *c = conf;
    struct network *n = mem_new(1, sizeof *n, e);
    if (!n) return NULL;
    n->pixels = (size_t)im->height * (size_t)im->width;
    n->zero = mem_new(n->pixels, sizeof *n->zero, e);
    n->scratch = mem_new(n->pixels, sizeof *n->scratch, e);
    if (n->zero && n->scratch && !load(n, c->checkpoints.v[k], im->height, im->width, e) &&
        !undersample_init(&n->from, &c->undersample, im, e))
        return n;
    close_network(n);
    return NULL;
}

static int read(void *state, int i, float *magnitude, struct err *e)
{
    struct network *n = state;
    if (undersample_read(&n->from, i, n->zero, e)) return -1;
    double top = normalise_top_magnitude(n->zero, n->pixels, TOP_SHARE, n->scratch);
    float scale = top > 0.0 ? (float)top : 1.0f; /* an empty image stays empty */
    for (size_t p = 0; p < n->pixels; p++) {
        n->input[2 * p] = crealf(n->zero[p]) / scale;
        n->input[2 * p + 1] = cimagf(n->zero[p]) / scale;
    }
    plan_forward(n->plan, (struct step_key){0});
    for (size_t p = 0; p < n->pixels; p++)
        magnitude[p] = scale * hypotf(n->output[2 * p], n->output[2 * p + 1]);
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
