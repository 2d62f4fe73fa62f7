/* How many samples a mask keeps, and how many of them are central: what every kind with an exact
 * acceleration asks for in the same way. */
#pragma once

#include "data/mask.h"

struct mask_budget { /* first member of the configuration of such a kind */
    double acceleration, center_fraction;
    int calibration;
};

#define MASK_BUDGET_FIELDS                                                                         \
    CFG_REAL(struct mask_budget, acceleration, "4", 1, 64, "",                                     \
             "samples of k-space per sample kept"),                                                \
        CFG_REAL(struct mask_budget, center_fraction, "0.08", 0, 1, "",                            \
                 "share of all lines, at the centre, that is always kept"),                        \
        CFG_INT(struct mask_budget, calibration, "0", 0, 4096, "lines",                            \
                "always kept at the centre; 0: given by center_fraction")

/* Sets p->kept and p->centre_*, of columns (2-D masks: of points, with a central rectangle).
 * ERR_CONFIG where the centre alone exceeds what may be kept, and where whole samples cannot come
 * within 2 % of the acceleration. */
int mask_budget_columns(const struct mask_budget *b, const char *name, struct mask_plan *p,
                        struct err *e);
int mask_budget_points(const struct mask_budget *b, const char *name, struct mask_plan *p,
                       struct err *e);
/* First of `n` central ones of `of`: as fastMRI, which puts an odd one out to the left. */
static inline int mask_central_first(int of, int n)
{
    return (of - n + 1) / 2;
}
/* The first row of keep (h, w) into all others. */
void mask_repeat_columns(const struct mask_plan *p, float *keep);
