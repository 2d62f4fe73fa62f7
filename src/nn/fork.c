/* One value read twice, made by graph_seal: both outputs are the input's memory, and its gradient
 * is the sum of theirs. */
#include "nn/op.h"

#include <string.h>

static void fork_backward(const struct node *n, const struct io *io)
{
    const size_t len = shape_len(n->x[0]);
    const float *a = io->dy[0], *b = io->dy[1];
    float *dx = io->dx[0];
    if (!dx) return;
    if (!a || !b) {
        if (dx != (a ? a : b)) memcpy(dx, a ? a : b, len * sizeof *dx);
        return;
    }
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < len; i++)
        dx[i] = a[i] + b[i];
}

const struct op op_fork = {
    .name = "fork", .nout = 2, .flags = OP_ALIAS | OP_INPLACE, .backward = fork_backward};
