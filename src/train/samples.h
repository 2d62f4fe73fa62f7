/* Samples as people know them: by scan and slice. */
#pragma once

#include "data/images.h"

/* Of the scans' names, content and slices, in order: two trainings with the same see the same
 * stream of samples. */
uint64_t samples_fingerprint(const struct images *train, const struct images *validation);
/* "brain16ch.h5, slice 3" */
void samples_name(const struct images *im, uint32_t index, char *text, size_t size);
