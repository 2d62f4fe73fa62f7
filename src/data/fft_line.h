/* The discrete Fourier transform of one line, zero frequency first, no scale. FFTW has no fast way
 * for lengths with a prime factor above 13, as many of fastMRI's have (368 = 16 * 23, 372 = 12 *
 * 31): there n = p m is split as Cooley and Tukey do it (Math. Comp. 19, 1965), the transforms of
 * the prime p are sums over vectors of m numbers, and those of m are FFTW's. */
#pragma once

#include "base/err.h"

#include <complex.h>
#include <pthread.h>

/* FFTW's planner keeps global state: to be held where a plan is made or destroyed. */
extern pthread_mutex_t fft_planner;

struct fft_line;
struct fft_line *fft_line_new(int n, int sign, struct err *e); /* exp(sign 2 pi i j k / n) */
void fft_line_free(struct fft_line *f);
/* In place; x (n) is aligned as mem_new's. Any number of threads may use one plan at a time. The
 * same bits in every run. */
void fft_line_run(const struct fft_line *f, float complex *x);
