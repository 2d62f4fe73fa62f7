#include "train/fit.h"

#include "base/mem.h"
#include "base/progress.h"
#include "base/stop.h"
#include "nn/ckpt.h"
#include "nn/step.h"
#include "train/explain.h"
#include "train/insight.h"
#include "train/record.h"
#include "train/validate.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define FIELDS(epochs_default, schedule_fields)                                                    \
    {                                                                                              \
        CFG_INT(struct fit_conf, batch, "4", 1, 1024, "images", "images a step"),                  \
            CFG_INT(struct fit_conf, epochs, epochs_default, 1, 1e6, "",                           \
                    "passes over the training images"),                                            \
            CFG_INT(struct fit_conf, steps, "0", 0, 2e9, "",                                       \
                    "length in steps; 0: given by epochs"),                                        \
            CFG_INT(struct fit_conf, validate_every, "0", 0, 2e9, "steps",                         \
                    "between validations, each with a checkpoint; 0: every epoch"),                \
            CFG_INT(struct fit_conf, patience, "4", 0, 1e6, "validations",                         \
                    "stop after so many without a better loss; 0: never"),                         \
            CFG_INT(struct fit_conf, ahead, "2", 1, 64, "batches", "prepared in advance"),         \
            CFG_INT(struct fit_conf, pictures, "4", 0, 16, "images", "shown in samples.png"),      \
            CFG_CHOICE(                                                                            \
                struct fit_conf, precision, "fp32", nn_precisions,                                 \
                "convolutions, in training and validation: fp32, the fastest kernels with "        \
                "the accuracy of float32; fp32-direct, plain sums of float32 products, to "        \
                "compare with; bf16, factors rounded to 8 bits and sums in float32, faster "       \
                "where the processor has such products (elsewhere it is fp32). Weights, "          \
                "activations, gradients and statistics of normalisation are float32 in any case"), \
            CFG_GROUP(struct fit_conf, adam, adam_fields, "optimiser"),                            \
            CFG_GROUP(struct fit_conf, schedule, schedule_fields, "learning rate over time"),      \
            CFG_END                                                                                \
    }

const struct cfg_field fit_ssl_fields[] = FIELDS("500", schedule_ssl_fields);
const struct cfg_field fit_recon_fields[] = FIELDS("200", schedule_recon_fields);
const char *const fit_may_change[] = {"run", "ahead", "pictures", "patience", NULL};

enum { LOG_EVERY = 10 }; /* steps */
enum { WAIT, FORWARD, BACKWARD, OPTIMISER, VALIDATION, PHASES };

struct trainer {
    const struct task *task;
    const struct fit_conf *conf;
    uint64_t seed;
    struct run *run;
    struct insight insight;
    struct graph *graph;
    struct params *params;
    enum nn_precision precision; /* in force */
    struct step *step;
    double loss; /* of the last step */
    struct validation *validation;
    struct loader *loader;
    uint32_t *sample;    /* ids of a batch, for the random numbers of dropout */
    struct ckpt_info at; /* step, best loss: what a checkpoint says besides the weights */
    long steps, per_epoch, validate_every;
    double loss_sum; /* since the last log line */
    int loss_count;
    double seconds[PHASES], mark;
    double least_step; /* seconds, without waiting for data; 0: none yet */
};

/* Charges the time since the last call to a phase. */
static void clock_phase(struct trainer *t, int phase)
{
    double now = clock_seconds();
    t->seconds[phase] += now - t->mark;
    t->mark = now;
}

enum nn_precision fit_precision(const struct fit_conf *c, const struct cli *cli)
{
    const enum nn_precision asked = (enum nn_precision)c->precision;
    const enum nn_precision used = nn_precision_in_force(asked);
    if (used != asked)
        fprintf(stderr, "%s: warning: no kernels for fit.precision %s (%s); it trains in %s\n",
                cli->command, nn_precisions[asked], nn_bf16_missing(), nn_precisions[used]);
    return used;
}

