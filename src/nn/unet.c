/* The two orders of operators in a block of two convolutions:
 *   context  conv+bias, ReLU, conv+bias, ReLU, GroupNorm, dropout;   up: deconv+bias, ReLU,
 * GroupNorm fastmri  (conv, InstanceNorm, LeakyReLU 0.2, dropout) twice;     up: deconv,
 * InstanceNorm, LeakyReLU and in both: pool between the levels on the way down, concat [up, skip]
 * before the blocks on the way up, and a 1x1 convolution with bias at the end. */
#include "nn/unet.h"

#include "nn/op.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const float SLOPE = 0.2f; /* of the fastMRI block's leaky ReLU */

static const char *const blocks[] = {"context", "fastmri", NULL};

#define UNET_FIELDS(channels, width, depth, order, drop)                                           \
    CFG_INT(struct unet_conf, in_channels, channels, 1, 64, "", "channels of the input"),          \
        CFG_INT(struct unet_conf, out_channels, channels, 1, 64, "", "channels of the output"),    \
        CFG_INT(struct unet_conf, filters, width, 1, 1024, "",                                     \
                "filters of the first level; they double from level to level"),                    \
        CFG_INT(struct unet_conf, levels, depth, 1, 8, "", "levels; one pooling less than that"),  \
        CFG_CHOICE(struct unet_conf, block, order, blocks,                                         \
                   "order of operators: context (conv, relu twice, group norm) or fastmri (conv, " \
                   "instance norm, leaky relu, twice)"),                                           \
        CFG_INT(struct unet_conf, groups, "10", 1, 1024, "",                                       \
                "groups of the context block's normalisation; must divide the filters"),           \
        CFG_REAL(struct unet_conf, dropout, drop, 0, 0.95, "", "probability of dropping"),         \
        CFG_BOOL(struct unet_conf, residual, "false",                                              \
                 "the network corrects its input: output = input + what it computes")

const struct cfg_field unet_ssl_fields[] = {UNET_FIELDS("1", "20", "5", "context", "0.1"), CFG_END};
const struct cfg_field unet_recon_fields[] = {
    UNET_FIELDS("2", "32", "4", "fastmri", "0"),
    CFG_INT(struct unet_conf, data_consistency, "0", 0, 16, "steps",
            "of gradient descent behind the UNet that bring its output closer to the samples, each "
            "with a trained step size; 0: none (docs/training.md)"),
    CFG_END};

static int dropped(struct graph *g, const struct unet_conf *c, int x)
{
    return c->dropout > 0.0 ? nn_dropout(g, x, (float)c->dropout) : x;
}

/* `tap`: name the ReLUs "blockB_reluR" for B = tap; 0: no names. */
static int block(struct graph *g, const struct unet_conf *c, int x, const char *name, int filters,
                 int tap)
{
    const bool context = c->block == UNET_BLOCK_CONTEXT;
    char part[40];
    for (int r = 1; r <= 2; r++) {
        snprintf(part, sizeof part, "%s.conv%d", name, r);
        x = nn_conv(g, x, part, filters, 3, context);
        if (!context) {
            snprintf(part, sizeof part, "%s.norm%d", name, r);
            x = nn_instancenorm(g, x, part, false);
        }
        x = context ? nn_relu(g, x) : nn_leaky_relu(g, x, SLOPE);
        if (tap) x = graph_name(g, x, "block%d_relu%d", tap, r);
        if (!context) x = dropped(g, c, x);
    }
    if (!context) return x;
    snprintf(part, sizeof part, "%s.norm", name);
    return dropped(g, c, nn_groupnorm(g, x, part, c->groups, true));
}

static int up(struct graph *g, const struct unet_conf *c, int x, const char *name, int filters)
{
    const bool context = c->block == UNET_BLOCK_CONTEXT;
    char deconv[40], norm[40];
    snprintf(deconv, sizeof deconv, "%s.deconv", name);
    snprintf(norm, sizeof norm, "%s.deconv_norm", name);
    x = nn_deconv(g, x, deconv, filters, context);
    if (context) return nn_groupnorm(g, nn_relu(g, x), norm, c->groups, true);
    return nn_leaky_relu(g, nn_instancenorm(g, x, norm, false), SLOPE);
}

/* Steps of sizes between 0 and 2 bring no image further from the samples, as the eigenvalues of N
 * are between 0 and 1. On a quadratic they commute, so that equal sizes would have equal gradients
 * and stay equal: they begin spread over that range. */
static int consistent(struct graph *g, const struct unet_conf *c, int x, int zero_filled)
{
    char name[32];
    if (c->data_consistency == 0) return x;
    if (!c->normal) return graph_fail(g, "data consistency without an acquisition");
    const int acquisition = graph_input(g, "acquisition", c->normal->channels);
    for (int k = 1; k <= c->data_consistency; k++) {
        snprintf(name, sizeof name, "consistency%d", k);
        const float lambda = 2.0f * (float)k / (float)(c->data_consistency + 1);
        x = nn_consistency(g, x, zero_filled, acquisition, name, lambda, c->normal);
    }
    return x;
}

int unet_build(struct graph *g, const struct unet_conf *c, int x)
{
    enum { MOST = 16 };
    const int input = x;
    int skip[MOST] = {0}, filters = c->filters;
    char name[16];
    if (c->levels < 1 || c->levels > MOST) return graph_fail(g, "a UNet of %d levels", c->levels);
    for (int l = 1; l <= c->levels; l++, filters *= 2) {
        snprintf(name, sizeof name, "block%d", l);
        x = skip[l - 1] = block(g, c, x, name, filters, l);
        if (l < c->levels) x = c->block == UNET_BLOCK_CONTEXT ? nn_maxpool(g, x) : nn_avgpool(g, x);
    }
    filters /= 2;
    for (int l = c->levels - 1; l >= 1; l--) {
        filters /= 2;
        snprintf(name, sizeof name, "up%d", l);
        x = up(g, c, x, name, filters);
        x = block(g, c, nn_concat(g, x, skip[l - 1]), name, filters, 0);
    }
    x = nn_conv(g, x, "output", c->out_channels, 1, true);
    if (c->residual) x = nn_add(g, x, input);
    return graph_name(g, consistent(g, c, x, input), "output");
}

int unet_size_multiple(const struct unet_conf *c)
{
    return 1 << (c->levels - 1);
}

/* A number without sign or leading zero, at the start of *at, which moves behind it; 0: none. */
static int number(const char **at)
{
    if (**at < '1' || **at > '9') return 0;
    char *end;
    const long n = strtol(*at, &end, 10);
    *at = end;
    return n > 1000000 ? 0 : (int)n;
}

int unet_tap(const struct unet_conf *c, const char *layer, char out[32], struct err *e)
{
    int block = 0, relu = 0;
    const char *at = layer;
    if (strncmp(at, "conv", 4) == 0) {
        at += 4;
        const int k = number(&at);
        block = (k + 1) / 2;
        relu = k - 2 * (block - 1);
    } else if (strncmp(at, "block", 5) == 0) {
        at += 5;
        block = number(&at);
        if (block && strncmp(at, "_relu", 5) == 0) {
            at += 5;
            relu = number(&at);
        }
    }
    if (*at || block < 1 || block > c->levels || relu < 1 || relu > 2) {
        err_set(e, ERR_CONFIG, "there is no layer '%s' in this network", layer);
        return err_hint(e, "layers are conv1 to conv%d, or block1_relu1 to block%d_relu2",
                        2 * c->levels, c->levels);
    }
    snprintf(out, 32, "block%d_relu%d", block, relu);
    return 0;
}
