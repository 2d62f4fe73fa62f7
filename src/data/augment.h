/* Augmentation of training images: mirror images, quarter turns, a factor. What is drawn depends on
 * seed, epoch and sample only. None of it is in the paper; the default is none. */
#pragma once

#include "base/cfg.h"
#include "base/err.h"
#include "base/rng.h"

#include <stdbool.h>
#include <stddef.h>

struct augment_conf {
    bool flip, turn;
    double intensity;
};
extern const struct cfg_field augment_fields[];
/* ERR_CONFIG where quarter turns would change the size. */
int augment_check(const struct augment_conf *c, int h, int w, struct err *e);

struct augment { /* one draw */
    bool flip_y, flip_x;
    int turns; /* quarter turns, counter-clockwise, before the flips */
    float factor;
};
struct augment augment_none(void);
struct augment augment_draw(const struct augment_conf *c, uint64_t seed, uint32_t epoch,
                            uint32_t sample);
/* y (h, w, c) from x of the same shape, turned only where h = w; not in place. */
void augment_apply(const struct augment *a, const float *x, int h, int w, int c, float *y);
