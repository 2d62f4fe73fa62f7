/* Plans: tensors alive at one time never share memory, over random graphs; a step allocates
 * nothing; an image's result depends neither on threads nor on the rest of its batch; no reference
 * kernels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/par.h"
#include "base/rng.h"
#include "nn/dn.h"
#include "nn/plan_rep.h"
#include "nn/unet.h"

#include <malloc.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- allocation counters: the linker sends every call of our code here (--wrap) --- */

static long allocations;
void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_aligned_alloc(size_t align, size_t n);
void *__real_mmap64(void *at, size_t n, int prot, int flags, int fd, long offset);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_aligned_alloc(size_t align, size_t n);
void *__wrap_mmap64(void *at, size_t n, int prot, int flags, int fd, long offset);

void *__wrap_malloc(size_t n)
{
    return allocations++, __real_malloc(n);
}
void *__wrap_calloc(size_t n, size_t size)
{
    return allocations++, __real_calloc(n, size);
}
void *__wrap_realloc(void *p, size_t n)
{
    return allocations++, __real_realloc(p, n);
}
void *__wrap_aligned_alloc(size_t a, size_t n)
{
    return allocations++, __real_aligned_alloc(a, n);
}
void *__wrap_mmap64(void *at, size_t n, int prot, int flags, int fd, long offset)
{
    return allocations++, __real_mmap64(at, n, prot, flags, fd, offset);
}

/* --- help --- */

enum { PRECISIONS = 3 };
static const enum nn_precision precisions[PRECISIONS] = {NN_FP32, NN_FP32_DIRECT, NN_BF16};

static const struct unet_conf ssl = {1, 1, 20, 5, UNET_BLOCK_CONTEXT, 10, 0.1, .residual = false};
static const struct unet_conf recon = {2, 2, 32, 4, UNET_BLOCK_FASTMRI, 10, 0.0, .residual = false};
static const struct unet_conf tiny = {1, 1, 4, 3, UNET_BLOCK_CONTEXT, 2, 0.3, .residual = false};

static struct graph *unet_graph(const struct unet_conf *c, bool loss)
{
    struct graph *g = graph_new();
    const int y = unet_build(g, c, graph_input(g, "input", c->in_channels));
    graph_output(g, y);
    if (loss) graph_output(g, nn_l2(g, y, graph_input(g, "target", c->out_channels)));
    assert_int_equal(graph_seal(g, NULL), 0);
    return g;
}

static struct plan *plan_or_fail(const struct graph *g, struct params *p, struct plan_conf conf)
{
    struct err e = {0};
    struct plan *plan = plan_new(g, p, conf, &e);
    if (!plan) fail_msg("%s", e.text);
    return plan;
}

static struct params *params_for(const struct graph *g)
{
    struct params *p = params_new(g, NULL);
    assert_non_null(p);
    params_init(p, 7);
    for (size_t i = 0; i < p->len; i++) /* no zero biases, no unit scales */
        p->val[i] += 0.05f * sinf((float)i);
    return p;
}

/* Image `sample`, whatever its place in a batch. */
static void fill_image(float *x, size_t len, uint32_t sample)
{
    struct rng r = rng_make(3, RNG_TEST, 0, sample);
    for (size_t i = 0; i < len; i++)
        x[i] = (float)rng_normal(&r);
}

static void fill_input(struct plan *plan, const char *name, const uint32_t *sample)
{
    float *x = plan_input(plan, name);
    const int v = graph_find(plan->g, name);
    assert_non_null(x);
    const size_t len = shape_len(plan->shape[v]) / (size_t)plan->conf.batch;
    for (int i = 0; i < plan->conf.batch; i++)
        fill_image(x + (size_t)i * len, len, sample ? sample[i] : (uint32_t)i);
}

static void same_floats(const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(a[i]) || memcmp(&a[i], &b[i], sizeof *a) != 0)
            fail_msg("element %zu of %zu: %.9g and %.9g", i, n, (double)a[i], (double)b[i]);
}

/* --- memory --- */

