/* A scan: one file in the fastMRI HDF5 layout.
 *
 * - kspace: complex64 (slice, coil, readout, phase), or (slice, readout, phase) for one coil
 * - ismrmrd_header: XML text, optional
 * - reconstruction_rss or reconstruction_esc: float32 (slice, h, w), optional
 * - attributes acquisition, patient_id, max, norm, …: optional
 *
 * Image size of the references: that of the reconstruction dataset, else the header's recon matrix,
 * else the k-space matrix. Every error names the file, and the dataset and place where there is
 * one. */
#pragma once

#include "base/err.h"

#include <complex.h>
#include <stdbool.h>
#include <stdint.h>

struct h5;

enum { SCAN_MAX_COILS = 128 }; /* more is taken for a mix-up of axes */

enum contrast { CONTRAST_UNKNOWN, CONTRAST_NON_FS, CONTRAST_FS };

struct scan {
    char path[1024], name[256];        /* name: file name without directory and ".h5" */
    int slices, coils, readout, phase; /* k-space */
    bool has_coil_axis;                /* of the dataset; without, coils = 1 */
    int height, width;                 /* reference images */
    char acquisition[64];
    enum contrast contrast; /* CORPDFS_FBK: FS; CORPD_FBK: non-FS */
    bool undersampled;      /* a sampling mask is there: no reference can be made */
    bool has_target;        /* a reconstruction dataset is there */
};

/* Opens, validates everything but the samples, closes. */
int scan_probe(struct scan *s, const char *path, struct err *e);
/* (coil, readout, phase) of one slice. Refuses NaN and infinity, naming the place. */
int scan_read_kspace(const struct scan *s, struct h5 *f, int slice, float complex *kspace,
                     struct err *e);

/* The scans at `paths` (files, or folders whose *.h5 are taken in name order; fastMRI's layout),
 * probed. Two scans of one name are refused. On failure *s is empty. */
struct scans {
    int n;
    struct scan *list;
};
int scans_find(struct scans *s, const char *const *paths, int n, struct err *e);
void scans_release(struct scans *s);
