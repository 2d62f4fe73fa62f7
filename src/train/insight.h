/* What one looks at while a training runs, besides metrics.jsonl and samples.png:
 *
 *     events.out.tfevents.*            the same figures and pictures for TensorBoard (tfevents.h)
 *     panels/step-00001200-000012.png  samples.png after step 1200, the twelfth validation
 *
 * Both stay bounded in a training of any length. Records have a number (0, 1, … for the lines of
 * the log, and for the validations); once there are more than `keep`, only every second one is
 * kept, then every fourth, and so on. Panels that fall out are deleted, so there are never more
 * than PANELS_KEPT; events cannot be taken back, and grow by half of `keep` with each doubling of
 * the training. All of it is a function of the number, so a resumed training goes on as if it had
 * never stopped. Every start opens an event file; there are never more than EVENT_FILES_KEPT + 1.
 */
#pragma once

#include "base/err.h"
#include "train/run.h"

#include <stdbool.h>
#include <stdint.h>

enum { PANELS_KEPT = 32, EVENTS_KEPT = 32768, EVENT_PICTURES_KEPT = 16, EVENT_FILES_KEPT = 16 };

struct tfevents;
struct insight {
    const struct run *run; /* borrowed */
    struct tfevents *events;
};

/* After the run directory is made or reopened, before the first step, which is `step` + 1. Deletes
 * the panels of later steps: they will come again. */
int insight_open(struct insight *in, const struct run *run, uint64_t step, struct err *e);
void insight_close(struct insight *in); /* of a zeroed struct: legal */
/* The figures of record number `number` of their kind, under the names group/name. */
int insight_scalars(struct insight *in, const char *group, uint64_t number, uint64_t step,
                    const char *const *names, const double *values, int n, struct err *e);
/* samples.png as validation number `number` (from 1) left it. */
int insight_panel(struct insight *in, uint64_t number, uint64_t step, struct err *e);

/* Distance between the numbers that are kept when the last one is `number`: 1, 2, 4, … */
uint64_t insight_stride(uint64_t number, uint64_t keep);