static void check_spans(const struct span *s, int n, size_t total)
{
    for (int i = 0; i < n; i++) {
        assert_int_equal(s[i].offset % ARENA_ALIGN, 0);
        assert_true(s[i].offset + s[i].bytes <= total);
        for (int k = 0; k < i; k++) {
            const bool time = s[i].from <= s[k].to && s[k].from <= s[i].to;
            const bool space =
                s[i].offset < s[k].offset + s[k].bytes && s[k].offset < s[i].offset + s[i].bytes;
            if (time && space && s[i].bytes && s[k].bytes)
                fail_msg("spans %d and %d overlap", i, k);
        }
    }
}

static void test_arena(void **state)
{
    (void)state;
    enum { MOST = 80 };
    struct span s[MOST];
    int order[MOST];
    struct rng r = rng_make(1, RNG_TEST, 1, 0);
    for (int round = 0; round < 300; round++) {
        const int n = 1 + (int)rng_below(&r, MOST);
        size_t sum = 0, peak = 0;
        for (int i = 0; i < n; i++) {
            const int from = (int)rng_below(&r, 50);
            s[i] = (struct span){
                .bytes = rng_below(&r, 5000), .from = from, .to = from + (int)rng_below(&r, 20)};
            sum += (s[i].bytes + 63) / 64 * 64;
        }
        for (int t = 0; t < 70; t++) {
            size_t alive = 0;
            for (int i = 0; i < n; i++)
                if (s[i].from <= t && t <= s[i].to) alive += s[i].bytes;
            if (alive > peak) peak = alive;
        }
        const size_t total = arena_place(s, n, order);
        check_spans(s, n, total);
        assert_true(peak <= total && total <= sum);
    }
}

/* A random graph: values of equal size may be joined, anything may be read several times. */
static struct graph *random_graph(struct rng *r)
{
    enum { MOST = 24 };
    struct graph *g = graph_new();
    int v[MOST], half[MOST], n = 1;
    v[0] = graph_input(g, "input", 2);
    half[0] = 0;
    const int want = 6 + (int)rng_below(r, MOST - 6);
    while (n < want) {
        char name[16];
        snprintf(name, sizeof name, "n%d", n);
        const int recent = n < 5 ? n : 5, i = n - 1 - (int)rng_below(r, (uint32_t)recent);
        const int k = (int)rng_below(r, 10), x = v[i];
        int d = 0, y = -1;
        if (k == 0)
            y = nn_conv(g, x, name, 1 + (int)rng_below(r, 6), 3, true);
        else if (k == 1)
            y = nn_conv(g, x, name, 1 + (int)rng_below(r, 6), 1, false);
        else if (k == 2 && half[i] < 2)
            y = (d = 1, nn_maxpool(g, x));
        else if (k == 3 && half[i] < 2)
            y = (d = 1, nn_avgpool(g, x));
        else if (k == 4 && half[i] > 0)
            y = (d = -1, nn_deconv(g, x, name, 3, rng_below(r, 2)));
        else if (k == 5)
            y = nn_instancenorm(g, x, name, rng_below(r, 2));
        else if (k == 6)
            y = nn_relu(g, x);
        else if (k == 7)
            y = nn_leaky_relu(g, x, 0.2f);
        else if (k == 8)
            y = nn_dropout(g, x, 0.25f * (float)rng_below(r, 3));
        else
            for (int j = 0; j < n && y < 0; j++)
                if (half[j] == half[i] && rng_below(r, 2)) y = nn_concat(g, x, v[j]);
        if (y < 0) continue;
        v[n] = y;
        half[n++] = half[i] + d;
        if (rng_below(r, 6) == 0) graph_output(g, graph_name(g, y, "tap%d", n));
    }
    int y = nn_conv(g, v[n - 1], "last", 2, 1, true);
    for (; half[n - 1] > 0; half[n - 1]--) {
        char name[16];
        snprintf(name, sizeof name, "up%d", half[n - 1]);
        y = nn_deconv(g, y, name, 2, true);
    }
    graph_output(g, graph_name(g, y, "output"));
    graph_output(g, nn_l2(g, y, graph_input(g, "target", 2)));
    struct err e = {0};
    if (graph_seal(g, &e)) fail_msg("%s", e.text);
    return g;
}

static void run_both(struct plan *p, int times)
{
    fill_input(p, "target", NULL);
    if (plan_input(p, "input")) fill_input(p, "input", NULL);
    for (int i = 0; i < times; i++) { /* inputs survive a pass */
        plan_forward(p, (struct step_key){.seed = 5});
        if (p->conf.training) plan_backward(p);
    }
}

