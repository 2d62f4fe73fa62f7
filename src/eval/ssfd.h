/* What studies of several layers share with the metric: the feature distance at each of a list of
 * layers, from one pass through the encoder. */
#pragma once

#include "base/err.h"
#include "nn/plan.h"

enum { SSFD_MOST_LAYERS = 16 };

struct ssfd_layers;
/* Encoder of a train-ssl checkpoint for images of h by w; layers as in the metric's `layers`. */
struct ssfd_layers *ssfd_layers_new(const char *checkpoint, const char *const *layers, int n, int h,
                                    int w, enum nn_precision precision, struct err *e);
void ssfd_layers_free(struct ssfd_layers *s);
/* As a metric's score, a value for each layer into out[n]. */
int ssfd_layers_score(struct ssfd_layers *s, const float *reference, const float *image, int h,
                      int w, double *out, struct err *e);
