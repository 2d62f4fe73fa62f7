/* Checkpoints: one HDF5 file with every trained parameter by name, what the training needs to go
 * on, a few named numbers, and the network's description, so that a reader needs nothing else.
 * Written atomically, and sealed with a checksum (base/hash.h) that every reader checks first. */
#pragma once

#include "base/err.h"
#include "nn/params.h"
#include "nn/unet.h"

#include <stdint.h>

enum { CKPT_TEXT = 1024 };

struct ckpt_info {
    char task[16]; /* "ssl" or "recon" */
    struct unet_conf unet;
    uint64_t step;    /* optimiser steps done */
    double best_loss; /* best validation loss so far */
    uint64_t best_step;
    double loss_sum;     /* of the training, over the steps since its last line in the log */
    int height, width;   /* of the images trained on */
    uint64_t loss_count; /* those steps */
    double loss_mean;    /* of the training, smoothed */
    uint64_t validated;  /* step of the last validation */
    uint64_t stale;      /* validations since the best */
    uint64_t images;     /* fingerprint of the sets trained and validated on; 0: not known */
    uint64_t encoder;    /* checksum of the checkpoint whose encoder the loss uses; 0: none */
    /* How the network's input was undersampled, as YAML; "": it was not, or that is not known. */
    char undersampling[CKPT_TEXT];
};

/* Refuses values that are not finite (ERR_FAILED), leaving an older file as it is. */
int ckpt_save(const char *path, const struct params *p, const struct ckpt_info *info,
              struct err *e);
/* ERR_DATA where the file is cut short or altered; ERR_NOINPUT where it cannot be read. */
int ckpt_check(const char *path, struct err *e);
/* Only the description. ERR_DATA when the file is not a checkpoint of this program. */
int ckpt_read_info(const char *path, struct ckpt_info *info, struct err *e);
/* Every trained parameter of p from the file: the averages where the training kept them, for these
 * are what it was validated with. Parameters of the file that p lacks are ignored (an encoder from
 * a whole network); one that is missing or of another shape is ERR_DATA naming both shapes.
 * `state`: instead all a training goes on with, that is values, moments and, where p has it, their
 * average. Nothing in p changes unless all of it can be read. */
int ckpt_load(const char *path, struct params *p, bool state, struct err *e);
/* The frozen parameters of p, whose names begin with `prefix`, from those without it in the file.
 */
int ckpt_load_frozen(const char *path, struct params *p, const char *prefix, struct err *e);
