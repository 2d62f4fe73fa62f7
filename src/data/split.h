/* Splits: which scans train, which validate, which test. A table: one file each. */
#pragma once

#include "base/cfg.h"
#include "data/scans.h"

enum part { PART_TRAIN, PART_VALIDATION, PART_TEST, PARTS, PART_NONE = PARTS };
extern const char *const part_names[]; /* NULL-ended */

struct split {
    struct cfg_kind kind;
    int (*check)(const void *conf, struct err *e); /* without touching data or disk; may be NULL */
    /* What can be said by names alone, before a file is opened: a state, or NULL with the error. A
     * split that cannot say anything has none of these three. */
    void *(*open)(const void *conf, struct err *e);
    enum part (*part_of)(const void *state, const char *name);
    void (*close)(void *state);
    /* Sets part[scans->n]. `wanted`: the parts somebody asks for. May add to scans->bad. */
    int (*divide)(const void *conf, const void *state, struct scans *scans,
                  const bool wanted[PARTS], enum part *part, struct err *e);
};
/* NULL-ended; each is the first member of a struct split. The first does not split at all. */
extern const struct cfg_kind *const split_kinds[];

bool split_is_none(const struct cfg_pick *split); /* scans go where they are configured */
int split_check(const struct cfg_pick *split, struct err *e);

/* Finds the scans, and divides them: out[part] receives those of each part, and is NULL for parts
 * nobody asks for. What is bad comes with the first. A part that is asked for and empty is an
 * error. On failure all are empty. */
int split_scans(const struct cfg_pick *split, const struct scans_query *q,
                struct scans *const out[PARTS], struct err *e);

/* Refuses a scan (by name: a copy elsewhere is the same scan) or a patient in two sets; `names` are
 * what the sets are called in a configuration. */
int split_check_disjoint(const struct scans *a, const struct scans *b, const char *const names[2],
                         bool patients_too, struct err *e);
