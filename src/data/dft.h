/* The centred orthonormal Fourier transform where only few frequencies are wanted: the middle
 * (rows, cols) samples of the k-space of an image (h, w), equal to those that fft2_forward gives,
 * by products with small matrices. At the sizes of a calibration square, some 26 of 320, that is
 * several times as fast as a whole FFT. A table may be used by one thread at a time. */
#pragma once

#include "base/err.h"

#include <complex.h>

struct dft;
struct dft *dft_new(int h, int w, int rows, int cols, struct err *e);
void dft_free(struct dft *d);
/* k-space index (h / 2 - rows / 2 + i, w / 2 - cols / 2 + j) of image (h, w) -> out (rows, cols) */
void dft_centre(struct dft *d, const float complex *image, float complex *out);
