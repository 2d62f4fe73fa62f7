/* 3x3 convolution, stride 1, same padding, of dense NHWC float32 by the Winograd scheme
 * F(4x4, 3x3) (winograd_tile.h): 4 times fewer multiplications than the direct sum in all three
 * passes. Weights are given and taken as (out, in, 3, 3). As in dn.h all memory is the caller's,
 * 64-byte aligned, so that nothing allocates after wino_new; made for the threads in force.
 *
 * The results of y and dx do not depend on the number of threads nor on the rest of the batch; dw
 * and db depend on the shape of the batch only. */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct wino_conf {
    int n, h, w, in, out;
    int first; /* channels of the first of two maps that are joined to x; `in`: one map */
    bool backward_weights, backward_data; /* gradients to make: of weights and bias; of x */
};

/* Whether this is expected to be faster than a direct convolution: a rule on the shape of one image
 * and on the instruction set, so that it holds for any batch. */
bool wino_pays(const struct wino_conf *c);

struct wino;
struct wino *wino_new(struct wino_conf conf, struct err *e);
void wino_free(struct wino *w);

/* Bytes the caller provides. */
size_t wino_packed_bytes(const struct wino *w);
size_t wino_scratch_forward(const struct wino *w);
size_t wino_scratch_backward(const struct wino *w);

void wino_pack(const struct wino *w, const float *weights, void *packed);
void wino_forward(const struct wino *w, const float *const x[2], const void *packed,
                  const float *bias /* or NULL */,
                  float slope /* of the ReLU at the end; 1: none */, float *y, void *scratch);

struct wino_gradient {
    const float *x[2], *dy;
    const float *y; /* NULL: dy is the gradient of the convolution; else of y, which lies behind */
    float slope;    /* a ReLU of this slope */
    const void *packed;
    float *dx[2], *dw, *db; /* overwritten, as conv_kernel.h has it */
    void *scratch;
};
void wino_backward(const struct wino *w, const struct wino_gradient *g);
