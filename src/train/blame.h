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
/* The first sample of a training batch with a value that is not finite; -1: there is none. */
int blame_find(const struct task *t, const struct batch *b);
/* Of n training samples: number `bad` of them, the one that is not finite; where it is -1, all of
 * them, as far as there is room. */
void blame_samples(const struct task *t, const uint32_t *index, int n, int bad, char *text,
                   size_t size);
