/* A made-up task small enough to train in a moment: remove a sinusoid of known frequency from a
 * blob. */
#pragma once

#include "nn/ckpt.h"
#include "train/fit.h"

enum { TOY_SIZE = 16, TOY_IMAGES = 6 };

struct toy { /* what goes wrong with the training images, by number of the sample made, from 1 */
    int stop_at, nan_at, fail_at; /* raises SIGUSR1; has a NaN; cannot be read. 0: never */
    int loud_at;                  /* a hundred thousand times as large */
    int validation_nan_at, validation_fail_at;
    uint64_t fingerprint;
    int groups;                /* of the network; 0: two */
    void (*watch)(int sample); /* is told of each that is made; NULL: nobody */
};

struct toy_outcome {
    int code;
    struct err err;
    struct ckpt_info last, best; /* zeros where there is no such file */
    float *val;                  /* of last.h5, mem_free; NULL: none */
    size_t len;
};

/* A training of 40 steps of 4 images, a validation every 10, in `dir`; then `sets`, NULL-ended, is
 * what differs. */
struct toy_outcome toy_train(const char *dir, bool resume, struct toy toy, const char *const *sets);
/* Initial values of such a training with one more `set`, of weights alone. */
extern const struct cfg_field toy_fields[];
struct toy_conf {
    struct fit_conf fit;
};
