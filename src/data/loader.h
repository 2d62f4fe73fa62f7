/* Feeds batches: one reader thread makes the next ones while the network works on the current one.
 * What a sample is, is the task's business: a struct sample_source. Sample `k` of the stream is a
 * function of k and the seed alone, so a stream can start anywhere (resume) and gives the same bits
 * on any machine load. */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Fills one sample. `index` in [0, samples). */
typedef int sample_fn(void *ctx, uint32_t index, uint32_t epoch, float *input, float *target,
                      float *mask, struct err *e);
struct sample_source {
    void *ctx;
    uint32_t samples;                       /* in an epoch */
    size_t input_len, target_len, mask_len; /* floats a sample; mask_len may be 0 */
    sample_fn *make;                        /* called from the reader thread only */
};

struct batch {
    int n;                   /* samples that count; the rest up to `size` repeat the last one */
    uint32_t *epoch, *index; /* of each sample */
    float *input, *target, *mask;
};

struct loader_conf {
    int size;     /* samples a batch */
    int ahead;    /* batches kept ready, at least 1 */
    bool shuffle; /* a new order each epoch, by seed; and no end: epochs follow each other */
    uint64_t seed;
    uint64_t first; /* position in the stream of samples to start at */
};

struct loader;
struct loader *loader_new(struct sample_source source, struct loader_conf conf, struct err *e);
void loader_free(struct loader *l); /* stops and joins the thread */
/* The next batch, valid until the next call; *out = NULL after the last one of an unshuffled pass.
 * Errors of the reader thread arrive here. */
int loader_next(struct loader *l, const struct batch **out, struct err *e);
