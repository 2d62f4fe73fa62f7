#include "train/trainer.h"

#include "base/progress.h"
#include "train/record.h"

#include <math.h>
#include <string.h>

static struct pace make_pace(const struct task *task, const struct fit_conf *c)
{
    return pace_of(&(struct pace_conf){.samples = task->train.samples,
                                       .batch = (uint64_t)fit_batch(c),
                                       .epochs = (uint64_t)c->epochs,
                                       .steps = (uint64_t)c->steps,
                                       .every_steps = (uint64_t)c->validate_every,
                                       .every_epochs = (uint64_t)c->validate_epochs});
}

/* Whether a state is one of this training, which begins as `fresh`. */
static int check_state(const char *path, const struct ckpt_info *fresh, const struct ckpt_info *at,
                       struct err *e)
{
    char what[160] = "";
    /* Parameters of the same shapes are not enough: groups and dropout leave no trace in them. */
    if (net_differs(&at->unet, &fresh->unet, what, sizeof what) || strcmp(fresh->task, at->task) ||
        fresh->height != at->height || fresh->width != at->width)
        return err_set(e, ERR_DATA, "%s is a checkpoint of another network or task%s%s", path,
                       *what ? ": " : "", what);
    if (fresh->images != at->images) {
        err_set(e, ERR_DATA,
                "the scans behind data.train and data.validation are not those the "
                "run was started with: files were added, removed, renamed or replaced");
        return err_hint(e, "bring the same files back, or train in another run directory");
    }
    if (fresh->encoder != at->encoder)
        return err_set(e, ERR_DATA,
                       "fit.ssfd.checkpoint is another network than the run was started with");
    return 0;
}

static int resume(struct trainer *t, struct err *e)
{
    char path[1200];
    const struct ckpt_info fresh = t->at;
    return states_newest(&t->states, t->cli, path, sizeof path, &t->at, e) ||
                   check_state(path, &fresh, &t->at, e) || ckpt_load(path, t->params, true, e) ||
                   run_rewind_metrics(t->run, t->at.step, t->at.validated, t->task->scores[0], e)
               ? -1
               : 0;
}

static int make_network(struct trainer *t, struct err *e)
{
    struct loss_conf loss = fit_loss(t->conf);
    loss.parts = &t->parts;
    if (!(t->graph = net_graph(&t->task->unet, &loss, e))) return -1;
    t->params = net_params(t->graph, &t->task->unet, &loss, t->seed, &t->at.encoder, e);
    if (!t->params) return -1;
    if (*t->conf->initial && !t->cli->resume &&
        initial_load(&t->initial, t->conf->initial, t->task->name, &t->task->unet, t->params, e))
        return -1;
    return t->conf->average > 0.0 ? params_average_begin(t->params, e) : 0;
}

int trainer_init(struct trainer *t, struct err *e)
{
    const struct task *task = t->task;
    const struct fit_conf *c = t->conf;
    t->pace = make_pace(task, c);
    t->precision = fit_precision(c, t->cli);
    t->states = states_of(t->run, c->keep);
    t->source = (struct named_source){task, false};
    t->at = (struct ckpt_info){.unet = task->unet,
                               .best_loss = INFINITY,
                               .height = task->height,
                               .width = task->width,
                               .images = task->fingerprint};
    snprintf(t->at.task, sizeof t->at.task, "%s", task->name);
    if (make_network(t, e) || (t->cli->resume && resume(t, e))) return -1;
    struct plan_conf shape = {.batch = fit_batch(c),
                              .height = task->height,
                              .width = task->width,
                              .training = true,
                              .precision = t->precision};
    if (!(t->step = step_new(t->graph, t->params, shape, 0, e)) ||
        !(t->validation =
              validation_new(task, t->graph, t->params, &t->parts, t->precision, c->pictures, e)) ||
        insight_open(&t->insight, t->run, t->at.step, e))
        return -1;
    struct loader_conf feed = {.size = fit_batch(c),
                               .ahead = c->ahead,
                               .shuffle = true,
                               .seed = t->seed,
                               .first = t->at.step * t->pace.batch};
    if (!(t->loader = loader_new(blame_source(&t->source), feed, e))) return -1;
    t->time = timing_begin();
    if (t->cli->resume) record_restore(t->run, t->at.step, &t->time, &t->parts);
    t->saved = clock_seconds();
    return 0;
}

void trainer_release(struct trainer *t)
{
    insight_close(&t->insight);
    loader_free(t->loader);
    validation_free(t->validation);
    step_free(t->step);
    params_free(t->params);
    graph_free(t->graph);
}
