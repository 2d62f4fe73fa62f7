/* Every kernel of conv_kernels[], at every level of the processor from this one's downwards, at
 * every shape it takes, against the naive double-precision oracle; and the promises about bits,
 * memory and NaN. Errors are norm-wise per tensor (compare.h). The oracle of the kernel that rounds
 * factors to bfloat16 is given rounded factors: what remains is an error of float32 sums. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/par.h"
#include "compare.h"
#include "naive.h"
#include "nn/bf16_product.h"
#include "nn/conv_kernel.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, bytes)   ((void)(at), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#endif

/* Of the split kernel a single product is off by up to 3 2^-18, which is the rounding of both low
 * halves and the product of the two; in tensors of many numbers such errors average. */
static double tolerance(bool rounded, size_t numbers)
{
    return rounded ? 2e-6 : numbers < 1000 ? 1.2e-5 : 6e-6;
}

#define SHAPE(n, h, w, in, out, side, up)                                                          \
    {                                                                                              \
        n, h, w, in, out, in, side, up, true, true, true, 1.0f, {{0}}, NN_FP32                     \
    }
/* 3x3, of which the gradient of x is not wanted */
#define FIRST(n, h, w, in, out)                                                                    \
    {                                                                                              \
        n, h, w, in, out, in, 3, false, true, true, false, 1.0f, {{0}}, NN_FP32                    \
    }