static void same_outputs(const struct plan *a, const struct plan *b)
{
    for (int v = 0; v < a->values; v++) {
        const struct value *x = &a->g->value[v];
        if (!x->output || !x->name[0]) continue;
        struct shape s;
        const float *p = plan_output(a, x->name, &s);
        same_floats(p, plan_output(b, x->name, NULL), shape_len(s));
    }
}

/* The planned memory, filled with NaN wherever it is dead, against memory that is never shared. */
static void test_sharing_changes_nothing(void **state)
{
    (void)state;
    struct rng r = rng_make(1, RNG_TEST, 2, 0);
    for (int round = 0; round < 60; round++) {
        struct graph *g = random_graph(&r);
        struct params *p = params_for(g);
        float *grad = mem_new(p->len, sizeof *grad, NULL);
        for (int training = 0; training < 2; training++) {
            struct plan_conf conf = {.batch = 2,
                                     .height = 8,
                                     .width = 12,
                                     .training = training,
                                     .precision = precisions[round % PRECISIONS]};
            conf.unshared = true;
            struct plan *apart = plan_or_fail(g, p, conf);
            conf.unshared = false;
            conf.poison = true;
            struct plan *shared = plan_or_fail(g, p, conf);
            check_spans(shared->span, shared->spans, shared->arena_bytes);
            assert_true(plan_arena_bytes(shared) <= plan_arena_bytes(apart));
            run_both(apart, 1);
            memcpy(grad, p->grad, p->len * sizeof *grad);
            run_both(shared, 2);
            same_outputs(shared, apart);
            assert_true(plan_loss(shared) == plan_loss(apart));
            if (training) same_floats(p->grad, grad, p->len);
            plan_free(apart);
            plan_free(shared);
        }
        mem_free(grad);
        params_free(p);
        graph_free(g);
    }
}

/* Norms before a convolution, a transposed one, and a joined map; `visible`: their results are
 * outputs, and so must be written. */
static struct graph *norms_graph(bool visible)
{
    struct graph *g = graph_new();
    const int x = graph_input(g, "input", 3);
    int a = nn_conv(g, x, "a", 20, 3, true), norm[3];
    norm[0] = a = nn_leaky_relu(g, nn_instancenorm(g, a, "a.norm", false), 0.2f);
    a = nn_conv(g, a, "b", 40, 3, false);
    norm[1] = a = nn_groupnorm(g, nn_maxpool(g, a), "b.norm", 10, true);
    a = nn_deconv(g, a, "up", 20, true);
    norm[2] = a = nn_relu(g, nn_instancenorm(g, a, "up.norm", true));
    a = nn_conv(g, nn_concat(g, a, nn_conv(g, x, "skip", 12, 3, true)), "c", 3, 3, true);
    for (int k = 0; visible && k < 3; k++)
        graph_output(g, graph_name(g, norm[k], "norm%d", k));
    graph_output(g, graph_name(g, a, "y"));
    graph_output(g, nn_l2(g, a, graph_input(g, "target", 3)));
    struct err e = {0};
    assert_int_equal(graph_seal(g, &e), 0);
    return g;
}

/* Norms that are applied by who reads them, against norms that are written: not a bit differs. */
static void test_who_applies_a_norm_changes_nothing(void **state)
{
    (void)state;
    for (int k = 0; k < PRECISIONS; k++) {
        const struct plan_conf conf = {
            .batch = 2, .height = 22, .width = 36, .training = true, .precision = precisions[k]};
        struct graph *hidden = norms_graph(false), *visible = norms_graph(true);
        struct params *p = params_for(hidden);
        float *grad = mem_new(p->len, sizeof *grad, NULL);
        struct plan *a = plan_or_fail(hidden, p, conf), *b = plan_or_fail(visible, p, conf);
        int applied = 0;
        for (int i = 0; i < a->nodes; i++)
            applied += a->node[i].note.tile > 0;
        if (dn_isa() >= DN_ISA_AMX && precisions[k] != NN_FP32_DIRECT) assert_int_equal(applied, 3);
        run_both(a, 1);
        memcpy(grad, p->grad, p->len * sizeof *grad);
        run_both(b, 1);
        same_outputs(a, b);
        assert_true(plan_loss(a) == plan_loss(b));
        same_floats(p->grad, grad, p->len);
        plan_free(a);
        plan_free(b);
        params_free(p);
        mem_free(grad);
        graph_free(hidden);
        graph_free(visible);
    }
}

