/* By our Winograd kernels (winograd.h): 4 times fewer multiplications. */
#include "nn/conv_kernel.h"

#include "base/mem.h"
#include "nn/bf16_product.h"
#include "nn/winograd.h"

#include <stdio.h>
#include <string.h>

struct winograd {
    struct wino *wino;
    size_t bias; /* bytes */
    size_t out;
    bool biased;
    float slope;
};

static struct wino_conf conf_of(const struct conv_conf *c)
{
    return (struct wino_conf){.n = c->n,
                              .h = c->h,
                              .w = c->w,
                              .in = c->in,
                              .out = c->out,
                              .first = c->first ? c->first : c->in,
                              .backward_weights = c->backward_weights,
                              .backward_data = c->backward_data};
}

/* Only AMX beats it: AVX512_BF16 multiplies twice as fast, but four times as often. */
static bool winograd_takes(const struct conv_conf *c, enum dn_isa isa)
{
    const struct wino_conf w = conf_of(c);
    const bool amx = isa >= DN_ISA_AMX && bf16_unit_works(BF16_AMX);
    const bool best = c->precision == NN_FP32_WHOLE || (c->precision != NN_FP32_DIRECT && !amx);
    return best && c->side == 3 && isa >= DN_ISA_AVX512 && wino_pays(&w);
}

static void winograd_free(void *k)
{
    struct winograd *w = k;
    wino_free(w->wino);
    mem_free(w);
}

static void *winograd_make(const struct conv_conf *c, enum dn_isa isa, struct dn *d,
                           struct conv_need *need, struct err *e)
{
    (void)isa;
    (void)d;
    struct winograd *w = mem_new(1, sizeof *w, e);
    if (!w) return NULL;
    if (!(w->wino = wino_new(conf_of(c), e))) {
        mem_free(w);
        return NULL;
    }
    w->bias = mem_lines((size_t)c->out * sizeof(float));
    w->biased = c->bias;
    w->out = (size_t)c->out;
    w->slope = c->slope;
    need->packed = w->bias + wino_packed_bytes(w->wino);
    need->forward = wino_scratch_forward(w->wino);
    need->backward = wino_scratch_backward(w->wino);
    return w;
}

static const void *weights_in(const struct winograd *w, const void *packed)
{
    return (const unsigned char *)packed + w->bias;
}

static void winograd_pack(const void *k, const float *weights, const float *bias, void *packed)
{
    const struct winograd *w = k;
    if (w->biased) memcpy(packed, bias, w->out * sizeof *bias);
    wino_pack(w->wino, weights, (unsigned char *)packed + w->bias);
}

static void winograd_forward(const void *k, const struct conv_x *x, const void *packed, float *y,
                             double *sums, void *scratch)
{
    (void)sums; /* need.parts is 0 */
    const struct winograd *w = k;
    wino_forward(w->wino, x->at, weights_in(w, packed), w->biased ? packed : NULL, w->slope, y,
                 scratch);
}

static void winograd_backward(const void *k, const struct conv_gradient *g)
{
    const struct winograd *w = k;
    wino_backward(w->wino, &(struct wino_gradient){.x = {g->x.at[0], g->x.at[1]},
                                                   .dy = g->dy,
                                                   .y = w->slope == 1.0f ? NULL : g->y,
                                                   .slope = w->slope,
                                                   .packed = weights_in(w, g->packed),
                                                   .dx = {g->dx[0], g->dx[1]},
                                                   .dw = g->dw,
                                                   .db = g->db,
                                                   .scratch = g->scratch});
}

static void winograd_describe(const void *k, char *text, size_t size)
{
    (void)k;
    snprintf(text, size, "own winograd 4x4");
}

const struct conv_kernel conv_winograd = {.name = "winograd",
                                          .joins = true,
                                          .takes = winograd_takes,
                                          .make = winograd_make,
                                          .free = winograd_free,
                                          .pack = winograd_pack,
                                          .forward = winograd_forward,
                                          .backward = winograd_backward,
                                          .describe = winograd_describe};