static const struct conv_conf shapes[] = {
    SHAPE(1, 1, 1, 1, 1, 3, false),
    SHAPE(3, 1, 1, 17, 5, 3, false),
    SHAPE(1, 3, 2, 2, 3, 3, false),
    SHAPE(3, 5, 7, 3, 9, 3, false),
    SHAPE(1, 5, 7, 16, 16, 3, false),
    SHAPE(3, 4, 4, 8, 24, 3, false),
    SHAPE(2, 6, 32, 32, 32, 3, false),
    SHAPE(2, 8, 8, 20, 20, 3, false),
    SHAPE(3, 8, 13, 40, 20, 3, false),
    SHAPE(1, 17, 11, 40, 80, 3, false),
    SHAPE(3, 9, 8, 31, 33, 3, false),
    SHAPE(1, 23, 19, 33, 17, 3, false),
    SHAPE(2, 11, 33, 70, 37, 3, false),
    SHAPE(1, 6, 40, 1, 100, 3, false),
    SHAPE(1, 10, 10, 160, 64, 3, false),
    SHAPE(1, 61, 64, 24, 20, 3, false),  /* several slabs */
    SHAPE(1, 181, 179, 5, 12, 3, false), /* and large maps of few channels */
    SHAPE(2, 300, 1100, 1, 1, 3, false), /* more slabs than partial sums, more steps than a sum */
    SHAPE(2, 5, 6, 161, 160, 3, false),  /* a gradient of more than 1 MiB */
    SHAPE(1, 63, 65, 1, 897, 3, false),  /* and more steps than a sum */
    FIRST(1, 1, 1, 1, 8),
    FIRST(3, 5, 7, 2, 9),
    FIRST(2, 9, 130, 1, 20),
    FIRST(1, 70, 65, 2, 33),
    FIRST(1, 181, 179, 1, 64),
    FIRST(1, 12, 10, 20, 20),
    SHAPE(1, 1, 1, 1, 1, 1, false),
    SHAPE(3, 1, 1, 40, 33, 1, false),
    SHAPE(2, 5, 7, 9, 2, 1, false),
    SHAPE(3, 13, 129, 33, 2, 1, false),
    SHAPE(1, 150, 200, 64, 2, 1, false),
    SHAPE(1, 4, 5, 8, 1, 1, false),
    SHAPE(2, 5, 7, 3, 9, 1, false),
    SHAPE(1, 6, 17, 33, 65, 1, false),
    SHAPE(3, 7, 31, 16, 32, 1, false),
    SHAPE(1, 60, 70, 20, 1, 1, false),
    SHAPE(1, 90, 100, 20, 40, 1, false), /* several slabs */
    SHAPE(1, 3, 2, 513, 481, 1, false),  /* a gradient of more than 1 MiB */
    SHAPE(1, 1, 1, 1, 1, 2, true),
    SHAPE(3, 1, 1, 5, 3, 2, true),
    SHAPE(2, 3, 5, 3, 2, 2, true),
    SHAPE(1, 5, 7, 16, 8, 2, true),
    SHAPE(2, 4, 9, 17, 9, 2, true),
    SHAPE(1, 9, 6, 40, 20, 2, true),
    SHAPE(3, 7, 5, 33, 17, 2, true),
    SHAPE(1, 6, 33, 70, 33, 2, true),
    SHAPE(1, 60, 70, 20, 10, 2, true), /* several slabs */
    SHAPE(1, 2, 3, 545, 113, 2, true), /* a gradient of more than 1 MiB */
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static struct dn *dn; /* of all kernels */

/* --- memory: as large as asked for, between guards, all of it NaN to begin with --- */

enum { GUARD = 256 };

static void *get(size_t count, size_t size)
{
    void *p = mem_new(count, size, NULL);
    assert_non_null(p);
    return p;
}

static void *guarded(size_t bytes)
{
    unsigned char *p = get(bytes + 2 * GUARD, 1);
    memset(p, 0xff, bytes + 2 * GUARD);
    ASAN_POISON_MEMORY_REGION(p, GUARD);
    ASAN_POISON_MEMORY_REGION(p + GUARD + bytes, GUARD);
    return p + GUARD;
}

static void release(void *at, size_t bytes)
{
    unsigned char *p = (unsigned char *)at - GUARD;
    ASAN_UNPOISON_MEMORY_REGION(p, bytes + 2 * GUARD);
    for (size_t i = 0; i < GUARD; i++)
        assert_true(p[i] == 0xff && p[GUARD + bytes + i] == 0xff);
    mem_free(p);
}

/* --- what goes into a convolution and comes out --- */

enum { X, W, B, DY, Y, DX, DW, DB, ARRAYS };
static const char *const names[ARRAYS] = {"x", "w", "b", "dy", "y", "dx", "dw", "db"};

struct arrays {
    size_t len[ARRAYS];
    float *at[ARRAYS];
};

static struct shape in_of(const struct conv_conf *c)
{
    return (struct shape){c->n, c->h, c->w, c->in};
}

static struct shape out_of(const struct conv_conf *c)
{
    const int scale = c->up ? 2 : 1;
    return (struct shape){c->n, scale * c->h, scale * c->w, c->out};
}

static struct arrays arrays_new(const struct conv_conf *c)
{
    const size_t x = shape_len(in_of(c)), y = shape_len(out_of(c)), b = (size_t)c->out;
    const size_t w = (size_t)(c->in * c->out * c->side * c->side);
    struct arrays a = {.len = {x, w, b, y, y, x, w, b}};
    for (int k = 0; k < ARRAYS; k++)
        a.at[k] = guarded(a.len[k] * sizeof(float));
    return a;
}

static void arrays_release(struct arrays *a)
{
    for (int k = 0; k < ARRAYS; k++)
        release(a->at[k], a->len[k] * sizeof(float));
}

/* Normal numbers; from a pool, as to draw them all anew would take longer than the convolutions. */
static void fill(size_t n, float *x, uint32_t stream)
{
    enum { POOL = 65537 }; /* a prime: rows and images never fall together */
    static float pool[POOL];
    struct rng r = rng_make(7, RNG_TEST, 0, 0);
    for (int i = 0; pool[POOL - 1] == 0.0f && i < POOL; i++)
        pool[i] = (float)rng_normal(&r);
    for (size_t i = 0; i < n; i++)
        x[i] = pool[(i + 7919 * stream) % POOL];
}

static struct arrays arrays_filled(const struct conv_conf *c)
{
    struct arrays a = arrays_new(c);
    for (int k = X; k <= DY; k++)
        fill(a.len[k], a.at[k], (uint32_t)k);
    return a;
}

/* --- the kernels --- */

struct choice {
    const struct conv_kernel *kernel;
    enum dn_isa isa;
    enum nn_precision precision; /* that it takes */
};

static bool takes(const struct choice *v, const struct conv_conf *shape)
{
    struct conv_conf c = *shape;
    c.precision = v->precision;
    return v->kernel->takes(&c, v->isa);
}

static void describe(const struct choice *v, const struct conv_conf *c, char *text, size_t size)
{
    struct conv_need need = {0};
    void *k = v->kernel->make(c, v->isa, dn, &need, NULL);
    assert_non_null(k);
    v->kernel->describe(k, text, size);
    v->kernel->free(k);
}

/* The next kernel and level that takes the shape, after `*v`; begin with {0}. Kernels by levels
 * downwards, without levels at which a kernel is the one it was at the level above. */
static bool next_choice(struct choice *v, const struct conv_conf *c)
{
    static const struct conv_kernel *const *at;
    static char last[256];
    if (!v->kernel) {
        at = conv_kernels;
        *v = (struct choice){*at, dn_isa() + 1, *at == &conv_bf16 ? NN_BF16 : NN_FP32};
        last[0] = 0;
    }
    for (;;) {
        if (v->isa == DN_ISA_ANY) {
            if (!*++at) return false;
            *v = (struct choice){*at, dn_isa() + 1, *at == &conv_bf16 ? NN_BF16 : NN_FP32};
            last[0] = 0;
        }
        v->isa--;
        if (!takes(v, c)) continue;
        char text[sizeof last] = "";
        describe(v, c, text, sizeof text);
        assert_true(text[0]);
        if (strcmp(text, last) == 0) continue;
        memcpy(last, text, sizeof last);
        return true;
    }
}

static void blame(const struct choice *v, const struct conv_conf *c, int array, const char *what);

/* What a kernel has summed up against y; single precision over a few pixels is allowed. */
static void check_sums(const struct choice *v, const struct conv_conf *c,
                       const struct conv_need *need, const float *y, const double *sums)
{
    const int channels = c->out;
    const size_t pixels = shape_len(out_of(c)) / (size_t)(c->n * channels);
    for (int i = 0; i < c->n; i++)
        for (int o = 0; o < channels; o++) {
            double sum = 0.0, squares = 0.0, size = 0.0, found[2] = {0.0, 0.0};
            for (size_t p = 0; p < pixels; p++) {
                const double x = (double)y[((size_t)i * pixels + p) * (size_t)channels + (size_t)o];
                sum += x, squares += x * x, size += fabs(x);
            }
            for (int p = 0; p < need->parts; p++)
                for (int k = o; k < need->columns; k += channels)
                    for (int q = 0; q < 2; q++)
                        found[q] += sums[((i * need->parts + p) * 2 + q) * need->columns + k];
            if (fabs(found[0] - sum) > 1e-6 * size || fabs(found[1] - squares) > 1e-6 * squares)
                blame(v, c, Y, "has other sums");
        }
}

/* The two maps that are joined to x, or x itself. */
struct halves {
    size_t pixels, channels[2];
    float *at[2];
};

static struct halves halves_new(const struct conv_conf *c)
{
    struct halves h = {.pixels = (size_t)(c->n * c->h * c->w),
                       .channels = {(size_t)c->first, (size_t)(c->in - c->first)}};
    for (int k = 0; k < 2; k++)
        h.at[k] = guarded(h.pixels * h.channels[k] * sizeof(float));
    return h;
}

static void halves_release(struct halves *h)
{
    for (int k = 0; k < 2; k++)
        release(h->at[k], h->pixels * h->channels[k] * sizeof(float));
}

/* Both halves of x, or from them. */
static void halves_copy(const struct halves *h, float *x, bool back)
{
    for (size_t p = 0; p < h->pixels; p++)
        for (int k = 0; k < 2; k++) {
            float *half = h->at[k] + p * h->channels[k];
            memcpy(back ? x : half, back ? half : x, h->channels[k] * sizeof *x);
            x += h->channels[k];
        }
}

/* All passes that `c` asks for. */
static void run(const struct choice *v, const struct conv_conf *c, struct arrays *a)
{
    struct conv_need need = {0};
    void *k = v->kernel->make(c, v->isa, dn, &need, NULL);
    assert_non_null(k);
    void *packed = guarded(need.packed), *forward = guarded(need.forward);
    for (int i = Y; i <= DB; i++)
        memset(a->at[i], 0xff, a->len[i] * sizeof(float));
    const size_t bytes = (size_t)(c->n * need.parts * 2 * need.columns) * sizeof(double);
    double *sums = need.parts ? guarded(bytes) : NULL;
    v->kernel->pack(k, a->at[W], c->bias ? a->at[B] : NULL, packed);
    struct halves x = halves_new(c), dx = halves_new(c);
    halves_copy(&x, a->at[X], false);
    v->kernel->forward(k, &(struct conv_x){.at = {x.at[0], x.at[1]}}, packed, a->at[Y], sums,
                       forward);
    if (sums) check_sums(v, c, &need, a->at[Y], sums);
    if (sums) release(sums, bytes);
    release(forward, need.forward);
    if (c->backward_weights || c->backward_data) {
        void *backward = guarded(need.backward);
        const bool weights = c->backward_weights, data = c->backward_data;
        v->kernel->backward(
            k, &(struct conv_gradient){.x.at = {weights ? x.at[0] : NULL, weights ? x.at[1] : NULL},
                                       .y = a->at[Y],
                                       .dy = a->at[DY],
                                       .packed = packed,
                                       .dx = {data ? dx.at[0] : NULL, data ? dx.at[1] : NULL},
                                       .dw = weights ? a->at[DW] : NULL,
                                       .db = weights && c->bias ? a->at[DB] : NULL,
                                       .scratch = backward});
        release(backward, need.backward);
        if (c->backward_data) halves_copy(&dx, a->at[DX], true);
    }
    halves_release(&x);
    halves_release(&dx);
    release(packed, need.packed);
    v->kernel->free(k);
}

static void blame(const struct choice *v, const struct conv_conf *c, int array, const char *what)
{
    fail_msg("%s at %s, %d threads, %d x %d x %d, %d to %d, side %d%s, slope %g%s: %s %s",
             v->kernel->name, dn_isa_name(v->isa), par_threads(), c->n, c->h, c->w, c->in, c->out,
             c->side, c->up ? " up" : "", (double)c->slope, c->bias ? ", bias" : "", names[array],
             what);
}

/* --- the oracle --- */

struct oracle {
    struct conv_conf conf;
    bool rounded;
    const struct arrays *a;
    double *at[ARRAYS]; /* y is that of the convolution alone */
    float slope;        /* and sign: of the last backward pass; sign NULL: there was none */
    unsigned char *sign;
};

/* As float32 sees it; rounded further where the kernel does that. */
static void widen(const struct oracle *o, int k)
{
    for (size_t i = 0; i < o->a->len[k]; i++)
        o->at[k][i] = o->rounded ? naive_bf16((double)o->a->at[k][i]) : (double)o->a->at[k][i];
}

static struct oracle oracle_new(const struct conv_conf *c, bool rounded, const struct arrays *a)
{
    struct oracle o = {*c, rounded, a, .sign = NULL};
    for (int k = 0; k < ARRAYS; k++)
        o.at[k] = get(a->len[k], sizeof(double));
    widen(&o, X);
    widen(&o, W);
    if (c->up)
        naive_deconv(in_of(c), c->out, o.at[X], o.at[W], NULL, o.at[Y]);
    else
        naive_conv(in_of(c), c->out, c->side, o.at[X], o.at[W], NULL, o.at[Y]);
    return o;
}

static void oracle_release(struct oracle *o)
{
    for (int k = 0; k < ARRAYS; k++)
        mem_free(o->at[k]);
    mem_free(o->sign);
}

/* Backward through the ReLU whose results were `y`. Kernels hardly ever differ in a sign: then the
 * gradients of the last time serve. */
static void oracle_back(struct oracle *o, float slope, const float *y)
{
    const struct conv_conf *c = &o->conf;
    const size_t len = o->a->len[Y];
    bool same = o->sign && o->slope == slope;
    if (!o->sign) o->sign = get(len, 1);
    for (size_t i = 0; i < len; i++) {
        const bool above = y[i] > 0.0f;
        same = same && (above == o->sign[i] || slope == 1.0f);
        o->sign[i] = above;
    }
    if (same) return;
    o->slope = slope;
    for (size_t i = 0; i < len; i++)
        o->at[DY][i] = (double)(o->sign[i] ? o->a->at[DY][i] : slope * o->a->at[DY][i]);
    for (int k = DX; k <= DB; k++)
        memset(o->at[k], 0, o->a->len[k] * sizeof(double));
    naive_bias_back(out_of(c), o->at[DY], o->at[DB]);
    for (size_t i = 0; o->rounded && i < len; i++)
        o->at[DY][i] = naive_bf16(o->at[DY][i]);
    if (c->up)
        naive_deconv_back(in_of(c), c->out, o->at[X], o->at[W], o->at[DY], o->at[DX], o->at[DW],
                          NULL);
    else
        naive_conv_back(in_of(c), c->out, c->side, o->at[X], o->at[W], o->at[DY], o->at[DX],
                        o->at[DW], NULL);
}

/* Of y with bias and ReLU, against the size of what the convolution adds to the bias: bias and ReLU
 * can leave next to nothing of a few numbers, but not of their errors. */
static double error_of_y(const struct oracle *o, const struct conv_conf *c, const float *y)
{
    double diff = 0.0, norm = 0.0;
    for (size_t i = 0; i < o->a->len[Y]; i++) {
        const double sum = o->at[Y][i];
        double ref = sum + (c->bias ? (double)o->a->at[B][i % (size_t)c->out] : 0.0);
        if (ref < 0.0) ref *= (double)c->slope;
        diff += ((double)y[i] - ref) * ((double)y[i] - ref);
        norm += sum * sum;
    }
    return relative_of(diff, norm, o->a->len[Y]);
}

static const struct conv_kernel *const all[] = {&conv_winograd,  &conv_bf16, &conv_bf16_split,
                                                &conv_pointwise, &conv_thin, &conv_direct};
enum { KERNELS = sizeof all / sizeof *all };
static double worst[KERNELS][ARRAYS];

static void compare(const struct choice *v, const struct conv_conf *c, struct oracle *o,
                    const struct arrays *a)
{
    double error[ARRAYS] = {[Y] = error_of_y(o, c, a->at[Y])};
    oracle_back(o, c->slope, a->at[Y]);
    for (int k = c->backward_data ? DX : DW; k <= (c->bias ? DB : DW); k++)
        error[k] = relative_error_f32(a->len[k], a->at[k], o->at[k]);
    int which = 0;
    while (all[which] != v->kernel)
        which++;
    /* the library adds up pixels in single precision, which loses digits where they are many */
    const bool long_sums = v->kernel == &conv_direct && c->n * c->h * c->w > 1 << 16;
    for (int k = Y; k <= (long_sums ? DX : DB); k++) {
        char text[32];
        snprintf(text, sizeof text, "is off by %.1e", error[k]);
        if (!(error[k] <= tolerance(o->rounded, a->len[k]))) blame(v, c, k, text);
        worst[which][k] = fmax(worst[which][k], error[k]);
    }
}

/* Slopes and bias meet only where they touch each other: both are applied as y is written. */
static const struct {
    float slope;
    bool bias;
} ends[] = {{1.0f, true}, {1.0f, false}, {0.0f, true}, {0.2f, false}, {0.2f, true}};
enum { ENDS = sizeof ends / sizeof *ends };

static void check_shape(const struct conv_conf *shape, bool rounded)
{
    struct conv_conf c = *shape;
    struct arrays a = arrays_filled(&c);
    struct oracle o = oracle_new(&c, rounded, &a);
    for (int k = 0; k < ENDS; k++) {
        c.slope = ends[k].slope;
        c.bias = ends[k].bias;
        for (struct choice v = {0}; next_choice(&v, &c);) {
            if ((v.kernel == &conv_bf16) != rounded) continue;
            run(&v, &c, &a);
            compare(&v, &c, &o, &a);
        }
    }
    oracle_release(&o);
    arrays_release(&a);
}

static void test_oracle(void **state)
{
    (void)state;
    const bool rounded = conv_bf16.takes(&(struct conv_conf){.precision = NN_BF16}, dn_isa());
    for (int k = 0; k < SHAPES; k++) {
        check_shape(&shapes[k], false);
        if (rounded) check_shape(&shapes[k], true);
    }
    for (int k = 0; k < KERNELS; k++)
        print_message("%-10s y %.1e, dx %.1e, dw %.1e, db %.1e\n", all[k]->name, worst[k][Y],
                      worst[k][DX], worst[k][DW], worst[k][DB]);
}

/* --- bits --- */

static void same_bits(const struct choice *v, const struct conv_conf *c, int k, size_t n,
                      const float *a, const float *b)
{
    if (memcmp(a, b, n * sizeof *a) != 0) blame(v, c, k, "has other bits");
}

/* The library deals sums over pixels out to threads: its dw and db may differ in the last bits. */
static void check_threads(const struct conv_conf *shape, bool nan)
{
    struct conv_conf c = *shape;
    c.slope = 0.2f;
    struct arrays one = arrays_filled(&c), more = arrays_filled(&c);
    if (nan) /* what it reaches must not depend on the threads either */
        one.at[X][one.len[X] / 3] = more.at[X][more.len[X] / 3] = NAN;
    for (struct choice v = {0}; next_choice(&v, &c);) {
        par_set_threads(1);
        run(&v, &c, &one);
        for (int threads = 1; threads <= 5; threads++) {
            par_set_threads(threads);
            run(&v, &c, &more);
            const int last = nan || v.kernel == &conv_direct ? DX : DB;
            for (int k = Y; k <= last; k++)
                same_bits(&v, &c, k, one.len[k], one.at[k], more.at[k]);
        }
    }
    arrays_release(&one);
    arrays_release(&more);
}

static void test_threads(void **state)
{
    (void)state;
    const int before = par_threads();
    for (int i = 0; i < SHAPES; i++)
        for (int nan = 0; nan < 2; nan++)
            check_threads(&shapes[i], nan);
    par_set_threads(before);
}

enum { BATCH = 3 };

/* An image alone, and at each place of a batch of others. */
static void check_batch(const struct choice *v, const struct conv_conf *one, struct arrays *alone,
                        struct arrays *batch)
{
    struct conv_conf many = *one;
    many.n = BATCH;
    run(v, one, alone);
    const size_t x = alone->len[X], y = alone->len[Y];
    for (size_t place = 0; place < BATCH; place++) {
        fill(batch->len[X], batch->at[X], 11);
        fill(batch->len[DY], batch->at[DY], 12);
        memcpy(batch->at[X] + place * x, alone->at[X], x * sizeof(float));
        memcpy(batch->at[DY] + place * y, alone->at[DY], y * sizeof(float));
        run(v, &many, batch);
        same_bits(v, &many, Y, y, alone->at[Y], batch->at[Y] + place * y);
        same_bits(v, &many, DX, x, alone->at[DX], batch->at[DX] + place * x);
    }
}

static void test_batch(void **state)
{
    (void)state;
    for (int i = 0; i < SHAPES; i++) {
        struct conv_conf one = shapes[i], many;
        one.n = 1;
        one.slope = 0.0f;
        many = one;
        many.n = BATCH;
        struct arrays alone = arrays_filled(&one), batch = arrays_filled(&many);
        alone.at[X][alone.len[X] / 3] = NAN;
        for (struct choice v = {0}; next_choice(&v, &one);)
            check_batch(&v, &one, &alone, &batch);
        arrays_release(&alone);
        arrays_release(&batch);
    }
}

/* Without bias, without a gradient of x, for inference only: what is left is as before. */
static void test_less(void **state)
{
    (void)state;
    for (int i = 0; i < SHAPES; i++) {
        struct conv_conf c = shapes[i];
        c.slope = 0.2f;
        struct arrays full = arrays_filled(&c), less = arrays_filled(&c);
        memset(full.at[B], 0, full.len[B] * sizeof(float));
        for (struct choice v = {0}; next_choice(&v, &c);) {
            run(&v, &c, &full);
            for (int backward = 0; backward < 2; backward++) {
                struct conv_conf d = c;
                d.bias = d.backward_data = false;
                d.backward_weights = backward;
                run(&v, &d, &less);
                for (size_t k = 0; k < full.len[Y]; k++) /* 0 may be -0 */
                    if (less.at[Y][k] != full.at[Y][k]) blame(&v, &d, Y, "has changed");
                if (backward) same_bits(&v, &d, DW, full.len[DW], full.at[DW], less.at[DW]);
            }
        }
        arrays_release(&full);
        arrays_release(&less);
    }
}

/* Two maps that are joined, at any channel, are as good as one. */
static void check_joined(const struct conv_conf *shape)
{
    struct conv_conf c = *shape;
    c.slope = 0.2f;
    struct arrays one = arrays_filled(&c), two = arrays_filled(&c);
    for (struct choice v = {0}; next_choice(&v, &c);) {
        if (!v.kernel->joins) continue;
        run(&v, &c, &one);
        for (int k = 1; k < 8; k++) {
            struct conv_conf d = c;
            d.first = c.in * k / 8;
            if (d.first == 0 || c.up) continue;
            run(&v, &d, &two);
            for (int i = Y; i <= DB; i++)
                same_bits(&v, &d, i, one.len[i], one.at[i], two.at[i]);
        }
    }
    arrays_release(&one);
    arrays_release(&two);
}

static void test_joined(void **state)
{
    (void)state;
    for (int i = 0; i < SHAPES; i++)
        check_joined(&shapes[i]);
}

/* Of frozen weights: the gradient of x alone is the same, x is not read, and less memory asked for
 * where that of the weights needed it. */
static void test_data_alone(void **state)
{
    (void)state;
    for (int i = 0; i < SHAPES; i++) {
        struct conv_conf c = shapes[i], d = c;
        c.slope = d.slope = 0.2f;
        d.backward_weights = false;
        struct arrays full = arrays_filled(&c), less = arrays_filled(&c);
        for (struct choice v = {0}; next_choice(&v, &c);) {
            run(&v, &c, &full);
            run(&v, &d, &less);
            same_bits(&v, &d, Y, full.len[Y], full.at[Y], less.at[Y]);
            same_bits(&v, &d, DX, full.len[DX], full.at[DX], less.at[DX]);
            struct conv_need more = {0}, need = {0};
            v.kernel->free(v.kernel->make(&c, v.isa, dn, &more, NULL));
            v.kernel->free(v.kernel->make(&d, v.isa, dn, &need, NULL));
            if (need.backward > more.backward) blame(&v, &d, DX, "takes more memory alone");
        }
        arrays_release(&full);
        arrays_release(&less);
    }
}

/* --- NaN --- */

/* All channels of pixel (i, j) of an image must be NaN. */
static bool all_nan(struct shape s, int image, int i, int j, const float *x)
{
    const float *at =
        x + (((size_t)image * (size_t)s.h + (size_t)i) * (size_t)s.w + (size_t)j) * (size_t)s.c;
    for (int k = 0; k < s.c; k++)
        if (!isnan(at[k])) return false;
    return true;
}

/* Images but the middle one are as they were. */
static void others_unchanged(const struct choice *v, const struct conv_conf *c, int k,
                             const struct arrays *clean, const struct arrays *a)
{
    const size_t image = a->len[k] / BATCH;
    same_bits(v, c, k, image, clean->at[k], a->at[k]);
    same_bits(v, c, k, image, clean->at[k] + 2 * image, a->at[k] + 2 * image);
}

/* One channel of the first or last pixel of the middle image, which are next to other images. */
static void check_nan(const struct choice *v, const struct conv_conf *c, bool last,
                      const struct arrays *clean, struct arrays *a)
{
    const struct shape x = in_of(c), y = out_of(c);
    const size_t xs = a->len[X] / BATCH, ys = a->len[Y] / BATCH;
    const size_t px = last ? 2 * xs - 1 : xs, py = last ? 2 * ys - 1 : ys;
    const int xi = last ? x.h - 1 : 0, xj = last ? x.w - 1 : 0;
    const int yi = last ? y.h - 1 : 0, yj = last ? y.w - 1 : 0, channel = last ? y.c - 1 : 0;
    a->at[X][px] = NAN;
    run(v, c, a);
    if (!all_nan(y, 1, yi, yj, a->at[Y])) blame(v, c, Y, "hides a NaN of x");
    others_unchanged(v, c, Y, clean, a);
    a->at[X][px] = clean->at[X][px];
    a->at[DY][py] = NAN;
    run(v, c, a);
    if (!all_nan(x, 1, xi, xj, a->at[DX])) blame(v, c, DX, "hides a NaN of dy");
    others_unchanged(v, c, DX, clean, a);
    for (int k = 0; k < c->out; k++)
        if (isnan(a->at[DB][k]) != (k == channel)) blame(v, c, DB, "and a NaN of dy");
    bool any = false;
    for (size_t k = 0; k < a->len[DW]; k++)
        any = any || isnan(a->at[DW][k]);
    if (!any) blame(v, c, DW, "hides a NaN of dy");
    a->at[DY][py] = clean->at[DY][py];
}

static void test_nan(void **state)
{
    (void)state;
    for (int i = 0; i < SHAPES; i++) {
        struct conv_conf c = shapes[i];
        if (c.h * c.w > 1 << 15) continue; /* no other code, only more of it */
        c.n = BATCH;
        c.slope = 0.0f;
        struct arrays clean = arrays_filled(&c), a = arrays_filled(&c);
        for (struct choice v = {0}; next_choice(&v, &c);) {
            run(&v, &c, &clean);
            check_nan(&v, &c, false, &clean, &a);
            check_nan(&v, &c, true, &clean, &a);
        }
        arrays_release(&clean);
        arrays_release(&a);
    }
}

/* --- the table --- */

static const struct conv_kernel *chosen(struct conv_conf c, enum nn_precision precision,
                                        enum dn_isa isa)
{
    c.precision = precision;
    return conv_kernel_for(&c, isa);
}

/* Precision and processor bound the choice; a batch does not. */
static void test_choice(void **state)
{
    (void)state;
    for (int i = 0; i < SHAPES; i++)
        for (enum dn_isa isa = dn_isa() + 1; isa-- > DN_ISA_ANY;) {
            const struct conv_conf *c = &shapes[i];
            const struct conv_kernel *fp32 = chosen(*c, NN_FP32, isa);
            const struct conv_kernel *plain = chosen(*c, NN_BF16, isa);
            const struct conv_kernel *whole = chosen(*c, NN_FP32_WHOLE, isa);
            assert_ptr_equal(chosen(*c, NN_FP32_DIRECT, isa), &conv_direct);
            /* what the best processor without AMX takes */
            assert_ptr_equal(whole, chosen(*c, NN_FP32, isa < DN_ISA_AMX ? isa : DN_ISA_AMX - 1));
            const bool rounds = isa >= DN_ISA_AVX512_BF16 && bf16_unit_works(BF16_AVX512);
            if (rounds && fp32 != &conv_winograd) assert_ptr_equal(plain, &conv_bf16);
            if (!rounds || fp32 == &conv_winograd) assert_ptr_equal(plain, fp32);
            assert_ptr_not_equal(fp32, &conv_bf16);
            if (isa < DN_ISA_AVX512) assert_ptr_equal(fp32, &conv_direct);
            struct conv_conf many = *c;
            many.n = 17;
            assert_ptr_equal(chosen(many, NN_FP32, isa), fp32);
            assert_ptr_equal(chosen(many, NN_BF16, isa), plain);
        }
    for (int k = 0; k < KERNELS; k++)
        assert_ptr_equal(conv_kernels[k], all[k]);
    assert_null(conv_kernels[KERNELS]);
}

static int setup(void **state)
{
    (void)state;
    dn = dn_new(NULL);
    return dn ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    dn_free(dn);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_oracle),     cmocka_unit_test(test_threads),
        cmocka_unit_test(test_batch),      cmocka_unit_test(test_less),
        cmocka_unit_test(test_data_alone), cmocka_unit_test(test_joined),
        cmocka_unit_test(test_nan),        cmocka_unit_test(test_choice)};
    return cmocka_run_group_tests_name("conv", tests, setup, teardown);
}
