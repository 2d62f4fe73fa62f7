#include "nn/step.h"

#include "base/mem.h"
#include "base/par.h"
#include "base/progress.h"
#include "nn/dn.h"
#include "nn/graph_rep.h"

#include <assert.h>
#include <string.h>

/* Pixels of a thread: with less it waits for others too often; with more, activations leave the
 * cache. Without AMX weights are transformed (winograd.h) to four times their size, and bringing
 * them once for twice the pixels is worth more. */
enum { PIXELS_AMX = 1 << 16, PIXELS = 1 << 17, INPUTS = 4 };

struct input {
    const char *name;
    float *whole, *part;
    size_t len; /* of one image */
};

struct step {
    struct params *params;
    struct plan *plan;
    int batch, at_once, inputs;
    struct input input[INPUTS]; /* none where the plan has the whole batch */
    float *sum;                 /* of gradients so far */
    uint32_t *sample;           /* 0, 1, … */
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

static int add_input(struct step *s, const struct graph *g, int node, struct plan_conf c,
                     struct err *e)
{
    const struct value *v = &g->value[g->node[node].out[0]];
    struct input *in = &s->input[s->inputs];
    if (s->inputs == INPUTS)
        return err_set(e, ERR_CONFIG, "a training step of more than %d inputs", INPUTS);
    in->name = v->name;
    in->part = plan_input(s->plan, v->name);
    in->len = (size_t)c.height * (size_t)c.width * (size_t)v->channels;
    if (!(in->whole = mem_new((size_t)c.batch * in->len, sizeof(float), e))) return -1;
    s->inputs++;
    return 0;
}

struct step *step_new(const struct graph *g, struct params *p, struct plan_conf conf, int at_once,
                      struct err *e)
{
    struct step *s = mem_new(1, sizeof *s, e);
    if (!s) return NULL;
    s->params = p;
    s->batch = conf.batch;
    s->at_once = at_once ? at_once : rule(&conf);
    assert(conf.training && conf.batch % s->at_once == 0);
    struct plan_conf part = conf;
    part.batch = s->at_once;
    int bad = !(s->plan = plan_new(g, p, part, e)) ||
              !(s->sample = mem_new((size_t)conf.batch, sizeof *s->sample, e));
    for (int i = 0; !bad && i < conf.batch; i++)
        s->sample[i] = (uint32_t)i;
    if (!bad && s->at_once < s->batch) {
        bad = !(s->sum = mem_slab_new(p->trained_len * sizeof(float), e));
        for (int i = 0; !bad && i < g->nodes; i++)
            if (g->node[i].op == &op_input) bad = add_input(s, g, i, conf, e);
    }
    if (!bad) return s;
    step_free(s);
    return NULL;
}

void step_free(struct step *s)
{
    if (!s) return;
    for (int i = 0; i < s->inputs; i++)
        mem_free(s->input[i].whole);
    mem_free(s->sample);
    mem_slab_free(s->sum, s->params->trained_len * sizeof(float));
    plan_free(s->plan);
    mem_free(s);
}

float *step_input(struct step *s, const char *name)
{
    if (s->at_once == s->batch) return plan_input(s->plan, name);
    for (int i = 0; i < s->inputs; i++)
        if (!strcmp(s->input[i].name, name)) return s->input[i].whole;
    return NULL;
}

/* The first part's gradient becomes the sum; the last makes the mean in its place. */
static void add_gradient(const struct step *s, int part, int parts)
{
    float *grad = s->params->grad, *sum = s->sum;
    const size_t len = s->params->trained_len;
    const float scale = 1.0f / (float)parts;
    if (part == 0)
        memcpy(sum, grad, len * sizeof *sum);
    else if (part + 1 < parts) {
#pragma omp parallel for simd schedule(static)
        for (size_t i = 0; i < len; i++)
            sum[i] += grad[i];
    } else {
#pragma omp parallel for simd schedule(static)
        for (size_t i = 0; i < len; i++)
            grad[i] = scale * (sum[i] + grad[i]);
    }
}

double step_run(struct step *s, struct step_key key, double *forward_seconds)
{
    const int parts = s->batch / s->at_once;
    double loss = 0.0, forward = 0.0;
    for (int k = 0; k < parts; k++) {
        const double start = clock_seconds();
        for (int i = 0; i < s->inputs; i++) {
            const size_t len = (size_t)s->at_once * s->input[i].len;
            memcpy(s->input[i].part, s->input[i].whole + (size_t)k * len, len * sizeof(float));
        }
        struct step_key part = key;
        part.sample = (key.sample ? key.sample : s->sample) + k * s->at_once;
        plan_forward(s->plan, part);
        forward += clock_seconds() - start;
        loss += plan_loss(s->plan);
        plan_backward(s->plan);
        if (parts > 1) add_gradient(s, k, parts);
    }
    if (forward_seconds) *forward_seconds = forward;
    return loss / parts;
}

int step_at_once(const struct step *s)
{
    return s->at_once;
}

const struct plan *step_plan(const struct step *s)
{
    return s->plan;
}
