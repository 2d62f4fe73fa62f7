/* The ways to compute a convolution. One file each; conv_kernels[] lists them, and the first that
 * takes a convolution computes it, by a rule on the shape of one image, the precision and the
 * processor, never by timing: the choice is the same for every batch and in every run. All memory
 * is the caller's, 64-byte aligned, so that nothing allocates after `make`; made for the threads in
 * force.
 *
 * To add one: write the table of functions and put it into conv_kernels[] (conv_node.c) before what
 * it beats; tests/nn/test_conv.c then compares it with the oracle at every shape it takes. */
#pragma once

#include "base/err.h"
#include "nn/dn.h"
#include "nn/op.h"

#include <stdbool.h>
#include <stddef.h>

/* Same padding and stride 1, weights (out, in, side, side); or, `up`, transposed 2x2 with stride 2
 * to twice the height and width, weights (in, out, 2, 2). Activations are dense NHWC float32. */
struct conv_conf {
    int n, h, w, in, out; /* h, w of x */
    int first; /* channels of the first of two maps that are joined to x; `in` or 0: one map */
    int side;  /* 1 or 3; 2 with `up` */
    bool up, bias;
    bool backward_weights, backward_data; /* the gradients asked for: of weights and bias; of x */
    float slope;                          /* of the ReLU at the end; 1: none */
    struct note norm[2]; /* of either map, to be applied to it first; of tile 0: none */
    enum nn_precision precision;
};

struct conv_need {
    size_t packed, forward, backward; /* bytes */
    int parts, columns;               /* of sums (struct note); 0: cannot sum */
};

struct conv_x {                   /* one map, or two that are joined */
    const float *at[2], *norm[2]; /* norm: the note that conv_conf tells of */
};

struct conv_gradient {
    struct conv_x x;
    const float *y, *dy; /* dy is the gradient of y, which lies behind the ReLU */
    const void *packed;
    /* Overwritten. NULL: not wanted; db also of a convolution without bias. Without dw there is no
     * db either, and x is not read. */
    float *dx[2], *dw, *db;
    void *scratch;
};

struct conv_kernel {
    const char *name;
    bool joins; /* takes two maps; else they are copied together for it, as the first */
    bool applies_norm;
    /* Whether it can compute this, on this processor, and is expected to do it best. */
    bool (*takes)(const struct conv_conf *c, enum dn_isa isa);
    void *(*make)(const struct conv_conf *c, enum dn_isa isa, struct dn *d, struct conv_need *need,
                  struct err *e);
    void (*free)(void *k);
    /* Brings weights and bias (or NULL) into `packed`. */
    void (*pack)(const void *k, const float *weights, const float *bias, void *packed);
    void (*forward)(const void *k, const struct conv_x *x, const void *packed, float *y,
                    double *sums /* or NULL */, void *scratch);
    void (*backward)(const void *k, const struct conv_gradient *g);
    void (*describe)(const void *k, char *text, size_t size);
};

extern const struct conv_kernel conv_bf16, conv_bf16_split, conv_winograd, conv_pointwise,
    conv_thin, conv_direct;
extern const struct conv_kernel *const conv_kernels[]; /* NULL-ended; the last takes everything */
const struct conv_kernel *conv_kernel_for(const struct conv_conf *c, enum dn_isa isa);

/* What op_conv and op_deconv share: node->state is a struct conv_state. */
struct conv_state {
    const struct conv_kernel *kernel;
    void *k;
    size_t
        joined; /* bytes of two maps copied together for a kernel that takes one; 0: not needed */
};
/* `c`: what the operator knows of the convolution, the rest is the node's. */
bool conv_node_applies_norm(const struct node *n, struct conv_conf c);
int conv_node_plan(struct node *n, struct conv_conf c, struct err *e);
void conv_node_pack(const struct node *n, const struct io *io);
void conv_node_forward(const struct node *n, const struct io *io);
void conv_node_backward(const struct node *n, const struct io *io);
void conv_node_release(struct node *n);
void conv_node_kernel(const struct node *n, char *text, size_t size);
