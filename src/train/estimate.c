#include "train/estimate.h"

#include "train/trial.h"

#include <math.h>

enum { IMAGES_UNKNOWN = 1000, TIMED = 2 };
enum { KNEE_HEIGHT = 640, KNEE_WIDTH = 368, KNEE_COILS = 15 };

struct cost {     /* seconds */
    double step;  /* of a whole step */
    double image; /* forward alone, of one image */
    size_t state; /* bytes of a checkpoint */
};

/* A part of a step, as many images as go at once, tells the cost of all parts. */
static int time_steps(const struct unet_conf *unet, const struct fit_conf *c,
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

/* Of the reference of a slice: the combined image and its root-sum-of-squares, and kernels. */
static double slice_bytes(int height, int width, int coils, const struct jsense_conf *j)
{
    return 12.0 * height * width + 8.0 * coils * j->kernel * j->kernel;
}

static double cache_bytes(const struct images *im, const struct jsense_conf *j)
{
    double bytes = 0.0;
    for (int i = 0; i < im->scans.n; i++) {
        const struct scan *s = &im->scans.list[i];
        bytes += s->slices * slice_bytes(s->height, s->width, s->coils, j);
    }
    return bytes;
}

static void print_training(const struct fit_conf *c, const struct cost *cost, int train,
                           int validation)
{
    const struct pace p = fit_pace(c, (uint64_t)train);
    fit_warn(c, p.steps);
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
    if (c->steps) fit_warn(c, (uint64_t)c->steps);
    printf("# scans: %s\n", why->text);
    printf("# %.3g s a step of %d images; an epoch of %d images: ", cost->step, fit_batch(c),
           IMAGES_UNKNOWN);
    print_time(IMAGES_UNKNOWN * cost->step / fit_batch(c));
    printf(", a validation of as many: ");
    print_time(IMAGES_UNKNOWN * cost->image);
    printf("\n# all ");
    if (c->steps)
        printf("%d steps", c->steps);
    else
        printf("%d epochs, for every %d images", c->epochs, IMAGES_UNKNOWN);
    printf(", without validations: ");
    print_time(c->steps ? c->steps * cost->step
                        : (double)c->epochs * IMAGES_UNKNOWN * cost->step / fit_batch(c));
    printf("%s\n", c->patience ? ", unless the patience ends it sooner" : "");
}

int estimate_training(const struct unet_conf *unet, const struct fit_conf *c,
                      const struct sets_conf *sets, const struct sets *found, const struct err *why,
                      const struct cli *cli, struct err *e)
{
    struct cost cost;
    const double before = trial_peak();
    if (time_steps(unet, c, sets, cli, &cost, e)) return -1;
    const double after = trial_peak();
    printf("#\n# estimate, from steps on random numbers on this machine with %d threads:\n",
           cli->threads);
    trial_note_if_busy(before, after, "# ");
    if (found)
        print_training(c, &cost, sets_slices(&found->train), sets_slices(&found->validation));
    else
        print_without_scans(c, &cost, why);
    printf("# disk, run directory: ");
    print_bytes((double)cost.state * (c->keep + 3)); /* last, best, and one being written */
    printf(" in checkpoints\n");
    printf("# disk, references in %s: ", sets->cache);
    if (!found) {
        print_bytes(IMAGES_UNKNOWN *
                    slice_bytes(KNEE_HEIGHT, KNEE_WIDTH, KNEE_COILS, &sets->jsense));
        printf(" for every %d slices of %d x %d with %d coils, as fastMRI's knees have\n",
               IMAGES_UNKNOWN, KNEE_HEIGHT, KNEE_WIDTH, KNEE_COILS);
    } else {
        printf("at most ");
        print_bytes(cache_bytes(&found->train, &sets->jsense) +
                    cache_bytes(&found->validation, &sets->jsense));
        printf("; the time to compute those that are missing is not counted\n");
    }
    return 0;
}
