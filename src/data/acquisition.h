/* How an image was acquired, as a network is told it, and what a network does with it: the operator
 *
 *     N x = A^H A x = sum_c conj(S_c) F^-1( M . F(S_c x) ),   A = M F S
 *
 * with sensitivities S and a mask M of columns, so that the transform along the readout cancels and
 * one along every row is left (Pruessmann et al. 2001). N is self-adjoint, its eigenvalues are
 * between 0 and 1, and the zero-filled image is A^H of the samples: z - N x is what the samples say
 * against x, combined as z is.
 *
 * An acquisition is (1 + 2 coils, h, w) numbers:
 *
 *     plane 0      the mask, in every row the same: of the columns that k-space has, from the
 *                  lowest frequency to the highest, 1 where it was sampled and 0 where not; -1
 *                  where the image is padded, which k-space knows nothing of
 *     the others   the sensitivities (coil, h, w, 2); coils that a scan lacks are 0 */
#pragma once

#include "data/augment.h"
#include "data/undersample.h"

struct acquisition;
/* For all scans of `n` sets of images, found at least, and of one size. ERR_CONFIG where N is not
 * the operator: masks that drop points; k-space of more columns than the image keeps, for what lies
 * outside of the image is aliased into it. The hint is about the masks and the image's width: only
 * the caller knows whether a network can do without. */
struct acquisition *acquisition_new(struct undersample_conf c, const struct images *const *sets,
                                    int n, struct err *e);
/* Without scans, to measure the cost: for images as wide as k-space. An acquisition of nothing but
 * ones is one of that. */
struct acquisition *acquisition_example(int coils, int width, struct err *e);
void acquisition_free(struct acquisition *a);
int acquisition_planes(const struct acquisition *a); /* 1 + 2 of the most coils of any scan */

/* The acquisition of the slice that `u` undersampled last, of an image that is then mirrored as
 * `how` says, without turns. Threads may share `a`, not `u`. */
void acquisition_describe(const struct acquisition *a, struct undersample *u, int scan,
                          const struct augment *how, float *acquisition);
/* Row i of N x, into y, from row i of x, both (w, 2); line (w, 2) is work space, aligned as
 * mem_new's. `a` is a struct acquisition *, shared by any number of threads. */
void acquisition_row(const void *a, const float *acquisition, int h, int w, int i, const float *x,
                     float *y, float *line);
