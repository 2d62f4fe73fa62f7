#include "train/net.h"

#include "base/hash.h"
#include "nn/ckpt.h"

#include <stdio.h>
#include <string.h>

static const char PREFIX[] = "ssfd.";

const char *const loss_kinds[] = {[LOSS_L2] = "l2", [LOSS_L1] = "l1", NULL};

const struct cfg_field ssfd_loss_fields[] = {
    CFG_REAL(struct ssfd_loss_conf, weight, "0", 0, 1, "",
             "share of SSFD in the loss; the rest is fit.loss"),
    CFG_TEXT(struct ssfd_loss_conf, checkpoint, "", "checkpoint of train-ssl, for SSFD"),
    CFG_TEXT(struct ssfd_loss_conf, layer, "conv9",
             "features after the ReLU of this convolution: conv1, conv2, … or blockB_reluR"),
    CFG_END};

static void print_value(const struct cfg_field *f, const void *conf, char *text, size_t size)
{
    const void *at = (const char *)conf + f->offset;
    if (f->type == CFG_TYPE_REAL)
        snprintf(text, size, "%.15g", *(const double *)at);
    else if (f->type == CFG_TYPE_BOOL)
        snprintf(text, size, "%s", *(const bool *)at ? "true" : "false");
    else if (f->type == CFG_TYPE_CHOICE)
        snprintf(text, size, "%s", f->choices[*(const int *)at]);
    else
        snprintf(text, size, "%d", *(const int *)at);
}

bool net_differs(const struct unet_conf *theirs, const struct unet_conf *here, char *what,
                 size_t size)
{
    char was[32], is[32];
    for (const struct cfg_field *f = unet_recon_fields; f->key; f++) { /* all there are */
        print_value(f, theirs, was, sizeof was);
        print_value(f, here, is, sizeof is);
        if (!strcmp(was, is)) continue;
        snprintf(what, size, "%s is %s, here %s", f->key, was, is);
        return true;
    }
    return false;
}

/* The features of image x (complex, or a magnitude), named "VALUES.TAP". */
static int encode(struct graph *g, const struct unet_conf *encoder, int x, int channels,
                  const char *values, const char *tap)
{
    char name[48];
    graph_frozen(g, PREFIX, values);
    if (channels == 2) x = nn_magnitude(g, x);
    unet_build(g, encoder, nn_groupnorm(g, x, NULL, 1, false));
    graph_frozen(g, NULL, NULL);
    snprintf(name, sizeof name, "%s%s", values, tap);
    return graph_find(g, name);
}

/* Description of the encoder, as it is used, and its tap. */
static int encoder_of(const struct ssfd_loss_conf *c, struct unet_conf *unet, char tap[32],
                      struct err *e)
{
    struct ckpt_info info;
    if (ckpt_read_info(c->checkpoint, &info, e)) return err_wrap(e, "fit.ssfd.checkpoint");
    if (strcmp(info.task, "ssl") != 0 || info.unet.in_channels != 1) {
        err_set(
            e, ERR_DATA,
            "fit.ssfd.checkpoint: %s: a network of task '%s' with %d input channels; SSFD needs "
            "one of task 'ssl' with 1",
            c->checkpoint, info.task, info.unet.in_channels);
        return err_hint(e, "give a checkpoint that train-ssl wrote");
    }
    *unet = info.unet;
    unet->dropout = 0.0;    /* the metric has none */
    unet->residual = false; /* that concerns the output, which is cut */
    unet->data_consistency = 0;
    return unet_tap(unet, c->layer, tap, e) ? err_wrap(e, "fit.ssfd.layer") : 0;
}

int net_check(const struct loss_conf *loss, struct err *e)
{
    struct unet_conf encoder;
    char tap[32];
    return loss->ssfd.weight > 0.0 ? encoder_of(&loss->ssfd, &encoder, tap, e) : 0;
}

struct graph *net_graph(const struct unet_conf *unet, const struct loss_conf *loss, struct err *e)
{
    struct unet_conf encoder;
    char tap[32];
    const bool ssfd = loss->ssfd.weight > 0.0;
    if (ssfd && encoder_of(&loss->ssfd, &encoder, tap, e)) return NULL;
    struct graph *g = graph_new();
    const int x = graph_input(g, "input", unet->in_channels);
    const int target = graph_input(g, "target", unet->out_channels);
    const int y = unet_build(g, unet, x);
    graph_output(g, y);
    int value = loss->kind == LOSS_L1 ? nn_l1(g, y, target) : nn_l2(g, y, target);
    if (ssfd) {
        const int channels = unet->out_channels;
        const int distance = nn_l2(g, encode(g, &encoder, y, channels, "out.", tap),
                                   encode(g, &encoder, target, channels, "target.", tap));
        const int pixels = nn_part(g, value, loss_kinds[loss->kind], loss->parts);
        value = nn_blend(g, nn_part(g, distance, "ssfd", loss->parts), (float)loss->ssfd.weight,
                         pixels, (float)(1.0 - loss->ssfd.weight));
    }
    graph_output(g, graph_name(g, value, "loss"));
    if (graph_seal(g, e) == 0) return g;
    graph_free(g);
    return NULL;
}

struct params *net_params(const struct graph *g, const struct unet_conf *unet,
                          const struct loss_conf *loss, uint64_t seed, uint64_t *encoder,
                          struct err *e)
{
    struct params *p = params_new(g, e);
    *encoder = 0;
    if (!p) return NULL;
    params_init(p, seed);
    if (unet->residual) {
        const struct param *last = params_find(p, "output.weight");
        memset(p->val + last->offset, 0, last->len * sizeof *p->val);
    }
    if (loss->ssfd.weight == 0.0) return p;
    if (seal_check(loss->ssfd.checkpoint, encoder, e) == 0 &&
        ckpt_load_frozen(loss->ssfd.checkpoint, p, PREFIX, e) == 0)
        return p;
    params_free(p);
    return NULL;
}
