#include "train/fit.h"

#include "base/progress.h"
#include "base/stop.h"
#include "train/explain.h"
#include "train/record.h"
#include "train/samples.h"
#include "train/trainer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double SMOOTH = 0.05; /* weight of the newest loss in the running mean */

static unsigned long long steps_done(const struct trainer *t)
{
    return (unsigned long long)t->at.step;
}

/* What is left of a training that ends here: its newest state, if there is one. */
static const char *what_is_left(const struct trainer *t)
{
    return states_any(t->run->dir) ? "the last checkpoint is intact"
                                   : "there is no checkpoint of it";
}

/* What the run directory did not take. */
static int not_written(const struct trainer *t, struct err *e)
{
    const bool any = states_any(t->run->dir);
    err_wrap(e, "after step %llu", steps_done(t));
    if (e && e->code != ERR_IO) return -1;
    return err_hint(e, "%s: when %s can be written to again, the same command %s", what_is_left(t),
                    t->run->dir, any ? "with --resume goes on from it" : "starts it anew");
}

/* A line of figures: into metrics.jsonl, and to whoever else looks. `record`: its number among
 * those of its group. */
static int log_figures(struct trainer *t, const char *group, uint64_t record,
                       const char *const *names, const double *values, int n, struct err *e)
{
    return metrics_log(&t->run->metrics, t->at.step, names, values, n, e) ||
                   insight_scalars(&t->insight, group, record, t->at.step, names, values, n, e)
               ? not_written(t, e)
               : 0;
}

static int save(struct trainer *t, struct err *e)
{
    timing_charge(&t->time, TIMING_LOOP);
    const int bad = states_save(&t->states, t->params, &t->at, e);
    timing_charge(&t->time, TIMING_SAVING);
    t->saved = clock_seconds();
    return bad || record_save(t->run, t->at.step, &t->time, &t->parts, e) ? not_written(t, e) : 0;
}

/* What was trained so far is worth keeping; what is on the disk already, too. */
static int data_failed(struct trainer *t, struct err *e)
{
    struct err other = {0};
    if (save(t, &other)) return err_hint(e, "%s", what_is_left(t));
    return err_hint(e,
                    "the state after step %llu is saved: with the data back in place, the same "
                    "command with --resume goes on from there",
                    steps_done(t));
}

/* ---- a step ---- */

static int unhealthy(const struct trainer *t, const char *what, double value, struct err *e)
{
    char samples[1024], times[96] = "";
    blame_samples(t->task, t->index, (int)t->pace.batch, t->bad, samples, sizeof samples);
    if (isfinite(value))
        snprintf(times, sizeof times, ", %.3g times its running mean (fit.explosion is %g)",
                 value / t->at.loss_mean, t->conf->explosion);
    err_set(e, ERR_FAILED, "the %s became %g at step %llu%s; %s", what, value, steps_done(t) + 1,
            times, samples);
    return err_hint(e, "%s; look at those images, or lower fit.adam.lr or set fit.clip and %s",
                    what_is_left(t),
                    states_any(t->run->dir)
                        ? "train in another run directory, where fit.initial can be a checkpoint "
                          "of this one"
                        : "start again");
}

static int check_health(const struct trainer *t, struct err *e)
{
    const double most = t->conf->explosion * t->at.loss_mean;
    if (!isfinite(t->loss) || (most > 0.0 && t->loss > most))
        return unhealthy(t, "loss", t->loss, e);
    return isfinite(t->norm) ? 0 : unhealthy(t, "norm of the gradient", t->norm, e);
}

static void feed(struct trainer *t, int part, const struct batch *b)
{
    const int n = step_at_once(t->step), first = part * n;
    const int bad = t->bad < 0 ? blame_find(t->task, b) : -1;
    samples_copy(&t->task->train, b, n, step_input(t->step, "input"), step_input(t->step, "target"),
                 step_input(t->step, "acquisition"));
    memcpy(t->index + first, b->index, (size_t)n * sizeof *t->index);
    if (bad >= 0) t->bad = first + bad;
}

static double optimise(struct trainer *t)
{
    const struct fit_conf *c = t->conf;
    const double lr = schedule_lr(&c->schedule, c->adam.lr, t->at.step, t->pace.steps,
                                  pace_epoch(&t->pace, t->at.step));
    if (c->clip > 0.0 && t->norm > c->clip) params_scale_gradient(t->params, c->clip / t->norm);
    adam_step(t->params, &c->adam, lr, ++t->at.step);
    t->time.steps++;
    if (t->params->mean) params_average(t->params, c->average, t->at.step);
    return lr;
}

/* Means of the parts of the loss over the steps since the last line of the log. `anew`: the next
 * ones start here. */
static void take_parts(struct trainer *t, bool anew, const char **names, double *values)
{
    size_t at = 0;
    for (int i = 0; i < t->parts.n; i++) {
        struct loss_part *p = &t->parts.list[i];
        names[i] = p->name;
        values[i] = part_mean(p->training);
        if (anew) p->training = (struct part_sum){0};
        at += (size_t)snprintf(t->parts_text + at, sizeof t->parts_text - at, " %s=%.4g", p->name,
                               values[i]);
    }
}

