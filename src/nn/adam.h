/* Adam (Kingma & Ba 2015, algorithm 1) as PyTorch computes it, over the parameter slabs. */
#pragma once

#include "base/cfg.h"
#include "nn/params.h"

struct adam_conf {
    double lr, beta1, beta2, eps;
};
extern const struct cfg_field adam_fields[];

/* Step t >= 1 with learning rate `lr`: updates val, m, v from grad, raises version. */
void adam_step(struct params *p, const struct adam_conf *conf, double lr, uint64_t t);
