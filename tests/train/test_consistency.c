/* Data consistency as a layer of a network, with the operator of data/acquisition.h: against double
 * precision, forward and all gradients; bits; and what the steps do to an image. */
#include "base/mem.h"
#include "base/par.h"
#include "data/acquisition.h"
#include "nn/compare.h"
#include "nn/op.h"
#include "nn/step.h"
#include "train/net.h"

#include <complex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { N = 2, H = 9, W = 12, COILS = 3, PLANES = 1 + 2 * COILS };
enum { PIXELS = H * W, LEN = N * PIXELS * 2, WEIGHTS = 10 };

/* y = two steps of consistency of conv a of x with conv b of x, and its mean squared error. */
struct net {
    struct acquisition *a;
    struct normal normal;
    struct graph *graph;
    struct params *params;
    struct plan *plan;
};

static struct net net_new(struct plan_conf conf)
{
    struct err e = {0};
    struct net t = {.a = acquisition_example(COILS, W, &e), .graph = graph_new()};
    assert_non_null(t.a);
    t.normal = (struct normal){acquisition_planes(t.a), t.a, acquisition_row};
    assert_int_equal(t.normal.channels, PLANES);
    struct graph *g = t.graph;
    const int x = graph_input(g, "input", 2), told = graph_input(g, "acquisition", PLANES);
    const int z = nn_conv(g, x, "b", 2, 1, false);
    int y = nn_conv(g, x, "a", 2, 1, false);
    y = nn_consistency(g, y, z, told, "first", 1.0f, &t.normal);
    y = nn_consistency(g, y, z, told, "second", 1.0f, &t.normal);
    graph_output(g, graph_name(g, y, "y"));
    graph_output(g, nn_l2(g, y, graph_input(g, "target", 2)));
    if (graph_seal(g, &e)) fail_msg("%s", e.text);
    conf.batch = N;
    conf.height = H;
    conf.width = W;
    conf.precision = NN_FP32_DIRECT;
    t.params = params_new(g, &e);
    assert_int_equal(t.params->len, WEIGHTS);
    params_init(t.params, 1);
    if (!(t.plan = plan_new(g, t.params, conf, &e))) fail_msg("%s", e.text);
    return t;
}

static void net_release(struct net *t)
{
    plan_free(t->plan);
    params_free(t->params);
    graph_free(t->graph);
    acquisition_free(t->a);
}

static float *value(const struct net *t, const char *name)
{
    const struct param *p = params_find(t->params, name);
    assert_non_null(p);
    return t->params->val + p->offset;
}

/* Random images; maps of unit root-sum-of-squares; of the columns those that `kept` says; a row
 * that is padding. */
static void fill(const struct net *t, bool all)
{
    float *input = plan_input(t->plan, "input"), *target = plan_input(t->plan, "target");
    float *told = plan_input(t->plan, "acquisition");
    struct rng r = rng_make(1, RNG_TEST, 0, 0);
    for (int i = 0; i < LEN; i++) {
        input[i] = (float)rng_normal(&r);
        if (target) target[i] = (float)rng_normal(&r);
    }
    for (int k = 0; k < N; k++, told += PLANES * PIXELS)
        for (int i = 0; i < PIXELS; i++) {
            double map[2 * COILS], size = 0;
            for (int c = 0; c < 2 * COILS; c++) {
                map[c] = rng_normal(&r);
                size += map[c] * map[c];
            }
            for (int c = 0; c < 2 * COILS; c++)
                told[PIXELS + c / 2 * 2 * PIXELS + 2 * i + c % 2] = (float)(map[c] / sqrt(size));
            told[i] = all ? 1.0f : (i % W * 5 + k) % 4 < 2 ? 1.0f : 0.0f;
            if (!all && i / W == 3) told[i] = -1.0f;
        }
}

static void run(struct net *t)
{
    t->params->version++;
    plan_forward(t->plan, (struct step_key){0});
}

/* ---- the oracle ---- */

static void oracle_normal(const float *told, const double complex *x, double complex *y)
{
    for (int i = 0; i < H; i++)
        for (int j = 0; j < W; j++)
            y[i * W + j] = 0;
    for (int c = 0; c < COILS; c++)
        for (int i = 0; i < H; i++) {
            const float *s = told + PIXELS + 2 * (c * PIXELS + i * W), *keep = told + i * W;
            for (int f = 0; f < W; f++) {
                double complex k = 0;
                for (int j = 0; j < W; j++)
                    k += ((double)s[2 * j] + (double)s[2 * j + 1] * I) * x[i * W + j] *
                         cexp(-2 * M_PI * (f - W / 2) * j / W * I);
                for (int j = 0; j < W && keep[f] > 0.0f; j++)
                    y[i * W + j] += conj((double)s[2 * j] + (double)s[2 * j + 1] * I) * k *
                                    cexp(2 * M_PI * (f - W / 2) * j / W * I) / W;
            }
        }
}

