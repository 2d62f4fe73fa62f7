/* The trainable parameters of a sealed graph: named views into contiguous slabs, so that an
 * optimiser or an all-reduce is one loop. Convolution weights are stored (out, in, h, w) as PyTorch
 * stores them; transposed convolutions (in, out, h, w). */
#pragma once

#include "base/err.h"
#include "nn/graph.h"

#include <stddef.h>
#include <stdint.h>

struct param {
    char name[64]; /* "block1.conv1.weight" */
    int rank, dim[4];
    size_t offset, len; /* elements, into every slab */
    float mean, std;    /* of its initial values */
};

struct params {
    int n;
    struct param *list;
    size_t len;        /* total elements */
    float *val, *grad; /* slabs owned here; grad is overwritten by each backward pass */
    float *m, *v;      /* Adam's moments */
    uint64_t version;  /* raised whenever val changes; plans re-read weights when it differs */
};

/* All zero; graph must be sealed. */
struct params *params_new(const struct graph *g, struct err *e);
void params_free(struct params *p);
const struct param *params_find(const struct params *p, const char *name);
/* He-normal convolution weights (fan-in), zero biases, unit norm scales. Depends on the seed and on
 * each parameter's name only. */
void params_init(struct params *p, uint64_t seed);
