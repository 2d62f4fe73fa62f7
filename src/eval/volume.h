/* PSNR, SSIM and NMSE of a whole scan, as fastMRI's evaluate.py defines them (Zbontar et al.,
 * arXiv:1811.08839, section 6; facebookresearch/fastMRI, fastmri/evaluate.py): the data range of
 * PSNR and SSIM is the maximum of the whole reference volume, and errors are summed over the volume
 * before they become PSNR or NMSE. These differ from means of per-image figures by several dB, so
 * outputs name them apart.
 *
 *     PSNR = 10 log10(max^2 / mean (x - r)^2)         over all slices
 *     NMSE = sum (x - r)^2 / sum r^2                  over all slices
 *     SSIM = mean over slices of the mean SSIM of 7x7 uniform windows inside the image, with sample
 *            covariance (49/48), K1 = 0.01, K2 = 0.03, range max */
#pragma once

#include "base/err.h"

struct volume { /* of one image series against one reference; slices are added one by one */
    int h, w, slices;
    double maximum;            /* of the reference volume */
    double square, norm, ssim; /* sums over slices */
    double *rows;              /* work space */
};
struct volume_scores {
    double psnr, ssim,
        nmse; /* psnr is infinite for equal volumes; all NaN where the maximum is 0 */
};

/* ERR_DATA where the window does not fit into (h, w). */
int volume_init(struct volume *v, int h, int w, double maximum, struct err *e);
void volume_release(struct volume *v); /* of a zeroed struct: legal */
void volume_add(struct volume *v, const float *reference, const float *image); /* (h, w) each */
struct volume_scores volume_scores(const struct volume *v);
