#include "train/trial.h"

#include "base/peak.h"
#include "base/progress.h"
#include "base/rng.h"
#include "train/net.h"

#include <math.h>
#include <stdio.h>

static const uint64_t SEED = 1;
static const double PEAK_SECONDS = 0.1, IDLE = 0.9;

static void invent(float *x, size_t len, uint32_t stream)
{
    struct rng r = rng_make(SEED, RNG_TEST, 0, stream);
    for (size_t i = 0; i < len; i++)
        x[i] = (float)rng_normal(&r);
}

/* Numbers that cost as much as samples: random ones, and an acquisition of all samples by all
 * coils. */
static void fill(struct trial *t, const struct unet_conf *unet, size_t pixels)
{
    float *acquisition = step_input(t->step, "acquisition");
    invent(step_input(t->step, "input"), pixels * (size_t)unet->in_channels, 0);
    invent(step_input(t->step, "target"), pixels * (size_t)unet->out_channels, 1);
    for (size_t i = 0; acquisition && i < pixels * (size_t)unet->normal->channels; i++)
        acquisition[i] = 1.0f;
}

int trial_init(struct trial *t, const struct unet_conf *unet, const struct fit_conf *c, int height,
               int width, bool part, const struct cli *cli, struct err *e)
{
    const struct loss_conf loss = fit_loss(c);
    uint64_t encoder;
    *t =
        (struct trial){.precision = fit_precision(c, cli), .batch = fit_batch(c), .adam = &c->adam};
    struct plan_conf shape = {.batch = t->batch,
                              .height = height,
                              .width = width,
                              .training = true,
                              .precision = t->precision};
    if (!(t->graph = net_graph(unet, &loss, e)) ||
        !(t->params = net_params(t->graph, unet, &loss, SEED, &encoder, e)) ||
        !(t->step = step_new(t->graph, t->params, shape, 0, e)))
        return -1;
    const int at_once = step_at_once(t->step);
    if (part && at_once < t->batch) {
        step_free(t->step);
        shape.batch = t->batch = at_once;
        if (!(t->step = step_new(t->graph, t->params, shape, at_once, e))) return -1;
    }
    fill(t, unet, (size_t)at_once * (size_t)height * (size_t)width);
    return 0;
}

void trial_release(struct trial *t)
{
    step_free(t->step);
    params_free(t->params);
    graph_free(t->graph);
    *t = (struct trial){0};
}

struct trial_time trial_step(struct trial *t)
{
    struct trial_time took = {0};
    const struct step_key key = {.seed = SEED, .epoch = (uint32_t)t->steps};
    const double start = clock_seconds();
    for (int part = 0; part < step_parts(t->step); part++)
        step_part(t->step, part, key, &took.forward);
    const double middle = clock_seconds();
    adam_step(t->params, t->adam, t->adam->lr, ++t->steps);
    took.optimiser = clock_seconds() - middle;
    took.backward = middle - start - took.forward;
    return took;
}

double trial_peak(void)
{
    return peak_fma_gflops(PEAK_SECONDS);
}

void trial_note_if_busy(double before, double after, const char *prefix)
{
    if (fmin(before, after) >= IDLE * fmax(before, after)) return;
    printf("%snote: the processors were busy with other work: %.0f GFLOP/s before and %.0f after. "
           "Try again, or with --threads 1\n",
           prefix, before, after);
}
