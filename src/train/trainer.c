#include "train/trainer.h"

#include "base/mem.h"
#include "base/progress.h"
#include "train/record.h"

#include <math.h>
#include <string.h>

bool trainer_finished(const struct trainer *t)
{
    const int patience = t->conf->patience;
    return t->at.step >= t->pace.steps || (patience && t->at.stale >= (uint64_t)patience);
}

static int resume(struct trainer *t, struct err *e)
{
    char path[1200];
    struct ckpt_info best;
    const struct ckpt_info fresh = t->at;
    if (states_newest(&t->states, t->cli, false, path, sizeof path, &t->at, e) ||
        states_fit(path, &fresh, &t->at, e) ||
        fit_check_length(t->conf, t->task->train.samples, t->at.step, e) ||
        ckpt_load(path, t->params, true, e) || run_go_on(t->run, t->cli, e) ||
        states_settle_best(&t->states, t->cli, &t->at, trainer_finished(t), &best, e))
        return -1;
    t->best_loss = best.best_loss;
    t->best_step = best.best_step;
    return metrics_rewind(&t->run->metrics, t->at.step, t->at.validated, t->task->scores[0],
                          t->cli->command, e);
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

/* The loader gives the images that go at once, and keeps about fit.ahead times fit.batch ready. */
static int start_loader(struct trainer *t, struct err *e)
{
    const struct fit_conf *c = t->conf;
    const int at_once = step_at_once(t->step);
    const struct loader_conf feed = {.size = at_once,
                                     .ahead = (c->ahead * c->batch + at_once - 1) / at_once,
                                     .shuffle = true,
                                     .seed = t->seed,
                                     .first = t->at.step * t->pace.batch};
    return (t->index = mem_new((size_t)fit_batch(c), sizeof *t->index, e)) &&
                   (t->loader = loader_new(blame_source(&t->source), feed, e))
               ? 0
               : -1;
}

int trainer_init(struct trainer *t, struct err *e)
{
    const struct task *task = t->task;
    const struct fit_conf *c = t->conf;
    t->pace = fit_pace(c, task->train.samples);
    t->precision = fit_precision(c, t->cli);
    t->states = states_of(t->run, c->keep);
    t->source = (struct named_source){task, false};
    t->at = states_fresh(task->name, &task->unet, task->height, task->width, task->fingerprint);
    t->best_loss = t->at.best_loss;
    if (make_network(t, e) || (t->cli->resume && resume(t, e))) return -1;
    if (task->undersampling) /* a resumed one may not have known it */
        snprintf(t->at.undersampling, sizeof t->at.undersampling, "%s", task->undersampling);
    struct plan_conf shape = {.batch = fit_batch(c),
                              .height = task->height,
                              .width = task->width,
                              .training = true,
                              .precision = t->precision};
    if (!(t->step = step_new(t->graph, t->params, shape, 0, e)) ||
        !(t->validation =
              validation_new(task, t->graph, t->params, &t->parts, t->precision, c->pictures, e)) ||
        insight_open(&t->insight, t->run, t->at.step, e) || start_loader(t, e))
        return -1;
    t->time = timing_begin();
    if (t->cli->resume) record_restore(t->run, t->cli, t->at.step, &t->time, &t->parts);
    t->saved = clock_seconds();
    return 0;
}

void trainer_release(struct trainer *t)
{
    insight_close(&t->insight);
    loader_free(t->loader);
    mem_free(t->index);
    validation_free(t->validation);
    step_free(t->step);
    params_free(t->params);
    graph_free(t->graph);
}
