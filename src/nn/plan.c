#include "nn/plan.h"

#include "base/mem.h"
#include "base/progress.h"
#include "nn/dn.h"
#include "nn/plan_rep.h"

#include <assert.h>
#include <string.h>

static void *room(int n, size_t size, struct err *e)
{
    return mem_new((size_t)(n > 0 ? n : 1), size, e);
}

static int fill(int *x, int n, int with)
{
    for (int i = 0; i < n; i++)
        x[i] = with;
    return 0;
}

static int allocate(struct plan *p, struct err *e)
{
    const int n = p->nodes, v = p->values;
    if (!(p->node = room(n, sizeof *p->node, e)) || !(p->io = room(n, sizeof *p->io, e)) ||
        !(p->shape = room(v, sizeof *p->shape, e)) || !(p->wants = room(v, sizeof *p->wants, e)) ||
        !(p->data = room(v, sizeof(int), e)) || !(p->grad = room(v, sizeof(int), e)) ||
        !(p->keep = room(n, sizeof(int), e)) || !(p->forward = room(n, sizeof(int), e)) ||
        !(p->backward = room(n, sizeof(int), e)) || !(p->note = room(n, sizeof(int), e)) ||
        !(p->least = room(2 * n, sizeof(double), e)) ||
        !(p->sample = room(p->conf.batch, sizeof(uint32_t), e)))
        return -1;
    for (int i = 0; i < p->conf.batch; i++)
        p->sample[i] = (uint32_t)i;
    return fill(p->data, v, -1) | fill(p->grad, v, -1) | fill(p->keep, n, -1) |
           fill(p->note, n, -1) | fill(p->forward, n, -1) | fill(p->backward, n, -1);
}

/* Where shapes did not fit and a size the network can halve would: says so instead. Maps that are
 * joined must have passed the same halvings without rounding. */
static void explain_size(const struct plan *p, struct err *e)
{
    int most = 0;
    bool joins = false, *above = room(p->nodes, sizeof *above, e);
    if (!above) return;
    for (int i = p->nodes; i-- > 0;) {
        const struct gnode *n = &p->g->node[i];
        const bool join = n->op == &op_concat || (n->op->flags & OP_JOINS && n->nin == 2);
        joins |= join;
        above[i] |= join;
        for (int k = 0; above[i] && k < n->nin; k++)
            above[p->g->value[n->in[k]].node] = true;
    }
    for (int v = 0; v < p->values; v++) {
        const struct value *x = &p->g->value[v];
        if (x->node >= 0 && above[x->node] && x->halvings > most) most = x->halvings;
    }
    mem_free(above);
    const int m = 1 << (most < 30 ? most : 30), h = p->conf.height, w = p->conf.width;
    if (!joins || (h % m == 0 && w % m == 0)) return;
    const int low_h = h / m * m, low_w = w / m * m;
    const int high_h = (h + m - 1) / m * m, high_w = (w + m - 1) / m * m;
    err_set(
        e, ERR_DATA,
        "images of %d x %d cannot pass this network: it halves them %d times and joins the maps "
        "on the way up, so height and width must be multiples of %d",
        h, w, most, m);
    if (low_h && low_w)
        err_hint(e, "the nearest sizes are %d x %d (crop) and %d x %d (pad)", low_h, low_w, high_h,
                 high_w);
    else
        err_hint(e, "the nearest size is %d x %d (pad)", high_h, high_w);
}

static int infer_node(struct plan *p, int i, struct err *e)
{
    const struct gnode *g = &p->g->node[i];
    struct node *n = &p->node[i];
    *n = (struct node){.op = g->op,
                       .name = gnode_name(g),
                       .conf = g->conf,
                       .nin = g->nin,
                       .nout = g->nout,
                       .nparams = g->nparams,
                       .flags = g->op->flags,
                       .slope = g->slope,
                       .drop = g->drop,
                       .training = p->conf.training,
                       .precision = p->conf.precision,
                       .dn = p->dn};
    for (int k = 0; k < n->nin; k++)
        n->x[k] = p->shape[g->in[k]];
    for (int k = 0; k < n->nout; k++) {
        n->y[k] =
            n->nin ? n->x[0] : (struct shape){p->conf.batch, p->conf.height, p->conf.width, 0};
        n->y[k].c = p->g->value[g->out[k]].channels;
    }
    if (n->op->infer && n->op->infer(n, e)) return err_wrap(e, "%s", n->name);
    for (int k = 0; k < n->nout; k++)
        p->shape[g->out[k]] = n->y[k];
    return 0;
}

