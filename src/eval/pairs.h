/* The scores of reconstructions against references, by every metric, for every method: what the
 * studies of layers and of quality control start from. With the scores go pictures of every pair,
 * for figures and the report. */
#pragma once

#include "eval/scorers.h"
#include "eval/source.h"
#include "eval/study.h"

enum { METHODS_MAX = 16 };

struct method {
    const struct source *source;
    const void *conf;
    int k; /* of the source's */
    char name[64], text[512];
    void *state;
};

/* What every study of pairs is asked for; S is the struct of its configuration. */
#define PAIRS_FIELDS(S)                                                                            \
    CFG_PICKS(S, reconstructions, NULL, source_kinds, "what is compared with the references"),     \
        CFG_TEXTS(                                                                                 \
            S, references, "[]",                                                                   \
            "scans whose references are compared with, paired by name: a clean twin of "           \
            "every damaged scan, of its slices, size, acquisition and patient; empty: those "      \
            "of data.scans themselves")

struct pairs {
    const struct study_env *env;
    struct scorers scorers;   /* filled by the study before pairs_open */
    struct images twins;      /* of `references`, where they are given */
    struct images *reference; /* those, or env->images */
    int *twin;                /* (images): which of them an image is compared with */
    int images, methods;
    struct method method[METHODS_MAX];
    double *value;  /* (image, 1 + methods x (1 + metrics)): white; span and scores a method */
    float *seat;    /* (seats, 1 + methods, h, w): reference and reconstructions */
    float *work;    /* (lanes, h, w) */
    double *volume; /* (reference scans): their maxima; NULL where no metric asks for them */
};

/* What the configuration says by itself: methods with names of their own. */
int pairs_check(const struct cfg_picks *reconstructions, struct err *e);
void pairs_explain(const struct cfg_picks *reconstructions, FILE *out);

/* Opens metrics and sources and finds the twins, before any image is prepared. Whatever the
 * outcome, the caller releases in the end. */
int pairs_open(struct pairs *p, const struct study_env *env,
               const struct cfg_picks *reconstructions, const struct cfg_texts *references,
               struct err *e);
/* When they are: all scores, and the pictures. */
int pairs_score(struct pairs *p, struct err *e);
void pairs_release(struct pairs *p);

double pairs_at(const struct pairs *p, int image, int method, int metric);
/* Pictures: of references and reconstructions black is 0 and white is `white`, of differences
 * (reconstruction - reference) value 128 is 0 and 255 is `span`. */
double pairs_white(const struct pairs *p, int image);
double pairs_span(const struct pairs *p, int image, int method);
enum picture { PICTURE_REFERENCE, PICTURE_RECONSTRUCTION, PICTURE_DIFFERENCE };
int pairs_picture(const struct pairs *p, int image, int method, enum picture what, char *path,
                  size_t size, struct err *e); /* relative to the output folder */

enum contrast pairs_contrast(const struct pairs *p, int image);
extern const char *const contrast_names[]; /* by enum contrast: "unknown", "non-FS", "FS" */
/* Images of method `method` in which every score is finite, of one contrast or (-1) of all. */
int pairs_select(const struct pairs *p, int method, int contrast, int *image);

/* The least and the largest finite score of a method by a metric. */
void pairs_range(const struct pairs *p, int method, int metric, double *low, double *high);

/* scores.csv: a line an image and method. methods.csv: means of each method with intervals, and
 * paired differences from the first. */
int pairs_tables(const struct pairs *p, struct err *e);
/* Members that every summary of such a study has, into `summary`; remarks for people on env->out.
 */
void pairs_summary(const struct pairs *p, const char *study, json_t *summary);
