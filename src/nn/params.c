#include "nn/params.h"

#include "base/mem.h"
#include "base/rng.h"
#include "nn/graph_rep.h"

#include <assert.h>
#include <string.h>

static int describe(struct params *p, const struct gnode *n, const struct param_spec *s,
                    struct err *e)
{
    struct param *q = &p->list[p->n];
    const int len = snprintf(q->name, sizeof q->name, "%s.%s", n->name, s->suffix);
    if (len < 0 || (size_t)len >= sizeof q->name)
        return err_set(e, ERR_CONFIG, "the parameter name '%s.%s' is too long", n->name, s->suffix);
    q->rank = s->rank;
    q->len = 1;
    for (int d = 0; d < s->rank; d++) {
        q->dim[d] = s->dim[d];
        if (s->dim[d] < 1 || __builtin_mul_overflow(q->len, (size_t)s->dim[d], &q->len))
            return err_set(e, ERR_CONFIG, "parameter '%s' is too large", q->name);
    }
    q->mean = s->mean;
    q->std = s->std;
    q->offset = p->len;
    p->len += q->len;
    p->n++;
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
    for (int i = 0; i < g->nodes; i++)
        for (int k = 0; k < g->node[i].nparams; k++)
            if (describe(p, &g->node[i], &g->node[i].param[k], e)) goto fail;
    float **const slab[] = {&p->val, &p->grad, &p->m, &p->v};
    for (int k = 0; k < 4; k++)
        if (!(*slab[k] = mem_slab_new(p->len * sizeof(float), e))) goto fail;
    return p;
fail:
    params_free(p);
    return NULL;
}

void params_free(struct params *p)
{
    if (!p) return;
    float *const slab[] = {p->val, p->grad, p->m, p->v};
    for (int k = 0; k < 4; k++)
        mem_slab_free(slab[k], p->len * sizeof(float));
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