/* A convolution that is trained, before a network that is or is not. */
static struct graph *half_trained(bool frozen)
{
    struct graph *g = graph_new();
    const int x = nn_conv(g, graph_input(g, "input", 1), "first", 1, 3, true);
    if (frozen) graph_frozen(g, "", "");
    const int y = unet_build(g, &tiny, x);
    graph_frozen(g, NULL, NULL);
    graph_output(g, y);
    graph_output(g, nn_l2(g, y, graph_input(g, "target", 1)));
    struct err e = {0};
    if (graph_seal(g, &e)) fail_msg("%s", e.text);
    return g;
}

/* Gradients of frozen weights are not made: nobody could write them, the library makes no kernel
 * for them, and what they alone are made from is not kept. Those behind them are as they were. */
static void test_frozen_weights_have_no_gradient(void **state)
{
    (void)state;
    struct graph *all = half_trained(false), *half = half_trained(true);
    struct params *p = params_for(all), *q = params_for(half);
    assert_int_equal(p->len, q->len);
    assert_int_equal(q->trained_len, 10);
    assert_memory_equal(p->val, q->val, p->len * sizeof *p->val);
    for (int k = 0; k < PRECISIONS; k++) {
        const struct plan_conf conf = {.batch = 2,
                                       .height = 48,
                                       .width = 64,
                                       .training = true,
                                       .poison = true,
                                       .precision = precisions[k]};
        struct plan *a = plan_or_fail(all, p, conf), *b = plan_or_fail(half, q, conf);
        run_both(a, 1);
        run_both(b, 1);
        assert_true(plan_loss(a) == plan_loss(b));
        same_floats(p->grad, q->grad, q->trained_len);
        print_message("%s: %zu bytes, frozen %zu\n", nn_precisions[precisions[k]],
                      plan_arena_bytes(a), plan_arena_bytes(b));
        assert_true(plan_arena_bytes(b) < plan_arena_bytes(a));
        for (int i = 0; i < b->nodes; i++)
            assert_true(!b->io[i].dw[0] == (half->node[i].frozen || !half->node[i].nparams));
        struct plan_kernel list[16];
        const int n = plan_kernels(b, list, 16);
        bool none = false;
        for (int i = 0; i < n && i < 16; i++)
            none = none || strstr(list[i].name, "| none");
        if (precisions[k] == NN_FP32_DIRECT) assert_true(none);
        plan_free(a);
        plan_free(b);
    }
    params_free(p);
    params_free(q);
    graph_free(all);
    graph_free(half);
}

static void check_memory(enum nn_precision precision)
{
    struct graph *g = unet_graph(&ssl, true);
    struct params *p = params_for(g);
    for (int training = 0; training < 2; training++) {
        struct plan *plan = plan_or_fail(g, p,
                                         (struct plan_conf){.batch = 4,
                                                            .height = 320,
                                                            .width = 320,
                                                            .training = training,
                                                            .precision = precision});
        check_spans(plan->span, plan->spans, plan->arena_bytes);
        const double mib = (double)plan_arena_bytes(plan) / 4 / (1 << 20);
        print_message("%s: %.1f MiB an image\n", training ? "training" : "inference", mib);
        assert_true(mib <= (training ? 200 : 40));
        plan_free(plan);
    }
    params_free(p);
    graph_free(g);
}

static void test_memory_of_the_ssl_net(void **state)
{
    (void)state;
    for (int k = 0; k < PRECISIONS; k++)
        check_memory(precisions[k]);
}

static void check_allocations(enum nn_precision precision)
{
    const struct unet_conf *const nets[] = {&tiny, &recon};
    for (int k = 0; k < 2; k++) {
        struct graph *g = unet_graph(nets[k], true);
        struct params *p = params_for(g);
        struct plan *plan = plan_or_fail(
            g, p,
            (struct plan_conf){
                .batch = 2, .height = 16, .width = 16, .training = true, .precision = precision});
        for (int i = 0; i < 4; i++) { /* thread pools, and the library's freed blocks that malloc
                                         keeps at hand and counts as used, settle */
            p->version++;
            run_both(plan, 1);
        }
        const size_t before = mallinfo2().uordblks;
        const long count = allocations;
        for (int i = 0; i < 5; i++) {
            p->version++;
            plan_forward(plan, (struct step_key){.seed = 5, .epoch = (uint32_t)i});
            plan_backward(plan);
        }
        assert_int_equal(allocations - count, 0);
        assert_int_equal(mallinfo2().uordblks,
                         before); /* the library leaves nothing behind either */
        plan_free(plan);
        params_free(p);
        graph_free(g);
    }
    assert_true(allocations > 0); /* the counter counts */
}

