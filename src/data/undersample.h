/* A fully sampled scan as a reconstruction starts from it: a mask is drawn on its k-space, the
 * zero-filled image made (data/zerofill.h), fitted to the size of the images, and its scale
 * measured. Trainings, `reconstruct` and studies all take it from here, so that a network sees what
 * it was trained on. */
#pragma once

#include "data/images.h"
#include "data/mask.h"
#include "data/zerofill.h"

struct undersample_conf {
    struct cfg_pick mask; /* one of mask_kinds with its configuration */
    int mask_on;          /* MASK_… */
    uint64_t seed;        /* of the masks */
};
extern const struct cfg_field undersample_fields[];

/* As YAML, for the record of what was made with it. ERR_CONFIG where `size` does not suffice. */
int undersample_write(const struct undersample_conf *c, char *text, size_t size, struct err *e);
/* Whether a record tells of other masks than these, and of which: "acceleration was 4, is 8". */
bool undersample_differs(const char *record, const struct undersample_conf *is, char *what,
                         size_t size);

struct undersample { /* work space of one thread */
    struct undersample_conf conf;
    const struct images *images;
    struct masks *masks;
    struct zerofill zerofill;
    float *keep;        /* the mask of the last slice; as large as the largest */
    float complex *raw; /* as large as the largest reference, and as an image */
    float *scratch;     /* of an image */
};
/* Borrows the images, which are prepared. ERR_CONFIG, naming the scan, where a mask cannot be had.
 * Whatever the outcome, the caller releases it in the end. */
int undersample_init(struct undersample *u, struct undersample_conf c, const struct images *im,
                     struct err *e);
void undersample_release(struct undersample *u); /* of a zeroed struct: legal */
/* What the masks of a scan keep. */
const struct mask_plan *undersample_plan(struct undersample *u, const struct scan *s,
                                         struct err *e);
/* A scan's own mask, in validation and evaluation. */
struct mask_key undersample_own_mask(const struct undersample *u, int scan);
/* zero (images->height, images->width), in the units of the scan. */
int undersample_slice(struct undersample *u, int scan, int slice, struct mask_key key,
                      float complex *zero, struct err *e);
/* What networks of train-recon divide the zero-filled image and its target by: the 95th percentile
 * of its magnitude (the authors' TopMagnitudeNormalizer). 0: the image is empty. */
double undersample_scale(struct undersample *u, const float complex *zero);
