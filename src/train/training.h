/* A training command from its configuration to the end: what train-ssl and train-recon share. What
 * can be refused is refused before references are made, which may take hours. */
#pragma once

#include "base/cli.h"
#include "data/augment.h"
#include "train/fit_conf.h"
#include "train/sets.h"
#include "train/task.h"

struct training_conf { /* what the configuration of either command begins with */
    const char *run;
    uint64_t seed;
    struct sets_conf data;
    struct augment_conf augment;
    struct unet_conf network;
    struct fit_conf fit;
};

struct training {     /* what differs; functions get the whole configuration */
    const char *task; /* its name in checkpoints: "ssl", "recon" */
    /* Refuses scans, found but without references, that the task cannot do with. NULL: it can do
     * with any. */
    int (*admit)(const void *conf, const struct sets *s, bool quiet, struct err *e);
    /* The task on scans with references. It borrows the sets; task_free. */
    struct task *(*make)(const void *conf, struct sets *s, struct err *e);
};

/* The functions of such a command (struct command). The network of preview and explain must have
 * its `normal`, if only an example. */
int training_check(const struct training_conf *c, struct err *e);
int training_preview(const struct training *t, const struct training_conf *c, const struct cli *cli,
                     struct err *e);
int training_explain(const struct training_conf *c, const struct cli *cli, struct err *e);
int training_run(const struct training *t, const struct training_conf *c, const struct cli *cli,
                 struct err *e);
