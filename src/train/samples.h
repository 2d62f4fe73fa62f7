/* Samples as people know them: by scan and slice. */
#pragma once

#include "data/images.h"
#include "nn/step.h"
#include "nn/unet.h"

/* Of the scans' names, content and slices, in order: two trainings with the same see the same
 * stream of samples. */
uint64_t samples_fingerprint(const struct images *train, const struct images *validation);
/* Into the inputs of a step, of `pixels` in all its images, numbers that cost as much as samples:
 * random ones, and an acquisition of all samples by all coils. */
void samples_invent(struct step *s, const struct unet_conf *unet, size_t pixels);
/* "brain16ch.h5, slice 3" */
void samples_name(const struct images *im, uint32_t index, char *text, size_t size);