static void test_a_step_allocates_nothing(void **state)
{
    (void)state;
    for (int k = 0; k < PRECISIONS; k++)
        check_allocations(precisions[k]);
}

/* --- results do not depend on circumstances --- */

static void check_threads(enum nn_precision precision)
{
    const struct unet_conf *const nets[] = {&ssl, &recon, &tiny};
    for (int k = 0; k < 3; k++) {
        struct graph *g = unet_graph(nets[k], true);
        struct params *p = params_for(g);
        struct plan *first = NULL;
        for (int threads = 1; threads <= 3; threads++) {
            par_set_threads(threads);
            struct plan *plan = plan_or_fail(g, p,
                                             (struct plan_conf){.batch = 3,
                                                                .height = 32,
                                                                .width = 48,
                                                                .training = true,
                                                                .precision = precision});
            fill_input(plan, "input", NULL);
            fill_input(plan, "target", NULL);
            plan_forward(plan, (struct step_key){.seed = 5});
            if (first) {
                same_outputs(plan, first);
                assert_true(plan_loss(plan) == plan_loss(first));
                plan_free(plan);
            } else
                first = plan;
        }
        plan_free(first);
        params_free(p);
        graph_free(g);
    }
    par_set_threads(2);
}

static void test_threads_change_no_forward_bit(void **state)
{
    (void)state;
    for (int k = 0; k < PRECISIONS; k++)
        check_threads(precisions[k]);
}

static void check_batch(enum nn_precision precision)
{
    static const uint32_t orders[][4] = {{9, 1, 2, 3}, {4, 9, 5, 9}, {6, 7, 8, 9}};
    const struct unet_conf *const nets[] = {&ssl, &recon, &tiny};
    for (int k = 0; k < 3; k++)
        for (int training = 0; training < 2; training++) {
            struct graph *g = unet_graph(nets[k], false);
            struct graph *with_loss = unet_graph(nets[k], true);
            const struct graph *use = training ? with_loss : g;
            struct params *p = params_for(g);
            const struct plan_conf one = {.batch = 1,
                                          .height = 64,
                                          .width = 48,
                                          .training = training,
                                          .precision = precision};
            struct plan_conf four = one;
            four.batch = 4;
            struct plan *alone = plan_or_fail(use, p, one), *many = plan_or_fail(use, p, four);
            const uint32_t nine = 9;
            struct shape s;
            fill_input(alone, "input", &nine);
            plan_forward(alone, (struct step_key){.seed = 5, .epoch = 3, .sample = &nine});
            const float *expected = plan_output(alone, "output", &s);
            for (int o = 0; o < 3; o++) {
                fill_input(many, "input", orders[o]);
                plan_forward(many, (struct step_key){.seed = 5, .epoch = 3, .sample = orders[o]});
                for (size_t i = 0; i < 4; i++)
                    if (orders[o][i] == 9)
                        same_floats(plan_output(many, "output", NULL) + i * shape_len(s), expected,
                                    shape_len(s));
            }
            plan_free(alone);
            plan_free(many);
            params_free(p);
            graph_free(g);
            graph_free(with_loss);
        }
}

static void test_batch_changes_no_image(void **state)
{
    (void)state;
    for (int k = 0; k < PRECISIONS; k++)
        check_batch(precisions[k]);
}

static void check_bits(enum nn_precision precision)
{
    struct graph *g = unet_graph(&ssl, true);
    struct params *a = params_for(g), *b = params_for(g);
    const struct plan_conf conf = {
        .batch = 2, .height = 48, .width = 48, .training = true, .precision = precision};
    struct plan *p = plan_or_fail(g, a, conf), *q = plan_or_fail(g, b, conf);
    run_both(p, 1);
    run_both(q, 2);
    same_outputs(p, q);
    same_floats(a->grad, b->grad, a->len);
    plan_free(p);
    plan_free(q);
    params_free(a);
    params_free(b);
    graph_free(g);
}

