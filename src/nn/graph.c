#include "nn/graph.h"

#include "base/mem.h"
#include "nn/dropout.h"
#include "nn/graph_rep.h"
#include "nn/relu.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

const struct op op_input = {.name = "input", .nout = 1, .flags = OP_INPUT};

struct graph *graph_new(void)
{
    return mem_new(1, sizeof(struct graph), NULL);
}

void graph_free(struct graph *g)
{
    if (!g) return;
    mem_free(g->node);
    mem_free(g->value);
    mem_free(g);
}

const char *gnode_name(const struct gnode *n)
{
    return n->name[0] ? n->name : n->op->name;
}

int graph_fail(struct graph *g, const char *fmt, ...)
{
    if (!g || g->mistake.code != ERR_NONE) return -1;
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return err_set(&g->mistake, ERR_CONFIG, "%s", text);
}

static bool valid(const struct graph *g, int value)
{
    return g && value >= 0 && value < g->values;
}

int graph_channels(const struct graph *g, int value)
{
    return valid(g, value) ? g->value[value].channels : 1;
}

int graph_next_ordinal(struct graph *g)
{
    return g ? g->ordinals++ : 0;
}

/* Doubles the room of an array when it is full. */
static void *grown(void *old, int used, int *room, size_t size)
{
    if (used < *room) return old;
    int want = *room ? 2 * *room : 64;
    void *p = mem_new((size_t)want, size, NULL);
    if (!p) return NULL;
    if (old) memcpy(p, old, (size_t)used * size);
    mem_free(old);
    *room = want;
    return p;
}

static struct gnode *push_node(struct graph *g)
{
    struct gnode *p = grown(g->node, g->nodes, &g->node_room, sizeof *p);
    if (!p) return NULL;
    g->node = p;
    return &g->node[g->nodes++];
}

static int push_value(struct graph *g, int node, int channels, int halvings)
{
    struct value *p = grown(g->value, g->values, &g->value_room, sizeof *p);
    if (!p) return -1;
    g->value = p;
    g->value[g->values] =
        (struct value){.channels = channels, .halvings = halvings, .node = node, .reader = -1};
    return g->values++;
}

static int check_spec(struct graph *g, const struct node_spec *s)
{
    if (!g || g->mistake.code != ERR_NONE) return -1;
    const char *name = s->name ? s->name : s->op->name;
    const size_t prefix = strlen(g->nodes_prefix);
    if (g->sealed) return graph_fail(g, "'%s' was added to a sealed graph", name);
    if (s->channels < 1) return graph_fail(g, "'%s' has %d channels", name, s->channels);
    for (int k = 0; k < s->nin; k++)
        if (!valid(g, s->in[k]))
            return graph_fail(g, "input %d of '%s' is not a value", k + 1, name);
    if (!s->name) return s->nparams ? graph_fail(g, "'%s' has parameters but no name", name) : 0;
    if (prefix + strlen(s->name) >= OP_NAME) return graph_fail(g, "name '%s' is too long", s->name);
    if (!s->name[0]) return graph_fail(g, "a node with parameters needs a name");
    for (int i = 0; s->nparams && i < g->nodes; i++)
        if (!strncmp(g->node[i].name, g->nodes_prefix, prefix) &&
            !strcmp(g->node[i].name + prefix, s->name) && !(g->frozen && g->node[i].frozen))
            return graph_fail(g, "two nodes are named '%s'", g->node[i].name);
    return 0;
}

void graph_frozen(struct graph *g, const char *nodes, const char *values)
{
    if (!g) return;
    g->frozen = nodes && values;
    if (strlen(nodes ? nodes : "") >= sizeof g->nodes_prefix ||
        strlen(values ? values : "") >= sizeof g->values_prefix) {
        graph_fail(g, "'%s' and '%s' are too long to begin names", nodes, values);
        return;
    }
    snprintf(g->nodes_prefix, sizeof g->nodes_prefix, "%s", g->frozen ? nodes : "");
    snprintf(g->values_prefix, sizeof g->values_prefix, "%s", g->frozen ? values : "");
}

