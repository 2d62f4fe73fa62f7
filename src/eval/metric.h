/* Image quality metrics, a table: one file each. A metric compares an image with a reference, both
 * magnitude images or both z-scored ones. What range or normalisation it needs, it
 * owns, and names in `variant`. */
#pragma once

#include "base/cfg.h"
#include "base/err.h"

#include <stdbool.h>

/* What a metric may know of the scan its images are from. */
struct metric_scan {
    double maximum; /* of the reference volume, in the units of the images; 0: not known */
};

struct metric_pair {
    const float *reference, *image; /* (h, w) */
    int h, w;
    struct metric_scan scan;
};

struct metric {
    struct cfg_kind kind;
    const char *label; /* for axes: "SSFD" */
    const char *unit;  /* "dB" or "" */
    int better;        /* +1: higher is better, -1: lower is */
    /* State for images of one size (networks, windows); may be NULL when there is none.
     * ERR_NOINPUT where a file it needs is absent (weights that everybody has to fetch for
     * himself): a study then names the metric and goes on without; one that is there but wrong is
     * ERR_DATA. */
    void *(*open)(const void *conf, int h, int w, struct err *e);
    void (*close)(void *state);
    /* Whether this configuration needs `scan` of its pairs, for which studies read whole scans.
     * NULL: no. */
    bool (*wants_scan)(const void *conf);
    /* The score into *out; INFINITY is a score (PSNR of equal images). ERR_DATA with the reason
     * where it is not defined: a value that is not finite, a reference without content, an image
     * too small. */
    int (*score)(void *state, const void *conf, const struct metric_pair *pair, double *out,
                 struct err *e);
    /* How this configuration computes it, for the outputs: "Wang 11x11 Gaussian, …". */
    void (*variant)(const void *conf, char *text, int size);
};
/* NULL-ended; each is the first member of a struct metric. */
extern const struct cfg_kind *const metric_kinds[];
