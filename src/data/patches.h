/* In-painting patches of the pretext task (paper section 2.2): square patches, Poisson-disc placed so that
 * none overlap, covering an exact share of the image. See patches.c for the method. */
#pragma once

#include "base/cfg.h"
#include "base/err.h"
#include "base/rng.h"

struct patches_conf { int side; double coverage; };
extern const struct cfg_field patches_fields[];

/* ERR_CONFIG with the reason where the coverage cannot be reached at this size. */
int patches_check(const struct patches_conf *c, int h, int w, struct err *e);
/* keep (h, w): 0 inside patches, 1 outside. Never fails after patches_check; bounded time. */
void patches_draw(const struct patches_conf *c, struct rng rng, int h, int w, float *keep);
