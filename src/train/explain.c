#include "train/explain.h"

#include "base/io.h"
#include "base/par.h"
#include "base/peak.h"
#include "base/progress.h"
#include "nn/dn.h"
#include "nn/step.h"
#include "train/samples.h"

#include <math.h>
#include <stdlib.h>

enum { LEAST_STEPS = 2, MOST_STEPS = 8 };
static const double STEPS_SECONDS = 5.0, PEAK_SECONDS = 0.1;
static const uint64_t SEED = 1;

static void heading(const struct params *p, enum nn_precision precision, FILE *out)
{
    fprintf(out, "%zu parameters; precision %s, threads %d, isa %s, oneDNN %s\n", p->trained_len,
            nn_precisions[precision], par_threads(), dn_isa_name(dn_isa()), dn_version());
}

/* Trains for a few seconds; returns the steps, and the least seconds of one into *least. */
static int run_steps(struct step *step, struct params *p, const struct adam_conf *adam,
                     double *least)
{
    const double begin = clock_seconds();
    int steps = 0;
    *least = INFINITY;
    while (steps < LEAST_STEPS || (steps < MOST_STEPS && clock_seconds() - begin < STEPS_SECONDS)) {
        const double start = clock_seconds();
        step_run(step, (struct step_key){.seed = SEED, .epoch = (uint32_t)steps}, NULL);
        adam_step(p, adam, adam->lr, (uint64_t)++steps);
        *least = fmin(*least, clock_seconds() - start);
    }
    return steps;
}

static void measure_and_print(struct step *step, struct params *p, const struct unet_conf *unet,
                              const struct fit_conf *c, size_t pixels)
{
    const double before = peak_fma_gflops(PEAK_SECONDS);
    struct plan_yardstick y = {0};
    samples_invent(step, unet, pixels);
    const int steps = run_steps(step, p, &c->adam, &y.step_seconds);
    const double after = peak_fma_gflops(PEAK_SECONDS);
    y.peak_gflops = fmax(before, after);
    printf("times: the least of %d training steps on random numbers, of %d of their %d images\n\n",
           steps, step_at_once(step), fit_batch(c));
    y.step_seconds *= (double)step_at_once(step) / fit_batch(c);
    plan_explain(step_plan(step), y, stdout);
    if (fmin(before, after) < 0.9 * y.peak_gflops)
        printf(
            "note: the processors were busy with other work: %.0f GFLOP/s before and %.0f after. "
            "Try again, or with --threads 1\n",
            before, after);
}

int explain_training(const struct unet_conf *unet, const struct fit_conf *c, int height, int width,
                     const struct cli *cli, struct err *e)
{
    struct params *p = NULL;
    struct step *step = NULL;
    const struct loss_conf loss = fit_loss(c);
    const int batch = fit_batch(c);
    uint64_t encoder;
    struct graph *g = net_graph(unet, &loss, e);
    struct plan_conf shape = {.batch = batch,
                              .height = height,
                              .width = width,
                              .training = true,
                              .precision = fit_precision(c, cli)};
    bool ok = g && (p = net_params(g, unet, &loss, SEED, &encoder, e)) &&
              (step = step_new(g, p, shape, 0, e));
    if (ok) {
        heading(p, shape.precision, stdout);
        printf("activations and gradients of %d of the %d images of a step at a time: %.1f MiB\n",
               step_at_once(step), batch, (double)plan_arena_bytes(step_plan(step)) / (1 << 20));
        fflush(stdout); /* the rest takes seconds */
        measure_and_print(step, p, unet, c, (size_t)batch * (size_t)height * (size_t)width);
    }
    step_free(step);
    params_free(p);
    graph_free(g);
    return ok ? 0 : -1;
}

int explain_file(const struct plan *plan, const struct params *p, enum nn_precision precision,
                 double step_seconds, const char *path, struct err *e)
{
    const struct plan_yardstick y = {.peak_gflops = peak_fma_gflops(PEAK_SECONDS),
                                     .step_seconds = step_seconds};
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
