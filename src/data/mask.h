/* Undersampling masks, a table of kinds: one file each. */
#pragma once

#include "base/cfg.h"
#include "base/err.h"
#include "base/rng.h"

struct mask {
    struct cfg_kind kind;
    /* ERR_CONFIG with the reason where the request cannot be met at this size. */
    int (*check)(const void *conf, int h, int w, struct err *e);
    void (*draw)(const void *conf, struct rng rng, int h, int w,
                 float *keep); /* keep (h, w) of 0 and 1 */
};
extern const struct cfg_kind
    *const mask_kinds[]; /* NULL-ended; each is the first member of a struct mask */