struct graph *fit_graph(const struct unet_conf *unet, struct err *e)
{
    struct graph *g = graph_new();
    int x = graph_input(g, "input", unet->in_channels);
    int target = graph_input(g, "target", unet->out_channels);
    int y = unet_build(g, unet, x);
    graph_output(g, y);
    graph_output(g, graph_name(g, nn_l2(g, y, target), "loss"));
    if (graph_seal(g, e) == 0) return g;
    graph_free(g);
    return NULL;
}

int fit_check(const struct unet_conf *unet, int height, int width, struct err *e)
{
    int m = unet_size_multiple(unet);
    if (height % m == 0 && width % m == 0) return 0;
    err_set(e, ERR_CONFIG,
            "images of %d x %d cannot be halved %d times: both sizes must be multiples of %d",
            height, width, unet->levels - 1, m);
    return err_hint(e, "set data.height to %d and data.width to %d: images are zero-padded to that",
                    (height + m - 1) / m * m, (width + m - 1) / m * m);
}

static void trainer_release(struct trainer *t)
{
    insight_close(&t->insight);
    loader_free(t->loader);
    validation_free(t->validation);
    step_free(t->step);
    params_free(t->params);
    graph_free(t->graph);
    mem_free(t->sample);
}

/* Parameters of the same shapes are not enough: groups and dropout leave no trace in them. */
static bool same_network(const struct ckpt_info *a, const struct ckpt_info *b)
{
    const struct unet_conf *u = &a->unet, *v = &b->unet;
    return !strcmp(a->task, b->task) && a->height == b->height && a->width == b->width &&
           u->in_channels == v->in_channels && u->out_channels == v->out_channels &&
           u->filters == v->filters && u->levels == v->levels && u->block == v->block &&
           u->groups == v->groups && u->dropout == v->dropout;
}

static int trainer_init(struct trainer *t, bool resume, struct err *e)
{
    const struct task *task = t->task;
    const struct fit_conf *c = t->conf;
    t->per_epoch = (long)task->train.samples / c->batch;
    if (t->per_epoch < 1) t->per_epoch = 1;
    t->steps =
        c->steps ? c->steps : (long)((double)c->epochs * task->train.samples / c->batch + 0.5);
    t->validate_every = c->validate_every ? c->validate_every : t->per_epoch;
    t->at = (struct ckpt_info){
        .unet = task->unet, .best_loss = INFINITY, .height = task->height, .width = task->width};
    snprintf(t->at.task, sizeof t->at.task, "%s", task->name);
    t->sample = mem_new((size_t)c->batch, sizeof *t->sample, e);
    if (!t->sample || !(t->graph = fit_graph(&task->unet, e))) return -1;
    if (!(t->params = params_new(t->graph, e))) return -1;
    params_init(t->params, t->seed);
    if (resume) {
        char path[1200];
        const struct ckpt_info fresh = t->at;
        if (run_path(t->run, "last.h5", path, sizeof path, e) || ckpt_read_info(path, &t->at, e))
            return -1;
        if (!same_network(&fresh, &t->at))
            return err_set(e, ERR_DATA, "%s is a checkpoint of another network or task", path);
        if (ckpt_load(path, t->params, true, e) || run_rewind_metrics(t->run, t->at.step, e))
            return -1;
    }
    struct plan_conf shape = {.batch = c->batch,
                              .height = task->height,
                              .width = task->width,
                              .training = true,
                              .precision = t->precision};
    if (!(t->step = step_new(t->graph, t->params, shape, 0, e))) return -1;
    shape.training = false;
    t->validation = validation_new(task, t->graph, t->params, shape, c->pictures, e);
    if (!t->validation) return -1;
    struct loader_conf feed = {.size = c->batch,
                               .ahead = c->ahead,
                               .shuffle = true,
                               .seed = t->seed,
                               .first = t->at.step * (uint64_t)c->batch};
    if (insight_open(&t->insight, t->run, t->at.step, e)) return -1;
    return (t->loader = loader_new(task->train, feed, e)) ? 0 : -1;
}

