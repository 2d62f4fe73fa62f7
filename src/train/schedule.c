#include "train/schedule.h"

#include <math.h>

static const char *const kinds[] = {"constant", "step", "cosine", NULL};

#define FIELDS(kind_default)                                                                       \
    {                                                                                              \
        CFG_CHOICE(struct schedule_conf, kind, kind_default, kinds,                                \
                   "course of the learning rate"),                                                 \
            CFG_REAL(struct schedule_conf, factor, "0.9", 0, 1, "",                                \
                     "step: factor at each step down"),                                            \
            CFG_INT(struct schedule_conf, every, "2", 1, 1e6, "epochs",                            \
                    "step: epochs between steps"),                                                 \
            CFG_INT(struct schedule_conf, warmup, "0", 0, 1e9, "steps", "linear rise from zero"),  \
            CFG_REAL(struct schedule_conf, min_lr, "1e-8", 0, 1, "", "never below this"), CFG_END  \
    }

const struct cfg_field schedule_ssl_fields[] = FIELDS("step");
const struct cfg_field schedule_recon_fields[] = FIELDS("constant");

double schedule_lr(const struct schedule_conf *c, double lr, uint64_t step, uint64_t steps,
                   uint64_t epoch)
{
    const uint64_t warmup = (uint64_t)c->warmup;
    if (step < warmup) return lr * (double)(step + 1) / (double)warmup;
    double now = lr;
    if (c->kind == SCHEDULE_STEP) now = lr * pow(c->factor, (double)(epoch / (uint64_t)c->every));
    if (c->kind == SCHEDULE_COSINE)
        now = lr * 0.5 * (1.0 + cos(M_PI * (double)(step - warmup) / (double)(steps - warmup)));
    return fmax(now, c->min_lr);
}
