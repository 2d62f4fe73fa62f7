/* What is trained: a UNet and the loss of its output. */
#pragma once

#include "base/cfg.h"
#include "nn/graph.h"
#include "nn/params.h"
#include "nn/unet.h"
#include "train/parts.h"

enum loss_kind { LOSS_L2, LOSS_L1 };
extern const char *const loss_kinds[];

/* loss = (1 - weight) (l2 or l1) + weight SSFD: the authors' later loss. SSFD as eval/ssfd.c
 * computes it, with the encoder of train-ssl, frozen, on the z-scored magnitudes of output and
 * target. One difference: deviations are divided by n, not n - 1, with 1e-5 added to the variance,
 * as group normalisation does, which is a relative difference of 1e-5 for images of MR contrast. */
struct ssfd_loss_conf {
    double weight; /* 0: none */
    const char *checkpoint, *layer;
};
extern const struct cfg_field ssfd_loss_fields[];

struct loss_conf {
    enum loss_kind kind;
    struct ssfd_loss_conf ssfd;
    struct loss_parts *parts; /* of the blend, if it is one; NULL: nobody asks */
};

/* Whether two networks differ, and in what first: "filters is 20, here 32", by the name of the key.
 */
bool net_differs(const struct unet_conf *theirs, const struct unet_conf *here, char *what,
                 size_t size);
/* Whether the encoder that the loss asks for, if any, is there: before hours of work on references.
 */
int net_check(const struct loss_conf *loss, struct err *e);
/* Inputs "input" and "target", outputs "output" and "loss"; NULL with the error. */
struct graph *net_graph(const struct unet_conf *unet, const struct loss_conf *loss, struct err *e);
/* Initial weights by seed, and the frozen encoder's. `encoder`: the checksum of its checkpoint, or
 * 0. A residual network begins as the identity: its last weights are 0. */
struct params *net_params(const struct graph *g, const struct unet_conf *unet,
                          const struct loss_conf *loss, uint64_t seed, uint64_t *encoder,
                          struct err *e);
