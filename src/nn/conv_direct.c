/* By the library (dn.h), which takes everything. A transposed convolution is a 1x1 convolution to
 * 4 C channels, number (2a+b) C + o, and a move of depth to space: several times faster than the
 * library's own. */
#include "nn/conv_kernel.h"

#include "base/mem.h"
#include "nn/relu.h"

#include <string.h>

struct direct {
    struct conv_conf conf;
    struct dn_conv *dn;
    size_t y; /* bytes of y: of the wide map of a transposed convolution, of dy behind a ReLU */
    size_t bias, weights; /* of a transposed one: bytes of the wide bias and weights */
};

static bool direct_takes(const struct conv_conf *c, enum dn_isa isa)
{
    (void)c;
    (void)isa;
    return true;
}

static size_t y_len(const struct conv_conf *c)
{
    return (size_t)c->n * (size_t)c->h * (size_t)c->w * (size_t)c->out * (c->up ? 4 : 1);
}

static void direct_free(void *k)
{
    struct direct *d = k;
    dn_conv_free(d->dn);
    mem_free(d);
}

static void *direct_make(const struct conv_conf *c, enum dn_isa isa, struct dn *dn,
                         struct conv_need *need, struct err *e)
{
    (void)isa;
    struct direct *d = mem_new(1, sizeof *d, e);
    if (!d) return NULL;
    d->conf = *c;
    const int wide = c->up ? 4 * c->out : c->out;
    d->dn = dn_conv_new(dn,
                        (struct dn_conv_conf){.n = c->n,
                                              .h = c->h,
                                              .w = c->w,
                                              .in = c->in,
                                              .out = wide,
                                              .side = c->up ? 1 : c->side,
                                              .bias = c->bias,
                                              .backward_weights = c->backward_weights,
                                              .backward_data = c->backward_data},
                        e);
    if (!d->dn) {
        mem_free(d);
        return NULL;
    }
    d->bias = mem_lines((size_t)wide * sizeof(float));
    if (c->up) d->weights = mem_lines((size_t)c->in * (size_t)wide * sizeof(float));
    if (c->up || c->slope != 1.0f) d->y = mem_lines(y_len(c) * sizeof(float));
    need->packed = d->bias + d->weights + dn_conv_packed_bytes(d->dn);
    need->forward = (c->up ? d->y : 0) + dn_conv_scratch_forward(d->dn);
    need->backward = d->y + (c->up && c->backward_weights ? d->bias + d->weights : 0) +
                     dn_conv_scratch_backward(d->dn);
    return d;
}

/* Channel k = (2a+b) C + o of the wide map, input c: where W(c,o,a,b) is stored. */
static size_t stored_at(int c, int k, int out)
{
    return ((size_t)c * (size_t)out + (size_t)(k % out)) * 4 + (size_t)(k / out);
}

/* Packed: bias, weights as the library is given them where they differ from those stored, weights
 * in its own layout. */
static void direct_pack(const void *k, const float *weights, const float *bias, void *packed)
{
    const struct direct *d = k;
    const int in = d->conf.in, out = d->conf.out, wide = d->conf.up ? 4 * out : out;
    unsigned char *at = packed;
    for (int o = 0; bias && o < wide; o++)
        ((float *)packed)[o] = bias[o % out];
    float *m = (float *)(at + d->bias);
#pragma omp parallel for
    for (int o = 0; o < (d->conf.up ? wide : 0); o++)
        for (int c = 0; c < in; c++)
            m[(size_t)o * (size_t)in + (size_t)c] = weights[stored_at(c, o, out)];
    dn_conv_pack(d->dn, d->conf.up ? m : weights, at + d->bias + d->weights);
}

/* Below a pixel of the wide map (N,H,W,4C) lie two rows of two pixels of y (N,2H,2W,C): row r of y
 * takes half r mod 2 of the pixels of wide row r / 2, each half a run of 2C floats. */
static size_t half_at(const struct conv_conf *c, int r, int j)
{
    return ((size_t)(r / 2) * (size_t)c->w + (size_t)j) * 2 + (size_t)(r % 2);
}

