/* A network of train-recon, from its checkpoint, ready to reconstruct: zero-filled images in,
 * reconstructed ones out, both complex as two channels and in the scale the network was trained in
 * (data/normalise.h: the 95th percentile of the zero-filled magnitude is 1). */
#pragma once

#include "base/err.h"
#include "data/acquisition.h"
#include "nn/ckpt.h"
#include "nn/plan.h"

struct reconstructor {
    struct ckpt_info info;
    int batch, height, width;
    uint64_t weights; /* a fingerprint of the parameters' values */
    struct graph *graph;
    struct params *params;
    struct plan *plan;
    struct acquisition *acquisition; /* NULL: the network has no data consistency */
    struct normal normal;
    float *input;        /* (batch, height, width, 2), to be filled */
    float *told;         /* (batch) acquisitions, filled by reconstructor_tell; NULL: none */
    const float *output; /* (batch, height, width, 2), after reconstructor_run */
};

struct reconstructor_conf {
    const char *checkpoint;
    int batch, height, width; /* height or width 0: that of the training */
    enum nn_precision precision;
    struct undersample_conf from; /* as what it will be given is undersampled; from these: */
    const struct images *images;  /* found; NULL: networks with data consistency are refused */
};

/* The description alone: ERR_DATA where the file is no checkpoint of train-recon. A height or width
 * of 0 becomes that of the training; sizes the network cannot halve are ERR_CONFIG with the next
 * ones that fit. */
int reconstructor_describe(const char *checkpoint, int *height, int *width, struct ckpt_info *info,
                           struct err *e);
/* Warns where the network was trained with other masks, as far as its checkpoint says. Whatever the
 * outcome, the caller releases it in the end. */
int reconstructor_open(struct reconstructor *r, const struct reconstructor_conf *c, struct err *e);
void reconstructor_release(struct reconstructor *r);
/* That input i is the slice which `u` undersampled last. Inputs may be told by several threads. */
void reconstructor_tell(const struct reconstructor *r, int i, struct undersample *u, int scan);
void reconstructor_run(struct reconstructor *r);
