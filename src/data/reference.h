/* From the raw k-space of one slice to its reference image, as the authors' pipeline does it:
 * centred inverse FFT of every coil, centre crop (or zero padding) to the scan's image size, and
 * back to k-space, whose centre gives the JSENSE sensitivities S; reference = sum_c conj(S_c)
 * image_c. Of the transforms only what is used is computed. Maps made elsewhere may take the place
 * of S. Work space and results of one thread. */
#pragma once

#include "data/dft.h"
#include "data/fft.h"
#include "data/jsense.h"
#include "data/scan.h"

struct reference {
    int coils, readout, phase, height, width;
    struct jsense *jsense;   /* NULL: maps are given */
    struct fft_fit *inverse; /* (readout, phase) -> (height, width) */
    struct dft *centre;      /* (height, width) -> calibration square; NULL: k-space holds it */
    float complex *images;   /* (coil, height, width) */
    float complex *square;   /* (coil, rows, cols) */
    float complex *kernels;  /* result: (coil, k, k); not where maps are given */
    float complex *image;    /* result: (height, width) */
    float *rss;              /* result: (height, width) */
};

int reference_init(struct reference *r, const struct scan *s, const struct jsense_conf *c,
                   struct err *e);
void reference_release(struct reference *r); /* of a zeroed struct: legal */
/* The first half: raw k-space (coil, readout, phase) -> images. */
void reference_images(struct reference *r, const float complex *raw);
/* The same as if the columns of which keep (phase) is 0 were 0. */
void reference_images_kept(struct reference *r, const float *keep, const float complex *raw);
/* And with columns of the images' own k-space dropped: keep (width), mask for width. */
void reference_images_masked(struct reference *r, const struct fft_mask *mask, const float *keep,
                             const float complex *raw);
/* maps: (coil, height, width) with unit root-sum-of-squares where c->maps names some, else NULL. */
int reference_make(struct reference *r, const float complex *raw, const float complex *maps,
                   struct err *e);