struct weights {
    double a[4], b[4], lambda[2];
};

static void oracle_conv(const double w[4], const float *x, double complex *y)
{
    for (int i = 0; i < PIXELS; i++) {
        const double re = (double)x[2 * i], im = (double)x[2 * i + 1];
        y[i] = w[0] * re + w[1] * im + (w[2] * re + w[3] * im) * I;
    }
}

/* The loss; the images into y, where that is not NULL. */
static double oracle(const struct net *t, const struct weights *w, double *out)
{
    const float *input = plan_input(t->plan, "input"), *target = plan_input(t->plan, "target");
    const float *told = plan_input(t->plan, "acquisition");
    double sum = 0;
    for (int k = 0; k < N; k++) {
        double complex y[PIXELS], z[PIXELS], ny[PIXELS];
        oracle_conv(w->a, input + 2 * k * PIXELS, y);
        oracle_conv(w->b, input + 2 * k * PIXELS, z);
        for (int step = 0; step < 2; step++) {
            oracle_normal(told + k * PLANES * PIXELS, y, ny);
            for (int i = 0; i < PIXELS; i++)
                y[i] -= w->lambda[step] * (ny[i] - z[i]);
        }
        for (int i = 0; i < PIXELS; i++) {
            const float *want = target + 2 * (k * PIXELS + i);
            sum += pow(creal(y[i]) - (double)want[0], 2) + pow(cimag(y[i]) - (double)want[1], 2);
            if (!out) continue;
            out[2 * (k * PIXELS + i)] = creal(y[i]);
            out[2 * (k * PIXELS + i) + 1] = cimag(y[i]);
        }
    }
    return sum / LEN;
}

static struct weights weights_of(const struct net *t)
{
    struct weights w;
    for (int i = 0; i < 4; i++) {
        w.a[i] = (double)value(t, "a.weight")[i];
        w.b[i] = (double)value(t, "b.weight")[i];
    }
    w.lambda[0] = (double)value(t, "first.lambda")[0];
    w.lambda[1] = (double)value(t, "second.lambda")[0];
    return w;
}

static void test_forward_and_gradients(void **state)
{
    (void)state;
    struct net t = net_new((struct plan_conf){.training = true, .poison = true});
    fill(&t, false);
    assert_true(value(&t, "first.lambda")[0] == 1.0f &&
                !params_find(t.params, "first.lambda")->decays);
    value(&t, "first.lambda")[0] = 0.75f;
    value(&t, "second.lambda")[0] = 1.25f;
    run(&t);
    plan_backward(t.plan);
    struct weights w = weights_of(&t);
    double want[LEN], numeric[WEIGHTS], *const at[] = {w.a, w.b, w.lambda, w.lambda + 1};
    const double loss = oracle(&t, &w, want);
    const double forward = relative_error_f32(LEN, plan_output(t.plan, "y", NULL), want);
    assert_true(fabs(plan_loss(t.plan) / loss - 1) < 1e-6);
    float got[WEIGHTS];
    static const char *const names[] = {"a.weight", "b.weight", "first.lambda", "second.lambda"};
    for (int p = 0, n = 0; p < 4; p++)
        for (int i = 0; i < (p < 2 ? 4 : 1);
             i++, n++) { /* of a polynomial: differences are exact */
            const double old = at[p][i], h = 1e-3;
            at[p][i] = old + h;
            numeric[n] = oracle(&t, &w, NULL);
            at[p][i] = old - h;
            numeric[n] = (numeric[n] - oracle(&t, &w, NULL)) / (2 * h);
            at[p][i] = old;
            got[n] = t.params->grad[params_find(t.params, names[p])->offset + (size_t)i];
        }
    const double gradients = relative_error_f32(WEIGHTS, got, numeric);
    print_message("output off by %.1e, gradients by %.1e\n", forward, gradients);
    assert_true(forward < 1e-6 && gradients < 2e-6);
    for (int n = 8; n < WEIGHTS; n++) /* those of lambda alone */
        assert_true(fabs((double)got[n] / numeric[n] - 1) < 1e-5);
    net_release(&t);
}

