#include "nn/step.h"

#include "base/mem.h"
#include "base/par.h"
#include "base/progress.h"
#include "nn/dn.h"

#include <assert.h>
#include <string.h>

/* Pixels of a thread: with less it waits for others too often; with more, activations leave the
 * cache. Without AMX weights are transformed (winograd.h) to four times their size, and bringing
 * them once for twice the pixels is worth more. */
enum { PIXELS_AMX = 1 << 16, PIXELS = 1 << 17 };

struct step {
    struct params *params;
    struct plan *plan;
    int at_once, parts;
    float *sum; /* of gradients so far; NULL where one part is all */
};

static int rule(const struct plan_conf *c)
{
    const double image = (double)c->height * c->width;
    const double room = (dn_isa() == DN_ISA_AMX ? PIXELS_AMX : PIXELS) * (double)par_threads();
    int most = 1;
    for (int m = 1; m <= c->batch; m++)
        if (c->batch % m == 0 && m * image <= room) most = m;
    return most;
}

struct step *step_new(const struct graph *g, struct params *p, struct plan_conf conf, int at_once,
                      struct err *e)
{
    struct step *s = mem_new(1, sizeof *s, e);
    if (!s) return NULL;
    s->params = p;
    s->at_once = at_once ? at_once : rule(&conf);
    s->parts = conf.batch / s->at_once;
    assert(conf.training && conf.batch % s->at_once == 0);
    struct plan_conf part = conf;
    part.batch = s->at_once;
    if ((s->plan = plan_new(g, p, part, e)) &&
        (s->parts == 1 || (s->sum = mem_slab_new(p->trained_len * sizeof(float), e))))
        return s;
    step_free(s);
    return NULL;
}

void step_free(struct step *s)
{
    if (!s) return;
    mem_slab_free(s->sum, s->params->trained_len * sizeof(float));
    plan_free(s->plan);
    mem_free(s);
}

float *step_input(struct step *s, const char *name)
{
    return plan_input(s->plan, name);
}

/* The first part's gradient becomes the sum; the last makes the mean in its place. */
static void add_gradient(const struct step *s, int part)
{
    float *grad = s->params->grad, *sum = s->sum;
    const size_t len = s->params->trained_len;
    const float scale = 1.0f / (float)s->parts;
    if (part == 0)
        memcpy(sum, grad, len * sizeof *sum);
    else if (part + 1 < s->parts) {
#pragma omp parallel for simd schedule(static)
        for (size_t i = 0; i < len; i++)
            sum[i] += grad[i];
    } else {
#pragma omp parallel for simd schedule(static)
        for (size_t i = 0; i < len; i++)
            grad[i] = scale * (sum[i] + grad[i]);
    }
}

double step_part(struct step *s, int part, struct step_key key, double *forward_seconds)
{
    const double start = clock_seconds();
    plan_forward(s->plan, key);
    if (forward_seconds) *forward_seconds += clock_seconds() - start;
    const double loss = plan_loss(s->plan);
    plan_backward(s->plan);
    if (s->parts > 1) add_gradient(s, part);
    return loss;
}

int step_parts(const struct step *s)
{
    return s->parts;
}

int step_at_once(const struct step *s)
{
    return s->at_once;
}

const struct plan *step_plan(const struct step *s)
{
    return s->plan;
}
