/* Lifetimes. A value lives from its writer to its last reader: the node that reads it, the backward
 * step of a node that keeps it, or the end of time for inputs and outputs. Values that are one
 * piece of memory (aliases, results written in place) are one span, whose life is the union of
 * theirs. */
#include "nn/plan_rep.h"

#include "base/mem.h"

static int span_add(struct plan *p, size_t bytes, int from, int to)
{
    p->span[p->spans] = (struct span){.bytes = bytes, .from = from, .to = to};
    return p->spans++;
}

static void extend(struct span *s, int to)
{
    if (s->to < to) s->to = to;
}

/* The last time at which value v is read. */
static int last_read(const struct plan *p, int v)
{
    const struct value *x = &p->g->value[v];
    const struct node *w = &p->node[x->node];
    int t = x->node;
    if (x->output || w->flags & OP_INPUT) return p->end;
    if (w->backward && w->flags & OP_KEEPS_Y && p->g->node[x->node].out[0] == v)
        t = time_back(p, x->node);
    if (x->reader >= 0) {
        const struct node *r = &p->node[x->reader];
        const int at = r->backward && r->flags & OP_KEEPS_X ? time_back(p, x->reader) : x->reader;
        if (t < at) t = at;
    }
    return t;
}

static void data_spans(struct plan *p)
{
    for (int i = 0; i < p->nodes; i++) {
        const struct gnode *n = &p->g->node[i];
        for (int k = 0; k < n->nout; k++) {
            const int v = n->out[k];
            const size_t bytes = shape_len(p->shape[v]) * sizeof(float);
            const bool alias = p->node[i].flags & OP_ALIAS || p->node[i].note.tile;
            const int from = p->node[i].flags & OP_INPUT ? 0 : i;
            p->data[v] = alias ? p->data[n->in[0]] : span_add(p, bytes, from, i);
            extend(&p->span[p->data[v]], last_read(p, v));
        }
    }
}

/* Where a node is the last to read its input's memory and may write in place, its output moves
 * there. Spans left empty this way take no bytes. */
static void merge_inplace(struct plan *p)
{
    for (int i = 0; i < p->nodes; i++) {
        const struct gnode *n = &p->g->node[i];
        if (!(p->node[i].flags & OP_INPLACE) || p->node[i].flags & OP_ALIAS) continue;
        if (p->node[i].note.tile) continue;
        const int from = p->data[n->in[0]], to = p->data[n->out[0]];
        if (p->span[from].to != i || p->span[from].bytes != p->span[to].bytes) continue;
        for (int v = 0; v < p->values; v++)
            if (p->data[v] == to) p->data[v] = from;
        p->span[from].to = p->span[to].to;
        p->span[to].bytes = 0;
    }
}

/* A gradient lives from the backward step of the value's reader to that of its writer. */
static void grad_spans(struct plan *p)
{
    for (int i = p->nodes; i-- > 0;) {
        if (!p->node[i].backward) continue;
        const struct gnode *n = &p->g->node[i];
        for (int k = 0; k < n->nin; k++) {
            const int v = n->in[k];
            if (!p->wants[v]) continue;
            const int dy = p->grad[n->out[0]], until = time_back(p, p->g->value[v].node);
            const size_t bytes = shape_len(p->shape[v]) * sizeof(float);
            const bool inplace = k == 0 && p->node[i].flags & OP_INPLACE && dy >= 0 &&
                                 p->span[dy].bytes == bytes && !p->conf.unshared;
            p->grad[v] = inplace ? dy : span_add(p, bytes, time_back(p, i), until);
            extend(&p->span[p->grad[v]], until);
        }
    }
}

static void node_spans(struct plan *p)
{
    for (int i = 0; i < p->nodes; i++) {
        const struct node *n = &p->node[i];
        const int back = time_back(p, i);
        if (n->need.keep) p->keep[i] = span_add(p, n->need.keep, i, n->backward ? back : i);
        if (n->need.note) {
            const int v = p->g->node[i].out[0];
            p->note[i] = span_add(p, n->need.note, i, p->span[p->data[v]].to);
        }
        if (n->need.forward) p->forward[i] = span_add(p, n->need.forward, i, i);
        if (n->need.backward && n->backward)
            p->backward[i] = span_add(p, n->need.backward, back, back);
    }
}

int live_spans(struct plan *p, struct err *e)
{
    const int most = 2 * p->values + 4 * p->nodes;
    p->span = mem_new((size_t)most, sizeof *p->span, e);
    int *order = mem_new((size_t)most, sizeof *order, e);
    if (!p->span || !order) {
        mem_free(order);
        return -1;
    }
    data_spans(p);
    if (!p->conf.unshared) merge_inplace(p);
    grad_spans(p);
    node_spans(p);
    for (int i = 0; p->conf.unshared && i < p->spans; i++) {
        p->span[i].from = 0;
        p->span[i].to = p->end;
    }
    p->arena_bytes = arena_place(p->span, p->spans, order);
    mem_free(order);
    return 0;
}
