/* One network twice: as a naive net and in the engine, with the same numbers in both. */
#pragma once

#include "naive_net.h"
#include "nn/params.h"
#include "nn/plan.h"

struct twin {
    struct naive_net *naive;
    struct graph *graph;
    struct params *params;
    struct plan *plan;
    double *x, *target; /* target is NULL where the net ends in NAIVE_L2 */
    size_t nx, ntarget;
    double margin;             /* of twin_fill */
    double *keep[NAIVE_STEPS]; /* masks of dropouts, as twin_compare found them in the engine */
};

/* Graph of the steps: input "input", last tensor "result", and unless the steps end in NAIVE_L2 a
 * second input "target" of the same size as the first. The result of every
 * dropout is an output "dropK", that of a step with `tap` an output "tapK", K the step. Sealed; the
 * running test fails where sealing does. */
struct graph *twin_graph(const struct naive_step *steps, struct shape input);

/* A training plan for it. `conf`: the engine's graph is unet_build of that instead, its steps
 * naive_unet. Where the engine rounds what its convolutions multiply to bfloat16, the naive net
 * does, too: what remains to compare is the sums. */
struct twin twin_new(const struct naive_step *steps, const struct unet_conf *conf,
                     struct shape input, enum nn_precision precision);
void twin_release(struct twin *t);

/* Random numbers into input, target and parameters of both, drawn again while the naive pass comes
 * within a margin of a kink of a ReLU or of a tie in a max pool, on whose two sides engine and
 * oracle may lie: 1e-6, or what the precision needs. */
void twin_fill(struct twin *t, uint64_t seed);
/* The numbers of the naive net into the engine. */
void twin_copy(struct twin *t);

/* Largest relative errors (compare.h) of a forward and backward pass of the engine against the
 * oracle; output: of the result and of all taps. The oracle takes the masks of dropouts from the
 * engine's forward pass: what is not zero was kept. */
struct twin_error {
    double output, loss, grad;
    char worst[64]; /* parameter with the largest gradient error */
};
struct twin_error twin_compare(struct twin *t, struct step_key key);

/* What float32 alone costs: the largest relative error of any gradient of the oracle when every
 * parameter is off by a relative 2^-24 and every intermediate value and gradient is rounded; of
 * bfloat16, how far the few numbers reach that then round the other way. Where
 * gradients nearly cancel (a norm behind a norm) it is large, and no float32 engine can be right; a
 * norm over two values keeps nothing but their order and counts as infinite. */
double twin_condition(struct twin *t);
