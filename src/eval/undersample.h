/* The zero-filled image of a fully sampled scan as a network of train-recon takes it: one mask a
 * scan, drawn from the seed and the name of its file, as in the validation of a training. */
#pragma once

#include "data/images.h"
#include "data/mask.h"
#include "data/zerofill.h"

struct undersample_conf {
    struct cfg_pick mask;
    int mask_on; /* MASK_… */
    uint64_t seed;
};
extern const struct cfg_field undersample_fields[];

struct undersample {
    const struct undersample_conf *conf;
    struct images *images;
    struct masks *masks;
    struct zerofill zerofill;
    float *keep;        /* of the largest mask */
    float complex *raw; /* of the largest reference */
};
int undersample_init(struct undersample *u, const struct undersample_conf *c, struct images *im,
                     struct err *e);
void undersample_release(struct undersample *u); /* of a zeroed struct: legal */
/* x (im->height, im->width), complex. */
int undersample_read(struct undersample *u, int i, float complex *x, struct err *e);
