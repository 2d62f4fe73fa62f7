/* memory_map [inference]: where and when every tensor of the SSL UNet lies in the arena, for one
 * image of 320 x 320 in fp32. A line a span: its kind, its first and last time, MiB at which it
 * begins and ends, its name. scripts/memory-map draws them. */
#include "nn/plan_rep.h"
#include "nn/unet.h"

#include <stdlib.h>
#include <string.h>

static struct graph *unet(bool training)
{
    static const struct unet_conf conf = {
        1, 1, 20, 5, UNET_BLOCK_CONTEXT, 10, 0.1, .residual = false};
    struct graph *g = graph_new();
    const int y = unet_build(g, &conf, graph_input(g, "input", 1));
    graph_output(g, training ? nn_l2(g, y, graph_input(g, "target", 1)) : y);
    return graph_seal(g, NULL) ? NULL : g;
}

/* The first value of a span in `of`, or -1. */
static int first_in(const int *of, int n, int span)
{
    for (int v = 0; v < n; v++)
        if (of[v] == span) return v;
    return -1;
}

/* What a span holds; `name` is the node that writes it, or, of gradients, wrote the value. */
static const char *kind_of(const struct plan *p, int s, const char **name)
{
    int v = -1;
    for (int i = p->nodes; i-- > 0;) /* the first node that writes into a shared span */
        for (int k = 0; k < p->node[i].nout; k++)
            if (p->data[p->g->node[i].out[k]] == s) v = p->g->node[i].out[k];
    const char *kind = "value";
    if (v < 0 && (v = first_in(p->grad, p->values, s)) >= 0) kind = "gradient";
    if (v >= 0) {
        *name = p->node[p->g->value[v].node].name;
        return kind;
    }
    kind = "keep";
    int i = first_in(p->keep, p->nodes, s);
    if (i < 0) i = first_in(p->note, p->nodes, s);
    if (i < 0) {
        kind = "scratch";
        i = first_in(p->forward, p->nodes, s);
        if (i < 0) i = first_in(p->backward, p->nodes, s);
    }
    *name = p->node[i].name;
    return kind;
}

static double peak(const struct plan *p)
{
    double most = 0.0;
    for (int t = 0; t <= p->end; t++) {
        double alive = 0.0;
        for (int s = 0; s < p->spans; s++)
            if (p->span[s].from <= t && t <= p->span[s].to) alive += (double)p->span[s].bytes;
        if (alive > most) most = alive;
    }
    return most;
}

int main(int argc, char **argv)
{
    const double mib = 1 << 20;
    const bool training = argc < 2 || strcmp(argv[1], "inference") != 0;
    struct graph *g = unet(training);
    struct params *params = g ? params_new(g, NULL) : NULL;
    struct plan_conf conf = {.batch = 1, .height = 320, .width = 320, .training = training};
    struct plan *p = params ? plan_new(g, params, conf, NULL) : NULL;
    conf.unshared = true;
    struct plan *apart = p ? plan_new(g, params, conf, NULL) : NULL;
    if (!apart) return EXIT_FAILURE;
    printf("# nodes %d, arena %.1f MiB, most alive at one time %.1f, unshared %.1f, packed %.1f\n",
           p->nodes, (double)p->arena_bytes / mib, peak(p) / mib, (double)apart->arena_bytes / mib,
           (double)p->packed_bytes / mib);
    for (int s = 0; s < p->spans; s++) {
        const struct span *x = &p->span[s];
        if (!x->bytes) continue; /* moved to another in place: nobody's */
        const char *name = "", *kind = kind_of(p, s, &name);
        printf("%s %d %d %.3f %.3f %s\n", kind, x->from, x->to, (double)x->offset / mib,
               (double)(x->offset + x->bytes) / mib, name);
    }
    plan_free(p);
    plan_free(apart);
    params_free(params);
    graph_free(g);
    return EXIT_SUCCESS;
}
