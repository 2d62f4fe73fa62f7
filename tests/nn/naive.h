/* Every operator of the network engine once more, as plain loops in double precision: the oracle
 * the fast kernels are tested against. It shares no code with them; test_naive.c holds it against
 * central differences and against PyTorch's numbers.
 *
 * Layouts are the engine's: activations (N,H,W,C), convolution weights (out, in, h, w), transposed
 * convolutions (in, out, h, w). `s` is always the shape of the operator's input x. Backward
 * functions add to the gradients they are given, so a value with several readers needs nothing
 * further; a gradient nobody wants may be NULL. */
#pragma once

#include "nn/shape.h"

/* As the float32 nearest to x, rounded to the 8 bits of a bfloat16, ties to even. */
double naive_bf16(double x);

/* side x side cross-correlation with (side - 1) / 2 zeros around; b may be NULL. y is
 * (n,h,w,filters). */
void naive_conv(struct shape s, int filters, int side, const double *x, const double *w,
                const double *b, double *y);
void naive_conv_back(struct shape s, int filters, int side, const double *x, const double *w,
                     const double *dy, double *dx, double *dw, double *db);

/* Of a bias: the sum over pixels; `out` is the shape of y. */
void naive_bias_back(struct shape out, const double *dy, double *db);

/* Transposed 2x2 with stride 2; y is (n, 2h, 2w, filters). */
void naive_deconv(struct shape s, int filters, const double *x, const double *w, const double *b,
                  double *y);
void naive_deconv_back(struct shape s, int filters, const double *x, const double *w,
                       const double *dy, double *dx, double *dw, double *db);

/* 2x2 with stride 2, an odd last row or column left out; y is (n, h/2, w/2, c). Of equal maxima the
 * first in row order takes the gradient, as in PyTorch. */
void naive_maxpool(struct shape s, const double *x, double *y);
void naive_maxpool_back(struct shape s, const double *x, const double *dy, double *dx);
void naive_avgpool(struct shape s, const double *x, double *y);
void naive_avgpool_back(struct shape s, const double *dy, double *dx);

/* Group normalisation (Wu & He 2018) with biased variance and eps 1e-5; as many groups as channels
 * is instance normalisation. scale and offset (c values each) may both be NULL. */
void naive_norm(struct shape s, int groups, const double *x, const double *scale,
                const double *offset, double *y);
void naive_norm_back(struct shape s, int groups, const double *x, const double *scale,
                     const double *dy, double *dx, double *dscale, double *doffset);

/* slope 0 is the plain ReLU; at 0 the slope counts, as in PyTorch. */
void naive_relu(size_t n, double slope, const double *x, double *y);
void naive_relu_back(size_t n, double slope, const double *x, const double *dy, double *dx);

/* keep[i] is 1 where element i survives, else 0. */
void naive_dropout(size_t n, double rate, const double *keep, const double *x, double *y);
void naive_dropout_back(size_t n, double rate, const double *keep, const double *dy, double *dx);

/* Channels of a (shape s), then those of b (cb of them). */
void naive_concat(struct shape s, int cb, const double *a, const double *b, double *y);
void naive_concat_back(struct shape s, int cb, const double *dy, double *da, double *db);

/* Mean of the squared difference over all elements, and its gradient to both sides. */
double naive_l2(size_t n, const double *p, const double *t);
void naive_l2_back(size_t n, const double *p, const double *t, double *dp, double *dt);