/* The loss of a graph is the one that no other loss is made of. */
static bool is_loss(const struct plan *p, int i)
{
    return p->node[i].flags & OP_LOSS && p->g->value[p->g->node[i].out[0]].reader < 0;
}

/* Which values need gradients: those between a parameter that is trained and the loss. */
static int mark_gradients(struct plan *p, struct err *e)
{
    p->loss = -1;
    int losses = 0;
    for (int i = 0; i < p->nodes; i++)
        if (is_loss(p, i)) {
            p->loss = i;
            losses++;
        }
    if (!p->conf.training) return 0;
    if (losses != 1)
        return err_set(e, ERR_CONFIG, "training needs one loss, the graph has %d", losses);
    const struct gnode *g = p->g->node;
    for (int i = 0; i < p->nodes; i++) { /* depends on a parameter */
        bool trained = g[i].nparams > 0 && !g[i].frozen;
        for (int k = 0; k < g[i].nin; k++)
            trained |= p->wants[g[i].in[k]];
        for (int k = 0; k < g[i].nout; k++)
            p->wants[g[i].out[k]] = trained;
    }
    for (int i = p->nodes; i-- > 0;) /* leads to the loss */
        for (int k = 0; k < g[i].nout; k++) {
            const int reader = p->g->value[g[i].out[k]].reader;
            p->wants[g[i].out[k]] &= i == p->loss || (reader >= 0 && p->node[reader].backward);
            p->node[i].backward |= p->wants[g[i].out[k]];
        }
    for (int i = 0; i < p->nodes; i++) {
        struct node *n = &p->node[i];
        n->wants_dw = n->backward && n->nparams > 0 && !g[i].frozen;
        for (int k = 0; k < n->nin; k++)
            n->wants_dx[k] = n->backward && p->wants[g[i].in[k]];
    }
    return 0;
}

/* The node that reads the first result of node i alone; NULL: none, or it must be left readable. */
static const struct node *reader_of(const struct plan *p, int i)
{
    const struct value *y = &p->g->value[p->g->node[i].out[0]];
    return y->output || y->reader < 0 ? NULL : &p->node[y->reader];
}

/* What readers can do, and what writers leave them. */
static void pass_notes(struct plan *p, int i)
{
    struct node *n = &p->node[i];
    const struct node *reader = reader_of(p, i);
    n->read_as_norm = reader && reader->op->applies_norm && reader->op->applies_norm(reader);
    n->read_for_sums = reader && reader->flags & OP_READS_SUMS;
    for (int k = 0; k < n->nin; k++) {
        const struct node *writer = &p->node[p->g->value[p->g->node[i].in[k]].node];
        n->notes[k] = writer->note;
    }
}

static int plan_node(struct node *n, struct err *e)
{
    if (n->backward && !n->op->backward)
        return err_set(e, ERR_CONFIG,
                       "%s: has no backward pass, so nothing before it can be trained", n->name);
    if (n->op->state && !(n->state = mem_new(1, n->op->state, e))) return -1;
    if (n->op->plan && n->op->plan(n, e)) return err_wrap(e, "%s", n->name);
    return 0;
}

