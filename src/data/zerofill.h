/* The undersampled acquisition of a scan that was fully sampled: its k-space masked, transformed
 * back with zeros for what is missing, coils combined with the sensitivities of the reference.
 *
 *     z = sum_c conj(S_c) F^-1( M . F(x_c) ),   x_c: image of coil c, cropped to the reference's
 * size
 *
 * The mask M (h, w) is drawn on the cropped k-space (the authors' pipeline), so 320 columns stay
 * 320 columns whatever the scanner's phase matrix was. */
#pragma once

#include "data/refcache.h"
#include "data/reference.h"

struct zerofill { /* work space of one thread, kept while the scans have the same shape */
    struct jsense_conf conf;
    struct reference of;
    struct fft2 *fft;          /* of the reference's size */
    float complex *raw, *maps; /* k-space of a slice; maps where they are given */
};

/* Zero-filled image of one slice, (scan->height, scan->width); keep of the same size. The first
 * call finds *z with only `conf` set. */
int zerofill_slice(struct zerofill *z, const struct scan *scan, const struct refcache *cache,
                   int slice, const float *keep, float complex *out, struct err *e);
void zerofill_release(struct zerofill *z);
