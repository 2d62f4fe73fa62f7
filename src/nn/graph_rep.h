/* The inside of a graph, for graph.c, plan.c, live.c, step.c and params.c only. After sealing,
 * nodes are in execution order, every value has at most one reader, and value numbers are those the
 * builder gave (forks append new ones); values of nodes that were cut have node -1. */
#pragma once

#include "nn/op.h"

enum { GRAPH_NAME = 32 };

struct value {
    int channels, halvings;
    int node;   /* writer; -1 after sealing when it was cut */
    int reader; /* set by sealing; -1: none */
    bool output;
    char name[GRAPH_NAME]; /* or "" */
};

struct gnode {
    const struct op *op;
    char name[OP_NAME]; /* or "" */
    int nin, nout, nparams;
    int in[OP_IN], out[OP_OUT];
    float slope;         /* set by sealing, see struct node */
    struct dropout drop; /* likewise */
    bool frozen;         /* its parameters are */
    struct param_spec param[OP_PARAMS];
    _Alignas(16) unsigned char conf[OP_CONF];
};

struct graph {
    struct gnode *node;
    struct value *value;
    int nodes, node_room, values, value_room, ordinals;
    bool sealed;
    bool frozen; /* what is added now, and with what names */
    char nodes_prefix[16], values_prefix[16];
    struct err mistake; /* the first one; code ERR_NONE: none */
};

/* "block1.conv1", or the operator's name where there is none. */
const char *gnode_name(const struct gnode *n);
