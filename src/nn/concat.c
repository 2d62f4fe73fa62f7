/* Concatenation along channels: y(n,i,j) = [a(n,i,j), b(n,i,j)]. */
#include "nn/concat.h"

#include "nn/fetch.h"

#include <string.h>

int nn_concat(struct graph *g, int a, int b)
{
    return graph_add(g,
                     &(struct node_spec){.op = &op_concat,
                                         .nin = 2,
                                         .in = {a, b},
                                         .channels = graph_channels(g, a) + graph_channels(g, b)});
}

int concat_infer(struct node *n, struct err *e)
{
    const struct shape a = n->x[0], b = n->x[1];
    if (a.n != b.n || a.h != b.h || a.w != b.w)
        return err_set(e, ERR_DATA, "a map of %d x %d cannot be joined with one of %d x %d", a.h,
                       a.w, b.h, b.w);
    return 0;
}

/* Short runs of floats: sizes the compiler knows are faster than calls of memcpy. */
static inline void copy(float *restrict to, const float *restrict from, int n)
{
    enum { LONG = 16, SHORT = 4 };
    int i = 0;
    fetch_to_read(from, (size_t)n);
    fetch_to_write(to, (size_t)n);
    for (; i + LONG <= n; i += LONG)
        memcpy(to + i, from + i, LONG * sizeof *to);
    for (; i + SHORT <= n; i += SHORT)
        memcpy(to + i, from + i, SHORT * sizeof *to);
    for (; i < n; i++)
        to[i] = from[i];
}

void concat_join(const struct shape s[2], const float *const x[2], float *y)
{
    const int rows = s[0].n * s[0].h, w = s[0].w, ca = s[0].c, cb = s[1].c;
#pragma omp parallel for
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < w; j++) {
            const size_t p = (size_t)r * (size_t)w + (size_t)j;
            float *to = y + p * (size_t)(ca + cb);
            copy(to, x[0] + p * (size_t)ca, ca);
            copy(to + ca, x[1] + p * (size_t)cb, cb);
        }
}

void concat_part(const struct shape s[2], const float *y, float *const x[2])
{
    const int rows = s[0].n * s[0].h, w = s[0].w, ca = s[0].c, cb = s[1].c;
#pragma omp parallel for
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < w; j++) {
            const size_t p = (size_t)r * (size_t)w + (size_t)j;
            const float *from = y + p * (size_t)(ca + cb);
            if (x[0]) copy(x[0] + p * (size_t)ca, from, ca);
            if (x[1]) copy(x[1] + p * (size_t)cb, from + ca, cb);
        }
}

static void concat_forward(const struct node *n, const struct io *io)
{
    concat_join(n->x, io->x, io->y[0]);
}

static void concat_backward(const struct node *n, const struct io *io)
{
    concat_part(n->x, io->dy[0], io->dx);
}

const struct op op_concat = {.name = "concat",
                             .nout = 1,
                             .infer = concat_infer,
                             .forward = concat_forward,
                             .backward = concat_backward};
