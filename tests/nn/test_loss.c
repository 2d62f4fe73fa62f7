/* Losses and what they are made of, sums, magnitudes, blends and frozen networks, against the same
 * in double precision, differentiated numerically. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/par.h"
#include "compare.h"
#include "naive.h"
#include "nn/plan.h"

enum { N = 2, H = 6, W = 5, PIXELS = N * H * W, FEATURES = 4, TRAINED = 6, TAPS = FEATURES * 9 };
enum kind { L2, L1, FEATURE_L2, BLEND, KINDS };
static const double SHARE = 0.75;

/* Trained: y = x + A x + b of complex numbers as two channels. Frozen: a 3x3 convolution and a ReLU
 * on the normalised magnitude. */
struct problem {
    double x[2 * PIXELS], target[2 * PIXELS];
    double trained[TRAINED];        /* A, row by row, and b */
    double frozen[TAPS + FEATURES]; /* weights and biases */
};

static struct problem make(void)
{
    struct problem p;
    struct rng r = rng_make(3, RNG_TEST, 0, 0);
    fill_normal(&r, 2 * PIXELS, 0.0, 1.0, p.x);
    fill_normal(&r, 2 * PIXELS, 0.5, 1.0, p.target);
    fill_normal(&r, TRAINED, 0.0, 0.5, p.trained);
    fill_normal(&r, TAPS + FEATURES, 0.0, 0.5, p.frozen);
    return p;
}

static void features(const struct problem *p, const double *y, double *out)
{
    const struct shape one = {N, H, W, 1}, many = {N, H, W, FEATURES};
    double size[PIXELS], normed[PIXELS];
    for (int i = 0; i < PIXELS; i++)
        size[i] = hypot(y[2 * i], y[2 * i + 1]);
    naive_norm(one, 1, size, NULL, NULL, normed);
    naive_conv(one, FEATURES, 3, normed, p->frozen, p->frozen + TAPS, out);
    naive_relu(shape_len(many), 0.0, out, out);
}

static double oracle(const struct problem *p, enum kind kind)
{
    static double y[2 * PIXELS], a[FEATURES * PIXELS], b[FEATURES * PIXELS];
    const double *w = p->trained;
    for (int i = 0; i < PIXELS; i++)
        for (int c = 0; c < 2; c++)
            y[2 * i + c] = p->x[2 * i + c] + w[2 * c] * p->x[2 * i] +
                           w[2 * c + 1] * p->x[2 * i + 1] + w[4 + c];
    if (kind == L2) return naive_l2(2 * PIXELS, y, p->target);
    double l1 = 0.0;
    for (int i = 0; i < PIXELS; i++)
        l1 += hypot(y[2 * i] - p->target[2 * i], y[2 * i + 1] - p->target[2 * i + 1]) / PIXELS;
    if (kind == L1) return l1;
    features(p, y, a);
    features(p, p->target, b);
    const double distance = naive_l2(FEATURES * PIXELS, a, b);
    return kind == FEATURE_L2 ? distance : SHARE * distance + (1.0 - SHARE) * l1;
}

static int encode(struct graph *g, int x, const char *values)
{
    graph_frozen(g, "encoder.", values);
    x = nn_groupnorm(g, nn_magnitude(g, x), "zscore", 1, false);
    x = graph_name(g, nn_relu(g, nn_conv(g, x, "conv", FEATURES, 3, true)), "tap");
    graph_frozen(g, NULL, NULL);
    return x;
}

static struct graph *build(enum kind kind)
{
    struct graph *g = graph_new();
    struct err e = {0};
    const int x = graph_input(g, "input", 2), target = graph_input(g, "target", 2);
    const int y = nn_add(g, nn_conv(g, x, "conv", 2, 1, true), x);
    int loss = kind == L2 ? nn_l2(g, y, target) : kind == FEATURE_L2 ? -2 : nn_l1(g, y, target);
    if (kind == FEATURE_L2 || kind == BLEND) {
        const int d = nn_l2(g, encode(g, y, "of."), encode(g, target, "to."));
        loss = kind == BLEND ? nn_blend(g, d, (float)SHARE, loss, (float)(1.0 - SHARE)) : d;
    }
    graph_output(g, graph_name(g, loss, "loss"));
    if (graph_seal(g, &e)) fail_msg("%s", e.text);
    return g;
}

static void to_float(size_t n, const double *x, float *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = (float)x[i];
}

struct result {
    double loss;
    float grad[TRAINED];
};

