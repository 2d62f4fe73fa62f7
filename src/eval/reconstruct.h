/* Between the parts of the command `reconstruct` (main_reconstruct.c): applies a trained network to
 * scans, one after another, and makes tables of what their files hold. */
#pragma once

#include "base/cfg.h"
#include "base/cli.h"
#include "data/images.h"
#include "data/undersample.h"
#include "eval/metric.h"
#include "eval/recon_file.h"
#include "eval/reconstructor.h"

enum { TARGET_REFERENCE, TARGET_RSS };

struct reconstruct_conf {
    const char *output, *checkpoint;
    uint64_t seed;
    struct images_conf data;
    struct cfg_pick mask;
    int mask_on; /* MASK_… */
    struct cfg_picks metrics;
    int target;    /* TARGET_… */
    int precision; /* enum nn_precision */
    bool image, zero_filled;
};

struct reconstruction {
    const struct reconstruct_conf *conf;
    const struct cli *cli;
    struct images images;
    struct reconstructor net;
    void **state; /* of each metric */
};

static inline const struct metric *reconstruct_metric(const struct reconstruct_conf *c, int m)
{
    return (const struct metric *)c->metrics.v[m].kind;
}

static inline struct undersample_conf reconstruct_from(const struct reconstruct_conf *c)
{
    return (struct undersample_conf){c->mask, c->mask_on, c->seed};
}

int reconstruct_path(const struct reconstruct_conf *c, const char *name, char *path, size_t size,
                     struct err *e);
struct recon_shape reconstruct_shape(const struct reconstruction *r, int scan);
/* The files of all scans that are not there yet, on all cores; memory does not grow with their
 * number. ERR_STOPPED after a signal, with the finished files kept. */
int reconstruct_scans(struct reconstruction *r, struct err *e);
/* slices.csv, scans.csv, config.resolved.yaml and, last, summary.json, from the files; the means
 * also on stdout. */
int reconstruct_report(const struct reconstruction *r, struct err *e);
