/* A sealed graph compiled for one batch shape: every tensor has an offset in one arena, chosen so
 * that tensors that are never alive together share memory; every primitive is made. After plan_new
 * nothing allocates. A plan borrows its graph and params, which must outlive it. The parameters may
 * be those of a larger graph (an encoder's plan over a whole network's weights): they are found by
 * name. A plan is made for the number of threads in force (par_set_threads) and runs with it. */
#pragma once

#include "base/err.h"
#include "nn/graph.h"
#include "nn/params.h"
#include "nn/shape.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct plan;

/* Of convolutions; everything else, and all that is stored, is float32 in any case.
 *   fp32         the fastest kernels whose results are float32's up to a few of its last bits:
 *                relative errors of about 4e-6 a convolution, of numbers between 1e-35 and 3e38
 *                (conv_kernel.h)
 *   fp32-whole   the same of float32 products alone: factors are never split into bfloat16 ones,
 *                so that the kernels, and with them the bits, are the same with AMX and without
 *   fp32-direct  sums of float32 products in the plainest order, by the library
 *   bf16         factors rounded to 8 bits, sums in float32; where the processor has no such
 *                products it is fp32 */
enum nn_precision { NN_FP32, NN_FP32_WHOLE, NN_FP32_DIRECT, NN_BF16 };
extern const char *const nn_precisions[]; /* their names, NULL-ended */
/* Why there are no bfloat16 products here, as the end of a sentence; NULL: there are. */
const char *nn_bf16_missing(void);
/* What computes when `asked` is asked for: NN_BF16 becomes NN_FP32 where its products are missing.
 */
enum nn_precision nn_precision_in_force(enum nn_precision asked);

struct plan_conf {
    int batch, height, width; /* of the input */
    bool training;            /* keeps what backward needs; dropout is active */
    bool poison;   /* fills memory with NaN as soon as it is dead; debug builds always do */
    bool unshared; /* gives every tensor memory of its own: a test's reference */
    enum nn_precision precision;
};

/* Names the randomness of one step: element i of the batch is sample[i], whatever its place. */
struct step_key {
    uint64_t seed;
    uint32_t epoch;         /* or any counter that makes (epoch, sample) unique in a training */
    const uint32_t *sample; /* `batch` ids; NULL: 0, 1, … */
};

/* Fails with ERR_DATA and the reason where a size cannot pass (an odd size into a concat), with
 * ERR_CONFIG where training is asked of a graph without exactly one loss that no other reads. */
struct plan *plan_new(const struct graph *g, struct params *p, struct plan_conf conf,
                      struct err *e);
void plan_free(struct plan *p);

/* Buffers of inputs, to be filled before a forward pass, which leaves them as they are; valid as
 * long as the plan. NULL for a name that no output depends on. */
float *plan_input(struct plan *p, const char *name);
/* Outputs, valid after a forward pass until the next one. Name as given by graph_name. */
const float *plan_output(const struct plan *p, const char *name, struct shape *s);

void plan_forward(struct plan *p, struct step_key key);
/* Of the only scalar output, with respect to every parameter, into params->grad. Needs `training`.
 */
void plan_backward(struct plan *p);
double plan_loss(const struct plan *p); /* the value of the loss after a forward pass */

/* Of activations, gradients and scratch; weights in the layout of the kernels are beside it
 * (twice the parameters on AMX, eight times by Winograd's scheme). */
size_t plan_arena_bytes(const struct plan *p);

struct plan_kernel {
    char name[128];
    int nodes;
};
/* What computes the convolutions, and how many of them: returns how many kernels there are, of
 * which the first `room` are listed, in order of first use. */
int plan_kernels(const struct plan *p, struct plan_kernel *list, int room);

struct plan_yardstick {  /* zeros: not known */
    double peak_gflops;  /* base/peak.h */
    double step_seconds; /* the least of a whole step, with what is not the plan's: the optimiser */
};
/* A table, one line a node: name and, after a colon, that of the value; shape, arena offset and
 * size of the output; what is kept for the backward step, and scratch; the least time of a forward
 * and a backward step so far. Of convolutions the rates by the defining sum, in which a backward
 * step counts once for every gradient that is wanted; of other nodes the bytes of all tensors they
 * must read or write, once, over the time. Lines that sum up follow; "optimiser and gaps" is what
 * the step took beyond the nodes, also because their least times are not all of one step. */
void plan_explain(const struct plan *p, struct plan_yardstick y, FILE *out);
