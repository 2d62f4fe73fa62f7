/* The worked example of docs/autodiff.md, which shows the operator below piece by piece: PReLU in
 * one file, from outside of src/nn. Its tests follow it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/par.h"
#include "compare.h"

/* PReLU (He et al., ICCV 2015): y = x where x >= 0 and a(c) x elsewhere; the slopes a are trained.
 * da(c) is the sum of x dy over all pixels of channel c with x < 0. */
#include "nn/op.h"

static const struct op op_prelu;

static int nn_prelu(struct graph *g, int x, const char *name)
{
    const int channels = graph_channels(g, x);
    return graph_add(
        g, &(struct node_spec){
               .op = &op_prelu,
               .name = name,
               .nin = 1,
               .in = {x},
               .channels = channels,
               .nparams = 1,
               .param = {{.suffix = "slope", .rank = 1, .dim = {channels}, .mean = 0.25f}}});
}

/* Scratch of the backward pass: the sums of each row, (N H, C). */
static int prelu_plan(struct node *n, struct err *e)
{
    (void)e;
    n->need.backward = shape_len(n->x[0]) / (size_t)n->x[0].w * sizeof(double);
    return 0;
}

static void prelu_forward(const struct node *n, const struct io *io)
{
    const int rows = n->x[0].n * n->x[0].h, w = n->x[0].w, channels = n->x[0].c;
    const float *slope = io->w[0];
#pragma omp parallel for
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < w; j++) {
            const size_t at = ((size_t)r * (size_t)w + (size_t)j) * (size_t)channels;
            const float *x = io->x[0] + at;
            float *y = io->y[0] + at;
            for (int c = 0; c < channels; c++)
                y[c] = x[c] < 0.0f ? slope[c] * x[c] : x[c];
        }
}

/* One pixel; dx may be NULL or dy itself. */
static void pixel_backward(int channels, const float *slope, const float *x, const float *dy,
                           float *dx, double *sum)
{
    for (int c = 0; c < channels; c++)
        if (x[c] < 0.0f) sum[c] += (double)x[c] * (double)dy[c];
    for (int c = 0; dx && c < channels; c++)
        dx[c] = x[c] < 0.0f ? slope[c] * dy[c] : dy[c];
}

static void prelu_backward(const struct node *n, const struct io *io)
{
    const int rows = n->x[0].n * n->x[0].h, w = n->x[0].w, channels = n->x[0].c;
    double *sums = io->scratch_backward;
#pragma omp parallel for
    for (int r = 0; r < rows; r++) {
        double *sum = sums + (size_t)r * (size_t)channels;
        memset(sum, 0, (size_t)channels * sizeof *sum);
        for (int j = 0; j < w; j++) {
            const size_t at = ((size_t)r * (size_t)w + (size_t)j) * (size_t)channels;
            pixel_backward(channels, io->w[0], io->x[0] + at, io->dy[0] + at,
                           io->dx[0] ? io->dx[0] + at : NULL, sum);
        }
    }
    for (int c = 0; io->dw[0] && c < channels; c++) {
        double total = 0.0;
        for (int r = 0; r < rows; r++)
            total += sums[(size_t)r * (size_t)channels + (size_t)c];
        io->dw[0][c] = (float)total;
    }
}

static const struct op op_prelu = {.name = "prelu",
                                   .nout = 1,
                                   .flags = OP_INPLACE | OP_KEEPS_X,
                                   .plan = prelu_plan,
                                   .forward = prelu_forward,
                                   .backward = prelu_backward};

/* --- tests --- */

enum { N = 2, H = 5, W = 7, C = 3, LEN = N * H * W * C };

/* Two in a row and a loss: the gradient of the first one's slopes is made from dx of the second. */
struct net {
    struct graph *graph;
    struct params *params;
    struct plan *plan;
};

static struct net net_new(struct plan_conf conf)
{
    struct net t = {.graph = graph_new()};
    struct err e = {0};
    const int x = graph_input(t.graph, "input", C);
    const int y = nn_prelu(t.graph, nn_prelu(t.graph, x, "a"), "b");
    graph_output(t.graph, graph_name(t.graph, y, "y"));
    graph_output(t.graph, nn_l2(t.graph, y, graph_input(t.graph, "target", C)));
    if (graph_seal(t.graph, &e)) fail_msg("%s", e.text);
    conf.batch = N;
    conf.height = H;
    conf.width = W;
    t.params = params_new(t.graph, &e);
    assert_non_null(t.params);
    params_init(t.params, 1);
    t.plan = plan_new(t.graph, t.params, conf, &e);
    if (!t.plan) fail_msg("%s", e.text);
    struct rng r = rng_make(1, RNG_TEST, 0, 0);
    float *input = plan_input(t.plan, "input"), *target = plan_input(t.plan, "target");
    for (int i = 0; i < LEN; i++) {
        input[i] = (float)rng_normal(&r);
        target[i] = (float)rng_normal(&r);
    }
    return t;
}

