/* Weights of a sum of distances that follow scores of readers: nonnegative least squares
 *
 *     minimise over w >= 0 and c    sum_i (y_i - c - sum_k w_k x_ik)^2
 *
 * (Lawson and Hanson, Solving Least Squares Problems, 1974, ch. 23), and what it says of scans it
 * has not seen: each is predicted from a fit to all others. */
#pragma once

#include "base/err.h"

enum { FIT_MOST = 64 };

struct fit {
    double weight[FIT_MOST], intercept;
};
/* x (rows, n), y (rows); n <= FIT_MOST, rows >= 2. `without`: a row that is left out; -1: none. By
 * cyclic coordinate descent, which ends at a minimum of this convex problem; of several minima
 * (columns that depend on each other linearly), at one. A column that is constant gets 0. */
void fit_nonnegative(const double *x, const double *y, int rows, int n, int without,
                     struct fit *out);
double fit_predict(const struct fit *f, const double *x, int n);
/* prediction[i]: of row i by the fit to all others. rows >= 3. */
void fit_leave_one_out(const double *x, const double *y, int rows, int n, double *prediction);
