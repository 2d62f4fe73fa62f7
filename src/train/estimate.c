#include "train/estimate.h"

#include "base/progress.h"
#include "nn/step.h"
#include "train/pace.h"
#include "train/samples.h"

#include <math.h>

enum { IMAGES_UNKNOWN = 1000, TIMED = 2 };

struct cost {     /* seconds */
    double step;  /* of a whole step */
    double image; /* forward alone, of one image */
    size_t state; /* bytes of a checkpoint */
};

/* A part of a step, as many images as go at once, tells the cost of all parts. */
static void time_part(struct step *s, struct params *p, const struct fit_conf *c, int parts,
                      struct cost *out)
{
    double least = INFINITY, least_forward = INFINITY, forward;
    for (int i = 0; i <= TIMED; i++) { /* the first touches memory for the first time */
        const double start = clock_seconds();
        step_run(s, (struct step_key){.seed = 1, .epoch = (uint32_t)i}, &forward);
        const double took = clock_seconds() - start;
        if (i) least = fmin(least, took);
        if (i) least_forward = fmin(least_forward, forward);
    }
    const double start = clock_seconds();
    adam_step(p, &c->adam, c->adam.lr, 1);
    out->step = least * parts + (clock_seconds() - start);
    out->image = least_forward / step_at_once(s);
    out->state = (c->average > 0.0 ? 4 : 3) * p->trained_len * sizeof(float);
}

static int measure(const struct unet_conf *unet, const struct fit_conf *c,
                   const struct sets_conf *sets, const struct cli *cli, struct cost *out,
                   struct err *e)
{
    const struct loss_conf loss = fit_loss(c);
    struct plan_conf shape = {.batch = fit_batch(c),
                              .height = sets->height,
                              .width = sets->width,
                              .training = true,
                              .precision = fit_precision(c, cli)};
    struct params *p = NULL;
    struct step *s = NULL;
    uint64_t encoder;
    const size_t pixels = (size_t)sets->height * (size_t)sets->width;
    struct graph *g = net_graph(unet, &loss, e);
    bool ok =
        g && (p = net_params(g, unet, &loss, 1, &encoder, e)) && (s = step_new(g, p, shape, 0, e));
    if (ok) {
        const int at_once = step_at_once(s), parts = shape.batch / at_once;
        step_free(s);
        shape.batch = at_once;
        if ((ok = (s = step_new(g, p, shape, at_once, e)) != NULL)) {
            samples_invent(s, unet, (size_t)at_once * pixels);
            time_part(s, p, c, parts, out);
        }
    }
    step_free(s);
    params_free(p);
    graph_free(g);
    return ok ? 0 : -1;
}

static void print_time(double seconds)
{
    if (seconds < 90.0)
        printf("%.0f s", seconds);
    else if (seconds < 5400.0)
        printf("%.0f min", seconds / 60.0);
    else if (seconds < 172800.0)
        printf("%.1f h", seconds / 3600.0);
    else
        printf("%.1f days", seconds / 86400.0);
}

static void print_bytes(double bytes)
{
    const double mib = bytes / (1 << 20);
    if (mib < 1024.0)
        printf("%.1f MiB", mib);
    else
        printf("%.1f GiB", mib / 1024.0);
}

static int slices(const struct images *im)
{
    int n = 0;
    for (int i = 0; i < im->scans.n; i++)
        n += im->scans.list[i].slices;
    return n;
}

/* Of the references of a set: the combined image and its root-sum-of-squares, and kernels. */
static double cache_bytes(const struct images *im, const struct jsense_conf *j)
{
    double bytes = 0.0;
    for (int i = 0; i < im->scans.n; i++) {
        const struct scan *s = &im->scans.list[i];
        const double kernels = 8.0 * s->coils * j->kernel * j->kernel;
        bytes += s->slices * (12.0 * s->height * s->width + kernels);
    }
    return bytes;
}

static void print_training(const struct fit_conf *c, const struct cost *cost, int train,
                           int validation)
{
    const struct pace p =
        pace_of(&(struct pace_conf){.samples = (uint64_t)train,
                                    .batch = (uint64_t)fit_batch(c),
                                    .epochs = (uint64_t)c->epochs,
                                    .steps = (uint64_t)c->steps,
                                    .every_steps = (uint64_t)c->validate_every,
                                    .every_epochs = (uint64_t)c->validate_epochs});
    const double steps = (double)p.steps, validations = (double)pace_validations(&p, p.steps);
    const double training = steps * cost->step, validating = validations * validation * cost->image;
    printf("# %.0f steps of %d images, %.3g s each, %.3g epochs: ", steps, fit_batch(c), cost->step,
           steps * fit_batch(c) / train);
    print_time(training);
    printf("\n# %.0f validations of %d images: ", validations, validation);
    print_time(validating);
    printf("\n# together: ");
    print_time(training + validating);
    printf("%s\n", c->patience ? ", unless the patience ends it sooner" : "");
}

static void print_without_scans(const struct fit_conf *c, const struct cost *cost,
                                const struct err *why)
{
    printf("# scans: %s\n", why->text);
    printf("# %.3g s a step of %d images; an epoch of %d images: ", cost->step, fit_batch(c),
           IMAGES_UNKNOWN);
    print_time(IMAGES_UNKNOWN * cost->step / fit_batch(c));
    printf(", a validation of as many: ");
    print_time(IMAGES_UNKNOWN * cost->image);
    if (c->steps) {
        printf("; all %d steps: ", c->steps);
        print_time(c->steps * cost->step);
    }
    printf("\n");
}

int estimate_training(const struct unet_conf *unet, const struct fit_conf *c,
                      const struct sets_conf *sets, const struct sets *found, const struct err *why,
                      const struct cli *cli, struct err *e)
{
    struct cost cost;
    if (measure(unet, c, sets, cli, &cost, e)) return -1;
    printf("#\n# estimate, from steps on random numbers on this machine with %d threads:\n",
           cli->threads);
    if (found)
        print_training(c, &cost, slices(&found->train), slices(&found->validation));
    else
        print_without_scans(c, &cost, why);
    printf("# disk, run directory: ");
    print_bytes((double)cost.state * (c->keep + 3)); /* last, best, and one being written */
    printf(" in checkpoints\n");
    if (found) {
        printf("# disk, references in %s: at most ", sets->cache);
        print_bytes(cache_bytes(&found->train, &sets->jsense) +
                    cache_bytes(&found->validation, &sets->jsense));
        printf("; the time to compute those that are missing is not counted\n");
    }
    return 0;
}
