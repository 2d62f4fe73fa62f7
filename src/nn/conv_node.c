#include "nn/conv_kernel.h"

const struct conv_kernel *const conv_kernels[] = {&conv_bf16, &conv_bf16_split, &conv_winograd,
                                                  &conv_direct, NULL};

const char *const nn_precisions[] = {
    [NN_FP32] = "fp32", [NN_FP32_DIRECT] = "fp32-direct", [NN_BF16] = "bf16", NULL};

const char *nn_bf16_missing(void)
{
    const struct conv_conf any = {
        .n = 1, .h = 32, .w = 32, .in = 32, .out = 32, .side = 3, .precision = NN_BF16};
    if (dn_isa() < DN_ISA_AVX512_BF16)
        return "the processor has no AVX512_BF16, or ONEDNN_MAX_CPU_ISA hides it";
    if (conv_bf16.takes(&any, dn_isa())) return NULL;
    return "the program was compiled without AVX512_BF16";
}

enum nn_precision nn_precision_in_force(enum nn_precision asked)
{
    return asked == NN_BF16 && nn_bf16_missing() ? NN_FP32 : asked;
}

int conv_node_plan(struct node *n, struct conv_conf c, struct err *e)
{
    struct conv_state *s = n->state;
    c.n = n->x[0].n;
    c.h = n->x[0].h;
    c.w = n->x[0].w;
    c.in = n->x[0].c;
    c.out = n->y[0].c;
    c.slope = n->slope;
    c.backward = n->backward;
    c.backward_data = n->wants_dx[0];
    c.precision = n->precision;
    const struct conv_kernel *const *k = conv_kernels;
    while (!(*k)->takes(&c, dn_isa()))
        k++;
    s->kernel = *k;
    struct conv_need need = {0};
    if (!(s->k = s->kernel->make(&c, dn_isa(), n->dn, &need, e)))
        return err_wrap(e, "%dx%d convolution of %d x %d x %d x %d to %d channels", c.side, c.side,
                        c.n, c.h, c.w, c.in, c.out);
    n->need.packed = need.packed;
    n->need.forward = need.forward;
    n->need.backward = need.backward;
    if (n->slope != 1.0f) n->flags |= OP_KEEPS_Y;
    return 0;
}

void conv_node_pack(const struct node *n, const struct io *io)
{
    const struct conv_state *s = n->state;
    s->kernel->pack(s->k, io->w[0], io->w[1], io->packed);
}

void conv_node_forward(const struct node *n, const struct io *io)
{
    const struct conv_state *s = n->state;
    s->kernel->forward(s->k, io->x[0], io->packed, io->y[0], io->scratch_forward);
}

void conv_node_backward(const struct node *n, const struct io *io)
{
    const struct conv_state *s = n->state;
    s->kernel->backward(s->k, &(struct conv_gradient){.x = io->x[0],
                                                      .y = io->y[0],
                                                      .dy = io->dy[0],
                                                      .packed = io->packed,
                                                      .dx = io->dx[0],
                                                      .dw = io->dw[0],
                                                      .db = io->dw[1],
                                                      .scratch = io->scratch_backward});
}

void conv_node_release(struct node *n)
{
    struct conv_state *s = n->state;
    if (s->k) s->kernel->free(s->k);
}

void conv_node_kernel(const struct node *n, char *text, size_t size)
{
    const struct conv_state *s = n->state;
    s->kernel->describe(s->k, text, size);
}
