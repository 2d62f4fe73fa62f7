/* Undersampling masks of k-space: a table of kinds, one file each.
 *
 * A kind plans once for a size, which is where impossible requests are refused, and then draws as
 * often as wanted without allocating. Everything a draw depends on is in its key, so masks are the
 * same whatever the threads and the order of the data. */
#pragma once

#include "base/cfg.h"
#include "base/err.h"
#include "base/rng.h"

struct mask_key {
    struct rng rng;
    const char *file; /* name of the scan's file where the mask belongs to the file, else NULL */
};
/* The mask of a scan in validation and evaluation: a function of the seed and the file's name,
 * wherever it lies. */
struct mask_key mask_key_of_file(uint64_t seed, const char *path);
/* A new mask for every sample and epoch of a training. */
struct mask_key mask_key_of_sample(uint64_t seed, uint32_t epoch, uint32_t sample);

struct mask_plan {
    int h, w;
    int kept, of;              /* samples kept: columns of w, or points of h * w */
    int centre_h, centre_w;    /* of them fully sampled at the centre; centre_h is h for columns */
    double spacing;            /* px, where the kind has one */
    uint32_t *order, *reserve; /* (h, w) work space each, where the kind asks for it */
};

struct mask {
    struct cfg_kind kind;
    bool needs_order; /* draws in the order of a permutation of all points */
    /* p->h, w and the work space are there; sets the rest. ERR_CONFIG with the reason where the
     * request cannot be met at this size. */
    int (*plan)(const void *conf, struct mask_plan *p, struct err *e);
    void (*draw)(const void *conf, const struct mask_plan *p, struct mask_key key,
                 float *keep); /* keep (h, w) of 0 and 1 */
};
extern const struct cfg_kind
    *const mask_kinds[]; /* NULL-ended; each is the first member of a struct mask */

/* The masks of one configuration at any number of sizes. Used by one thread at a time. */
struct masks;
struct masks *masks_new(struct cfg_pick mask, struct err *e); /* borrows the configuration */
void masks_free(struct masks *m);
/* The plan for this size, made at the first call; NULL with ERR_CONFIG as above. */
const struct mask_plan *masks_plan(struct masks *m, int h, int w, struct err *e);
/* keep (h, w). */
int masks_draw(struct masks *m, struct mask_key key, int h, int w, float *keep, struct err *e);
/* "random: 80 of 320 columns, 26 of them central: acceleration 4.00" */
void masks_describe(const struct masks *m, const struct mask_plan *p, char *text, size_t size);
