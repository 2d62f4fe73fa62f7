/* Which samples a training failed on. */
#pragma once

#include "data/loader.h"
#include "train/task.h"

/* A source whose errors name the sample. It lives as long as the task's. */
struct named_source {
    const struct task *task;
    bool validation;
};
struct sample_source blame_source(struct named_source *n);
/* "brain16ch.h5, slice 3": of training or validation; the number where the task has no names. */
void blame_name(const struct task *t, bool validation, uint32_t index, char *text, size_t size);
/* Of a training batch: the first sample with a value that is not finite; where there is none, all
 * of them, as far as there is room. */
void blame_batch(const struct task *t, const struct batch *b, int samples, char *text, size_t size);
