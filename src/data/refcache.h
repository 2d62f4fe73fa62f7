/* References computed once: for every scan one HDF5 file in the cache folder with the
 * JSENSE-combined images, the kernels of the sensitivities and the root-sum-of-squares (reffile.h
 * has the layout), and beside it a picture of the centre slice (refpicture.h). Attributes of the
 * file are the parameters and sources (refstamp.h); a file is reused only when all agree. Files are
 * named after the scan and a hash of sources and parameters. They appear complete or not at all, so
 * a run that is stopped (ERR_STOPPED) or killed keeps the scans it finished, and processes may fill
 * one folder at once: they share the work. Checks are verified by every read; what is damaged is
 * made again, with a warning. */
#pragma once

#include "data/jsense.h"
#include "data/scans.h"

struct refcache { /* the cached file of one scan, and what it is made from */
    char path[1024];
    int slices, coils, height, width;
    int kernel; /* 0: maps are given */
    struct scan scan;
    struct jsense_conf conf;
    /* As they were when the cache was prepared, so that a file which is replaced under a run is
     * noticed. */
    int64_t source_size, source_mtime_ns, source_hash;
};

/* Makes sure the cache file of every scan is there and current (all cores, progress shown unless
 * quiet), and describes each in out[scans->n]. A scan that fails does not stop the others: it is
 * marked as dropped (scans_drop), or the error comes at the end. */
int refcache_prepare(struct scans *scans, const char *folder, const struct jsense_conf *c,
                     bool quiet, struct refcache *out, struct err *e);
/* How many files it would have to make; -1: it would fail before. Changes nothing. */
int refcache_missing(const struct scans *scans, const char *folder, const struct jsense_conf *c,
                     struct err *e);
/* Reads all of a slice, for nothing but its checks. */
int refcache_verify(const struct refcache *r, int slice, struct err *e);

/* ERR_NOINPUT or ERR_DATA where the scan has vanished or changed since the cache was prepared. */
int refcache_check_source(const struct refcache *r, struct err *e);

int refcache_read(const struct refcache *r, int slice, float complex *reference, struct err *e);
int refcache_read_rss(const struct refcache *r, int slice, float *rss, struct err *e);
int refcache_read_kernels(const struct refcache *r, int slice, float complex *kernels,
                          struct err *e);
