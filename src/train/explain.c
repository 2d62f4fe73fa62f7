#include "train/explain.h"

#include "base/io.h"
#include "base/par.h"
#include "base/progress.h"
#include "nn/dn.h"
#include "train/trial.h"

#include <math.h>
#include <stdlib.h>

enum { LEAST_STEPS = 2, MOST_STEPS = 8 };
static const double STEPS_SECONDS = 5.0;

static void heading(const struct params *p, enum nn_precision precision, FILE *out)
{
    fprintf(out, "%zu parameters; precision %s, threads %d, isa %s, oneDNN %s\n", p->trained_len,
            nn_precisions[precision], par_threads(), dn_isa_name(dn_isa()), dn_version());
}

/* Trains for a few seconds; returns the steps, and the least seconds of one into *least. */
static int run_steps(struct trial *t, double *least)
{
    const double begin = clock_seconds();
    int steps = 0;
    *least = INFINITY;
    while (steps < LEAST_STEPS || (steps < MOST_STEPS && clock_seconds() - begin < STEPS_SECONDS)) {
        const struct trial_time took = trial_step(t);
        *least = fmin(*least, took.forward + took.backward + took.optimiser);
        steps++;
    }
    return steps;
}

static void measure_and_print(struct trial *t)
{
    const double before = trial_peak();
    struct plan_yardstick y = {0};
    const int steps = run_steps(t, &y.step_seconds), at_once = step_at_once(t->step);
    const double after = trial_peak();
    y.peak_gflops = fmax(before, after);
    printf("times: the least of %d training steps on random numbers, of %d of their %d images\n\n",
           steps, at_once, t->batch);
    y.step_seconds *= (double)at_once / t->batch;
    plan_explain(step_plan(t->step), y, stdout);
    trial_note_if_busy(before, after, "");
}

int explain_training(const struct unet_conf *unet, const struct fit_conf *c, int height, int width,
                     const struct cli *cli, struct err *e)
{
    struct trial t;
    const bool ok = trial_init(&t, unet, c, height, width, false, cli, e) == 0;
    if (ok) {
        heading(t.params, t.precision, stdout);
        printf("activations and gradients of %d of the %d images of a step at a time: %.1f MiB\n",
               step_at_once(t.step), t.batch,
               (double)plan_arena_bytes(step_plan(t.step)) / (1 << 20));
        fflush(stdout); /* the rest takes seconds */
        measure_and_print(&t);
    }
    trial_release(&t);
    return ok ? 0 : -1;
}

int explain_file(const struct plan *plan, const struct params *p, enum nn_precision precision,
                 double step_seconds, const char *path, struct err *e)
{
    const struct plan_yardstick y = {.peak_gflops = trial_peak(), .step_seconds = step_seconds};
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    if (f) {
        heading(p, precision, f);
        plan_explain(plan, y, f);
    }
    int bad = !f || fclose(f);
    bad =
        bad ? err_set(e, ERR_FAILED, "%s: out of memory", path) : io_write_text(path, text, len, e);
    free(text);
    return bad ? -1 : 0;
}
