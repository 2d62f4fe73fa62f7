/* The masks of dropouts, for the operator and for those that end in one. A mask is of one image:
 * bit k of byte b tells whether element 8 b + k survives. */
#pragma once

#include "base/err.h"
#include "nn/plan.h"

#include <stddef.h>

struct dropout {
    float rate; /* 0: none */
    int ordinal;
};

enum { DROPOUT_GROUP = 128 }; /* elements drawn at once */

struct dropout dropout_of(const void *conf); /* of a node of op_dropout */
size_t dropout_bytes(size_t len);            /* of the mask of `len` elements: whole groups */
float dropout_scale(struct dropout d);       /* of survivors */
int dropout_fits(size_t len, struct err *e); /* ERR_DATA where an image has too many elements */
/* The bits of `len` elements of image `image` of the batch, from element `from`, a multiple of
 * DROPOUT_GROUP, on; up to the end of their last group. Drawing leaves memory idle: the elements
 * `x`, which are to meet the mask, are fetched meanwhile. */
void dropout_draw(struct dropout d, const struct step_key *key, int image, size_t from, size_t len,
                  const float *x, unsigned char *mask);