static int save(struct trainer *t, const char *file, struct err *e)
{
    char path[1200];
    return run_path(t->run, file, path, sizeof path, e) || ckpt_save(path, t->params, &t->at, e)
               ? -1
               : 0;
}

static int step(struct trainer *t, struct err *e)
{
    const struct batch *b;
    if (loader_next(t->loader, &b, e)) return -1;
    clock_phase(t, WAIT);
    const double start = t->mark;
    size_t n = (size_t)t->conf->batch;
    memcpy(step_input(t->step, "input"), b->input, n * t->task->train.input_len * sizeof(float));
    memcpy(step_input(t->step, "target"), b->target, n * t->task->train.target_len * sizeof(float));
    /* Dropout is keyed by the step and the image. */
    double forward;
    t->loss =
        step_run(t->step, (struct step_key){t->seed, (uint32_t)t->at.step, b->index}, &forward);
    clock_phase(t, BACKWARD);
    t->seconds[BACKWARD] -= forward;
    t->seconds[FORWARD] += forward;
    if (!isfinite(t->loss)) {
        err_set(e, ERR_FAILED, "the loss became %g at step %llu (images from number %u of the set)",
                t->loss, (unsigned long long)t->at.step + 1, b->index[0]);
        return err_hint(
            e, "the last checkpoint is intact; lower fit.adam.lr, or look at those images");
    }
    double lr =
        schedule_lr(&t->conf->schedule, t->conf->adam.lr, (long)t->at.step, t->steps, t->per_epoch);
    adam_step(t->params, &t->conf->adam, lr, ++t->at.step);
    clock_phase(t, OPTIMISER);
    if (t->least_step == 0.0 || t->mark - start < t->least_step) t->least_step = t->mark - start;
    t->at.loss_sum += t->loss;
    int since = (int)(t->at.step % LOG_EVERY);
    if (since && (long)t->at.step < t->steps) return 0;
    const char *names[] = {"loss", "lr"};
    double values[] = {t->at.loss_sum / (since ? since : LOG_EVERY), lr};
    t->at.loss_sum = 0.0;
    return run_log(t->run, t->at.step, names, values, 2, e) ||
                   insight_scalars(&t->insight, "train", t->at.step / LOG_EVERY, t->at.step, names,
                                   values, 2, e)
               ? -1
               : 0;
}

/* The scores of the network as it is, and pictures. */
static int measure(struct trainer *t, double *scores, struct err *e)
{
    char picture[1200];
    if (run_path(t->run, "samples.png", picture, sizeof picture, e) ||
        validation_run(t->validation, picture, scores, e))
        return err_wrap(e, "validation after step %llu", (unsigned long long)t->at.step);
    return 0;
}

/* Validates, keeps the better network, saves. */
static int validate(struct trainer *t, double *scores, struct err *e)
{
    if (measure(t, scores, e)) return -1;
    if (!isfinite(scores[0])) {
        err_set(e, ERR_FAILED, "%s became %g at step %llu", t->task->scores[0], scores[0],
                (unsigned long long)t->at.step);
        return err_hint(e, "the last checkpoint is intact; lower fit.adam.lr, or look at the "
                           "validation images");
    }
    bool better = scores[0] < t->at.best_loss;
    if (better) {
        t->at.best_loss = scores[0];
        t->at.best_step = t->at.step;
    }
    const uint64_t number = (t->at.step - 1) / (uint64_t)t->validate_every + 1;
    if (run_log(t->run, t->at.step, t->task->scores, scores, t->task->nscores, e) ||
        insight_scalars(&t->insight, "validation", number, t->at.step, t->task->scores, scores,
                        t->task->nscores, e) ||
        insight_panel(&t->insight, number, t->at.step, e) || (better && save(t, "best.h5", e)) ||
        save(t, "last.h5", e))
        return -1;
    clock_phase(t, VALIDATION);
    return 0;
}

