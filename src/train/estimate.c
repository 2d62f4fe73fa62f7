#include "train/estimate.h"

#include "train/trial.h"

#include <math.h>

enum { IMAGES_UNKNOWN = 1000, TIMED = 2 };

struct cost {     /* seconds */
    double step;  /* of a whole step */
    double image; /* forward alone, of one image */
    size_t state; /* bytes of a checkpoint */
};

/* A part of a step, as many images as go at once, tells the cost of all parts. */
static int measure(const struct unet_conf *unet, const struct fit_conf *c,
                   const struct sets_conf *sets, const struct cli *cli, struct cost *out,
                   struct err *e)
{
    struct trial t;
    double least = INFINITY, forward = INFINITY, optimiser = INFINITY;
    const bool ok = trial_init(&t, unet, c, sets->height, sets->width, true, cli, e) == 0;
    for (int i = 0; ok && i <= TIMED; i++) { /* the first touches memory for the first time */
        const struct trial_time took = trial_step(&t);
        if (i == 0) continue;
        least = fmin(least, took.forward + took.backward);
        forward = fmin(forward, took.forward);
        optimiser = fmin(optimiser, took.optimiser);
    }
    if (ok)
        *out = (struct cost){.step = least * (fit_batch(c) / t.batch) + optimiser,
                             .image = forward / t.batch,
                             .state = (c->average > 0.0 ? 4 : 3) * t.params->trained_len *
                                      sizeof(float)};
    trial_release(&t);
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
    const struct pace p = fit_pace(c, (uint64_t)train);
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
        print_training(c, &cost, sets_slices(&found->train), sets_slices(&found->validation));
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
