/* The training and validation images, which must share no scan and no patient. Without a split each
 * has its folders; with one, the scans of both keys together are divided. */
#pragma once

#include "data/images.h"

struct sets_conf {
    struct cfg_texts train, validation;
    struct cfg_pick split;
    int on_bad_scan, same_patient;
    const char *cache;
    int height, width;
    struct jsense_conf jsense;
};
extern const struct cfg_field sets_fields[];

struct sets {
    struct images train, validation;
};
int sets_check(const struct sets_conf *c, struct err *e); /* without touching data or disk */
/* Finds and checks the scans. Whatever the outcome, the caller releases the sets in the end. */
int sets_find(struct sets *s, const struct sets_conf *c, bool quiet, struct err *e);
/* And makes their references. */
int sets_prepare(struct sets *s, bool quiet, struct err *e);
/* Refuses sets, prepared, of nothing but empty images, all pixels 0: ERR_DATA. There is nothing to
 * learn from, or every score would be one of nothing. */
int sets_refuse_empty(struct sets *s, struct err *e);
int sets_slices(const struct images *im); /* images of a set of which no reference is made yet */
/* How many references it would have to make; -1: it would fail. Changes nothing. */
int sets_missing(const struct sets *s, struct err *e);
/* Lists skipped scans in the folder and on stderr (scans_report). */
int sets_report(struct sets *s, const char *folder, struct err *e);
void sets_release(struct sets *s);