static bool out_of_patience(const struct trainer *t)
{
    uint64_t since = t->at.step - t->at.best_step;
    bool validated = t->at.step && t->at.step % (uint64_t)t->validate_every == 0;
    return validated && t->conf->patience &&
           since >= (uint64_t)t->validate_every * (uint64_t)t->conf->patience;
}

static bool finished(const struct trainer *t)
{
    return (long)t->at.step >= t->steps || out_of_patience(t);
}

static int stopped(struct trainer *t, struct err *e)
{
    if (save(t, "last.h5", e)) return -1;
    err_set(e, ERR_STOPPED, "stopped by %s after step %llu of %ld; the state is in %s/last.h5",
            stop_signal(), (unsigned long long)t->at.step, t->steps, t->run->dir);
    return err_hint(e, "the same command with --resume goes on from there");
}

static int loop(struct trainer *t, const struct cli *cli, double *scores, struct err *e)
{
    struct progress p = progress_begin("training", (long)t->at.step, t->steps, cli->quiet);
    char detail[128] = "";
    double loss = 0.0;
    t->mark = clock_seconds();
    bool ended = finished(t);
    if (t->at.step && measure(t, scores, e)) return -1; /* resumed: nothing is saved by this */
    while (!ended && (long)t->at.step < t->steps) {
        if (stop_requested()) return stopped(t, e);
        if (step(t, e)) return -1;
        loss = loss > 0.0 ? 0.95 * loss + 0.05 * t->loss : t->loss;
        bool due = (long)t->at.step % t->validate_every == 0 || (long)t->at.step == t->steps;
        if (due && validate(t, scores, e)) return -1;
        if (isfinite(t->at.best_loss))
            snprintf(detail, sizeof detail, "loss=%.4g %s=%.4g best=%.4g", loss, t->task->scores[0],
                     scores[0], t->at.best_loss);
        else
            snprintf(detail, sizeof detail, "loss=%.4g", loss);
        progress_at(&p, (long)t->at.step, detail);
        ended = due && out_of_patience(t);
    }
    progress_end(&p, detail);
    return 0;
}

static void report(const struct trainer *t, const double *scores, bool quiet)
{
    printf("run: %s\nsteps: %llu\nbest_step: %llu\nparameters: %zu\n", t->run->dir,
           (unsigned long long)t->at.step, (unsigned long long)t->at.best_step, t->params->len);
    for (int i = 0; i < t->task->nscores; i++)
        printf("%s: %.6g\n", t->task->scores[i], scores[i]);
    static const char *const phase[] = {"waiting for data", "forward", "backward", "optimiser",
                                        "validation and saving"};
    double total = 0.0;
    for (int i = 0; i < PHASES; i++)
        total += t->seconds[i];
    for (int i = 0; i < PHASES && total > 0.0 && !quiet; i++)
        fprintf(stderr, "%s: %.1f s (%.0f %%)\n", phase[i], t->seconds[i],
                100.0 * t->seconds[i] / total);
}

/* What the steps took, into the run directory. */
static int explain(const struct trainer *t, struct err *e)
{
    char path[1200];
    if (t->least_step == 0.0) return 0; /* the training had ended before */
    const double part_seconds = t->least_step * step_at_once(t->step) / t->conf->batch;
    return run_path(t->run, "explain.txt", path, sizeof path, e)
               ? -1
               : explain_file(step_plan(t->step), t->params, t->precision, part_seconds, path, e);
}

int fit(const struct task *task, const struct fit_conf *c, uint64_t seed, struct run *run,
        const struct cli *cli, struct err *e)
{
    struct trainer t = {
        .task = task, .conf = c, .seed = seed, .run = run, .precision = fit_precision(c, cli)};
    double scores[TASK_MAX_SCORES] = {0};
    int bad =
        trainer_init(&t, cli->resume, e) ||
        (!finished(&t) && record_plan(run, cli, step_plan(t.step), t.precision, t.at.step, e)) ||
        loop(&t, cli, scores, e);
    bad = bad || explain(&t, e);
    if (!bad) report(&t, scores, cli->quiet);
    trainer_release(&t);
    return bad ? -1 : 0;
}