static void depth_to_space(const struct conv_conf *c, const float *wide, float *y)
{
    const int rows = c->n * c->h * 2;
    const size_t run = 2 * (size_t)c->out;
#pragma omp parallel for
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < c->w; j++)
            memcpy(y + ((size_t)r * (size_t)c->w + (size_t)j) * run, wide + half_at(c, r, j) * run,
                   run * sizeof(float));
}

/* Of dy, having passed the ReLU back. */
static void space_to_depth(const struct conv_conf *c, const float *y, const float *dy, float *wide)
{
    const int rows = c->n * c->h * 2;
    const size_t run = 2 * (size_t)c->out;
#pragma omp parallel for
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < c->w; j++) {
            const size_t from = ((size_t)r * (size_t)c->w + (size_t)j) * run;
            float *to = wide + half_at(c, r, j) * run;
            if (c->slope == 1.0f)
                memcpy(to, dy + from, run * sizeof *to);
            else
                for (size_t k = 0; k < run; k++)
                    to[k] = y[from + k] > 0.0f ? dy[from + k] : c->slope * dy[from + k];
        }
}

static void direct_forward(const void *k, const struct conv_x *x, const void *packed, float *y,
                           double *sums, void *scratch)
{
    (void)sums; /* need.parts is 0 */
    const struct direct *d = k;
    const struct conv_conf *c = &d->conf;
    const unsigned char *weights = (const unsigned char *)packed + d->bias + d->weights;
    float *to = c->up ? scratch : y;
    dn_conv_forward(d->dn, x->at[0], weights, packed, to,
                    (unsigned char *)scratch + (c->up ? d->y : 0));
    if (c->up) depth_to_space(c, to, y);
    relu_apply(c->slope, y_len(c), y, y);
}

/* Gradients of the wide weights and bias to those stored. */
static void narrow(const struct conv_conf *c, const float *dm, const float *wide, float *dw,
                   float *db)
{
#pragma omp parallel for
    for (int i = 0; i < c->in; i++)
        for (int k = 0; k < 4 * c->out; k++)
            dw[stored_at(i, k, c->out)] = dm[(size_t)k * (size_t)c->in + (size_t)i];
    for (int o = 0; db && o < c->out; o++)
        db[o] = wide[o] + wide[o + c->out] + wide[o + 2 * c->out] + wide[o + 3 * c->out];
}

static void direct_backward(const void *k, const struct conv_gradient *g)
{
    const struct direct *d = k;
    const struct conv_conf *c = &d->conf;
    const unsigned char *weights = (const unsigned char *)g->packed + d->bias + d->weights;
    unsigned char *rest = (unsigned char *)g->scratch + d->y;
    float *masked = g->scratch;
    if (!c->up) {
        if (d->y) relu_gradient(c->slope, y_len(c), g->y, g->dy, masked);
        dn_conv_backward(d->dn, g->x.at[0], d->y ? masked : g->dy, weights, g->dx[0], g->dw, g->db,
                         rest);
        return;
    }
    space_to_depth(c, g->y, g->dy, masked);
    if (!g->dw) {
        dn_conv_backward(d->dn, NULL, masked, weights, g->dx[0], NULL, NULL, rest);
        return;
    }
    float *db = (float *)rest, *dm = (float *)(rest + d->bias);
    dn_conv_backward(d->dn, g->x.at[0], masked, weights, g->dx[0], dm, db,
                     rest + d->bias + d->weights);
    narrow(c, dm, db, g->dw, g->db);
}

static void direct_describe(const void *k, char *text, size_t size)
{
    const struct direct *d = k;
    dn_conv_kernel(d->dn, text, size);
}

const struct conv_kernel conv_direct = {.name = "direct",
                                        .takes = direct_takes,
                                        .make = direct_make,
                                        .free = direct_free,
                                        .pack = direct_pack,
                                        .forward = direct_forward,
                                        .backward = direct_backward,
                                        .describe = direct_describe};