static void test_same_bits_twice(void **state)
{
    (void)state;
    for (int k = 0; k < PRECISIONS; k++)
        check_bits(precisions[k]);
}

static void check_new_weights(enum nn_precision precision)
{
    struct graph *g = unet_graph(&tiny, false);
    struct params *p = params_for(g);
    const struct plan_conf conf = {.batch = 1, .height = 16, .width = 16, .precision = precision};
    struct plan *old = plan_or_fail(g, p, conf);
    fill_input(old, "input", NULL);
    plan_forward(old, (struct step_key){0});
    params_init(p, 99);
    struct plan *fresh = plan_or_fail(g, p, conf);
    fill_input(fresh, "input", NULL);
    plan_forward(fresh, (struct step_key){0});
    plan_forward(old, (struct step_key){0});
    same_outputs(old, fresh);
    plan_free(old);
    plan_free(fresh);
    params_free(p);
    graph_free(g);
}

static void test_new_weights_are_used(void **state)
{
    (void)state;
    for (int k = 0; k < PRECISIONS; k++)
        check_new_weights(precisions[k]);
}

/* --- dropout --- */

static void test_dropout(void **state)
{
    (void)state;
    struct graph *g = graph_new();
    int x = nn_conv(g, graph_input(g, "input", 3), "c", 8, 1, true);
    graph_output(g, graph_name(g, x, "before"));
    x = nn_dropout(g, x, 0.3f);
    graph_output(g, graph_name(g, x, "after"));
    graph_output(g, nn_l2(g, x, graph_input(g, "target", 8)));
    assert_int_equal(graph_seal(g, NULL), 0);
    struct params *p = params_for(g);
    struct plan_conf conf = {.batch = 2, .height = 61, .width = 67, .training = true};
    struct plan *plan = plan_or_fail(g, p, conf);
    struct shape s;
    const float *before = plan_output(plan, "before", &s),
                *after = plan_output(plan, "after", NULL);
    const size_t len = shape_len(s), image = len / 2;
    unsigned char *old = mem_new(len, 1, NULL);
    long dropped = 0, changed = 0, alike = 0;
    fill_input(plan, "input", NULL);
    for (uint32_t epoch = 0; epoch < 2; epoch++) {
        plan_forward(plan, (struct step_key){.seed = 5, .epoch = epoch});
        for (size_t i = 0; i < len; i++) {
            const bool out = after[i] == 0.0f;
            if (!out) assert_true(fabsf(after[i] * 0.7f - before[i]) <= 1e-6f * fabsf(before[i]));
            dropped += out;
            changed += epoch && out != old[i];
            old[i] = out;
        }
        for (size_t i = 0; i < image; i++)
            alike += old[i] == old[i + image];
    }
    /* within five standard deviations of a binomial */
    const double n = 2.0 * (double)len, expected = 2 * 0.3 * 0.7;
    assert_true(fabs((double)dropped - 0.3 * n) < 5 * sqrt(n * 0.21));
    assert_true(fabs((double)changed - expected * n / 2) < 5 * sqrt(n / 2 * 0.25));
    assert_true(fabs((double)alike - (1 - expected) * n / 2) < 5 * sqrt(n / 2 * 0.25));
    plan_free(plan);
    conf.training = false;
    plan = plan_or_fail(g, p, conf);
    fill_input(plan, "input", NULL);
    plan_forward(plan, (struct step_key){.seed = 5});
    same_floats(plan_output(plan, "before", NULL), plan_output(plan, "after", NULL), len);
    mem_free(old);
    plan_free(plan);
    params_free(p);
    graph_free(g);
}

/* --- sizes and kernels --- */

static void refuse(const struct graph *g, struct params *p, struct plan_conf conf,
                   enum err_code code, const char *text, const char *hint)
{
    struct err e = {0};
    struct plan *plan = plan_new(g, p, conf, &e);
    assert_null(plan);
    assert_int_equal(e.code, code);
    if (!strstr(e.text, text) || !strstr(e.hint, hint)) fail_msg("%s (%s)", e.text, e.hint);
}

