#include "nn/conv_kernel.h"

#include "base/mem.h"
#include "nn/concat.h"

const struct conv_kernel *const conv_kernels[] = {
    &conv_winograd, &conv_bf16, &conv_bf16_split, &conv_pointwise, &conv_thin, &conv_direct, NULL};

const char *const nn_precisions[] = {[NN_FP32] = "fp32",
                                     [NN_FP32_WHOLE] = "fp32-whole",
                                     [NN_FP32_DIRECT] = "fp32-direct",
                                     [NN_BF16] = "bf16",
                                     NULL};

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

static struct conv_conf complete(const struct node *n, struct conv_conf c)
{
    c.n = n->x[0].n;
    c.h = n->x[0].h;
    c.w = n->x[0].w;
    c.first = n->x[0].c;
    c.in = n->x[0].c + (n->nin == 2 ? n->x[1].c : 0);
    c.out = n->y[0].c;
    c.slope = n->slope;
    c.backward_weights = n->wants_dw;
    c.backward_data = n->wants_dx[0] || (n->nin == 2 && n->wants_dx[1]);
    c.precision = n->precision;
    c.norm[0] = n->notes[0];
    c.norm[1] = n->notes[1];
    return c;
}

const struct conv_kernel *conv_kernel_for(const struct conv_conf *c, enum dn_isa isa)
{
    const struct conv_kernel *const *k = conv_kernels;
    while (!(*k)->takes(c, isa))
        k++;
    return *k;
}

bool conv_node_applies_norm(const struct node *n, struct conv_conf c)
{
    c = complete(n, c);
    return conv_kernel_for(&c, dn_isa())->applies_norm;
}

int conv_node_plan(struct node *n, struct conv_conf c, struct err *e)
{
    struct conv_state *s = n->state;
    c = complete(n, c);
    s->kernel = conv_kernel_for(&c, dn_isa());
    struct conv_need need = {0};
    if (!(s->k = s->kernel->make(&c, dn_isa(), n->dn, &need, e)))
        return err_wrap(e, "%dx%d convolution of %d x %d x %d x %d to %d channels", c.side, c.side,
                        c.n, c.h, c.w, c.in, c.out);
    n->need.packed = need.packed;
    if (n->read_for_sums && need.parts) {
        n->note = (struct note){.parts = need.parts, .columns = need.columns};
        n->need.note = (size_t)(c.n * need.parts) * 2 * (size_t)need.columns * sizeof(double);
    }
    if (n->nin == 2 && !s->kernel->joins)
        s->joined = mem_lines(shape_len(n->x[0]) / (size_t)c.first * (size_t)c.in * sizeof(float));
    n->need.forward = s->joined + need.forward;
    n->need.backward = 2 * s->joined + need.backward;
    if (n->slope != 1.0f) n->flags |= OP_KEEPS_Y;
    if (!n->wants_dw) n->flags &= ~(unsigned)OP_KEEPS_X;
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
    float *joined = io->scratch_forward;
    if (s->joined) concat_join(n->x, io->x, joined);
    const struct conv_x x = {{s->joined ? joined : io->x[0], io->x[1]},
                             {io->notes[0], io->notes[1]}};
    s->kernel->forward(s->k, &x, io->packed, io->y[0], io->note,
                       (unsigned char *)io->scratch_forward + s->joined);
}

void conv_node_backward(const struct node *n, const struct io *io)
{
    const struct conv_state *s = n->state;
    unsigned char *scratch = io->scratch_backward;
    struct conv_gradient g = {.x = {{io->x[0], io->x[1]}, {io->notes[0], io->notes[1]}},
                              .y = io->y[0],
                              .dy = io->dy[0],
                              .packed = io->packed,
                              .dx = {io->dx[0], io->dx[1]},
                              .dw = io->dw[0],
                              .db = io->dw[1],
                              .scratch = scratch + 2 * s->joined};
    if (s->joined) {
        float *x = (float *)scratch, *dx = (float *)(scratch + s->joined);
        if (n->wants_dw) concat_join(n->x, io->x, x);
        g.x.at[0] = x;
        g.dx[0] = io->dx[0] || io->dx[1] ? dx : NULL;
    }
    s->kernel->backward(s->k, &g);
    if (s->joined && g.dx[0]) concat_part(n->x, g.dx[0], io->dx);
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
