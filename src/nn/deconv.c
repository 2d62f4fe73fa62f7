/* Transposed convolution 2x2 with stride 2, PyTorch's ConvTranspose2d(in, out, 2, 2):
 * y(n, 2i+a, 2j+b, o) = bias(o) + sum over c of W(c,o,a,b) x(n,i,j,c). */
#include "nn/conv_kernel.h"

#include <math.h>

struct deconv_settings {
    bool bias;
};

int nn_deconv(struct graph *g, int x, const char *name, int filters, bool bias)
{
    if (filters < 1) return graph_fail(g, "'%s': %d filters", name, filters);
    const int in = graph_channels(g, x);
    const struct deconv_settings conf = {.bias = bias};
    return graph_add(
        g, &(struct node_spec){
               .op = &op_deconv,
               .name = name,
               .nin = 1,
               .in = {x},
               .channels = filters,
               .halvings = -1,
               .nparams = bias ? 2 : 1,
               .param = {{.suffix = "weight",
                          .rank = 4,
                          .dim = {in, filters, 2, 2},
                          .std = sqrtf(2.0f /
                                       (float)in)}, /* each output sees one tap of every channel */
                         {.suffix = "bias", .rank = 1, .dim = {filters}}},
               .conf = &conf,
               .conf_size = sizeof conf});
}

static int deconv_infer(struct node *n, struct err *e)
{
    (void)e;
    n->y[0].h = 2 * n->x[0].h;
    n->y[0].w = 2 * n->x[0].w;
    return 0;
}

static bool deconv_applies_norm(const struct node *n)
{
    const struct deconv_settings *c = n->conf;
    return conv_node_applies_norm(n, (struct conv_conf){.side = 2, .up = true, .bias = c->bias});
}

static int deconv_plan(struct node *n, struct err *e)
{
    const struct deconv_settings *c = n->conf;
    return conv_node_plan(n, (struct conv_conf){.side = 2, .up = true, .bias = c->bias}, e);
}

static double deconv_flops(const struct node *n)
{
    return 2.0 * (double)shape_len(n->y[0]) * (double)n->x[0].c;
}

const struct op op_deconv = {.name = "deconv",
                             .nout = 1,
                             .flags = OP_KEEPS_X | OP_ACTIVATES,
                             .state = sizeof(struct conv_state),
                             .infer = deconv_infer,
                             .applies_norm = deconv_applies_norm,
                             .plan = deconv_plan,
                             .pack = conv_node_pack,
                             .forward = conv_node_forward,
                             .backward = conv_node_backward,
                             .release = conv_node_release,
                             .kernel = conv_node_kernel,
                             .flops = deconv_flops};
