#include "naive_net.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

struct writer {
    struct naive_step *step;
    int n;
    const struct unet_conf *conf;
};

/* Appends a step; returns the index of its value. */
static int add(struct writer *w, struct naive_step step, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static int add(struct writer *w, struct naive_step step, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(step.name, sizeof step.name, fmt, ap);
    va_end(ap);
    assert(w->n < NAIVE_STEPS - 1);
    w->step[w->n++] = step;
    return w->n;
}

/* Two convolutions. Context: (conv with bias, ReLU) twice, group norm, dropout. fastMRI: (conv
 * without bias, instance norm without parameters, leaky ReLU 0.2, dropout) twice. */
static int block(struct writer *w, const char *prefix, int level, int filters)
{
    const bool context = w->conf->block == UNET_BLOCK_CONTEXT;
    for (int r = 1; r <= 2; r++) {
        add(w, (struct naive_step){NAIVE_CONV, .filters = filters, .side = 3, .affine = context},
            "%s%d.conv%d", prefix, level, r);
        if (context) {
            add(w, (struct naive_step){.kind = NAIVE_RELU}, "relu");
            continue;
        }
        add(w, (struct naive_step){.kind = NAIVE_INSTANCENORM}, "norm");
        add(w, (struct naive_step){NAIVE_LEAKY, .slope = 0.2}, "relu");
        add(w, (struct naive_step){NAIVE_DROPOUT, .slope = w->conf->dropout}, "dropout");
    }
    if (!context) return w->n;
    add(w, (struct naive_step){NAIVE_GROUPNORM, .groups = w->conf->groups, .affine = true},
        "%s%d.norm", prefix, level);
    return add(w, (struct naive_step){NAIVE_DROPOUT, .slope = w->conf->dropout}, "dropout");
}

void naive_unet(const struct unet_conf *conf, struct naive_step *steps)
{
    const bool context = conf->block == UNET_BLOCK_CONTEXT;
    struct writer w = {steps, 0, conf};
    int skip[16];
    assert(conf->levels <= 16);
    for (int level = 1; level <= conf->levels; level++) {
        if (level > 1)
            add(&w, (struct naive_step){.kind = context ? NAIVE_MAXPOOL : NAIVE_AVGPOOL}, "pool");
        skip[level - 1] = block(&w, "block", level, conf->filters << (level - 1));
    }
    for (int level = conf->levels - 1; level >= 1; level--) {
        const int filters = conf->filters << (level - 1);
        add(&w, (struct naive_step){NAIVE_DECONV, .filters = filters, .affine = context},
            "up%d.deconv", level);
        if (context) {
            add(&w, (struct naive_step){.kind = NAIVE_RELU}, "relu");
            add(&w, (struct naive_step){NAIVE_GROUPNORM, .groups = conf->groups, .affine = true},
                "up%d.deconv_norm", level);
        } else {
            add(&w, (struct naive_step){.kind = NAIVE_INSTANCENORM}, "norm");
            add(&w, (struct naive_step){NAIVE_LEAKY, .slope = 0.2}, "relu");
        }
        add(&w, (struct naive_step){NAIVE_CONCAT, .b = w.n - skip[level - 1]}, "concat");
        block(&w, "up", level, filters);
    }
    add(&w,
        (struct naive_step){NAIVE_CONV, .filters = conf->out_channels, .side = 1, .affine = true},
        "output");
    steps[w.n] = (struct naive_step){.kind = NAIVE_END};
}
