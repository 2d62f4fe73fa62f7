/* Distances between features of a network: the element-wise mean squared error of two images'
 * feature maps at one or several taps, summed in double precision. */
#pragma once

#include "eval/metric.h"
#include "nn/graph.h"
#include "nn/params.h"
#include "nn/plan.h"

#include <stddef.h>

/* The network's input of n pixels from image x; `reference` is the image x is compared with (or is
 * itself), for normalisations that need it. Fails where the image has none. */
typedef int features_input(const void *ctx, const float *reference, const float *x, size_t n,
                           float *input, struct err *e);

struct features;
/* A sealed graph with the input "input" and the `n` outputs `taps`, and its parameters, for images
 * of h by w. Takes over graph and params, also where it fails. Convolutions are NN_FP32_WHOLE: a
 * distance is the difference of nearly equal numbers, and must not depend on the processor. */
struct features *features_new(struct graph *g, struct params *p, const char *const *taps, int n,
                              int h, int w, struct err *e);
void features_free(struct features *f);
/* The distance at every tap into out[n]. The features of the last reference are kept: a study
 * compares one with many images. */
int features_distance(struct features *f, features_input *input, const void *ctx,
                      const struct metric_pair *pair, double *out, struct err *e);
