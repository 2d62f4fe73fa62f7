/* The images that trainings and studies iterate over: JSENSE references of scans (data/refcache.h),
 * one centre slice a scan or all slices, fitted to one size (centre crop, or zero padding). */
#pragma once

#include "base/cfg.h"
#include "base/err.h"
#include "data/jsense.h"
#include "data/refcache.h"
#include "data/scans.h"
#include "data/split.h"

#include <stdbool.h>
#include <stdint.h>

enum { SLICES_CENTRE, SLICES_ALL };

struct images_conf {
    struct cfg_texts scans; /* files or folders */
    struct cfg_pick split;  /* of them, or none */
    int part;               /* enum part: which of the split's */
    int on_bad_scan;        /* BAD_SCAN_… */
    const char *cache;
    int slices;
    int height, width; /* 0: that of the references, which then must agree */
    struct jsense_conf jsense;
};
/* The keys that say which scans, in tables of all who take a struct images_conf. */
#define IMAGES_CHOICE_FIELDS                                                                       \
    CFG_PICK(struct images_conf, split, "folders", split_kinds, "which of the scans are meant"),   \
        CFG_CHOICE(struct images_conf, part, "test", part_names, "of the split; see split"),       \
        CFG_CHOICE(struct images_conf, on_bad_scan, "stop", bad_scan_choices,                      \
                   "a scan that is damaged or undersampled stops the run at once, or is skipped "  \
                   "and listed in skipped_scans.csv"),                                             \
        CFG_TEXT(struct images_conf, cache, "cache",                                               \
                 "folder of computed references, shared by runs")
extern const struct cfg_field images_fields[];

struct images {
    struct images_conf conf;
    int n, height, width;
    bool whole_scans; /* all slices, not one a scan: images of one scan are clustered */
    struct image {
        int scan, slice;
    } * list; /* (n), in the order of the scans */
    struct scans scans;
    struct refcache *cache;      /* (scans.n) */
    float complex *raw, *fitted; /* one slice as stored, and as (height, width) */
};

/* Finds and checks the scans: im->scans is there, and the size where it is configured, nothing else
 * yet. Whatever the outcome, the
 * caller releases the images in the end. */
int images_find(struct images *im, const struct images_conf *c, bool quiet, struct err *e);
/* The same with scans that were found otherwise; takes them over, *scans is empty then. */
void images_adopt(struct images *im, const struct images_conf *c, struct scans *scans);
/* How many references images_prepare would have to make; -1: it would fail. Changes nothing. */
int images_missing(const struct images *im, struct err *e);
/* The size that images of the scans found will have: im->height and im->width. ERR_DATA where
 * neither the configuration nor the scans settle it. */
int images_size(struct images *im, struct err *e);
/* Then makes sure their references are in the cache, computing those that are not. */
int images_prepare(struct images *im, bool quiet, struct err *e);
void images_release(struct images *im);
const char *images_name(const struct images *im, int i); /* of the scan */
const struct scan *images_scan(const struct images *im, int i);
/* A number that depends on the scan's name and the slice only: keys the randomness of image i. */
uint32_t images_id(const struct images *im, int i);
/* x (height, width). */
int images_read(struct images *im, int i, float complex *x, struct err *e);
/* x (height, width): the magnitude, z-scored; an image that is constant becomes zero. */
int images_read_zscored(struct images *im, int i, float *x, struct err *e);
