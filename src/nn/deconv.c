/* Transposed convolution 2x2 with stride 2, PyTorch's ConvTranspose2d(in, out, 2, 2):
 * y(n, 2i+a, 2j+b, o) = bias(o) + sum over c of W(c,o,a,b) x(n,i,j,c). Computed as a 1x1
 * convolution to 4 C channels, number (2a+b) C + o, and a move of depth to space: several times
 * faster than the library's deconvolution. */
#include "nn/dn.h"
#include "nn/op.h"
#include "nn/relu.h"

#include <math.h>
#include <string.h>

struct deconv_conf {
    bool bias;
};
struct deconv_state {
    struct dn_conv *dn;
    size_t wide, weights, bias; /* bytes of a map (N,H,W,4C), of weights (4C,in), of bias (4C) */
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
    const struct deconv_conf *c = n->conf;
    struct deconv_state *s = n->state;
    s->dn = dn_conv_new(n->dn,
                        (struct dn_conv_conf){.n = n->x[0].n,
                                              .h = n->x[0].h,
                                              .w = n->x[0].w,
                                              .in = n->x[0].c,
                                              .out = 4 * n->y[0].c,
                                              .side = 1,
                                              .bias = c->bias,
                                              .backward = n->backward,
                                              .backward_data = n->wants_dx[0]},
                        e);
    if (!s->dn) return -1;
    s->wide = round_up(shape_len(n->y[0]) * sizeof(float));
    s->bias = round_up(4 * (size_t)n->y[0].c * sizeof(float));
    s->weights = round_up(4 * (size_t)n->x[0].c * (size_t)n->y[0].c * sizeof(float));
    /* packed: bias, weights as the library is given them, weights in its own layout */
    n->need.packed = s->bias + s->weights + dn_conv_packed_bytes(s->dn);
    n->need.forward = s->wide + dn_conv_scratch_forward(s->dn);
    n->need.backward = s->wide + s->bias + s->weights + dn_conv_scratch_backward(s->dn);
    if (n->slope != 1.0f) n->flags |= OP_KEEPS_Y;
    return 0;
}

/* Channel k = (2a+b) C + o of the wide map, input c: where W(c,o,a,b) is stored. */
static size_t stored_at(int c, int k, int out)
{
    return ((size_t)c * (size_t)out + (size_t)(k % out)) * 4 + (size_t)(k / out);
}

static void deconv_pack(const struct node *n, const struct io *io)
{
    const struct deconv_state *s = n->state;
    const int in = n->x[0].c, out = n->y[0].c;
    unsigned char *packed = io->packed;
    float *bias = io->packed, *m = (float *)(packed + s->bias);
#pragma omp parallel for
    for (int k = 0; k < 4 * out; k++) {
        if (io->w[1]) bias[k] = io->w[1][k % out];
        for (int c = 0; c < in; c++)
            m[(size_t)k * (size_t)in + (size_t)c] = io->w[0][stored_at(c, k, out)];
    }
    dn_conv_pack(s->dn, m, packed + s->bias + s->weights);
}

/* Below a pixel of the wide map (N,H,W,4C) lie two rows of two pixels of y (N,2H,2W,C): row r of y
 * takes half r mod 2 of the pixels of wide row r / 2, each half a run of 2C floats. */
static size_t half_at(const struct node *n, int r, int j)
{
    return ((size_t)(r / 2) * (size_t)n->x[0].w + (size_t)j) * 2 + (size_t)(r % 2);
}

static void depth_to_space(const struct node *n, const float *wide, float *y)
{
    const int rows = n->y[0].n * n->y[0].h, width = n->x[0].w;
    const size_t run = 2 * (size_t)n->y[0].c;
#pragma omp parallel for
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < width; j++)
            memcpy(y + ((size_t)r * (size_t)width + (size_t)j) * run, wide + half_at(n, r, j) * run,
                   run * sizeof(float));
}

/* Of dy, having passed the ReLU back. */
static void space_to_depth(const struct node *n, const float *y, const float *dy, float *wide)
{
    const int rows = n->y[0].n * n->y[0].h, width = n->x[0].w;
    const size_t run = 2 * (size_t)n->y[0].c;
    const float slope = n->slope;
#pragma omp parallel for
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < width; j++) {
            const size_t from = ((size_t)r * (size_t)width + (size_t)j) * run;
            float *to = wide + half_at(n, r, j) * run;
            if (slope == 1.0f)
                memcpy(to, dy + from, run * sizeof *to);
            else
                for (size_t k = 0; k < run; k++)
                    to[k] = y[from + k] > 0.0f ? dy[from + k] : slope * dy[from + k];
        }
}

static void deconv_forward(const struct node *n, const struct io *io)
{
    const struct deconv_state *s = n->state;
    unsigned char *packed = io->packed, *scratch = io->scratch_forward;
    float *wide = io->scratch_forward;
    dn_conv_forward(s->dn, io->x[0], packed + s->bias + s->weights, io->packed, wide,
                    scratch + s->wide);
    depth_to_space(n, wide, io->y[0]);
    relu_apply(n->slope, shape_len(n->y[0]), io->y[0], io->y[0]);
}

static void deconv_backward(const struct node *n, const struct io *io)
{
    const struct deconv_state *s = n->state;
    const int in = n->x[0].c, out = n->y[0].c;
    const unsigned char *packed = io->packed;
    unsigned char *scratch = io->scratch_backward;
    float *wide = (float *)scratch, *db = (float *)(scratch + s->wide);
    float *dm = (float *)(scratch + s->wide + s->bias);
    space_to_depth(n, io->y[0], io->dy[0], wide);
    dn_conv_backward(s->dn, io->x[0], wide, packed + s->bias + s->weights, io->dx[0], dm, db,
                     scratch + s->wide + s->bias + s->weights);
#pragma omp parallel for
    for (int c = 0; c < in; c++)
        for (int k = 0; k < 4 * out; k++)
            io->dw[0][stored_at(c, k, out)] = dm[(size_t)k * (size_t)in + (size_t)c];
    for (int o = 0; io->dw[1] && o < out; o++)
        io->dw[1][o] = db[o] + db[o + out] + db[o + 2 * out] + db[o + 3 * out];
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
                             .flags = OP_KEEPS_X | OP_ACTIVATES,
                             .state = sizeof(struct deconv_state),
                             .infer = deconv_infer,
                             .plan = deconv_plan,
                             .pack = deconv_pack,
                             .forward = deconv_forward,
                             .backward = deconv_backward,
                             .release = deconv_release,
                             .kernel = deconv_kernel};
