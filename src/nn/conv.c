/* Convolution, stride 1, same padding: y(n,i,j,o) = b(o) + sum over (a,b,c) of
 * W(o,c,a,b) x(n, i+a-side/2, j+b-side/2, c), as PyTorch's Conv2d. */
#include "nn/concat.h"
#include "nn/conv_kernel.h"

#include <math.h>

struct conv_settings {
    int side;
    bool bias;
};

int nn_conv(struct graph *g, int x, const char *name, int filters, int side, bool bias)
{
    if (side != 1 && side != 3) return graph_fail(g, "'%s': a convolution of side %d", name, side);
    if (filters < 1) return graph_fail(g, "'%s': %d filters", name, filters);
    const int in = graph_channels(g, x);
    const struct conv_settings conf = {.side = side, .bias = bias};
    return graph_add(g,
                     &(struct node_spec){.op = &op_conv,
                                         .name = name,
                                         .nin = 1,
                                         .in = {x},
                                         .channels = filters,
                                         .nparams = bias ? 2 : 1,
                                         .param = {{.suffix = "weight",
                                                    .rank = 4,
                                                    .dim = {filters, in, side, side},
                                                    .std = sqrtf(2.0f / (float)(in * side * side))},
                                                   {.suffix = "bias", .rank = 1, .dim = {filters}}},
                                         .conf = &conf,
                                         .conf_size = sizeof conf});
}

static int conv_infer(struct node *n, struct err *e)
{
    return n->nin == 2 ? concat_infer(n, e) : 0;
}

static bool conv_applies_norm(const struct node *n)
{
    const struct conv_settings *c = n->conf;
    return conv_node_applies_norm(n, (struct conv_conf){.side = c->side, .bias = c->bias});
}

static int conv_plan(struct node *n, struct err *e)
{
    const struct conv_settings *c = n->conf;
    return conv_node_plan(n, (struct conv_conf){.side = c->side, .bias = c->bias}, e);
}

static double conv_flops(const struct node *n)
{
    const struct conv_settings *c = n->conf;
    return 2.0 * (double)shape_len(n->y[0]) *
           (double)((n->x[0].c + (n->nin == 2 ? n->x[1].c : 0)) * c->side * c->side);
}

const struct op op_conv = {.name = "conv",
                           .nout = 1,
                           .flags = OP_KEEPS_X | OP_ACTIVATES | OP_JOINS,
                           .state = sizeof(struct conv_state),
                           .infer = conv_infer,
                           .applies_norm = conv_applies_norm,
                           .plan = conv_plan,
                           .pack = conv_node_pack,
                           .forward = conv_node_forward,
                           .backward = conv_node_backward,
                           .release = conv_node_release,
                           .kernel = conv_node_kernel,
                           .flops = conv_flops};
