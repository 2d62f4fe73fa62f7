/* Checkpoints: one HDF5 file with every parameter by name, Adam's moments, a few named numbers, and
 * the network's description, so that a reader needs nothing else. Written atomically. */
#pragma once

#include "base/err.h"
#include "nn/params.h"
#include "nn/unet.h"

#include <stdint.h>

struct ckpt_info {
    char task[16]; /* "ssl" or "recon" */
    struct unet_conf unet;
    uint64_t step;    /* optimiser steps done */
    double best_loss; /* best validation loss so far */
    uint64_t best_step;
    double loss_sum;   /* of the training, over the steps since its last line in the log */
    int height, width; /* of the images trained on */
};

/* Refuses values that are not finite (ERR_FAILED), leaving an older file as it is. */
int ckpt_save(const char *path, const struct params *p, const struct ckpt_info *info,
              struct err *e);
/* Only the description. ERR_DATA when the file is not a checkpoint of this program. */
int ckpt_read_info(const char *path, struct ckpt_info *info, struct err *e);
/* Every parameter of p from the file; parameters of the file that p lacks are ignored (an encoder
 * from a whole network); one that is missing or of another shape is ERR_DATA naming both shapes.
 * `moments`: also Adam's. Nothing in p changes unless all of it can be read. */
int ckpt_load(const char *path, struct params *p, bool moments, struct err *e);
