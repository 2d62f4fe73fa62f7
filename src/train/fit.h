/* The one training loop. */
#pragma once

#include "base/cli.h"
#include "nn/adam.h"
#include "nn/plan.h"
#include "train/run.h"
#include "train/schedule.h"
#include "train/task.h"

struct fit_conf {
    int batch;
    int epochs, steps;  /* length; steps, if not 0, wins */
    int validate_every; /* steps; 0: every epoch */
    int patience;       /* validations without a better loss before stopping; 0: never */
    int ahead;          /* batches prepared in advance */
    int pictures;       /* validation samples shown in samples.png */
    int precision;      /* enum nn_precision: as asked for, not as in force */
    struct adam_conf adam;
    struct schedule_conf schedule;
};
extern const struct cfg_field fit_ssl_fields[], fit_recon_fields[];
extern const char *const fit_may_change[]; /* keys that may differ when a run is resumed */

/* Cross-field checks that need no data. */
int fit_check(const struct unet_conf *unet, int height, int width, struct err *e);
/* Trains until the end, the patience or a signal (ERR_STOPPED, state saved). Continues from last.h5
 * when the run is resumed: the result is the same, bit for bit, as without the interruption. */
int fit(const struct task *t, const struct fit_conf *c, uint64_t seed, struct run *run,
        const struct cli *cli, struct err *e);
/* The network with its loss: inputs "input" and "target", outputs "output" and "loss". */
struct graph *fit_graph(const struct unet_conf *unet, struct err *e);
/* The precision in force; a warning on stderr where it is not the one asked for. */
enum nn_precision fit_precision(const struct fit_conf *c, const struct cli *cli);
