/* Centred orthonormal 2-D FFT: fftshift(fft2(ifftshift(x))) / sqrt(h w), fastMRI's convention, and
 * its inverse. A plan may be used by one thread at a time; different plans by different threads.
 * Single-threaded; repeatable (FFTW_ESTIMATE). */
#pragma once

#include "base/err.h"

#include <complex.h>

struct fft2;
struct fft2 *fft2_new(int h, int w, struct err *e);
void fft2_free(struct fft2 *f);
void fft2_forward(struct fft2 *f, float complex *x); /* in place, (h, w) */
void fft2_inverse(struct fft2 *f, float complex *x);
void fft2_bare(struct fft2 *f); /* FFTW's part of it alone, on what is there: to measure its time */

/* Drops columns of the k-space of one row (w) of an image, in place: the transform along it, the
 * samples of which keep (w) is 0 set to 0, and back. Which the shifts of a centred transform would
 * not change. Any number of threads may use one plan at a time; `line` is aligned as mem_new's. */
struct fft_mask;
struct fft_mask *fft_mask_new(int w, struct err *e);
void fft_mask_free(struct fft_mask *f);
void fft_mask_line(const struct fft_mask *f, const float *keep, float complex *line);

/* The centred orthonormal inverse transform of k-space (h, w), fitted to (oh, ow) as image_fit does
 * it, without computing the rows that are cut off: columns first, a few at a time, so that they
 * stay in the cache, then only the rows that are kept. Rules for threads as above. */
struct fft_fit;
struct fft_fit *fft_fit_new(int h, int w, int oh, int ow, struct err *e);
void fft_fit_free(struct fft_fit *f);
void fft_fit_inverse(struct fft_fit *f, const float complex *kspace, float complex *image);
/* The same as if the columns of which keep (w) is 0 were 0: only the others are read and
 * transformed along. keep is 1 elsewhere. */
void fft_fit_inverse_kept(struct fft_fit *f, const float *keep, const float complex *kspace,
                          float complex *image);
/* The same as fft_fit_inverse, and then every row masked as fft_mask_line does it: of the k-space
 * of the image the columns of which keep (ow) is 0 are dropped. keep is 1 elsewhere; mask is one
 * for ow. Where the image has all columns of k-space, the others are not transformed at all. */
void fft_fit_inverse_masked(struct fft_fit *f, const struct fft_mask *mask, const float *keep,
                            const float complex *kspace, float complex *image);

/* In double precision and as the transforms are usually written: the zero frequency first, no
 * scale; the inverse is h w times too large. Out of place, x and y not the same, both from
 * mem_new. Any number of threads may use one plan at a time. */
struct fft2_double;
struct fft2_double *fft2_double_new(int h, int w, struct err *e);
void fft2_double_free(struct fft2_double *f);
void fft2_double_forward(const struct fft2_double *f, double complex *x, double complex *y);
void fft2_double_inverse(const struct fft2_double *f, double complex *x, double complex *y);

/* Centre crop, or zero padding where the target is larger, per axis: source index
 * (n - m) / 2 + i as fastMRI's center_crop. x (h, w) -> y (oh, ow); no overlap of the two. */
void image_fit(const float complex *x, int h, int w, float complex *y, int oh, int ow);
void image_fit_f32(const float *x, int h, int w, float *y, int oh, int ow);
