/* The pretext task (paper section 2.2 and appendix 5.1): restore a reference image, its magnitude
 * z-scored, from a copy in which Poisson-disc patches are zero. New patches for every image and
 * epoch in training; the same ones each time in validation. */
#pragma once

#include "data/augment.h"
#include "data/images.h"
#include "data/patches.h"
#include "train/task.h"

/* Borrows the images; task_free. */
struct task *ssl_new(const struct patches_conf *p, const struct augment_conf *augment,
                     const struct unet_conf *unet, uint64_t seed, struct images *train,
                     struct images *validation, struct err *e);