static void test_sizes(void **state)
{
    (void)state;
    struct graph *g = unet_graph(&ssl, false), *encoder = graph_new();
    unet_build(encoder, &ssl, graph_input(encoder, "input", 1));
    graph_output(encoder, graph_find(encoder, "block5_relu1"));
    assert_int_equal(graph_seal(encoder, NULL), 0);
    struct params *p = params_for(g);
    refuse(g, p, (struct plan_conf){.batch = 1, .height = 100, .width = 320}, ERR_DATA,
           "images of 100 x 320 cannot pass this network: it halves them 4 times and joins the "
           "maps on "
           "the way up, so height and width must be multiples of 16",
           "96 x 320 (crop) and 112 x 320 (pad)");
    refuse(g, p, (struct plan_conf){.batch = 1, .height = 7, .width = 16}, ERR_DATA,
           "multiples of 16", "16 x 16 (pad)");
    refuse(g, p, (struct plan_conf){.batch = 0, .height = 16, .width = 16}, ERR_DATA, "no batch",
           "");
    refuse(g, p, (struct plan_conf){.batch = 1, .height = 16, .width = 16, .training = true},
           ERR_CONFIG, "one loss", "");
    refuse(encoder, p, (struct plan_conf){.batch = 1, .height = 100, .width = 15}, ERR_DATA,
           "maxpool: a map of 12 x 1 cannot be halved", "");
    struct plan *plan = plan_or_fail(encoder, p, /* the whole network's weights */
                                     (struct plan_conf){.batch = 1, .height = 100, .width = 37});
    struct shape s;
    assert_non_null(plan_output(plan, "block5_relu1", &s));
    assert_int_equal(s.h, 6);
    assert_int_equal(s.w, 2);
    assert_int_equal(s.c, 320);
    assert_null(plan_output(plan, "output", NULL));
    assert_null(plan_output(plan, "block1_relu1", NULL));
    assert_null(plan_input(plan, "block5_relu1"));
    plan_free(plan);
    plan_free(NULL);
    params_free(p);
    graph_free(g);
    graph_free(encoder);
}

/* Every convolution names its kernel, ours or one the library made for this processor. */
static void check_kernels(const struct plan *plan)
{
    static const char *const known[] = {"own", "jit", "brg", "gemm", "x64"};
    enum { KNOWN = sizeof known / sizeof *known };
    int convolutions = 0;
    for (int i = 0; i < plan->nodes; i++) {
        const struct node *n = &plan->node[i];
        if (n->op != &op_conv && n->op != &op_deconv) continue;
        char text[256] = "";
        n->op->kernel(n, text, sizeof text);
        bool begins = false;
        for (int k = 0; k < KNOWN; k++)
            begins = begins || strncmp(text, known[k], strlen(known[k])) == 0;
        if (!begins || strstr(text, "ref")) fail_msg("%s: kernel '%s'", n->name, text);
        convolutions++;
    }
    assert_true(convolutions > 10);
}

static void test_no_reference_kernel(void **state)
{
    (void)state;
    const struct unet_conf *const nets[] = {&ssl, &recon};
    for (int k = 0; k < 2 * 2 * PRECISIONS; k++) {
        struct graph *g = unet_graph(nets[k % 2], true);
        struct params *p = params_for(g);
        struct plan *plan = plan_or_fail(g, p,
                                         (struct plan_conf){.batch = 2,
                                                            .height = 320,
                                                            .width = 320,
                                                            .training = k / 2 % 2,
                                                            .precision = precisions[k / 4]});
        char *text = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&text, &size);
        plan_explain(plan, (struct plan_yardstick){0}, f);
        fclose(f);
        assert_non_null(strstr(text, "block1.conv1"));
        if (strstr(text, "ref")) fail_msg("a reference kernel:\n%s", text);
        check_kernels(plan);
        free(text);
        plan_free(plan);
        params_free(p);
        graph_free(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena),
        cmocka_unit_test(test_sharing_changes_nothing),
        cmocka_unit_test(test_who_applies_a_norm_changes_nothing),
        cmocka_unit_test(test_frozen_weights_have_no_gradient),
        cmocka_unit_test(test_memory_of_the_ssl_net),
        cmocka_unit_test(test_a_step_allocates_nothing),
        cmocka_unit_test(test_threads_change_no_forward_bit),
        cmocka_unit_test(test_batch_changes_no_image),
        cmocka_unit_test(test_same_bits_twice),
        cmocka_unit_test(test_new_weights_are_used),
        cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_no_reference_kernel),
    };
    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
