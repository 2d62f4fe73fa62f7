/* Adam (Kingma & Ba 2015, algorithm 1) as PyTorch computes it, over the parameter slabs; with
 * weight decay, of everything but the parameters of norms, either as AdamW (Loshchilov & Hutter
 * 2019) or as an L2 penalty's gradient. */
#pragma once

#include "base/cfg.h"
#include "nn/params.h"

/* decoupled: x -= lr weight_decay x beside the step; l2: the gradient is g + weight_decay x, which
 * passes through the moments (the authors' code). */
enum adam_decay { ADAM_DECOUPLED, ADAM_L2 };

struct adam_conf {
    double lr, beta1, beta2, eps, weight_decay;
    int decay; /* enum adam_decay */
};
extern const struct cfg_field adam_fields[];

/* Step t >= 1 with learning rate `lr`: updates val, m, v of the parameters that are trained from
 * grad, raises version. */
void adam_step(struct params *p, const struct adam_conf *conf, double lr, uint64_t t);
