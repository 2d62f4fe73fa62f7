/* A scan: k-space of one examination on a Cartesian grid, in a file of one of the formats of
 * scan_format.h (fastMRI, ISMRMRD raw data, BART). Whatever the file, a slice is complex64 (coil,
 * readout, phase) with k = 0 at index n/2 of both axes. Every error names the file, and the dataset
 * and place where there is one. */
#pragma once

#include "base/err.h"

#include <complex.h>
#include <stdbool.h>
#include <stdint.h>

enum { SCAN_MAX_COILS = 128 };    /* more is taken for a mix-up of axes */
enum { SCAN_MAX_SIDE = 1 << 15 }; /* samples along an axis */

enum contrast { CONTRAST_UNKNOWN, CONTRAST_NON_FS, CONTRAST_FS };

struct scan_format;
struct scan {
    char path[1024], name[256]; /* name: file name without directory and ending */
    const struct scan_format *format;
    int slices, coils, readout, phase; /* k-space */
    bool has_coil_axis;                /* fastMRI: of the dataset; without, coils = 1 */
    int height, width;                 /* reference images */
    /* Columns [first_column, end_column) of the phase axis were acquired, so the header says; those
     * outside are zeros that make the matrix full. Without a word of it: all. */
    int first_column, end_column;
    char acquisition[64];   /* fastMRI's protocol, or empty */
    char patient[128];      /* an anonymous identity, or empty */
    enum contrast contrast; /* CORPDFS_FBK: FS; CORPD_FBK: non-FS */
    bool undersampled;      /* columns between the acquired ones are missing: no reference */
    char sampling[96];      /* undersampled: what is missing, in words */
    bool has_target;        /* a reconstruction dataset is there */
    bool dropped;           /* given up by scans_drop */
};

/* Finds the format, validates everything but the samples: reads headers only, so that a thousand
 * files of a gigabyte take seconds. */
int scan_probe(struct scan *s, const char *path, struct err *e);
/* ERR_DATA for a scan of which no reference can be made, saying what can be used instead. */
int scan_check_reference(const struct scan *s, struct err *e);

struct scan_file; /* an open scan; not for two threads at once */
struct scan_file *scan_open(const struct scan *s, struct err *e);
void scan_close(struct scan_file *f); /* NULL is legal */
/* (coil, readout, phase) of one slice. Refuses NaN and infinity, naming the place. */
int scan_read_kspace(const struct scan *s, struct scan_file *f, int slice, float complex *kspace,
                     struct err *e);
/* What only the samples of a slice tell: ERR_DATA where columns between acquired ones are empty,
 * for then k-space is undersampled though the file does not say so. *empty: all samples are 0. */
int scan_check_samples(const struct scan *s, const float complex *kspace, bool *empty,
                       struct err *e);
