/* A network as a list of steps, run forward and backward by the naive operators in double
 * precision. The same list can be turned into a graph of the engine, so that a test writes a
 * network once. */
#pragma once

#include "naive.h"
#include "nn/unet.h"

#include <stdbool.h>

enum naive_kind {
    NAIVE_END,
    NAIVE_CONV,   /* filters, side, affine: with bias */
    NAIVE_DECONV, /* filters, affine: with bias */
    NAIVE_MAXPOOL,
    NAIVE_AVGPOOL,
    NAIVE_GROUPNORM,    /* groups, affine */
    NAIVE_INSTANCENORM, /* affine */
    NAIVE_RELU,
    NAIVE_LEAKY,   /* slope */
    NAIVE_DROPOUT, /* slope: the rate; identity unless naive_net.keep says otherwise */
    NAIVE_CONCAT,
    NAIVE_L2, /* only as the last step */
};

struct naive_step {
    enum naive_kind kind;
    /* Operands, counted back: 0 is the value just before this step, 1 the one before that. */
    int a, b;
    int filters, side, groups;
    bool affine;
    bool tap; /* twin.h: an output of the engine, too, and not only the last value */
    double slope;
    char name[24]; /* of parameters; "s3" for the fourth step when empty */
};

struct naive_param {
    char name[64];
    int rank, dim[4];
    size_t len, fan_in; /* fan_in: inputs of one output of a convolution, else 0 */
    double *val, *grad; /* owned */
};

enum { NAIVE_STEPS = 96, NAIVE_PARAMS = 96 };

/* Value 0 is the input, value i + 1 the result of step i. Without a final NAIVE_L2 the loss is the
 * l2 distance of the last value from a target. */
struct naive_net {
    int n, nparams;
    struct naive_step step[NAIVE_STEPS];
    struct shape shape[NAIVE_STEPS + 1];
    double *y[NAIVE_STEPS + 1], *dy[NAIVE_STEPS + 1];
    int weight[NAIVE_STEPS]; /* first parameter of a step, or -1 */
    struct naive_param param[NAIVE_PARAMS];
    const double *keep[NAIVE_STEPS]; /* dropout masks, borrowed; NULL: identity */
    bool single; /* round every value and its gradient to float32: what that precision costs */
    /* whether the convolution of a step multiplies factors rounded to bfloat16: x, weights and dy
     */
    bool bf16[NAIVE_STEPS];
};

struct naive_net *naive_net_new(const struct naive_step *steps, struct shape input);
void naive_net_free(struct naive_net *net);
struct naive_param *naive_net_param(struct naive_net *net, const char *name); /* NULL: none */
/* The last value that is a tensor: what is compared with a target. */
const double *naive_net_output(const struct naive_net *net, struct shape *s);

/* Forward pass; returns the loss. `target` as large as the output, NULL with NAIVE_L2. */
double naive_net_forward(struct naive_net *net, const double *x, const double *target);
/* Gradients of that loss: of parameters in param[].grad, of the input in dy[0]. */
void naive_net_backward(struct naive_net *net, const double *target);

/* The UNets of src/nn/unet.h, written down a second time from the paper: fills steps[NAIVE_STEPS].
 */
void naive_unet(const struct unet_conf *conf, struct naive_step *steps);
