/* What `reconstruct` leaves of a scan, NAME.h5, in the layout of fastMRI's submissions and with
 * what a study needs besides:
 *
 *     reconstruction  float32 (slice, h, w)     magnitude, in the units of the scan
 *     image           complex64 (slice, h, w)   where asked for
 *     zero_filled     complex64 (slice, h, w)   the network's input in the same units; where asked
 *     scores          float32 (slice, 2 n)      the n metrics of the reconstruction, then those of
 *                                               the zero-filled image; NaN: not defined
 *     attributes      recipe: all that the content depends on, as text; acquisition, mask,
 *                     acceleration, checkpoint, checkpoint_step, scan (the source's path),
 * reference (its file in the cache), program; volume scores (eval/volume.h), also of zero_filled
 *
 * A file appears complete or not at all. */
#pragma once

#include "base/err.h"

#include <complex.h>
#include <stdbool.h>

struct recon_shape {
    int slices, height, width;
    int metrics; /* n above */
    bool image, zero_filled;
};

enum recon_state { RECON_ABSENT, RECON_CURRENT };
/* Whether the file is there with this recipe. ERR_CONFIG, saying what differs, where it is there
 * with another, or is no file of this program. */
int recon_file_check(const char *path, const char *recipe, enum recon_state *state, struct err *e);

struct h5;
/* A file to be filled slice by slice and then committed (h5_commit) and closed by the caller. */
struct h5 *recon_file_new(const char *path, const struct recon_shape *shape, const char *recipe,
                          struct err *e);
/* image and zero are (h, w); scores has 2 n values. */
int recon_file_add(struct h5 *f, const struct recon_shape *shape, int slice,
                   const float complex *image, const float complex *zero, const double *scores,
                   float *scratch, struct err *e);
/* scores (slice, 2 n). */
int recon_file_scores(const char *path, const struct recon_shape *shape, float *scores,
                      struct err *e);