static int wire_params(struct plan *p, int i, struct err *e)
{
    const struct gnode *g = &p->g->node[i];
    for (int k = 0; k < g->nparams; k++) {
        const struct param_spec *s = &g->param[k];
        char name[sizeof((struct param *)0)->name];
        snprintf(name, sizeof name, "%s.%s", g->name, s->suffix);
        const struct param *q = params_find(p->params, name);
        if (!q) return err_set(e, ERR_FAILED, "there is no parameter '%s'", name);
        bool same = q->rank == s->rank;
        for (int d = 0; same && d < s->rank; d++)
            same = q->dim[d] == s->dim[d];
        if (!same) return err_set(e, ERR_FAILED, "parameter '%s' has another shape", name);
        p->io[i].w[k] = p->params->val + q->offset;
        if (!g->frozen) p->io[i].dw[k] = p->params->grad + q->offset;
    }
    return 0;
}

static void *span_at(const struct plan *p, int s)
{
    return s < 0 ? NULL : p->arena + p->span[s].offset;
}

static const float one = 1.0f;

static void wire_memory(struct plan *p, int i, size_t *packed)
{
    const struct gnode *g = &p->g->node[i];
    const struct node *n = &p->node[i];
    struct io *io = &p->io[i];
    for (int k = 0; k < g->nin; k++) {
        io->x[k] = span_at(p, p->data[g->in[k]]);
        io->dx[k] = n->wants_dx[k] ? span_at(p, p->grad[g->in[k]]) : NULL;
        io->notes[k] = span_at(p, p->note[p->g->value[g->in[k]].node]);
    }
    for (int k = 0; k < g->nout; k++) {
        io->y[k] = span_at(p, p->data[g->out[k]]);
        io->dy[k] = i == p->loss ? &one : span_at(p, p->grad[g->out[k]]);
    }
    io->keep = span_at(p, p->keep[i]);
    io->note = span_at(p, p->note[i]);
    io->scratch_forward = span_at(p, p->forward[i]);
    io->scratch_backward = span_at(p, p->backward[i]);
    io->packed = n->need.packed ? p->packed + *packed : NULL;
    io->key = &p->key;
    *packed += (n->need.packed + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
}

static void poison(void *at, size_t bytes)
{
    float *x = at;
    for (size_t i = 0; i < bytes / sizeof *x; i++)
        x[i] = __builtin_nanf("");
}

/* After the step at time t, what died there becomes NaN. */
static void poison_dead(const struct plan *p, int t)
{
    for (int s = 0; s < p->spans; s++)
        if (p->span[s].to == t) poison(p->arena + p->span[s].offset, p->span[s].bytes);
}

static int make_memory(struct plan *p, struct err *e)
{
    if (live_spans(p, e)) return -1;
    for (int i = 0; i < p->nodes; i++)
        p->packed_bytes += (p->node[i].need.packed + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
    if (!(p->arena = mem_slab_new(p->arena_bytes, e)) ||
        !(p->packed = mem_slab_new(p->packed_bytes, e)))
        return err_wrap(e, "a plan for %d images of %d x %d", p->conf.batch, p->conf.height,
                        p->conf.width);
    size_t packed = 0;
    for (int i = 0; i < p->nodes; i++) {
        wire_memory(p, i, &packed);
        if (wire_params(p, i, e)) return -1;
    }
    if (p->conf.poison) poison(p->arena, p->arena_bytes);
    return 0;
}

struct plan *plan_new(const struct graph *g, struct params *params, struct plan_conf conf,
                      struct err *e)
{
    assert(g->sealed && params);
#ifdef NN_POISON
    conf.poison = true;
#endif
    if (conf.batch < 1 || conf.height < 1 || conf.width < 1) {
        err_set(e, ERR_DATA, "%d images of %d x %d are no batch", conf.batch, conf.height,
                conf.width);
        return NULL;
    }
    struct plan *p = mem_new(1, sizeof *p, e);
    if (!p) return NULL;
    p->g = g;
    p->params = params;
    p->conf = conf;
    p->nodes = g->nodes;
    p->values = g->values;
    p->end = conf.training ? 2 * g->nodes : g->nodes;
    int status = allocate(p, e) || !(p->dn = dn_new(e));
    for (int i = 0; !status && i < p->nodes; i++)
        if ((status = infer_node(p, i, e))) explain_size(p, e);
    status = status || mark_gradients(p, e);
    for (int i = 0; !status && i < p->nodes; i++) {
        pass_notes(p, i);
        status = plan_node(&p->node[i], e);
    }
    if (status || make_memory(p, e)) {
        plan_free(p);
        return NULL;
    }
    return p;
}

void plan_free(struct plan *p)
{
    if (!p) return;
    for (int i = 0; p->node && i < p->nodes; i++) {
        struct node *n = &p->node[i];
        if (n->state && n->op->release) n->op->release(n);
        mem_free(n->state);
    }
    dn_free(p->dn);
    mem_slab_free(p->arena, p->arena_bytes);
    mem_slab_free(p->packed, p->packed_bytes);
    void *const owned[] = {p->node, p->io,   p->shape,   p->wants,    p->span,   p->data, p->grad,
                           p->keep, p->note, p->forward, p->backward, p->sample, p->least};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        mem_free(owned[i]);
    mem_free(p);
}

float *plan_input(struct plan *p, const char *name)
{
    const int v = graph_find(p->g, name);
    if (v < 0 || !(p->node[p->g->value[v].node].flags & OP_INPUT)) return NULL;
    return span_at(p, p->data[v]);
}

const float *plan_output(const struct plan *p, const char *name, struct shape *s)
{
    const int v = graph_find(p->g, name);
    if (v < 0 || !p->g->value[v].output) return NULL;
    if (s) *s = p->shape[v];
    return span_at(p, p->data[v]);
}

static void keep_least(double *least, double seconds)
{
    if (*least == 0.0 || seconds < *least) *least = seconds;
}

/* Books the step at time t, which began at `start`; returns when the next one begins. */
static double step_done(struct plan *p, int t, double start)
{
    const double end = clock_seconds();
    keep_least(&p->least[t], end - start);
    if (!p->conf.poison) return end;
    poison_dead(p, t);
    return clock_seconds();
}

/* Of a node that is trained and does not lead to the loss. */
static void clear_gradients(const struct plan *p, int i)
{
    const struct gnode *g = &p->g->node[i];
    for (int k = 0; !g->frozen && k < g->nparams; k++) {
        size_t len = 1;
        for (int d = 0; d < g->param[k].rank; d++)
            len *= (size_t)g->param[k].dim[d];
        memset(p->io[i].dw[k], 0, len * sizeof(float));
    }
}

/* Brings the weights to the kernels, from `start` on; returns when the first step begins. */
static double pack(struct plan *p, double start)
{
    for (int i = 0; i < p->nodes; i++)
        if (p->node[i].op->pack) p->node[i].op->pack(&p->node[i], &p->io[i]);
    p->seen = p->params->version + 1;
    const double end = clock_seconds();
    keep_least(&p->least_pack, end - start);
    return end;
}

void plan_forward(struct plan *p, struct step_key key)
{
    p->key = key;
    if (!key.sample) p->key.sample = p->sample;
    p->passes++;
    double start = clock_seconds();
    if (p->seen != p->params->version + 1) start = pack(p, start);
    for (int i = 0; i < p->nodes; i++) {
        const struct node *n = &p->node[i];
        if (n->op->forward && !(n->flags & OP_ALIAS)) n->op->forward(n, &p->io[i]);
        start = step_done(p, i, start);
    }
}

void plan_backward(struct plan *p)
{
    assert(p->conf.training);
    double start = clock_seconds();
    for (int i = p->nodes; i-- > 0;) {
        const struct node *n = &p->node[i];
        if (n->backward)
            n->op->backward(n, &p->io[i]);
        else
            clear_gradients(p, i);
        start = step_done(p, time_back(p, i), start);
    }
}

double plan_loss(const struct plan *p)
{
    assert(p->loss >= 0);
    return p->node[p->loss].op->loss(&p->node[p->loss]);
}

size_t plan_arena_bytes(const struct plan *p)
{
    return p->arena_bytes;
}
