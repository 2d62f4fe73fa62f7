#include "nn/adam.h"

#include <assert.h>
#include <math.h>

const struct cfg_field adam_fields[] = {
    CFG_REAL(struct adam_conf, lr, "1e-3", 0, 10, "", "learning rate"),
    CFG_REAL(struct adam_conf, beta1, "0.9", 0, 0.999999, "", "decay of the mean of gradients"),
    CFG_REAL(struct adam_conf, beta2, "0.999", 0, 0.999999, "",
             "decay of the mean of their squares"),
    CFG_REAL(struct adam_conf, eps, "1e-8", 1e-16, 1, "", "added to the root of the mean square"),
    CFG_END};

void adam_step(struct params *p, const struct adam_conf *conf, double lr, uint64_t t)
{
    assert(t >= 1);
    /* PyTorch: x -= lr/(1 - b1^t) m / (sqrt(v) / sqrt(1 - b2^t) + eps) */
    const float b1 = (float)conf->beta1, b2 = (float)conf->beta2;
    const float c1 = (float)(1.0 - conf->beta1), c2 = (float)(1.0 - conf->beta2);
    const float step = (float)(lr / (1.0 - pow(conf->beta1, (double)t)));
    const float root = (float)(1.0 / sqrt(1.0 - pow(conf->beta2, (double)t)));
    const float eps = (float)conf->eps;
    float *val = p->val, *m = p->m, *v = p->v;
    const float *grad = p->grad;
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < p->len; i++) {
        const float g = grad[i];
        m[i] = b1 * m[i] + c1 * g;
        v[i] = b2 * v[i] + c2 * (g * g);
        val[i] -= step * m[i] / (sqrtf(v[i]) * root + eps);
    }
    p->version++;
}
