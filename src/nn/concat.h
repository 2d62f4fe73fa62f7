/* Two maps as one with the channels of both, for operators that read it; on all threads. */
#pragma once

#include "nn/op.h"

/* Whether the two inputs of a node fit beside each other. */
int concat_infer(struct node *n, struct err *e);
void concat_join(const struct shape s[2], const float *const x[2], float *y);
void concat_part(const struct shape s[2], const float *y, float *const x[2]); /* x may be NULL */
