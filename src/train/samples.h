/* What the samples of all tasks have in common. */
#pragma once

#include "data/images.h"
#include "train/task.h"

/* Of the scans' names, content and slices, in order: two trainings with the same see the same
 * stream of samples. */
uint64_t samples_fingerprint(const struct images *train, const struct images *validation);
/* A task's name_sample, by its images: "brain16ch.h5, slice 3". */
void samples_name(const struct task *t, bool validation, uint32_t index, char *text, size_t size);
/* A sample an image, made by `make` of ctx, with so many planes of the image's size each. */
struct sample_source samples_source(void *ctx, const struct images *im, int input, int target,
                                    int mask, sample_fn *make);
/* The first n samples of a batch into the inputs of a network and its loss. `acquisition`: NULL
 * where there is no such input. */
void samples_copy(const struct sample_source *s, const struct batch *b, int n, float *input,
                  float *target, float *acquisition);
