#include "eval/perturb.h"

#include <stddef.h>

extern const struct perturb perturb_shift, perturb_blur, perturb_noise;

/* The place of a perturbation in this table is part of the key of its random numbers: add at the
 * end. */
const struct cfg_kind *const perturb_kinds[] = {&perturb_shift.kind, &perturb_blur.kind,
                                                &perturb_noise.kind, NULL};