int graph_add(struct graph *g, const struct node_spec *s)
{
    assert(s->conf_size <= OP_CONF);
    if (check_spec(g, s)) return -1;
    struct gnode *n = push_node(g);
    if (!n) return graph_fail(g, "out of memory");
    *n = (struct gnode){.op = s->op,
                        .nin = s->nin,
                        .nout = s->op->nout,
                        .nparams = s->nparams,
                        .slope = 1.0f,
                        .frozen = g->frozen};
    memcpy(n->in, s->in, sizeof n->in);
    memcpy(n->param, s->param, sizeof n->param);
    if (s->conf_size) memcpy(n->conf, s->conf, s->conf_size);
    if (s->name) snprintf(n->name, sizeof n->name, "%s%s", g->nodes_prefix, s->name);
    const int halvings = s->halvings + (s->nin ? g->value[s->in[0]].halvings : 0);
    for (int k = 0; k < n->nout; k++)
        if ((n->out[k] = push_value(g, g->nodes - 1, s->channels, halvings)) < 0)
            return graph_fail(g, "out of memory");
    return n->out[0];
}

int graph_input(struct graph *g, const char *name, int channels)
{
    return graph_name(g, graph_add(g, &(struct node_spec){.op = &op_input, .channels = channels}),
                      "%s", name);
}

int graph_find(const struct graph *g, const char *name)
{
    for (int v = 0; g && v < g->values; v++)
        if (name[0] && g->value[v].node >= 0 && strcmp(g->value[v].name, name) == 0) return v;
    return -1;
}

int graph_name(struct graph *g, int value, const char *fmt, ...)
{
    if (!valid(g, value)) return graph_fail(g, "a name was given to no value");
    char text[128];
    const int prefix = snprintf(text, sizeof text, "%s", g->values_prefix);
    va_list ap;
    va_start(ap, fmt);
    const int len = prefix + vsnprintf(text + prefix, sizeof text - (size_t)prefix, fmt, ap);
    va_end(ap);
    if (len <= prefix || len >= GRAPH_NAME)
        return graph_fail(g, "'%s' cannot name a value: 1 to %d characters", text, GRAPH_NAME - 1);
    if (graph_find(g, text) >= 0) return graph_fail(g, "two values are named '%s'", text);
    memcpy(g->value[value].name, text, (size_t)len + 1);
    return value;
}

void graph_output(struct graph *g, int value)
{
    if (!valid(g, value))
        graph_fail(g, "an output is not a value");
    else if (g->sealed)
        graph_fail(g, "an output was added to a sealed graph");
    else
        g->value[value].output = true;
}

/* Moves the nodes that outputs need to the front of the list; returns how many there are. */
static int cut_dead(struct graph *g, bool *live)
{
    for (int i = g->nodes; i-- > 0;) {
        struct gnode *n = &g->node[i];
        for (int k = 0; k < n->nout; k++)
            live[i] |= g->value[n->out[k]].output;
        for (int k = 0; live[i] && k < n->nin; k++)
            live[g->value[n->in[k]].node] = true;
    }
    int kept = 0;
    for (int i = 0; i < g->nodes; i++) {
        for (int k = 0; k < g->node[i].nout; k++)
            g->value[g->node[i].out[k]].node = live[i] ? kept : -1;
        if (live[i]) g->node[kept++] = g->node[i];
    }
    return kept;
}

static int count_readers(const struct graph *g, int nodes, int v)
{
    int n = 0;
    for (int i = 0; i < nodes; i++)
        for (int k = 0; k < g->node[i].nin; k++)
            n += g->node[i].in[k] == v;
    return n;
}

/* Whether node w takes over what n does to its result. Dropout comes behind a ReLU. */
static bool take_over(struct gnode *w, const struct gnode *n)
{
    const bool drops = w->drop.rate > 0.0f;
    if (n->op == &op_relu && w->op->flags & OP_ACTIVATES && w->slope == 1.0f && !drops)
        w->slope = relu_slope(n->conf);
    else if (n->op == &op_dropout && w->op->flags & OP_DROPS && !drops)
        w->drop = dropout_of(n->conf);
    else
        return false;
    return true;
}

/* Lets a convolution or norm apply the ReLU that alone reads its result, and a norm the dropout:
 * one pass over memory less, there and back. The value in between is cut. */
static void fold_readers(struct graph *g)
{
    for (int i = 0; i < g->nodes; i++) {
        struct gnode *n = &g->node[i];
        if (n->nin != 1) continue;
        struct value *x = &g->value[n->in[0]];
        if (x->output || count_readers(g, g->nodes, n->in[0]) > 1) continue;
        struct gnode *w = &g->node[x->node];
        if (!take_over(w, n)) continue;
        w->out[0] = n->out[0];
        g->value[n->out[0]].node = x->node;
        x->node = -1;
        *n = (struct gnode){.op = NULL};
    }
    int kept = 0;
    for (int i = 0; i < g->nodes; i++) {
        if (!g->node[i].op) continue;
        for (int k = 0; k < g->node[i].nout; k++)
            g->value[g->node[i].out[k]].node = kept;
        g->node[kept++] = g->node[i];
    }
    g->nodes = kept;
}

