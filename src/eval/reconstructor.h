/* A network of train-recon, from its checkpoint, ready to reconstruct: zero-filled images in,
 * reconstructed ones out, both complex as two channels and in the scale the network was trained in
 * (data/normalise.h: the 95th percentile of the zero-filled magnitude is 1). */
#pragma once

#include "base/err.h"
#include "nn/ckpt.h"
#include "nn/plan.h"

struct reconstructor {
    struct ckpt_info info;
    int batch, height, width;
    uint64_t weights; /* a fingerprint of the parameters' values */
    struct graph *graph;
    struct params *params;
    struct plan *plan;
    float *input;        /* (batch, height, width, 2), to be filled */
    const float *output; /* the same, after reconstructor_run */
};

/* The description alone: ERR_DATA where the file is no checkpoint of train-recon. A height or width
 * of 0 becomes that of the training; sizes the network cannot halve are ERR_CONFIG with the next
 * ones that fit. */
int reconstructor_describe(const char *checkpoint, int *height, int *width, struct ckpt_info *info,
                           struct err *e);
/* Whatever the outcome, the caller releases it in the end. */
int reconstructor_open(struct reconstructor *r, const char *checkpoint, int batch, int height,
                       int width, enum nn_precision precision, struct err *e);
void reconstructor_release(struct reconstructor *r);
void reconstructor_run(struct reconstructor *r);
