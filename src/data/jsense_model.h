/* The bilinear model of JSENSE and its two least-squares problems. Private to jsense.c and its
 * tests.
 *
 * Calibration data y (coil, rows, cols) are explained as valid convolutions of small sensitivity
 * kernels m (coil, k, k) with one image kernel r (rows + k - 1, cols + k - 1), both in k-space:
 *
 *     A(m, r)[c, p] = P[p] sum_q m[c, q] r[p + k - 1 - q]
 *     objective     = 1/2 |A(m, r) - y|^2 + lambda/2 (|m|^2 + |r|^2)
 *
 * P is 1 where any coil has a sample, 0 elsewhere. For fixed r the problem is linear in m, and the
 * other way round; each is solved by conjugate gradients on its normal equations.
 *
 * Complex arrays are split into a real and an imaginary plane, so that loops run over contiguous
 * floats. All planes have one geometry: image kernels sit in the top left corner; calibration data
 * sit k - 1 rows and columns further in, zeros around them, which turns the adjoint of a valid
 * convolution into the same loop as the convolution itself. */
#pragma once

#include "base/err.h"

#include <stddef.h>

struct jsense_model {
    int coils, k, rows, cols;   /* cols, rows of the calibration data */
    int stride;                 /* of a plane, floats */
    size_t plane;               /* floats in a plane */
    size_t image_len, maps_len; /* floats of both parts: 2 planes; 2 coils k^2 */
    float *y;                   /* (coil, 2 planes) */
    float *mask;                /* one plane: P */
    float *image;               /* (2 planes): r */
    float *maps;                /* (coil, 2, k, k): m */
    float *scratch;             /* (2 planes): one coil's A(m, r) */
    struct normal_maps *normal_maps;
    struct normal_image *normal_image; /* NULL: the operators themselves are cheaper */
    struct {
        double *x, *b, *residual, *p, *ap;
    } cg;                /* vectors of conjugate gradients */
    float *input, *rest; /* (2 planes): what the operators read and leave in a product */
};

int jsense_model_init(struct jsense_model *j, int coils, int k, int rows, int cols, struct err *e);
void jsense_model_release(struct jsense_model *j);
/* r a Dirac pulse in its middle, as in sigpy; m zero. */
void jsense_model_start(struct jsense_model *j);
/* The element of a kernel that then meets the centre of the data, (rows / 2, cols / 2): k / 2, or
 * one less along an odd side when k is even. Maps made around it carry no linear phase of their
 * own. (sigpy takes k / 2 always; magnitudes are the same.) */
void jsense_model_centre(const struct jsense_model *j, int *row, int *col);
/* Where sample (row, col) of the calibration data is in a plane. */
size_t jsense_model_at(const struct jsense_model *j, int row, int col);

/* out (2 planes) = P (m * r) of one coil's kernel m (2, k, k). */
void jsense_apply(const struct jsense_model *j, const float *m, const float *r, float *out);
/* The adjoint in m: kernel (2, k, k) = correlation of x (2 planes) with r. */
void jsense_adjoint_maps(const struct jsense_model *j, const float *x, const float *r, float *m);
/* The adjoint in r, added to r: correlation of x (2 planes) with m. */
void jsense_adjoint_image(const struct jsense_model *j, const float *x, const float *m, float *r);

/* jsense_solve.c */
void jsense_solve_maps(struct jsense_model *j, int iterations, double lambda);
void jsense_solve_image(struct jsense_model *j, int iterations, double lambda);
double jsense_objective(struct jsense_model *j, double lambda);
