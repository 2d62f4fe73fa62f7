/* Studies of metrics, a table: one file each. A study looks at images, and leaves its results in a
 * folder, which is complete exactly when summary.json is in it. */
#pragma once

#include "base/cfg.h"
#include "base/err.h"
#include "base/stat.h"
#include "base/table.h"
#include "data/images.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct study_env {
    const char *output; /* the folder; exists */
    uint64_t seed;
    bool quiet, resume; /* resume: go on from the journal of an interrupted run */
    FILE *out, *notes;  /* results and remarks for people: stdout, stderr */
    struct images *images;
    const struct cfg_field *fields; /* of the whole configuration, for config.resolved.yaml */
    const void *conf;
    const char *key; /* what the numbers depend on (eval/study_key.h); NULL: not asked for */
};

/* A study is opened on scans that are found but not prepared, so that whatever else its
 * configuration names and is not there is told before hours of work on references. */
struct study {
    struct cfg_kind kind;
    size_t size;                                   /* of its state, which begins as zeros */
    int (*check)(const void *conf, struct err *e); /* without touching data or disk */
    void (*explain)(const void *conf, FILE *out);  /* what it would do, in words and figures */
    /* Opens metrics and looks at every file named. The size of the images is known. */
    int (*open)(void *state, const void *conf, const struct study_env *env, struct err *e);
    int (*score)(void *state, struct err *e); /* the images are prepared now */
    int (*write)(void *state, struct err *e); /* statistics, tables, figures, summary */
    void (*release)(void *state);             /* whatever was done before */
};
/* In the output folder, while the study is not done (eval/journal.h). */
#define STUDY_JOURNAL "journal.txt"

/* NULL-ended; each is the first member of a struct study. */
extern const struct cfg_kind *const study_kinds[];

/* ---- the output folder (study_output.c), which belongs to one configuration ---- */

/* ERR_CONFIG with the first line that differs where the folder has the results, whole or not, of
 * another configuration: they would be mixed. *whole: with env->resume, it has all of this one's.
 * ERR_CONFIG, too, where it has them of other files than those of env->key. */
int study_check_output(const struct study_env *env, bool *whole, struct err *e);
/* Before the first result is written: what is in the folder is no longer a whole. Writes
 * config.resolved.yaml. */
int study_open_output(const struct study_env *env, struct err *e);
/* After the last: writes inputs.txt and then summary.json, and removes the journal; where something
 * before it `failed`, nothing of that. Takes over `summary`, which may be NULL when it could not be
 * built. */
int study_close_output(const struct study_env *env, int failed, json_t *summary, struct err *e);

/* What studies share in writing their results; names are relative to the output folder. */
int study_remove(const struct study_env *env, const char *name, struct err *e); /* if it is there */
int study_write_table(const struct study_env *env, const struct table *t, const char *name,
                      struct err *e);
json_t *study_number(double v); /* null where it is not finite */
json_t *study_interval(struct interval v);
