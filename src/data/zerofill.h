/* The undersampled acquisition of a scan that was fully sampled: its k-space masked, transformed
 * back with zeros for what is missing, coils combined with the sensitivities of the reference.
 *
 *     z = sum_c conj(S_c) F^-1( M . F(x_c) ),   x_c: image of coil c, cropped to the reference's
 * size
 *
 * The mask M is drawn on the cropped k-space (the authors' pipeline), so 320 columns stay 320
 * columns whatever the scanner's phase matrix was; or on the k-space that was acquired (fastMRI's),
 * before the crop. */
#pragma once

#include "data/refcache.h"
#include "data/reference.h"

enum { MASK_CROPPED, MASK_ACQUIRED };
extern const char *const mask_on_choices[];

struct zerofill { /* work space of one thread, kept while the scans have the same shape */
    struct jsense_conf conf;
    int mask_on;
    struct reference of;
    struct fft2 *fft;          /* of the reference's size */
    struct fft_mask *columns;  /* of its width */
    float complex *raw, *maps; /* k-space of a slice; maps where they are given */
};

/* The size of masks for a scan. */
void zerofill_mask_size(int mask_on, const struct scan *s, int *h, int *w);
/* Zero-filled image of one slice, (scan->height, scan->width); keep of the mask's size. The first
 * call finds *z with only `conf` and `mask_on` set. ERR_DATA where the scan is not the one any more
 * that the reference in the cache was made from. */
int zerofill_slice(struct zerofill *z, const struct scan *scan, const struct refcache *cache,
                   int slice, const float *keep, float complex *out, struct err *e);
/* The sensitivities (coil, scan->height, scan->width) of the slice that was read last, valid until
 * the next. */
const float complex *zerofill_maps(struct zerofill *z);
void zerofill_release(struct zerofill *z);
