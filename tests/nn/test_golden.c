/* The engine agrees with PyTorch on small versions of both UNets: output, feature tap and every
 * gradient to a relative error (norm-wise, compare.h) of 1e-5 where convolutions are plain float32
 * sums, the loss after ten Adam steps to 1e-4; and within the bounds of the other precisions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compare.h"
#include "golden.h"
#include "nn/adam.h"
#include "nn/params.h"
#include "nn/plan.h"

static const char TAP[] = "block3_relu1";

/* Bounds on relative errors. Those of bfloat16 (measured: 0.023, 0.40, 0.004) are those of the
 * precision on these small maps, not of the kernels, which test_grad.c and test_conv.c compare with
 * an oracle that rounds as they do; a gradient less than its own length away points downhill. */
static const struct mode {
    const char *name;
    enum nn_precision precision;
    double output, gradients, loss, trained; /* loss: of the first step; trained: after ten */
} modes[] = {{"fp32-direct", NN_FP32_DIRECT, 1e-5, 1e-5, 1e-5, 1e-4},
             {"fp32", NN_FP32, 2e-4, 2e-4, 2e-4, 1e-3},
             {"bf16", NN_BF16, 5e-2, 0.8, 1e-2, 1e-2}};

struct engine {
    struct graph *graph;
    struct params *params;
    struct plan *plan;
};

static struct graph *network(const struct unet_conf *conf, bool tap)
{
    struct err e = {0};
    struct graph *g = graph_new();
    const int y = unet_build(g, conf, graph_input(g, "input", conf->in_channels));
    const int target = graph_input(g, "target", conf->out_channels);
    graph_output(g, y);
    graph_output(g, graph_name(g, nn_l2(g, y, target), "loss"));
    if (tap) graph_output(g, graph_find(g, TAP));
    if (graph_seal(g, &e)) fail_msg("graph_seal: %s", e.text);
    return g;
}

static void fill(const struct golden *gold, const char *name, size_t n, float *out)
{
    double *x = calloc(n, sizeof *x);
    assert_non_null(x);
    golden_image(gold, name, n, x);
    for (size_t i = 0; i < n; i++)
        out[i] = (float)x[i];
    free(x);
}

static struct engine engine_new(const struct golden *gold, bool ssl, enum nn_precision precision)
{
    const struct unet_conf conf = golden_conf(ssl);
    const struct shape s = golden_input(ssl);
    struct err e = {0};
    struct engine t = {.graph = network(&conf, true)};
    t.params = params_new(t.graph, &e);
    if (!t.params) fail_msg("params_new: %s", e.text);
    for (int i = 0; i < t.params->n; i++) {
        const struct param *p = &t.params->list[i];
        double *x = calloc(p->len, sizeof *x);
        assert_non_null(x);
        golden_param(p->name, p->rank, p->dim, x);
        for (size_t k = 0; k < p->len; k++)
            t.params->val[p->offset + k] = (float)x[k];
        free(x);
    }
    t.params->version++;
    t.plan = plan_new(
        t.graph, t.params,
        (struct plan_conf){
            .batch = s.n, .height = s.h, .width = s.w, .training = true, .precision = precision},
        &e);
    if (!t.plan) fail_msg("plan_new: %s", e.text);
    fill(gold, "input", shape_len(s), plan_input(t.plan, "input"));
    fill(gold, "target", shape_len(s), plan_input(t.plan, "target"));
    return t;
}

static void engine_release(struct engine *t)
{
    plan_free(t->plan);
    params_free(t->params);
    graph_free(t->graph);
}

static double error_of(const struct golden *gold, const char *name, size_t n, const float *x)
{
    const struct golden_entry *e = golden_find(gold, name);
    if (!e) fail_msg("%s is not among the golden numbers", name);
    assert_int_equal(e->len, n);
    return relative_error_f32(n, x, e->v);
}

static void check_output(const struct golden *gold, const struct engine *t, const struct mode *m,
                         const char *name)
{
    struct shape s;
    const float *y = plan_output(t->plan, name, &s);
    assert_non_null(y);
    const double err = error_of(gold, name, shape_len(s), y);
    printf("  %-20s relative error %.2e\n", name, err);
    assert_true(err <= m->output);
}