static int log_step(struct trainer *t, double lr, struct err *e)
{
    struct ckpt_info *at = &t->at;
    const uint64_t every = pace_log_every(&t->pace);
    at->loss_mean =
        at->loss_mean > 0.0 ? at->loss_mean + SMOOTH * (t->loss - at->loss_mean) : t->loss;
    at->loss_sum += t->loss;
    at->loss_count++;
    const bool regular = at->step % every == 0; /* else the one more that the end has */
    if (!regular && at->step < t->pace.steps) return 0;
    const char *names[3 + LOSS_PARTS] = {"loss", "lr", "gradient_norm"};
    double values[3 + LOSS_PARTS] = {at->loss_sum / (double)at->loss_count, lr, t->norm};
    if (regular) {
        at->loss_sum = 0.0;
        at->loss_count = 0;
    }
    take_parts(t, regular, names + 3, values + 3);
    return log_figures(t, "train", at->step / every, names, values, 3 + t->parts.n, e);
}

/* Loss and gradient of a part of a step; adds to the seconds it took without waiting for data. */
static int pass(struct trainer *t, int part, double *seconds, struct err *e)
{
    const struct batch *b;
    double forward = 0.0;
    if (loader_next(t->loader, &b, e)) return -1;
    feed(t, part, b);
    timing_charge(&t->time, TIMING_DATA);
    /* Dropout is keyed by the step and the image. */
    const struct step_key key = {t->seed, (uint32_t)t->at.step, b->index};
    t->loss += step_part(t->step, part, key, &forward);
    *seconds -= timing_charge(&t->time, TIMING_BACKWARD);
    *seconds += t->time.mark;
    timing_move(&t->time, TIMING_BACKWARD, TIMING_FORWARD, forward);
    return 0;
}

static int train_step(struct trainer *t, struct err *e)
{
    const struct loss_parts before = t->parts;
    const int parts = step_parts(t->step);
    double seconds = 0.0;
    timing_charge(&t->time, TIMING_LOOP);
    t->loss = 0.0;
    t->bad = -1;
    for (int part = 0; part < parts; part++)
        if (pass(t, part, &seconds, e)) {
            t->parts = before; /* a step that was not finished is none */
            err_wrap(e, "step %llu", steps_done(t) + 1);
            return data_failed(t, e);
        }
    t->loss /= parts;
    t->norm = params_gradient_norm(t->params);
    if (check_health(t, e)) return -1;
    const double lr = optimise(t);
    seconds -= timing_charge(&t->time, TIMING_OPTIMISER);
    seconds += t->time.mark;
    if (t->least_step == 0.0 || seconds < t->least_step) t->least_step = seconds;
    return log_step(t, lr, e);
}

/* ---- a validation ---- */

/* The scores of the network as it is, or of its average, and pictures. */
static int score(struct trainer *t, bool *stopped, struct err *e)
{
    char picture[1200];
    timing_charge(&t->time, TIMING_LOOP);
    if (run_path(t->run, "samples.png", picture, sizeof picture, e)) return -1;
    if (t->params->mean) params_exchange(t->params);
    const int bad = validation_run(t->validation, picture, t->scores, stopped, e);
    if (t->params->mean) params_exchange(t->params);
    timing_charge(&t->time, TIMING_VALIDATION);
    if (bad && e && e->code == ERR_IO) return not_written(t, e); /* the picture */
    if (bad) {
        err_wrap(e, "validation after step %llu", steps_done(t));
        return data_failed(t, e); /* it stays due */
    }
    t->scored = !*stopped;
    return 0;
}

static bool validation_due(const struct trainer *t)
{
    return t->at.validated != t->at.step && pace_due(&t->pace, t->at.step);
}

static int log_validation(struct trainer *t, struct err *e)
{
    const uint64_t record = pace_validations(&t->pace, t->at.step);
    const bool logged = record % pace_log_validations(&t->pace) == 0 || trainer_finished(t);
    const char *names[VALIDATION_MAX_SCORES];
    const int n = validation_scores(t->validation);
    for (int i = 0; i < n; i++)
        names[i] = validation_score(t->validation, i);
    return (logged && log_figures(t, "validation", record, names, t->scores, n, e)) ||
                   (insight_panel(&t->insight, record, t->at.step, e) && not_written(t, e))
               ? -1
               : 0;
}

/* A validation that every training of this pace has, however long: it decides on the patience. */
static void count_validation(struct ckpt_info *at, double loss)
{
    at->stale++;
    if (loss >= at->best_loss) return;
    at->best_loss = loss;
    at->best_step = at->step;
    at->stale = 0;
}

static int save_best(struct trainer *t, bool regular, struct err *e)
{
    struct ckpt_info best = t->at;
    best.best_loss = t->best_loss;
    best.best_step = t->best_step;
    const bool aside =
        !regular && t->at.best_step > 0; /* a longer training has that for its best */
    return states_save_best(&t->states, t->params, &best, aside, e) ? not_written(t, e) : 0;
}