/* Neither threads nor where tensors lie change a bit. */
static void test_bits(void **state)
{
    (void)state;
    const int before = par_threads();
    float first[WEIGHTS + LEN], now[WEIGHTS + LEN];
    for (int threads = 1; threads <= 4; threads++)
        for (int unshared = 0; unshared < 2; unshared++) {
            par_set_threads(threads);
            struct net t = net_new(
                (struct plan_conf){.training = true, .poison = !unshared, .unshared = unshared});
            fill(&t, false);
            run(&t);
            plan_backward(t.plan);
            const char *const lambdas[] = {"first.lambda", "second.lambda"};
            for (int k = 0; k < 2; k++) /* dw of the library's convolutions may differ */
                now[k] = t.params->grad[params_find(t.params, lambdas[k])->offset];
            memcpy(now + 2, plan_output(t.plan, "y", NULL), LEN * sizeof *now);
            if (threads == 1 && !unshared) memcpy(first, now, sizeof now);
            assert_memory_equal(first, now, (2 + LEN) * sizeof *now);
            net_release(&t);
        }
    par_set_threads(before);
}

/* With all samples and a step size of 1 what is left is the zero-filled image. */
static void test_all_samples(void **state)
{
    (void)state;
    struct net t = net_new((struct plan_conf){0});
    double z[LEN];
    fill(&t, true);
    const float *x = plan_input(t.plan, "input"), *w = value(&t, "b.weight");
    for (int i = 0; i < LEN / 2; i++)
        for (int c = 0; c < 2; c++)
            z[2 * i + c] =
                (double)w[2 * c] * (double)x[2 * i] + (double)w[2 * c + 1] * (double)x[2 * i + 1];
    run(&t);
    const double error = relative_error_f32(LEN, plan_output(t.plan, "y", NULL), z);
    assert_true(error < 1e-6);
    net_release(&t);
}

/* A UNet that begins as the identity, with its steps behind it, and SSFD's graph behind both. */
static void test_unet(void **state)
{
    (void)state;
    struct err e = {0};
    struct acquisition *a = acquisition_example(COILS, W, &e);
    const struct normal normal = {acquisition_planes(a), a, acquisition_row};
    struct unet_conf unet = {.in_channels = 2,
                             .out_channels = 2,
                             .filters = 4,
                             .levels = 2,
                             .groups = 1,
                             .block = UNET_BLOCK_FASTMRI,
                             .residual = true,
                             .data_consistency = 3};
    const struct loss_conf loss = {.kind = LOSS_L2};
    assert_null(net_graph(&unet, &loss, &e)); /* of what acquisition? */
    assert_non_null(strstr(e.text, "acquisition"));
    unet.normal = &normal;
    struct graph *g = net_graph(&unet, &loss, &e);
    uint64_t encoder;
    struct params *p = net_params(g, &unet, &loss, 1, &encoder, &e);
    struct step *s = step_new(
        g, p, (struct plan_conf){.batch = 4, .height = 8, .width = W, .training = true}, 2, &e);
    assert_non_null(s);
    float *told = step_input(s, "acquisition"), *x = step_input(s, "input");
    for (int i = 0; i < 2 * PLANES * 8 * W; i++)
        told[i] = -1.0f; /* k-space knows nothing of these images: N = 0 */
    for (int i = 0; i < 2 * 8 * W * 2; i++)
        x[i] = 1.0f;
    memset(step_input(s, "target"), 0, (size_t)(2 * 8 * W * 2) * sizeof(float));
    /* y = x + 3 x, the target 0 */
    assert_int_equal(step_parts(s), 2);
    for (int part = 0; part < 2; part++)
        assert_true(fabs(step_part(s, part, (struct step_key){0}, NULL) - 16.0) < 1e-6);
    for (int k = 1; k <= 3; k++) { /* d/dlambda of (1 + sum lambda)^2 */
        char name[32];
        snprintf(name, sizeof name, "consistency%d.lambda", k);
        assert_true(fabsf(p->grad[params_find(p, name)->offset] - 8.0f) < 1e-5f);
        assert_true(p->val[params_find(p, name)->offset] == 0.5f * (float)k);
    }
    step_free(s);
    params_free(p);
    graph_free(g);
    acquisition_free(a);
}

static void test_mistakes(void **state)
{
    (void)state;
    const struct normal normal = {7, NULL, acquisition_row};
    for (int wrong = 0; wrong < 3; wrong++) {
        struct graph *g = graph_new();
        struct err e = {0};
        const int x = graph_input(g, "x", wrong == 0 ? 3 : 2);
        const int z = graph_input(g, "z", wrong == 1 ? 1 : 2);
        const int told = graph_input(g, "acquisition", wrong == 2 ? 5 : 7);
        graph_output(g, graph_name(g, nn_consistency(g, x, z, told, "c", 1.0f, &normal), "y"));
        assert_int_equal(graph_seal(g, &e), -1);
        assert_int_equal(e.code, ERR_CONFIG);
        graph_free(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forward_and_gradients), cmocka_unit_test(test_bits),
        cmocka_unit_test(test_all_samples), cmocka_unit_test(test_unet),
        cmocka_unit_test(test_mistakes)};
    return cmocka_run_group_tests_name("consistency", tests, NULL, NULL);
}
