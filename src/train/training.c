#include "train/training.h"

#include "base/hash.h"
#include "train/estimate.h"
#include "train/explain.h"
#include "train/fit.h"
#include "train/run.h"
#include "train/samples.h"
#include "train/states.h"

#include <stdio.h>

int training_check(const struct training_conf *c, struct err *e)
{
    const int height = c->data.height, width = c->data.width;
    return augment_check(&c->augment, height, width, e) || sets_check(&c->data, e) ||
                   fit_check(&c->fit, &c->network, height, width, e)
               ? -1
               : 0;
}

/* ---- --check ---- */

/* The number of the scans' content and slices, where that is known without making references; if
 * not, that of the state. */
static int fingerprint(struct sets *s, uint64_t of_state, uint64_t *images, struct err *e)
{
    const int missing = sets_missing(s, e);
    *images = of_state;
    if (missing > 0)
        printf("# the references of %d scans have to be made: only then it is known whether they "
               "are the scans that the run was started with\n",
               missing);
    if (missing) return missing < 0 ? -1 : 0;
    if (sets_prepare(s, true, e)) return -1;
    *images = samples_fingerprint(&s->train, &s->validation);
    return 0;
}

/* Whether the state from which --resume would go on is one of this training. */
static int check_state(const struct training *t, const struct training_conf *c,
                       const struct cli *cli, struct sets *sets, struct err *e)
{
    struct run run = {.lock = -1};
    struct states states = states_of(&run, c->fit.keep);
    struct ckpt_info at, fresh;
    uint64_t images;
    char path[1200];
    snprintf(run.dir, sizeof run.dir, "%s", c->run);
    if (states_newest(&states, cli, true, path, sizeof path, &at, e) ||
        fingerprint(sets, at.images, &images, e))
        return -1;
    fresh = states_fresh(t->task, &c->network, c->data.height, c->data.width, images);
    if (c->fit.ssfd.weight > 0.0 && seal_check(c->fit.ssfd.checkpoint, &fresh.encoder, e))
        return -1;
    if (states_fit(path, &fresh, &at, e) ||
        fit_check_length(&c->fit, (uint64_t)sets_slices(&sets->train), at.step, e))
        return -1;
    printf("# --resume goes on from %s, after step %llu\n", path, (unsigned long long)at.step);
    return 0;
}

int training_preview(const struct training *t, const struct training_conf *c, const struct cli *cli,
                     struct err *e)
{
    struct sets sets = {0};
    struct err why = {0};
    if (fit_check_checkpoints(&c->fit, t->task, &c->network, cli->resume, e) ||
        (cli->resume && run_check_resumed(c->run, cli, c, fit_may_change(&c->fit), e)))
        return -1;
    if (cli->quiet && !cli->resume) return 0;
    if (!cli->resume && states_any(c->run))
        printf("# %s already holds a training: --resume goes on with it\n", c->run);
    const bool found = sets_find(&sets, &c->data, true, &why) == 0;
    int bad = cli->resume && !found;
    if (bad && e) *e = why;
    bad = bad || (found && t->admit && t->admit(c, &sets, cli->quiet, e)) ||
          (cli->resume && check_state(t, c, cli, &sets, e)) ||
          (!cli->quiet &&
           estimate_training(&c->network, &c->fit, &c->data, found ? &sets : NULL, &why, cli, e));
    sets_release(&sets);
    return bad ? -1 : 0;
}

int training_explain(const struct training_conf *c, const struct cli *cli, struct err *e)
{
    return explain_training(&c->network, &c->fit, c->data.height, c->data.width, cli, e);
}

/* ---- the training ---- */

int training_run(const struct training *t, const struct training_conf *c, const struct cli *cli,
                 struct err *e)
{
    struct run dir = {.lock = -1};
    struct sets sets = {0};
    struct task *task = NULL;
    const int bad = fit_check_checkpoints(&c->fit, t->task, &c->network, cli->resume, e) ||
                    run_begin(&dir, c->run, cli, c, c->seed, fit_may_change(&c->fit), e) ||
                    sets_find(&sets, &c->data, cli->quiet, e) ||
                    (t->admit && t->admit(c, &sets, cli->quiet, e)) ||
                    sets_prepare(&sets, cli->quiet, e) || sets_report(&sets, dir.dir, e) ||
                    sets_refuse_empty(&sets, e) || !(task = t->make(c, &sets, e)) ||
                    fit(task, &c->fit, c->seed, &dir, cli, e) || sets_report(&sets, dir.dir, e);
    task_free(task);
    sets_release(&sets);
    run_end(&dir);
    return bad ? -1 : 0;
}
