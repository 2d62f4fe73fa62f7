/* The inside of a plan, for plan.c, live.c and explain.c only. */
#pragma once

#include "nn/arena.h"
#include "nn/graph_rep.h"
#include "nn/plan.h"

struct plan {
    const struct graph *g;
    struct params *params;
    struct plan_conf conf;
    int nodes, values, spans, loss; /* loss: its node, or -1 */
    int end;                        /* the time after the last step */
    struct node *node;              /* [nodes], as the graph's */
    struct io *io;                  /* [nodes] */
    struct shape *shape;            /* [values] */
    bool *wants;                    /* [values] a gradient */
    struct span *span;              /* every piece of the arena */
    int *data, *grad;               /* [values] span of a value and of its gradient; -1: none */
    int *keep, *note; /* [nodes] span of what a node keeps, and leaves for its reader; -1: none */
    int *forward, *backward; /* [nodes] of its scratch; -1: none */
    struct dn *dn;
    unsigned char *arena, *packed;
    size_t arena_bytes, packed_bytes;
    uint64_t seen;    /* version of the parameters that `packed` holds; 0: none */
    uint32_t *sample; /* [batch] 0, 1, … */
    struct step_key key;
    double *least;     /* [2 nodes] seconds of the fastest step at each time; 0: none yet */
    double least_pack; /* of bringing weights to the kernels */
    long passes;       /* forward passes so far */
};

/* Time: forward step of node i is i; its backward step is 2 nodes - 1 - i. */
static inline int time_back(const struct plan *p, int node)
{
    return 2 * p->nodes - 1 - node;
}

/* Lays down the life of every tensor as spans. Needs nodes, shapes and their needs. */
int live_spans(struct plan *p, struct err *e);
