/* Steps and epochs of a training: the one place where one becomes the other.
 *
 * The stream of samples is endless and cut into batches without regard to epochs. Epoch k (from 1)
 * ends with the step that uses sample k * samples of the stream, so no sample is skipped, none is
 * used twice, and an epoch is now one step shorter, now one longer where the batch does not divide
 * the set. Length, schedules and validations all count so. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct pace_conf {
    uint64_t samples;      /* in the training set */
    uint64_t batch;        /* samples a step */
    uint64_t epochs;       /* length, unless `steps` gives it */
    uint64_t steps;        /* 0: given by epochs */
    uint64_t every_steps;  /* between validations; 0: by epochs */
    uint64_t every_epochs; /* at least 1 */
};

struct pace {
    uint64_t samples, batch, steps, every_steps, every_epochs;
};

struct pace pace_of(const struct pace_conf *c);
/* Epochs completed after `step` steps; at the same time the epoch (from 0) of the first sample of
 * the step that follows. */
uint64_t pace_epoch(const struct pace *p, uint64_t step);
/* Validations that are due within the first `step` steps; the last step always is. */
uint64_t pace_validations(const struct pace *p, uint64_t step);
/* Is there one after step `step` >= 1? */
bool pace_due(const struct pace *p, uint64_t step);
/* One that a longer training has as well, not only because it is the last step? */
bool pace_regular(const struct pace *p, uint64_t step);
/* Steps between two lines of training loss in the log, at least 10, and validations between two
 * lines of scores, at least 1: so many that a training of any length leaves PACE_LINES lines of
 * either at most. */
enum { PACE_LINES = 20000 };
uint64_t pace_log_every(const struct pace *p);
uint64_t pace_log_validations(const struct pace *p);
