/* The UNet of the paper's section 2.2 and the fastMRI reconstructor, from one description: two
 * convolutions a level, filters doubling from level to level.
 *
 * Feature taps: the ReLU after convolution R (1, 2) of encoder block B is named "blockB_reluR"; the
 * paper's "convK" (1-based) is blockB_reluR with B = (K + 1) / 2, R = K - 2 (B - 1). The output is
 * named "output".
 *
 * Parameters, for encoder block B and the way up to level L: blockB.conv1, blockB.conv2,
 * blockB.norm; upL.deconv, upL.deconv_norm, upL.conv1, upL.conv2, upL.norm; output; each with
 * .weight and .bias where it has them. The fastMRI block has no norm parameters, and bias only in
 * output. */
#pragma once

#include "base/cfg.h"
#include "nn/consistency.h"
#include "nn/graph.h"

enum unet_block { UNET_BLOCK_CONTEXT, UNET_BLOCK_FASTMRI };

struct unet_conf {
    int in_channels, out_channels, filters, levels;
    int block;  /* enum unet_block; see unet.c for the two orders of operators */
    int groups; /* of group normalisation (context block); must divide the filters */
    double dropout;
    bool residual;               /* the output is a correction of the input, added to it */
    int data_consistency;        /* steps of it behind the rest (consistency.h); needs 2 channels */
    const struct normal *normal; /* for them, by whoever has the images; not configured. It outlives
                                    the graph. */
};

extern const struct cfg_field unet_ssl_fields[]; /* defaults: 1 -> 1, 20 filters, 5 levels, context
                                                    block: 3,034,381 parameters */
extern const struct cfg_field
    unet_recon_fields[]; /* 2 -> 2, 32 filters, 4 levels, fastMRI block: 1,923,714 parameters */

/* Appends the network to g, reading value x; returns the output value, named "output". With steps
 * of data consistency x must be the zero-filled image, and there is another input, "acquisition",
 * of normal->channels; parameters are consistencyK.lambda for K = 1, 2, … */
int unet_build(struct graph *g, const struct unet_conf *conf, int x);
/* Height and width must be multiples of this. */
int unet_size_multiple(const struct unet_conf *conf);
/* "conv9" or "block5_relu1" -> the tap's name, into out[32]; ERR_CONFIG when it does not exist. */
int unet_tap(const struct unet_conf *conf, const char *layer, char out[32], struct err *e);
