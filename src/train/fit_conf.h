/* The configuration of the training loop (fit.h). */
#pragma once

#include "base/cli.h"
#include "nn/adam.h"
#include "nn/plan.h"
#include "train/net.h"
#include "train/pace.h"
#include "train/schedule.h"

struct fit_conf {
    int batch, accumulate; /* a step is over batch * accumulate images */
    int epochs, steps;     /* length; steps, if not 0, wins */
    int validate_every;    /* steps; 0: by epochs */
    int validate_epochs;   /* epochs between validations */
    int patience;          /* validations without a better loss before stopping; 0: never */
    const char *initial;   /* checkpoint to take the first weights from; "": random ones */
    int loss;              /* enum loss_kind */
    struct ssfd_loss_conf ssfd;
    double clip;      /* largest norm of the gradient; 0: any */
    double average;   /* decay of the moving average of weights; 0: none */
    double explosion; /* times its running mean that a loss may reach; 0: any */
    int keep;         /* states kept besides the last and the best */
    int save_minutes; /* between states beside those of validations; 0: none */
    int ahead;        /* batches prepared in advance */
    int pictures;     /* validation samples shown in samples.png */
    int precision;    /* enum nn_precision: as asked for, not as in force */
    struct adam_conf adam;
    struct schedule_conf schedule;
};
extern const struct cfg_field fit_ssl_fields[], fit_recon_fields[];

/* Keys that may differ when a run is resumed, dotted, NULL-ended: those that change no weight, and
 * the length where the schedule does not depend on it. (The scans may lie elsewhere, and so
 * may the network of a loss with SSFD: that they are the same is checked by fingerprints,
 * states.h.) */
const char *const *fit_may_change(const struct fit_conf *c);
/* Cross-field checks that need no data. */
int fit_check(const struct fit_conf *c, const struct unet_conf *unet, int height, int width,
              struct err *e);
/* Warns of what is hardly meant in a training of so many steps. */
void fit_warn(const struct fit_conf *c, uint64_t steps);
/* Whether the checkpoints it would read are there and fit: before hours of work on references. */
int fit_check_checkpoints(const struct fit_conf *c, const char *task, const struct unet_conf *unet,
                          bool resume, struct err *e);
/* Whether a training over so many images may go on from a state after `step` steps: not where it
 * is to end before. */
int fit_check_length(const struct fit_conf *c, uint64_t samples, uint64_t step, struct err *e);
int fit_batch(const struct fit_conf *c);                          /* images a step */
struct pace fit_pace(const struct fit_conf *c, uint64_t samples); /* over so many images */
struct loss_conf fit_loss(const struct fit_conf *c);
/* The precision in force; a warning on stderr where it is not the one asked for. */
enum nn_precision fit_precision(const struct fit_conf *c, const struct cli *cli);
