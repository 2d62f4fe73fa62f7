#include "nn/params.h"

#include "base/mem.h"
#include "base/par.h"
#include "base/rng.h"
#include "nn/graph_rep.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static int describe(struct params *p, const struct gnode *n, const struct param_spec *s,
                    struct err *e)
{
    struct param *q = &p->list[p->n];
    const int len = snprintf(q->name, sizeof q->name, "%s.%s", n->name, s->suffix);
    if (len < 0 || (size_t)len >= sizeof q->name)
        return err_set(e, ERR_CONFIG, "the parameter name '%s.%s' is too long", n->name, s->suffix);
    for (int i = 0; n->frozen && i < p->n; i++)
        if (!strcmp(p->list[i].name, q->name)) return 0; /* shared; plan_new compares the shapes */
    q->rank = s->rank;
    q->len = 1;
    for (int d = 0; d < s->rank; d++) {
        q->dim[d] = s->dim[d];
        if (s->dim[d] < 1 || __builtin_mul_overflow(q->len, (size_t)s->dim[d], &q->len))
            return err_set(e, ERR_CONFIG, "parameter '%s' is too large", q->name);
    }
    q->mean = s->mean;
    q->std = s->std;
    q->frozen = n->frozen;
    q->decays = !n->frozen && n->op != &op_norm && n->op != &op_consistency;
    q->offset = p->len;
    p->len += q->len;
    p->n++;
    return 0;
}

static int describe_all(struct params *p, const struct graph *g, bool frozen, struct err *e)
{
    for (int i = 0; i < g->nodes; i++)
        for (int k = 0; g->node[i].frozen == frozen && k < g->node[i].nparams; k++)
            if (describe(p, &g->node[i], &g->node[i].param[k], e)) return -1;
    return 0;
}

struct params *params_new(const struct graph *g, struct err *e)
{
    assert(g->sealed);
    size_t most = 0;
    for (int i = 0; i < g->nodes; i++)
        most += (size_t)g->node[i].nparams;
    struct params *p = mem_new(1, sizeof *p, e);
    if (!p || !(p->list = mem_new(most, sizeof *p->list, e))) goto fail;
    if (describe_all(p, g, false, e)) goto fail;
    p->trained = p->n;
    p->trained_len = p->len;
    if (describe_all(p, g, true, e) || !(p->val = mem_slab_new(p->len * sizeof(float), e)) ||
        !(p->grad = mem_slab_new(p->trained_len * sizeof(float), e)) ||
        !(p->m = mem_slab_new(p->trained_len * sizeof(float), e)) ||
        !(p->v = mem_slab_new(p->trained_len * sizeof(float), e)))
        goto fail;
    return p;
fail:
    params_free(p);
    return NULL;
}

void params_free(struct params *p)
{
    if (!p) return;
    mem_slab_free(p->val, p->len * sizeof(float));
    mem_slab_free(p->grad, p->trained_len * sizeof(float));
    mem_slab_free(p->m, p->trained_len * sizeof(float));
    mem_slab_free(p->v, p->trained_len * sizeof(float));
    mem_slab_free(p->mean, p->trained_len * sizeof(float));
    mem_free(p->list);
    mem_free(p);
}

const struct param *params_find(const struct params *p, const char *name)
{
    for (int i = 0; i < p->n; i++)
        if (strcmp(p->list[i].name, name) == 0) return &p->list[i];
    return NULL;
}

/* FNV-1a. */
static uint64_t hash(const char *text)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 0x100000001b3u;
    return h;
}

void params_init(struct params *p, uint64_t seed)
{
    for (int i = 0; i < p->n; i++) {
        const struct param *q = &p->list[i];
        const uint64_t h = hash(q->name);
        struct rng r = rng_make(seed, RNG_INIT, (uint32_t)(h >> 32), (uint32_t)h);
        for (size_t k = 0; k < q->len; k++)
            p->val[q->offset + k] =
                q->std > 0.0f ? (float)(q->mean + q->std * rng_normal(&r)) : q->mean;
    }
    p->version++;
}

static double squares(const void *ctx, size_t from, size_t to)
{
    const float *x = ctx;
    enum { LANES = 8 };
    double sum[LANES] = {0}, total = 0.0;
    size_t i = from;
    for (; i + LANES <= to; i += LANES)
        for (int k = 0; k < LANES; k++)
            sum[k] += (double)x[i + (size_t)k] * (double)x[i + (size_t)k];
    for (; i < to; i++)
        total += (double)x[i] * (double)x[i];
    for (int k = 0; k < LANES; k++)
        total += sum[k];
    return total;
}

double params_gradient_norm(const struct params *p)
{
    return sqrt(par_sum(p->trained_len, squares, p->grad));
}

void params_scale_gradient(struct params *p, double factor)
{
    const float by = (float)factor;
    const size_t len = p->trained_len;
    float *grad = p->grad;
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < len; i++)
        grad[i] *= by;
}

int params_average_begin(struct params *p, struct err *e)
{
    if (!p->mean && !(p->mean = mem_slab_new(p->trained_len * sizeof(float), e))) return -1;
    memcpy(p->mean, p->val, p->trained_len * sizeof(float));
    return 0;
}

void params_average(struct params *p, double decay, uint64_t t)
{
    const float share = (float)(1.0 - fmin(decay, (1.0 + (double)t) / (10.0 + (double)t)));
    const size_t len = p->trained_len;
    const float *val = p->val;
    float *mean = p->mean;
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < len; i++)
        mean[i] += share * (val[i] - mean[i]);
}

void params_exchange(struct params *p)
{
    const size_t len = p->trained_len;
    float *val = p->val, *mean = p->mean;
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < len; i++) {
        const float was = val[i];
        val[i] = mean[i];
        mean[i] = was;
    }
    p->version++;
}