static void net_release(struct net *t)
{
    plan_free(t->plan);
    params_free(t->params);
    graph_free(t->graph);
}

static double loss(struct net *t)
{
    t->params->version++;
    plan_forward(t->plan, (struct step_key){0});
    return plan_loss(t->plan);
}

static void test_forward(void **state)
{
    (void)state;
    struct net t = net_new((struct plan_conf){.poison = true});
    float *a = t.params->val, *b = a + C;
    assert_true(t.params->len == 2 * C && a[0] == 0.25f);
    for (int c = 0; c < C; c++) {
        a[c] = 0.5f + 0.1f * (float)c;
        b[c] = -0.3f * (float)c; /* turns signs */
    }
    loss(&t);
    const float *x = plan_input(t.plan, "input"), *y = plan_output(t.plan, "y", NULL);
    for (int i = 0; i < LEN; i++) {
        const float between = x[i] < 0.0f ? a[i % C] * x[i] : x[i];
        assert_true(y[i] == (between < 0.0f ? b[i % C] * between : between));
    }
    net_release(&t);
}

/* Central differences. The loss is a polynomial of degree 2 in each slope as long as those of `a`
 * stay positive, so that they are exact at any distance: what is left is float32's rounding. */
static void test_gradients(void **state)
{
    (void)state;
    struct net t = net_new((struct plan_conf){.training = true, .poison = true});
    const float h = 0.125f;
    float *val = t.params->val;
    double numeric[2 * C], error;
    for (int p = 0; p < 2 * C; p++) {
        const float old = val[p];
        val[p] = old + h;
        numeric[p] = loss(&t);
        val[p] = old - h;
        numeric[p] = (numeric[p] - loss(&t)) / (double)(2.0f * h);
        val[p] = old;
    }
    loss(&t);
    plan_backward(t.plan);
    error = relative_error_f32(2 * C, t.params->grad, numeric);
    print_message("gradients are off by %.1e\n", error);
    assert_true(error < 1e-6);
    net_release(&t);
}

/* Neither threads nor where tensors lie change a bit. */
static void test_bits(void **state)
{
    (void)state;
    const int before = par_threads();
    float first[2 * C];
    for (int threads = 1; threads <= 3; threads++)
        for (int unshared = 0; unshared < 2; unshared++) {
            par_set_threads(threads);
            struct net t = net_new(
                (struct plan_conf){.training = true, .poison = !unshared, .unshared = unshared});
            loss(&t);
            plan_backward(t.plan);
            if (threads == 1 && !unshared) memcpy(first, t.params->grad, sizeof first);
            assert_memory_equal(first, t.params->grad, sizeof first);
            net_release(&t);
        }
    par_set_threads(before);
}

/* What has no backward pass can be used, but not trained through. */
static void test_without_backward(void **state)
{
    (void)state;
    struct op bare = op_prelu;
    bare.backward = NULL;
    struct graph *g = graph_new();
    int x = nn_conv(g, graph_input(g, "input", 1), "conv", 1, 1, true);
    x = graph_add(g, &(struct node_spec){.op = &bare, .nin = 1, .in = {x}, .channels = 1});
    graph_output(g, nn_l2(g, x, graph_input(g, "target", 1)));
    assert_int_equal(graph_seal(g, NULL), 0);
    struct params *p = params_new(g, NULL);
    struct plan_conf conf = {.batch = 1, .height = 4, .width = 4};
    struct err e = {0};
    struct plan *plan = plan_new(g, p, conf, &e);
    assert_non_null(plan);
    plan_free(plan);
    conf.training = true;
    assert_null(plan_new(g, p, conf, &e));
    assert_int_equal(e.code, ERR_CONFIG);
    assert_string_equal(e.text, "prelu: has no backward pass, so nothing before it can be trained");
    params_free(p);
    graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forward), cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_bits), cmocka_unit_test(test_without_backward)};
    return cmocka_run_group_tests_name("example_op", tests, NULL, NULL);
}
