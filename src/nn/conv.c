/* Convolution, stride 1, same padding: y(n,i,j,o) = b(o) + sum over (a,b,c) of
 * W(o,c,a,b) x(n, i+a-side/2, j+b-side/2, c), as PyTorch's Conv2d. By our Winograd kernels where
 * they pay, by the library's direct ones everywhere else. */
#include "nn/dn.h"
#include "nn/op.h"
#include "nn/relu.h"
#include "nn/winograd.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>

struct conv_conf {
    int side;
    bool bias;
};
struct conv_state { /* one of them */
    struct dn_conv *dn;
    struct wino *wino;
    size_t masked; /* bytes of dy behind a ReLU, first in the scratch of backward */
};

int nn_conv(struct graph *g, int x, const char *name, int filters, int side, bool bias)
{
    if (side != 1 && side != 3) return graph_fail(g, "'%s': a convolution of side %d", name, side);
    if (filters < 1) return graph_fail(g, "'%s': %d filters", name, filters);
    const int in = graph_channels(g, x);
    const struct conv_conf conf = {.side = side, .bias = bias};
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

static int plan_direct(struct node *n, struct err *e)
{
    const struct conv_conf *c = n->conf;
    struct conv_state *s = n->state;
    s->dn = dn_conv_new(n->dn,
                        (struct dn_conv_conf){.n = n->x[0].n,
                                              .h = n->x[0].h,
                                              .w = n->x[0].w,
                                              .in = n->x[0].c,
                                              .out = n->y[0].c,
                                              .side = c->side,
                                              .bias = c->bias,
                                              .backward = n->backward,
                                              .backward_data = n->wants_dx[0]},
                        e);
    if (!s->dn) return -1;
    n->need.packed = dn_conv_packed_bytes(s->dn);
    n->need.forward = dn_conv_scratch_forward(s->dn);
    n->need.backward = dn_conv_scratch_backward(s->dn);
    return 0;
}

static int plan_winograd(struct node *n, struct wino_conf conf, struct err *e)
{
    struct conv_state *s = n->state;
    s->wino = wino_new(conf, e);
    if (!s->wino) return -1;
    n->need.packed = wino_packed_bytes(s->wino);
    n->need.forward = wino_scratch_forward(s->wino);
    n->need.backward = wino_scratch_backward(s->wino);
    return 0;
}

static int conv_plan(struct node *n, struct err *e)
{
    const struct conv_conf *c = n->conf;
    const struct wino_conf conf = {.n = n->x[0].n,
                                   .h = n->x[0].h,
                                   .w = n->x[0].w,
                                   .in = n->x[0].c,
                                   .out = n->y[0].c,
                                   .backward = n->backward,
                                   .backward_data = n->wants_dx[0]};
    if (c->side == 3 && wino_pays(&conf) ? plan_winograd(n, conf, e) : plan_direct(n, e)) return -1;
    if (n->slope == 1.0f) return 0;
    struct conv_state *s = n->state;
    n->flags |= OP_KEEPS_Y;
    s->masked = (shape_len(n->y[0]) * sizeof(float) + 63) / 64 * 64;
    n->need.backward += s->masked;
    return 0;
}

static void conv_pack(const struct node *n, const struct io *io)
{
    const struct conv_state *s = n->state;
    if (s->wino)
        wino_pack(s->wino, io->w[0], io->packed);
    else
        dn_conv_pack(s->dn, io->w[0], io->packed);
}

static void conv_forward(const struct node *n, const struct io *io)
{
    const struct conv_state *s = n->state;
    if (s->wino)
        wino_forward(s->wino, io->x[0], io->packed, io->w[1], io->y[0], io->scratch_forward);
    else
        dn_conv_forward(s->dn, io->x[0], io->packed, io->w[1], io->y[0], io->scratch_forward);
    relu_apply(n->slope, shape_len(n->y[0]), io->y[0], io->y[0]);
}

static void conv_backward(const struct node *n, const struct io *io)
{
    const struct conv_state *s = n->state;
    const float *dy = io->dy[0];
    float *masked = io->scratch_backward;
    void *scratch = (unsigned char *)io->scratch_backward + s->masked;
    if (n->slope != 1.0f) {
        relu_gradient(n->slope, shape_len(n->y[0]), io->y[0], dy, masked);
        dy = masked;
    }
    if (s->wino)
        wino_backward(s->wino, io->x[0], dy, io->packed, io->dx[0], io->dw[0], io->dw[1], scratch);
    else
        dn_conv_backward(s->dn, io->x[0], dy, io->packed, io->dx[0], io->dw[0], io->dw[1], scratch);
}

static void conv_release(struct node *n)
{
    struct conv_state *s = n->state;
    dn_conv_free(s->dn);
    wino_free(s->wino);
}

static void conv_kernel(const struct node *n, char *text, size_t size)
{
    const struct conv_state *s = n->state;
    if (s->wino)
        snprintf(text, size, "own winograd 4x4");
    else
        dn_conv_kernel(s->dn, text, size);
}

const struct op op_conv = {.name = "conv",
                           .nout = 1,
                           .flags = OP_KEEPS_X | OP_ACTIVATES,
                           .state = sizeof(struct conv_state),
                           .plan = conv_plan,
                           .pack = conv_pack,
                           .forward = conv_forward,
                           .backward = conv_backward,
                           .release = conv_release,
                           .kernel = conv_kernel};
