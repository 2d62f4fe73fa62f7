#include "nn/adam.h"

#include <assert.h>
#include <math.h>

static const char *const decays[] = {"decoupled", "l2", NULL};

const struct cfg_field adam_fields[] = {
    CFG_REAL(struct adam_conf, lr, "1e-3", 0, 10, "", "learning rate"),
    CFG_REAL(struct adam_conf, beta1, "0.9", 0, 0.999999, "", "decay of the mean of gradients"),
    CFG_REAL(struct adam_conf, beta2, "0.999", 0, 0.999999, "",
             "decay of the mean of their squares"),
    CFG_REAL(struct adam_conf, eps, "1e-8", 1e-16, 1, "", "added to the root of the mean square"),
    CFG_REAL(struct adam_conf, weight_decay, "0", 0, 1, "",
             "decay of weights and biases, not of norms"),
    CFG_CHOICE(struct adam_conf, decay, "decoupled", decays,
               "weight decay: decoupled from the gradient (AdamW), or l2, as part of it"),
    CFG_END};

struct update { /* what is the same for all elements of a step */
    float b1, b2, c1, c2, step, root, eps;
    float penalty; /* weight added to the gradient */
    float shrink;  /* share of the weight that goes */
};

static void update(const struct params *p, size_t from, size_t len, struct update u)
{
    float *val = p->val + from, *m = p->m + from, *v = p->v + from;
    const float *grad = p->grad + from;
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < len; i++) {
        const float g = grad[i];
        m[i] = u.b1 * m[i] + u.c1 * g;
        v[i] = u.b2 * v[i] + u.c2 * (g * g);
        val[i] -= u.step * m[i] / (sqrtf(v[i]) * u.root + u.eps);
    }
}

static void update_decaying(const struct params *p, size_t from, size_t len, struct update u)
{
    float *val = p->val + from, *m = p->m + from, *v = p->v + from;
    const float *grad = p->grad + from;
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < len; i++) {
        const float g = grad[i] + u.penalty * val[i];
        m[i] = u.b1 * m[i] + u.c1 * g;
        v[i] = u.b2 * v[i] + u.c2 * (g * g);
        val[i] -= u.shrink * val[i] + u.step * m[i] / (sqrtf(v[i]) * u.root + u.eps);
    }
}

void adam_step(struct params *p, const struct adam_conf *conf, double lr, uint64_t t)
{
    assert(t >= 1);
    /* PyTorch: x -= lr/(1 - b1^t) m / (sqrt(v) / sqrt(1 - b2^t) + eps) */
    const bool decoupled = conf->decay == ADAM_DECOUPLED;
    const struct update u = {
        .b1 = (float)conf->beta1,
        .b2 = (float)conf->beta2,
        .c1 = (float)(1.0 - conf->beta1),
        .c2 = (float)(1.0 - conf->beta2),
        .step = (float)(lr / (1.0 - pow(conf->beta1, (double)t))),
        .root = (float)(1.0 / sqrt(1.0 - pow(conf->beta2, (double)t))),
        .eps = (float)conf->eps,
        .penalty = decoupled ? 0.0f : (float)conf->weight_decay,
        .shrink = decoupled ? (float)(lr * conf->weight_decay) : 0.0f,
    };
    if (conf->weight_decay == 0.0)
        update(p, 0, p->trained_len, u);
    else
        for (int i = 0; i < p->trained; i++) {
            const struct param *q = &p->list[i];
            (q->decays ? update_decaying : update)(p, q->offset, q->len, u);
        }
    p->version++;
}
