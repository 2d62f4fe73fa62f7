/* Transposed convolution 2x2 with stride 2, PyTorch's ConvTranspose2d(in, out, 2, 2):
 * y(n, 2i+a, 2j+b, o) = bias(o) + sum over c of W(c,o,a,b) x(n,i,j,c). Computed as a 1x1
 * convolution to 4 C channels, number (2a+b) C + o, and a move of depth to space: several times
 * faster than the library's deconvolution. */
#include "nn/dn.h"
#include "nn/op.h"

#include <math.h>
#include <string.h>

struct deconv_conf {
    bool bias;
};
struct deconv_state {
    struct dn_conv *dn;
    size_t at_wide, at_weights,
        at_rest; /* parts of scratch: (N,H,W,4C) map, (4C,in) weights, library's */
};

int nn_deconv(struct graph *g, int x, const char *name, int filters, bool bias)
{
    if (filters < 1) return graph_fail(g, "'%s': %d filters", name, filters);
    const int in = graph_channels(g, x);
    const struct deconv_conf conf = {.bias = bias};
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

static size_t round_up(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static int deconv_plan(struct node *n, struct err *e)
{
    struct deconv_state *s = n->state;
    s->dn = dn_conv_new(n->dn,
                        (struct dn_conv_conf){.n = n->x[0].n,
                                              .h = n->x[0].h,
                                              .w = n->x[0].w,
                                              .in = n->x[0].c,
                                              .out = 4 * n->y[0].c,
                                              .side = 1,
                                              .backward = n->backward,
                                              .backward_data = n->wants_dx[0]},
                        e);
    if (!s->dn) return -1;
    s->at_weights = round_up(shape_len(n->y[0]) * sizeof(float));
    s->at_rest =
        s->at_weights + round_up(4 * (size_t)n->x[0].c * (size_t)n->y[0].c * sizeof(float));
    /* beside the library's layout, the weights as (4C, in), from which it is made */
    n->need.packed = round_up(dn_conv_packed_bytes(s->dn)) + (s->at_rest - s->at_weights);
    n->need.forward = s->at_weights + dn_conv_scratch_forward(s->dn);
    n->need.backward = s->at_rest + dn_conv_scratch_backward(s->dn);
    return 0;
}

static void deconv_pack(const struct node *n, const struct io *io)
{
    const struct deconv_state *s = n->state;
    const int in = n->x[0].c, out = n->y[0].c;
    float *m = (float *)((unsigned char *)io->packed + round_up(dn_conv_packed_bytes(s->dn)));
#pragma omp parallel for
    for (int k = 0; k < 4 * out; k++)
        for (int c = 0; c < in; c++)
            m[k * in + c] = io->w[0][(c * out + k % out) * 4 + k / out];
    dn_conv_pack(s->dn, m, io->packed);
}

static void deconv_forward(const struct node *n, const struct io *io)
{
    const struct deconv_state *s = n->state;
    const int rows = n->x[0].n * n->x[0].h, width = n->x[0].w, out = n->y[0].c;
    float *wide = io->scratch_forward;
    dn_conv_forward(s->dn, io->x[0], io->packed, NULL, wide,
                    (unsigned char *)io->scratch_forward + s->at_weights);
    const float *bias = n->nparams > 1 ? io->w[1] : NULL;
#pragma omp parallel for
    for (int r = 0; r < rows; r++)
        for (int a = 0; a < 2; a++)
            for (int j = 0; j < width; j++) {
                const float *from =
                    wide + ((size_t)(r * width + j) * 4 + 2 * (size_t)a) * (size_t)out;
                float *to = io->y[0] + (size_t)((2 * r + a) * width + j) * 2 * (size_t)out;
                if (!bias) {
                    memcpy(to, from, 2 * (size_t)out * sizeof(float));
                    continue;
                }
#pragma omp simd
                for (int o = 0; o < out; o++) {
                    to[o] = from[o] + bias[o];
                    to[o + out] = from[o + out] + bias[o];
                }
            }
}

/* db(o) = sum of dy over images and pixels: by rows, in double, in a fixed order. */
static void bias_gradient(const float *dy, int rows, int width, int out, float *db)
{
#pragma omp parallel for
    for (int o0 = 0; o0 < out; o0 += 16) {
        const int m = out - o0 < 16 ? out - o0 : 16;
        double sum[16] = {0};
        for (int p = 0; p < rows * width; p++)
            for (int o = 0; o < m; o++)
                sum[o] += (double)dy[(size_t)p * (size_t)out + (size_t)(o0 + o)];
        for (int o = 0; o < m; o++)
            db[o0 + o] = (float)sum[o];
    }
}

static void deconv_backward(const struct node *n, const struct io *io)
{
    const struct deconv_state *s = n->state;
    const int rows = n->x[0].n * n->x[0].h, width = n->x[0].w, in = n->x[0].c, out = n->y[0].c;
    unsigned char *scratch = io->scratch_backward;
    float *wide = (float *)scratch, *dm = (float *)(scratch + s->at_weights);
#pragma omp parallel for
    for (int r = 0; r < rows; r++)
        for (int a = 0; a < 2; a++)
            for (int j = 0; j < width; j++)
                memcpy(wide + ((size_t)(r * width + j) * 4 + 2 * (size_t)a) * (size_t)out,
                       io->dy[0] + (size_t)((2 * r + a) * width + j) * 2 * (size_t)out,
                       2 * (size_t)out * sizeof(float));
    dn_conv_backward(s->dn, io->x[0], wide, io->packed, io->dx[0], dm, NULL, scratch + s->at_rest);
#pragma omp parallel for
    for (int c = 0; c < in; c++)
        for (int k = 0; k < 4 * out; k++)
            io->dw[0][(c * out + k % out) * 4 + k / out] = dm[k * in + c];
    if (n->nparams > 1) bias_gradient(io->dy[0], 2 * rows, 2 * width, out, io->dw[1]);
}

static void deconv_release(struct node *n)
{
    struct deconv_state *s = n->state;
    dn_conv_free(s->dn);
}

static void deconv_kernel(const struct node *n, char *text, size_t size)
{
    const struct deconv_state *s = n->state;
    dn_conv_kernel(s->dn, text, size);
}

const struct op op_deconv = {.name = "deconv",
                             .nout = 1,
                             .flags = OP_KEEPS_X,
                             .state = sizeof(struct deconv_state),
                             .infer = deconv_infer,
                             .plan = deconv_plan,
                             .pack = deconv_pack,
                             .forward = deconv_forward,
                             .backward = deconv_backward,
                             .release = deconv_release,
                             .kernel = deconv_kernel};
