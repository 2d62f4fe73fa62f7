/* Simulated multi-coil knee scans in the fastMRI HDF5 layout (scan.h), marked as simulated.
 *
 * Simulated: a knee of its own for every scan (knee.h) in coronal slices 3 mm thick; the contrast
 * of a turbo spin echo, without (CORPD_FBK) or with (CORPDFS_FBK) an imperfect fat suppression that
 * varies over the field of view; the fields of a receive array (coils_sim.h); a smooth background
 * phase; a readout oversampled beyond the image; the object drawn on a grid twice as fine as the
 * voxels, so that the truncation of k-space rings and blurs as on a scanner; white complex Gaussian
 * noise, independent between coils; columns of k-space not acquired at either edge, if asked for.
 *
 * Not simulated: motion, flow, relaxation along the echo train, chemical shift between water and
 * fat, gradient and B0 distortion, aliasing of what is outside of the field of view, noise
 * correlation.
 *
 * The same configuration and seed give the same bytes at any number of threads. Scan i is the same
 * whatever the number of scans. */
#pragma once

#include "base/cfg.h"
#include "base/err.h"
#include "data/scan.h"

#include <complex.h>
#include <stdbool.h>
#include <stdint.h>

enum phantom_contrast { PHANTOM_MIXED, PHANTOM_NON_FS, PHANTOM_FS }; /* mixed: alternating */

struct phantom_conf {
    const char *out;
    int scans;
    uint64_t seed;
    int slices, coils;
    int size;           /* of the square reference image, of 140 mm */
    int readout, width; /* of k-space; 0: 2 size, and 1.15 size */
    int padding;        /* columns not acquired at each edge, zero */
    int contrast;
    double snr; /* signal 1 at the centre of the coils, over the noise of a real part */
    double texture;
    bool overwrite;
};
extern const struct cfg_field phantom_fields[];

/* What the ranges of the fields cannot say. */
int phantom_check(const struct phantom_conf *c, struct err *e);

struct phantom; /* one scan, ready to be sampled: anatomy, coils, noise level */
struct phantom *phantom_new(const struct phantom_conf *c, int scan, struct err *e);
void phantom_free(struct phantom *p);
double
phantom_noise_sd(const struct phantom *p); /* of a real part of k-space, and of a coil image */
enum contrast phantom_contrast(const struct phantom *p);
/* Tissue amplitudes (water, fat) at pixel (row, col) of the reference image of a slice. */
struct amplitude phantom_tissue(const struct phantom *p, int slice, int row, int col);

/* One file. Calls tick(ctx, slices done) as it goes, from the calling thread, when it is not
 * NULL; it stops with ERR_STOPPED, leaving no file, when a signal asks for that. */
int phantom_write(const struct phantom *p, const char *path, void (*tick)(void *ctx, int done),
                  void *ctx, struct err *e);

/* All scans of the configuration, out/knee-SEED-0000.h5 and so on, with progress. Refuses, before
 * it writes anything, to replace a file unless `overwrite` is set. */
int phantom_run(const struct phantom_conf *c, bool quiet, struct err *e);
