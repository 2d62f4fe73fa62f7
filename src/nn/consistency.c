#include "nn/consistency.h"

#include "base/mem.h"
#include "base/par.h"
#include "nn/op.h"

#include <stddef.h>

enum { X, Z, ACQUISITION };
enum { ROWS = 8 }; /* that share work space */

int nn_consistency(struct graph *g, int x, int z, int acquisition, const char *name, float lambda,
                   const struct normal *normal)
{
    if (graph_channels(g, x) != 2 || graph_channels(g, z) != 2)
        return graph_fail(g, "data consistency of %d and %d channels: it needs 2 of each",
                          graph_channels(g, x), graph_channels(g, z));
    if (graph_channels(g, acquisition) != normal->channels)
        return graph_fail(g, "an acquisition of %d channels, where there should be %d",
                          graph_channels(g, acquisition), normal->channels);
    return graph_add(g, &(struct node_spec){
                            .op = &op_consistency,
                            .name = name,
                            .nin = 3,
                            .in = {x, z, acquisition},
                            .channels = 2,
                            .nparams = 1,
                            .param = {{.suffix = "lambda", .rank = 1, .dim = {1}, .mean = lambda}},
                            .conf = normal,
                            .conf_size = sizeof *normal});
}

static int consistency_infer(struct node *n, struct err *e)
{
    for (int k = Z; k <= ACQUISITION; k++)
        if (n->x[k].h != n->x[X].h || n->x[k].w != n->x[X].w)
            return err_set(e, ERR_DATA, "an image of %d x %d is compared with one of %d x %d",
                           n->x[X].h, n->x[X].w, n->x[k].h, n->x[k].w);
    return 0;
}

static int pieces(const struct node *n)
{
    return n->x[X].n * ((n->x[X].h + ROWS - 1) / ROWS);
}

static size_t line_bytes(const struct node *n)
{
    return mem_lines(2 * (size_t)n->x[X].w * sizeof(float));
}

/* What forward keeps is N x - z. */
static int consistency_plan(struct node *n, struct err *e)
{
    (void)e;
    n->need.forward = n->need.backward = 2 * line_bytes(n) * (size_t)pieces(n);
    if (n->training) n->need.keep = shape_len(n->x[X]) * sizeof(float);
    return 0;
}

struct place { /* of a row */
    int image, row;
    size_t at; /* in x, y and their gradients */
    float *nx; /* for its row of N x */
    float *line;
};

/* Row k of a piece; false: there is none. */
static bool place_of(const struct node *n, int piece, int k, void *scratch, struct place *p)
{
    const struct shape s = n->x[X];
    const int a_image = pieces(n) / s.n;
    p->image = piece / a_image;
    p->row = piece % a_image * ROWS + k;
    p->at = 2 * ((size_t)p->image * (size_t)s.h + (size_t)p->row) * (size_t)s.w;
    p->nx = (float *)((char *)scratch + 2 * line_bytes(n) * (size_t)piece);
    p->line = (float *)((char *)p->nx + line_bytes(n));
    return p->row < s.h;
}

/* p->nx = that row of N x. */
static void apply(const struct node *n, const struct io *io, const struct place *p, const float *x)
{
    const struct normal *normal = n->conf;
    const struct shape s = n->x[ACQUISITION];
    const float *acquisition = io->x[ACQUISITION] + (size_t)p->image * (shape_len(s) / (size_t)s.n);
    normal->row(normal->ctx, acquisition, s.h, s.w, p->row, x + p->at, p->nx, p->line);
}

static void consistency_forward(const struct node *n, const struct io *io)
{
    const float lambda = io->w[0][0];
    const int len = 2 * n->x[X].w;
    float *keep = io->keep;
#pragma omp parallel for schedule(dynamic)
    for (int piece = 0; piece < pieces(n); piece++) {
        struct place p;
        for (int k = 0; k < ROWS && place_of(n, piece, k, io->scratch_forward, &p); k++) {
            const float *x = io->x[X] + p.at, *z = io->x[Z] + p.at;
            float *y = io->y[0] + p.at;
            apply(n, io, &p, io->x[X]);
            for (int j = 0; j < len; j++) {
                const float off = p.nx[j] - z[j];
                if (keep) keep[p.at + (size_t)j] = off;
                y[j] = x[j] - lambda * off;
            }
        }
    }
}

static double product(const void *ctx, size_t from, size_t to)
{
    const struct io *io = ctx;
    const float *off = io->keep;
    double sum = 0.0;
    for (size_t i = from; i < to; i++)
        sum += (double)io->dy[0][i] * (double)off[i];
    return sum;
}

static void consistency_backward(const struct node *n, const struct io *io)
{
    const float lambda = io->w[0][0];
    const int len = 2 * n->x[X].w;
    io->dw[0][0] = (float)-par_sum(shape_len(n->x[X]), product, io);
#pragma omp parallel for schedule(dynamic)
    for (int piece = 0; piece < pieces(n); piece++) {
        struct place p;
        for (int k = 0; k < ROWS && place_of(n, piece, k, io->scratch_backward, &p); k++) {
            const float *dy = io->dy[0] + p.at;
            if (io->dx[Z])
                for (int j = 0; j < len; j++)
                    io->dx[Z][p.at + (size_t)j] = lambda * dy[j];
            if (!io->dx[X]) continue;
            apply(n, io, &p, io->dy[0]);
            for (int j = 0; j < len; j++)
                io->dx[X][p.at + (size_t)j] = dy[j] - lambda * p.nx[j];
        }
    }
}

const struct op op_consistency = {.name = "consistency",
                                  .nout = 1,
                                  .flags = OP_INPLACE,
                                  .infer = consistency_infer,
                                  .plan = consistency_plan,
                                  .forward = consistency_forward,
                                  .backward = consistency_backward};
