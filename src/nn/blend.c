/* A weighted sum of two losses. */
#include "nn/op.h"

struct blend_conf {
    float of[2];
};
struct blend_state {
    double loss;
};

int nn_blend(struct graph *g, int a, float of_a, int b, float of_b)
{
    const struct blend_conf conf = {{of_a, of_b}};
    if (graph_channels(g, a) != 1 || graph_channels(g, b) != 1)
        return graph_fail(g, "a blend of what are no losses");
    return graph_add(g, &(struct node_spec){.op = &op_blend,
                                            .nin = 2,
                                            .in = {a, b},
                                            .channels = 1,
                                            .conf = &conf,
                                            .conf_size = sizeof conf});
}

static int blend_infer(struct node *n, struct err *e)
{
    if (shape_len(n->x[0]) == 1 && shape_len(n->x[1]) == 1) return 0;
    return err_set(e, ERR_CONFIG, "only losses, single numbers, can be blended");
}

static void blend_forward(const struct node *n, const struct io *io)
{
    const struct blend_conf *c = n->conf;
    struct blend_state *s = n->state;
    s->loss = (double)c->of[0] * (double)io->x[0][0] + (double)c->of[1] * (double)io->x[1][0];
    io->y[0][0] = (float)s->loss;
}

static void blend_backward(const struct node *n, const struct io *io)
{
    const struct blend_conf *c = n->conf;
    const float dy = io->dy[0][0];
    for (int k = 0; k < 2; k++)
        if (io->dx[k]) io->dx[k][0] = c->of[k] * dy;
}

static double blend_loss(const struct node *n)
{
    const struct blend_state *s = n->state;
    return s->loss;
}

const struct op op_blend = {.name = "blend",
                            .nout = 1,
                            .flags = OP_LOSS,
                            .state = sizeof(struct blend_state),
                            .infer = blend_infer,
                            .forward = blend_forward,
                            .backward = blend_backward,
                            .loss = blend_loss};