/* Lets a convolution read the two halves of a joined map that nobody else reads: they are not
 * copied together, nor their gradients apart. */
static void fold_concats(struct graph *g)
{
    for (int i = 0; i < g->nodes; i++) {
        struct gnode *n = &g->node[i];
        if (!n->op || !(n->op->flags & OP_JOINS) || n->nin != 1) continue;
        struct value *x = &g->value[n->in[0]];
        struct gnode *w = &g->node[x->node];
        if (w->op != &op_concat || x->output || count_readers(g, g->nodes, n->in[0]) > 1) continue;
        n->nin = 2;
        memcpy(n->in, w->in, sizeof n->in);
        x->node = -1;
        *w = (struct gnode){.op = NULL}; /* fold_readers cuts it */
    }
}

/* Replaces the `nth` reading of value v by w. */
static void rewire(struct graph *g, int nodes, int v, int nth, int w)
{
    for (int i = 0; i < nodes; i++)
        for (int k = 0; k < g->node[i].nin; k++)
            if (g->node[i].in[k] == v && nth-- == 0) {
                g->node[i].in[k] = w;
                return;
            }
}

/* Adds a fork of v at the end of the list; both its outputs are new. Returns the first, or -1. */
static int add_fork(struct graph *g, int v)
{
    struct gnode *n = push_node(g);
    if (!n) return -1;
    *n = (struct gnode){.op = &op_fork, .nin = 1, .nout = 2, .in = {v}, .slope = 1.0f};
    const int channels = g->value[v].channels, halvings = g->value[v].halvings;
    for (int k = 0; k < 2; k++)
        if ((n->out[k] = push_value(g, g->nodes - 1, channels, halvings)) < 0) return -1;
    return n->out[0];
}

/* Gives every value one reader. Forks are put at the end, to be sorted to their places later. */
static int insert_forks(struct graph *g)
{
    for (int v = 0; v < g->values;
         v++) { /* grows: the second output of a fork may be forked again */
        if (g->value[v].node < 0) continue;
        const int readers = count_readers(g, g->nodes, v);
        if (readers < 2) continue;
        const int nodes = g->nodes, a = add_fork(g, v);
        if (a < 0) return -1;
        rewire(g, nodes, v, 0, a);
        for (int r = 1; r < readers; r++)
            rewire(g, nodes, v, 0, a + 1);
    }
    return 0;
}

/* Orders nodes so that a fork follows its writer directly, and sets writers and readers. */
static void place(const struct graph *g, int i, struct gnode *order, int *n)
{
    order[(*n)++] = g->node[i];
    for (int k = 0; k < g->node[i].nout; k++)
        for (int j = 0; j < g->nodes; j++)
            if (g->node[j].op == &op_fork && g->node[j].in[0] == g->node[i].out[k])
                place(g, j, order, n);
}

static int sort_nodes(struct graph *g, struct err *e)
{
    struct gnode *order = mem_new((size_t)g->nodes, sizeof *order, e);
    if (!order) return -1;
    int n = 0;
    for (int i = 0; i < g->nodes; i++)
        if (g->node[i].op != &op_fork) place(g, i, order, &n);
    assert(n == g->nodes);
    mem_free(g->node);
    g->node = order;
    g->node_room = n;
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < order[i].nout; k++)
            g->value[order[i].out[k]].node = i;
        for (int k = 0; k < order[i].nin; k++)
            g->value[order[i].in[k]].reader = i;
    }
    return 0;
}

int graph_seal(struct graph *g, struct err *e)
{
    if (!g) return err_set(e, ERR_FAILED, "out of memory");
    if (g->mistake.code != ERR_NONE) return err_set(e, g->mistake.code, "%s", g->mistake.text);
    if (g->sealed) return err_set(e, ERR_FAILED, "the graph is sealed already");
    bool any = false;
    for (int v = 0; v < g->values; v++)
        any |= g->value[v].output;
    if (!any) return err_set(e, ERR_CONFIG, "the graph has no output");
    bool *live = mem_new((size_t)g->nodes, sizeof *live, e);
    if (!live) return -1;
    g->nodes = cut_dead(g, live);
    mem_free(live);
    fold_concats(g);
    fold_readers(g);
    if (insert_forks(g)) return err_set(e, ERR_FAILED, "out of memory");
    if (sort_nodes(g, e)) return -1;
    g->sealed = true;
    return 0;
}