static struct result run(const struct problem *p, enum kind kind, bool unshared)
{
    struct graph *g = build(kind);
    struct err e = {0};
    struct params *q = params_new(g, &e);
    const bool encoder = kind == FEATURE_L2 || kind == BLEND;
    assert_int_equal(q->trained, 2);
    assert_int_equal(q->n, encoder ? 4 : 2); /* shared by the two encoders */
    assert_int_equal(q->trained_len, TRAINED);
    to_float(TRAINED, p->trained, q->val);
    if (encoder) to_float(TAPS + FEATURES, p->frozen, q->val + TRAINED);
    struct plan *plan = plan_new(g, q,
                                 (struct plan_conf){.batch = N,
                                                    .height = H,
                                                    .width = W,
                                                    .training = true,
                                                    .poison = !unshared,
                                                    .unshared = unshared,
                                                    .precision = NN_FP32_DIRECT},
                                 &e);
    if (!plan) fail_msg("%s", e.text);
    to_float(2 * PIXELS, p->x, plan_input(plan, "input"));
    to_float(2 * PIXELS, p->target, plan_input(plan, "target"));
    q->version++;
    plan_forward(plan, (struct step_key){0});
    plan_backward(plan);
    struct result r = {.loss = plan_loss(plan)};
    memcpy(r.grad, q->grad, sizeof r.grad);
    plan_free(plan);
    params_free(q);
    graph_free(g);
    return r;
}

static void test_against_double_precision(void **state)
{
    (void)state;
    for (enum kind k = 0; k < KINDS; k++) {
        struct problem p = make();
        const struct result r = run(&p, k, false);
        double numeric[TRAINED];
        const double loss = oracle(&p, k), h = 1e-5;
        for (int i = 0; i < TRAINED; i++) {
            const double was = p.trained[i];
            p.trained[i] = was + h;
            numeric[i] = oracle(&p, k);
            p.trained[i] = was - h;
            numeric[i] = (numeric[i] - oracle(&p, k)) / (2.0 * h);
            p.trained[i] = was;
        }
        const double error = relative_error_f32(TRAINED, r.grad, numeric);
        print_message("loss %d: %.1e, gradients %.1e\n", (int)k, fabs(r.loss / loss - 1.0), error);
        assert_true(fabs(r.loss / loss - 1.0) < 1e-6);
        assert_true(error < 5e-6);
    }
}

static void test_bits(void **state)
{
    (void)state;
    const int before = par_threads();
    const struct problem p = make();
    for (enum kind k = 0; k < KINDS; k++) {
        par_set_threads(1);
        const struct result first = run(&p, k, false);
        for (int threads = 1; threads <= 3; threads++) {
            par_set_threads(threads);
            const struct result r = run(&p, k, threads == 2);
            assert_true(r.loss == first.loss); /* gradients are the library's sums: op.h */
        }
    }
    par_set_threads(before);
}

/* Where the error is zero, l1 has no slope; of zero, a magnitude has none. */
static void test_zero(void **state)
{
    (void)state;
    struct problem p = make();
    memset(p.trained, 0, sizeof p.trained);
    memcpy(p.target, p.x, sizeof p.x);
    struct result r = run(&p, L1, false);
    assert_true(r.loss == 0.0);
    for (int i = 0; i < TRAINED; i++)
        assert_true(r.grad[i] == 0.0f);
    memset(p.x, 0, sizeof p.x);
    r = run(&p, BLEND, false);
    for (int i = 0; i < TRAINED; i++)
        assert_true(isfinite(r.grad[i]));
}

static void test_mistakes(void **state)
{
    (void)state;
    struct err e = {0};
    struct graph *g = graph_new(); /* two losses that nothing joins */
    const int x = graph_input(g, "input", 2), t = graph_input(g, "target", 2);
    const int y = nn_conv(g, x, "conv", 2, 1, true);
    graph_output(g, nn_l1(g, y, t));
    graph_output(g, nn_l2(g, y, t));
    assert_int_equal(graph_seal(g, &e), 0);
    struct params *p = params_new(g, &e);
    const struct plan_conf conf = {.batch = 1, .height = 4, .width = 4, .training = true};
    assert_null(plan_new(g, p, conf, &e));
    assert_non_null(strstr(e.text, "the graph has 2"));
    params_free(p);
    graph_free(g);
    g = graph_new(); /* a frozen node may not share the weights of one that is trained */
    nn_conv(g, graph_input(g, "input", 1), "a.conv", 1, 1, true);
    graph_frozen(g, "a.", "b.");
    graph_output(g, nn_conv(g, 0, "conv", 1, 1, true));
    assert_int_equal(graph_seal(g, &e), -1);
    assert_non_null(strstr(e.text, "two nodes are named 'a.conv'"));
    graph_free(g);
    g = graph_new();
    graph_output(g, nn_add(g, graph_input(g, "a", 1), graph_input(g, "b", 2)));
    assert_int_equal(graph_seal(g, &e), -1);
    assert_non_null(strstr(e.text, "1 and 2 channels"));
    graph_free(g);
    g = graph_new();
    graph_output(g, nn_magnitude(g, graph_input(g, "a", 3)));
    assert_int_equal(graph_seal(g, &e), -1);
    assert_non_null(strstr(e.text, "3 channels"));
    graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_double_precision),
                                       cmocka_unit_test(test_bits), cmocka_unit_test(test_zero),
                                       cmocka_unit_test(test_mistakes)};
    return cmocka_run_group_tests_name("loss", tests, NULL, NULL);
}