static void check_gradients(const struct golden *gold, const struct engine *t, const struct mode *m)
{
    double worst = 0;
    const char *which = "";
    int expected = 0;
    for (int i = 0; i < gold->n; i++)
        expected += !strncmp(gold->list[i].name, "grad:", 5);
    assert_int_equal(t->params->n, expected);
    for (int i = 0; i < t->params->n; i++) {
        const struct param *p = &t->params->list[i];
        char name[80];
        snprintf(name, sizeof name, "grad:%s", p->name);
        const double err = error_of(gold, name, p->len, t->params->grad + p->offset);
        if (worse(err, worst)) {
            worst = err;
            which = p->name;
        }
    }
    printf("  %d gradients, worst  relative error %.2e (%s)\n", expected, worst, which);
    assert_true(worst <= m->gradients);
}

static void check_training(const struct golden *gold, struct engine *t, const struct mode *m)
{
    static const char *const names[] = {"losses_float64", "losses_float32"};
    const struct adam_conf adam = {.lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    for (int step = 0; step <= 10; step++) {
        plan_forward(t->plan, (struct step_key){.epoch = (uint32_t)step});
        for (int k = 0; k < 2; k++) {
            const struct golden_entry *e = golden_find(gold, names[k]);
            assert_non_null(e);
            assert_int_equal(e->len, 11);
            const double err = fabs(plan_loss(t->plan) / e->v[step] - 1);
            if (step == 10)
                printf("  loss at step 10 %.7g, %s %.7g: relative error %.2e\n", plan_loss(t->plan),
                       names[k], e->v[step], err);
            assert_true(err <= (step ? m->trained : m->loss));
        }
        plan_backward(t->plan);
        adam_step(t->params, &adam, adam.lr, (uint64_t)step + 1);
    }
}

static void check_network(bool ssl, const struct mode *m)
{
    struct golden *gold = golden_read(ssl ? "ssl.txt" : "recon.txt");
    struct engine t = engine_new(gold, ssl, m->precision);
    const struct golden_entry *count = golden_find(gold, "parameters");
    assert_non_null(count);
    assert_int_equal(t.params->len, (size_t)count->v[0]);
    plan_forward(t.plan, (struct step_key){0});
    printf("%s UNet, 4 filters, 3 levels, %s:\n", ssl ? "SSL" : "reconstruction", m->name);
    check_output(gold, &t, m, "output");
    check_output(gold, &t, m, TAP);
    plan_backward(t.plan);
    check_gradients(gold, &t, m);
    check_training(gold, &t, m);
    engine_release(&t);
    golden_free(gold);
}

static void test_ssl(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof modes / sizeof *modes; k++)
        check_network(true, &modes[k]);
}

static void test_recon(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof modes / sizeof *modes; k++)
        check_network(false, &modes[k]);
}

/* The paper's networks, from the defaults of the configuration. */
static void test_default_sizes(void **state)
{
    (void)state;
    static const struct {
        const struct cfg_field *fields;
        const char *file;
        size_t count;
    } nets[] = {{unet_ssl_fields, "ssl.txt", 3034381}, {unet_recon_fields, "recon.txt", 1923714}};
    for (int k = 0; k < 2; k++) {
        struct golden *gold = golden_read(nets[k].file);
        const struct golden_entry *count = golden_find(gold, "default_parameters");
        struct unet_conf conf = {0};
        struct err e = {0};
        struct cfg *cfg = cfg_load(nets[k].fields, &conf, NULL, NULL, 0, &e);
        if (!cfg) fail_msg("cfg_load: %s", e.text);
        struct graph *g = network(&conf, false);
        struct params *p = params_new(g, &e);
        if (!p) fail_msg("params_new: %s", e.text);
        assert_non_null(count);
        assert_int_equal(p->len, nets[k].count);
        assert_int_equal(p->len, (size_t)count->v[0]);
        params_free(p);
        graph_free(g);
        cfg_free(cfg);
        golden_free(gold);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ssl), cmocka_unit_test(test_recon),
                                       cmocka_unit_test(test_default_sizes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