/* Validates, keeps the better network, saves. A stop in between leaves the validation due. */
static int validate(struct trainer *t, struct err *e)
{
    bool stopped = false;
    if (score(t, &stopped, e)) return -1;
    if (stopped) return 0;
    const double loss = t->scores[0];
    if (!isfinite(loss)) {
        err_set(e, ERR_FAILED, "%s became %g at step %llu", t->task->scores[0], loss,
                steps_done(t));
        return err_hint(e,
                        "%s; look at the validation images, or lower fit.adam.lr and train in "
                        "another run directory",
                        what_is_left(t));
    }
    const bool regular = pace_regular(&t->pace, t->at.step), better = loss < t->best_loss;
    t->at.validated = t->at.step;
    if (regular) count_validation(&t->at, loss);
    if (better) {
        t->best_loss = loss;
        t->best_step = t->at.step;
    }
    if (log_validation(t, e)) return -1;
    timing_charge(&t->time, TIMING_VALIDATION);
    if (better && save_best(t, regular, e)) return -1;
    timing_charge(&t->time, TIMING_SAVING);
    return save(t, e);
}

/* ---- the loop ---- */

static int stopped(struct trainer *t, struct err *e)
{
    if (save(t, e)) return -1;
    err_set(e, ERR_STOPPED, "stopped by %s after step %llu of %llu; the state is in %s/last.h5",
            stop_signal(), steps_done(t), (unsigned long long)t->pace.steps, t->run->dir);
    return err_hint(e, "the same command with --resume goes on from there");
}

static bool save_due(const struct trainer *t)
{
    const double minutes = t->conf->save_minutes;
    return minutes > 0.0 && clock_seconds() - t->saved > 60.0 * minutes;
}

static void describe(const struct trainer *t, char *detail, size_t size)
{
    int n = snprintf(detail, size, "loss=%.4g%s", t->at.loss_mean, t->parts_text);
    if (t->scored)
        n += snprintf(detail + n, size - (size_t)n, " %s=%.4g", t->task->scores[0], t->scores[0]);
    if (isfinite(t->best_loss)) snprintf(detail + n, size - (size_t)n, " best=%.4g", t->best_loss);
}

static int loop(struct trainer *t, struct err *e)
{
    struct progress p =
        progress_begin("training", (long)t->at.step, (long)t->pace.steps, t->cli->quiet);
    char detail[192] = "";
    for (;;) {
        if (validation_due(t) && validate(t, e)) return -1;
        if (trainer_finished(t) && !validation_due(t)) break;
        if (stop_requested()) return stopped(t, e);
        if (train_step(t, e)) return -1;
        describe(t, detail, sizeof detail);
        progress_at(&p, (long)t->at.step, detail);
        if (save_due(t) && save(t, e)) return -1;
    }
    describe(t, detail, sizeof detail); /* with the last validation */
    progress_end(&p, detail);
    timing_charge(&t->time, TIMING_LOOP);
    return 0;
}

/* ---- the end ---- */

static void report(const struct trainer *t)
{
    printf("run: %s\nsteps: %llu\n", t->run->dir, steps_done(t));
    if (t->at.step < t->pace.steps)
        printf("stopped_early: no better val_loss in %d validations\n", t->conf->patience);
    if (t->best_step > 0)
        printf("best_step: %llu\nbest_val_loss: %.6g\n", (unsigned long long)t->best_step,
               t->best_loss);
    printf("parameters: %zu\n", t->params->trained_len);
    for (int i = 0; i < validation_scores(t->validation); i++)
        printf("%s: %.6g\n", validation_score(t->validation, i), t->scores[i]);
    if (!t->cli->quiet) timing_print(&t->time, stderr);
}

/* What the steps took, into the run directory. */
static int explain_steps(const struct trainer *t, struct err *e)
{
    char path[1200];
    if (t->least_step == 0.0) return 0; /* the training had ended before */
    const double part_seconds = t->least_step * step_at_once(t->step) / (double)t->pace.batch;
    return run_path(t->run, "explain.txt", path, sizeof path, e)
               ? -1
               : explain_file(step_plan(t->step), t->params, t->precision, part_seconds, path, e);
}

int fit(const struct task *task, const struct fit_conf *c, uint64_t seed, struct run *run,
        const struct cli *cli, struct err *e)
{
    struct trainer t = {.task = task, .conf = c, .cli = cli, .seed = seed, .run = run};
    bool cut = false;
    int bad = trainer_init(&t, e);
    if (!bad) fit_warn(c, t.pace.steps);
    const bool ended = !bad && trainer_finished(&t) && !validation_due(&t);
    if (!bad && !ended)
        bad = record_plan(run, cli, step_plan(t.step), t.precision, &t.initial, t.at.step, e);
    bad = bad || loop(&t, e) || explain_steps(&t, e) ||
          (!ended && record_save(run, t.at.step, &t.time, &t.parts, e));
    if (!bad && !t.scored) bad = score(&t, &cut, e); /* of a training that had ended before */
    if (!bad && !cut) report(&t);
    trainer_release(&t);
    return bad ? -1 : 0;
}
