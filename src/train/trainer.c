#include "train/trainer.h"

#include "base/progress.h"
#include "train/record.h"

#include <math.h>
#include <string.h>

static int resume(struct trainer *t, struct err *e)
{
    char path[1200];
    const struct ckpt_info fresh = t->at;
    return states_newest(&t->states, t->cli, false, path, sizeof path, &t->at, e) ||
                   states_fit(path, &fresh, &t->at, e) || ckpt_load(path, t->params, true, e) ||
                   metrics_rewind(&t->run->metrics, t->at.step, t->at.validated, t->task->scores[0],
                                  e)
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
    t->pace = fit_pace(c, task->train.samples);
    t->precision = fit_precision(c, t->cli);
    t->states = states_of(t->run, c->keep);
    t->source = (struct named_source){task, false};
    t->at = states_fresh(task->name, &task->unet, task->height, task->width, task->fingerprint);
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
