/* A configuration with a field of every type, shared by the tests of cfg and cli. */
#pragma once

#include "base/cfg.h"

#include <limits.h>

struct sample_train {
    int batch;
    double lr;
    bool clip;
    struct cfg_reals levels;
};
struct sample_shift {
    struct cfg_ints px;
};
struct sample_blur {
    double extent;
};
struct sample_random {
    double acceleration;
    int centre;
};
struct sample {
    uint64_t seed;
    const char *name;
    int loss;
    struct sample_train train;
    struct cfg_pick mask;
    struct cfg_picks perturbations;
    struct cfg_ints sizes;
    struct cfg_texts files;
};

static const char *const sample_losses[] = {"l1", "l2", "huber", NULL};
static const struct cfg_field sample_train_fields[] = {
    CFG_INT(struct sample_train, batch, "8", 1, 1024, "images",
            "Images in one step of the optimiser, all of which go through the network together"),
    CFG_REAL(struct sample_train, lr, "1e-3", 0, 10, "", "Learning rate"),
    CFG_BOOL(struct sample_train, clip, "false", "Limit the norm of the gradient"),
    CFG_REALS(struct sample_train, levels, "[0, 0.5, 1]", 0, 1e300, "px", "Levels"), CFG_END};
static const struct cfg_field sample_shift_fields[] = {
    CFG_INTS(struct sample_shift, px, "[0, 1, 2]", -100, 100, "px", "Shifts"), CFG_END};
static const struct cfg_field sample_blur_fields[] = {
    CFG_REAL(struct sample_blur, extent, "1.5", 0, 30, "px", "Width of the kernel"), CFG_END};
static const struct cfg_field sample_random_fields[] = {
    CFG_REAL(struct sample_random, acceleration, "4", 1, 64, "", "Acceleration"),
    CFG_INT(struct sample_random, centre, "16", 0, INT_MAX, "lines", "Lines kept in the centre"),
    CFG_END};

static const struct cfg_kind sample_shift = {"shift", "Moved by whole pixels", sample_shift_fields,
                                             sizeof(struct sample_shift)};
static const struct cfg_kind sample_blur = {"blur", "Smoothed", sample_blur_fields,
                                            sizeof(struct sample_blur)};
static const struct cfg_kind sample_noise = {"noise", "White noise", NULL, 0};
static const struct cfg_kind *const sample_perturbs[] = {&sample_shift, &sample_blur, &sample_noise,
                                                         NULL};
static const struct cfg_kind sample_random = {"random", "Lines at random", sample_random_fields,
                                              sizeof(struct sample_random)};
static const struct cfg_kind sample_full = {"full", "Every line", NULL, 0};
static const struct cfg_kind *const sample_masks[] = {&sample_random, &sample_full, NULL};

static const struct cfg_field sample_fields[] = {
    CFG_U64(struct sample, seed, "1", "Seed of every random choice"),
    CFG_TEXT(struct sample, name, NULL, "Name of the run"),
    CFG_CHOICE(struct sample, loss, "l2", sample_losses, "What is minimised"),
    CFG_GROUP(struct sample, train, sample_train_fields, "How to train"),
    CFG_PICK(struct sample, mask, "random", sample_masks, "Undersampling"),
    CFG_PICKS(struct sample, perturbations, "{shift: {}, blur: {extent: 2}}", sample_perturbs,
              "What is done to the images"),
    CFG_INTS(struct sample, sizes, "[]", 0, 10, "", "Sizes"),
    CFG_TEXTS(struct sample, files, "[]", "Files"),
    CFG_END};
