/* References computed once: for every scan one HDF5 file in the cache folder with
 *
 *     reference  complex64 (slice, h, w)             JSENSE-combined image
 *     kernels    complex64 (slice, coil, k, k)       sensitivities, as jsense_maps takes them
 *     rss        float32 (slice, h, w)
 *
 * and beside it a picture of the centre slice (refpicture.h); and, as attributes, the parameters
 * and a fingerprint of the source (size, modification time, hash of its content); a file is reused
 * only when all agree. The content is hashed only where size and time do not both agree. Damaged
 * files are made again. Files appear complete or not at all, so a run that is stopped (ERR_STOPPED)
 * or killed keeps the scans it finished. A scan is never overwritten: ERR_CONFIG. */
#pragma once

#include "data/jsense.h"
#include "data/scans.h"

struct refcache { /* the cached file of one scan */
    char path[1024];
    int slices, coils, height, width, kernel;
};

/* Makes sure the cache file of every scan is there and current (all cores, progress shown unless
 * quiet), and describes each in out[scans->n]. A scan whose content turns out to be bad stops this,
 * or is marked as dropped (scans_drop). */
int refcache_prepare(struct scans *scans, const char *folder, const struct jsense_conf *c,
                     bool quiet, struct refcache *out, struct err *e);
int refcache_read(const struct refcache *r, int slice, float complex *reference, struct err *e);
int refcache_read_rss(const struct refcache *r, int slice, float *rss, struct err *e);
int refcache_read_kernels(const struct refcache *r, int slice, float complex *kernels,
                          struct err *e);
