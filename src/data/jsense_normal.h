/* The normal operators A^H A of JSENSE's two least-squares problems (jsense_model.h) as matrices,
 * which conjugate gradients then multiply with at a fraction of what the operators cost. Private to
 * jsense_model.c and jsense_solve.c.
 *
 * For the maps, one matrix of k^2 by k^2 serves all coils:
 *
 *     G[q, q'] = sum_p P[p] conj(r[p + k-1 - q]) r[p + k-1 - q']
 *
 * For the image, sample s couples only with those less than k away, whatever the coils:
 *
 *     N[s, s + d] = sum_q P[s + q - (k-1)] H[q, q - d],    H[q, q'] = sum_c conj(m_c[q]) m_c[q']
 */
#pragma once

#include "data/jsense_model.h"

#include <stdbool.h>

struct normal_maps *normal_maps_new(const struct jsense_model *j, struct err *e);
void normal_maps_free(struct normal_maps *n);
void normal_maps_update(struct normal_maps *n, const struct jsense_model *j); /* from r, P */
/* y = A^H A x; x, y (coil, 2, k, k). */
void normal_maps_times(struct normal_maps *n, const struct jsense_model *j, const double *x,
                       double *y);

/* Whether the matrix is worth its making and fits into the cache. */
bool normal_image_pays(const struct jsense_model *j);
struct normal_image *normal_image_new(const struct jsense_model *j, struct err *e);
void normal_image_free(struct normal_image *n);
void normal_image_update(struct normal_image *n, const struct jsense_model *j); /* from m, P */
/* y = A^H A x; x, y (2 planes). */
void normal_image_times(struct normal_image *n, const struct jsense_model *j, const double *x,
                        double *y);
