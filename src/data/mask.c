#include "data/mask.h"

extern const struct mask mask_random;

const struct cfg_kind *const mask_kinds[] = {&mask_random.kind, NULL};
