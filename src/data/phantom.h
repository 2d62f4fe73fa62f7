/* Simulated multi-coil knee scans in the fastMRI HDF5 layout (scan.h), marked as simulated.
 *
 * Simulated: a knee of its own for every scan (knee.h), or a volume of the user's (anatomy.h), in
 * coronal slices; the contrast of a turbo spin echo, without (CORPD_FBK) or with (CORPDFS_FBK) an
 * imperfect fat suppression that varies over the field of view; the chemical shift of fat along the
 * readout; the fields of a receive array (coils_sim.h); a smooth background phase; a readout
 * oversampled beyond the image; partial volume within the slice and in its plane, from an object
 * drawn at two depths on a grid twice as fine as the voxels, so that the truncation of k-space
 * rings and blurs as on a scanner; white complex Gaussian noise, independent between coils; columns
 * of k-space that are not acquired. Defects (defect.h) in a share of the scans, if asked for.
 *
 * Not simulated: flow, relaxation along the echo train, distortion by gradients and B0, the second
 * slice of a profile that is not a box, noise correlation.
 *
 * The same configuration and seed give the same bytes at any number of threads. Scan i is the same
 * whatever the number of scans. */
#pragma once

#include "base/cfg.h"
#include "base/err.h"
#include "data/anatomy.h"
#include "data/scan.h"

#include <complex.h>
#include <stdbool.h>
#include <stdint.h>

enum phantom_contrast { PHANTOM_MIXED, PHANTOM_NON_FS, PHANTOM_FS }; /* mixed: alternating */
enum phantom_preset { PRESET_DEMO, PRESET_SMALL, PRESET_FULL, PRESET_FASTMRI };
enum { PHANTOM_PADDING_OF_PRESET = -1 };

struct phantom_conf {
    const char *out;
    int scans;
    uint64_t seed;
    int preset;
    int slices, coils;  /* 0: as the preset has it, as for the next two lines */
    int size;           /* of the square reference image */
    int readout, width; /* of k-space */
    int padding;        /* columns not acquired at each edge, zero; or PHANTOM_PADDING_OF_PRESET */
    double slice_mm;
    int contrast;
    double snr; /* signal 1 at the centre of the coils, over the noise of a real part */
    double texture;
    const char *anatomy; /* NIfTI volume; "": a knee of its own for every scan */
    double defects;      /* share of the scans */
    const char *defect;  /* kinds, separated by commas; "": all */
    bool overwrite;
};
extern const struct cfg_field phantom_fields[];

/* What the ranges of the fields cannot say. */
int phantom_check(const struct phantom_conf *c, struct err *e);

struct phantom_shape { /* of one scan */
    int slices, coils, size, readout, width;
    int left, right; /* acquired columns of k-space: [left, right) */
    double fov_mm;   /* of the reference image, both sides */
    double slice_mm, pitch_mm;
};
/* Of scan number `scan`; the preset fastmri draws it as fastMRI's scans are distributed. */
struct phantom_shape phantom_shape(const struct phantom_conf *c, int scan);
size_t phantom_bytes(const struct phantom_shape *s); /* of its arrays in the file */

/* One scan, ready to be sampled: anatomy, coils, noise level, defect. `volume` (may be NULL: a
 * knee) is borrowed. */
struct phantom;
struct phantom *phantom_new(const struct phantom_conf *c, const struct anatomy *volume, int scan,
                            struct err *e);
void phantom_free(struct phantom *p);
double
phantom_noise_sd(const struct phantom *p); /* of a real part of k-space, and of a coil image */
enum contrast phantom_contrast(const struct phantom *p);
const struct defect *phantom_defect(const struct phantom *p);
/* Tissue amplitudes (water, fat) at pixel (row, col) of the reference image of a slice. */
struct amplitude phantom_tissue(const struct phantom *p, int slice, int row, int col);

/* One file. Calls tick(ctx, slices done) as it goes, from the calling thread, when it is not
 * NULL; it stops with ERR_STOPPED, leaving no file, when a signal asks for that. */
int phantom_write(const struct phantom *p, const char *path, void (*tick)(void *ctx, int done),
                  void *ctx, struct err *e);

/* All scans of the configuration, out/knee-SEED-0000.h5 and so on, with progress, and the truth
 * about the defects of all scans of the seed in the folder, if there are any, as
 * out/knee-SEED-defects.csv: made of the files, at the end, however the run ends. A file that is
 * there with the same parameters is kept; one with others is an error, before anything is written,
 * unless `overwrite` is set, and so is a damaged one. Asks first for room on the disk. */
int phantom_run(const struct phantom_conf *c, bool quiet, struct err *e);
