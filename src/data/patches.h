/* In-painting patches of the pretext task (paper section 2.2): squares placed by Poisson-disc
 * sampling so that none overlap, as many as cover the wanted share of the image.
 *
 * Their centres keep a Euclidean distance of at least side * sqrt(2), which guarantees disjoint
 * squares. The sampling is saturated dart throwing (Cook 1986) over whole-pixel positions, from
 * which the wanted number is kept at random: uniform over the image up to its border, where
 * stopping a front that grows across the image (Bridson 2007) leaves corners empty. */
#pragma once

#include "base/cfg.h"
#include "base/err.h"
#include "base/rng.h"

struct patches_conf {
    int side;        /* px */
    double coverage; /* share of the image area */
};
extern const struct cfg_field patches_fields[];

struct patches; /* work space for one image size; one thread at a time */
/* ERR_CONFIG with the reason where no such placement exists or is found at this size. */
struct patches *patches_new(const struct patches_conf *c, int h, int w, struct err *e);
void patches_free(struct patches *p);
/* floor(coverage * h * w / side^2): with side 16 and both sizes multiples of 32, exactly 25 %. */
int patches_count(const struct patches *p);
/* keep (h, w): 0 inside patches, 1 outside. Exactly patches_count patches; a function of the stream
 * alone. */
int patches_draw(struct patches *p, struct rng rng, float *keep, struct err *e);
