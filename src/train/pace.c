#include "train/pace.h"

static uint64_t divide_up(uint64_t a, uint64_t b)
{
    return a / b + (a % b != 0);
}

struct pace pace_of(const struct pace_conf *c)
{
    return (struct pace){.samples = c->samples,
                         .batch = c->batch,
                         .steps = c->steps ? c->steps : divide_up(c->epochs * c->samples, c->batch),
                         .every_steps = c->every_steps,
                         .every_epochs = c->every_epochs};
}

uint64_t pace_epoch(const struct pace *p, uint64_t step)
{
    return step * p->batch / p->samples;
}

/* Those that are due after so many steps without the one at the end. */
static uint64_t regular(const struct pace *p, uint64_t step)
{
    return p->every_steps ? step / p->every_steps : pace_epoch(p, step) / p->every_epochs;
}

uint64_t pace_validations(const struct pace *p, uint64_t step)
{
    /* Of epochs shorter than a step, several end at once, and are one validation. */
    const uint64_t n = regular(p, step), most = n < step ? n : step;
    const bool extra = step >= p->steps && step > 0 && !pace_regular(p, step);
    return most + extra;
}

bool pace_regular(const struct pace *p, uint64_t step)
{
    return step > 0 && regular(p, step) > regular(p, step - 1);
}

bool pace_due(const struct pace *p, uint64_t step)
{
    return step > 0 && (step >= p->steps || pace_regular(p, step));
}

uint64_t pace_log_every(const struct pace *p)
{
    const uint64_t least = 10, every = divide_up(p->steps, PACE_LINES);
    return every > least ? every : least;
}

uint64_t pace_log_validations(const struct pace *p)
{
    const uint64_t all = pace_validations(p, p->steps);
    return all ? divide_up(all, PACE_LINES) : 1;
}
