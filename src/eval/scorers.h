/* The metrics of a study, opened once for every thread that computes. */
#pragma once

#include "eval/metric.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

struct scorer {
    const struct metric *metric;
    const void *conf;
    struct cfg *owner;        /* of `conf` where it was made here; else NULL */
    char name[48], label[64]; /* "ssfd_conv3", "SSFD conv3": unique, for tables and for axes */
    char variant[1024];       /* how it is computed */
};

enum { SCORERS_MAX = 32 };
struct scorers {
    int n, lanes, height, width;
    struct scorer list[SCORERS_MAX];
    void **state;             /* (lanes, n) */
    struct metric_scan *scan; /* (lanes): of the images that come next */
    int absent;               /* metrics left out, and why */
    struct {
        char name[48], why[512];
    } left_out[SCORERS_MAX];
};

/* The place of a metric in a configuration, by its kind's name, or -1. */
int scorers_place(const struct cfg_picks *metrics, const char *name);
/* Adds the metrics of a configuration, which must outlive this; before the others the one in place
 * `first`, if that is not -1: it cannot be left out (see scorers_open). */
int scorers_add(struct scorers *s, const struct cfg_picks *metrics, int first, struct err *e);
int scorers_add_one(struct scorers *s, const struct cfg_pick *metric, struct err *e);
/* Adds the metric `pick` once for every value of its text key `key`: ssfd at several layers. */
int scorers_add_varied(struct scorers *s, const struct cfg_pick *pick, const char *key,
                       const struct cfg_texts *values, struct err *e);
/* For images (h, w), for as many threads as may run at once. A metric for which a file is missing
 * is left out with a remark on `notes`, unless it is the first or there is no other: the study then
 * goes on without. */
int scorers_open(struct scorers *s, int h, int w, int lanes, FILE *notes, struct err *e);
void scorers_release(struct scorers *s);

/* Whether any metric wants to know of the scans; and what all are told from now on. */
bool scorers_want_scans(const struct scorers *s);
void scorers_scan(const struct scorers *s, int lane, const struct metric_scan *scan);
/* The scores of all metrics into score[n]. */
int scorers_score(const struct scorers *s, int lane, const float *reference, const float *image,
                  double *score, struct err *e);
int scorers_score_one(const struct scorers *s, int lane, int metric, const float *reference,
                      const float *image, double *score, struct err *e);
int scorers_find(const struct scorers *s, const char *name); /* its place, or -1 */
/* For summary.json: {name: {label, variant, unit, better}} and what was left out. */
json_t *scorers_describe(const struct scorers *s);
json_t *scorers_left_out(const struct scorers *s);
