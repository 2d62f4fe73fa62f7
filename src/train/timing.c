#include "train/timing.h"

#include "base/progress.h"

const char *const timing_names[TIMING_PHASES] = {
    [TIMING_DATA] = "data",
    [TIMING_FORWARD] = "forward",
    [TIMING_BACKWARD] = "backward",
    [TIMING_OPTIMISER] = "optimiser",
    [TIMING_VALIDATION] = "validation",
    [TIMING_SAVING] = "saving",
    [TIMING_LOOP] = "loop",
};

struct timing timing_begin(void)
{
    return (struct timing){.mark = clock_seconds()};
}

double timing_charge(struct timing *t, enum timing_phase phase)
{
    const double since = t->mark, now = clock_seconds();
    t->seconds[phase] += now - since;
    t->mark = now;
    return since;
}

void timing_move(struct timing *t, enum timing_phase from, enum timing_phase to, double seconds)
{
    t->seconds[from] -= seconds;
    t->seconds[to] += seconds;
}

double timing_total(const struct timing *t)
{
    double total = 0.0;
    for (int i = 0; i < TIMING_PHASES; i++)
        total += t->seconds[i];
    return total;
}

void timing_print(const struct timing *t, FILE *out)
{
    const double total = timing_total(t);
    for (int i = 0; i < TIMING_PHASES && total > 0.0; i++)
        fprintf(out, "%s: %.1f s (%.1f %%)\n", timing_names[i], t->seconds[i],
                100.0 * t->seconds[i] / total);
}
