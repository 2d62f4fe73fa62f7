/* Perturbations of an image, a table: one file each. */
#pragma once

#include "base/cfg.h"
#include "base/err.h"
#include "base/rng.h"

#include <stdbool.h>

struct perturb {
    struct cfg_kind kind;
    const char *label; /* of the level, for axes: "Pixel shift in x" */
    const char *unit;  /* of the level: "px" */
    bool difference; /* pictures show the difference from x: the image itself would tell nothing */
    /* Levels run from 0 to this. */
    double (*extent)(const void *conf);
    /* x (h, w), z-scored -> y; level 0 returns x unchanged. No overlap of x and y. Fails only for
     * want of memory. */
    int (*apply)(const void *conf, double level, struct rng rng, const float *x, int h, int w,
                 float *y, struct err *e);
};
/* NULL-ended; each is the first member of a struct perturb. */
extern const struct cfg_kind *const perturb_kinds[];
