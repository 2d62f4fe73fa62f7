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
    bool frozen;        /* never changes */
    bool decays;        /* under weight decay: it is no parameter of a norm, and no step size */
};

/* Those that are trained come first in the list and in the slabs, frozen ones behind them. */
struct params {
    int n, trained;
    struct param *list;
    size_t len, trained_len; /* elements, of all and of those that are trained */
    float *val;              /* (len) slabs, this and those below, owned here */
    float *grad;             /* (trained_len) overwritten by each backward pass */
    float *m, *v;            /* (trained_len) Adam's moments */
    float *mean;             /* (trained_len) moving average of val, or NULL: params_average */
    uint64_t version; /* raised whenever val changes; plans re-read weights when it differs */
};

/* All zero, without an average; graph must be sealed. */
struct params *params_new(const struct graph *g, struct err *e);
void params_free(struct params *p);
const struct param *params_find(const struct params *p, const char *name);
/* He-normal convolution weights (fan-in), zero biases, unit norm scales. Depends on the seed and on
 * each parameter's name only. */
void params_init(struct params *p, uint64_t seed);

/* Norm of the gradient of everything that is trained; the same bits at any number of threads. */
double params_gradient_norm(const struct params *p);
void params_scale_gradient(struct params *p, double factor);

/* Starts an exponential moving average from the values as they are. */
int params_average_begin(struct params *p, struct err *e);
/* After step t >= 1: mean += (1 - d) (val - mean) with d = min(decay, (1 + t) / (10 + t)), so that
 * the initial values are soon forgotten. */
void params_average(struct params *p, double decay, uint64_t t);
/* Exchanges values and average, to compute with the average; a second call restores them. */
void params_exchange(struct params *p);
