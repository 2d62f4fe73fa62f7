#include "train/parts.h"

#include "nn/op.h"

#include <assert.h>

static const struct op op_part;

double part_mean(struct part_sum s)
{
    return s.sum / (double)s.passes;
}

int nn_part(struct graph *g, int value, const char *name, struct loss_parts *parts)
{
    if (!parts) return value;
    assert(parts->n < LOSS_PARTS);
    struct loss_part *p = &parts->list[parts->n++];
    *p = (struct loss_part){0};
    snprintf(p->name, sizeof p->name, "loss_%s", name);
    return graph_add(g, &(struct node_spec){.op = &op_part,
                                            .nin = 1,
                                            .in = {value},
                                            .channels = 1,
                                            .conf = &p,
                                            .conf_size = sizeof p});
}

static void forward(const struct node *n, const struct io *io)
{
    struct loss_part *const *p = n->conf;
    struct part_sum *s = n->training ? &(*p)->training : &(*p)->validation;
    s->sum += (double)io->x[0][0];
    s->passes++;
    io->y[0][0] = io->x[0][0];
}

static void backward(const struct node *n, const struct io *io)
{
    (void)n;
    if (io->dx[0]) io->dx[0][0] = io->dy[0][0];
}

static const struct op op_part = {
    .name = "part", .nout = 1, .flags = OP_INPLACE, .forward = forward, .backward = backward};
