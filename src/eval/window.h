/* Local statistics of two images under a separable window, at every position at which the whole
 * window lies inside the image. Rows are shared out among the threads; sums are taken per band of
 * rows and then in order, so that their bits do not depend on the threads. */
#pragma once

#include "eval/plane.h"

enum { WINDOW_LONGEST = 17 };

struct window {
    int taps; /* odd */
    double tap[WINDOW_LONGEST];
};
struct window window_gaussian(int taps, double sigma); /* sum 1 */
struct window window_uniform(int taps);                /* sum 1 */

/* Of the n positions of one row: means, population variances and covariance. The arrays may be read
 * (not used) up to the next multiple of PLANE_LANES. */
struct moments {
    int n;
    const double *a, *b, *aa, *bb, *ab;
};
/* Adds what is wanted of a row to sum. */
typedef void moments_row(const void *ctx, const struct moments *m, double sum[2]);

struct windowing;
/* For images of up to h by w. */
struct windowing *windowing_new(int h, int w, struct err *e);
void windowing_free(struct windowing *s);

/* Sum over all positions of a window in a and b, which are of one size, not smaller than it. */
void windowing_sum(struct windowing *s, const struct window *win, const struct plane *a,
                   const struct plane *b, moments_row *row, const void *ctx, double sum[2]);
/* y = every second position, of every second row, of x filtered with the window; sets y's size. */
void windowing_reduce(struct windowing *s, const struct window *win, const struct plane *x,
                      struct plane *y);

/* SSIM's constants, and its two factors. `row` for windowing_sum: sum[0] of the SSIM of every
 * position, sum[1] of its contrast-structure factor alone. */
struct structure {
    double c1, c2;
    double covariance; /* factor on variances and covariance: 1, or n / (n - 1) */
};
void structure_row(const void *structure, const struct moments *m, double sum[2]);
