/* Adam against the paper's algorithm 1 in double precision, and its behaviour at the edges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nn/adam.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct adam_conf conf = {1e-3, 0.9, 0.999, 1e-8, 0.0, ADAM_DECOUPLED};

static struct params *some_params(struct graph **g)
{
    *g = graph_new();
    graph_output(*g, nn_conv(*g, graph_input(*g, "input", 3), "c", 37, 3, true));
    assert_int_equal(graph_seal(*g, NULL), 0);
    struct params *p = params_new(*g, NULL);
    params_init(p, 1);
    return p;
}

static void test_against_the_paper(void **state)
{
    (void)state;
    struct graph *g;
    struct params *p = some_params(&g);
    double *x = calloc(3 * p->len, sizeof *x), *m = x + p->len, *v = m + p->len;
    for (size_t i = 0; i < p->len; i++)
        x[i] = (double)p->val[i];
    for (uint64_t t = 1; t <= 25; t++) {
        const double lr = t < 10 ? 1e-3 : 3e-4;
        const uint64_t version = p->version;
        for (size_t i = 0; i < p->len; i++) {
            p->grad[i] = (float)(sin((double)i + (double)t) * pow(10.0, (double)(i % 7) - 5.0));
            const double d = (double)p->grad[i];
            m[i] = conf.beta1 * m[i] + (1 - conf.beta1) * d;
            v[i] = conf.beta2 * v[i] + (1 - conf.beta2) * d * d;
            const double mh = m[i] / (1 - pow(conf.beta1, (double)t));
            const double vh = v[i] / (1 - pow(conf.beta2, (double)t));
            x[i] -= lr * mh / (sqrt(vh) + conf.eps);
        }
        adam_step(p, &conf, lr, t);
        assert_true(p->version > version);
        for (size_t i = 0; i < p->len; i++)
            assert_true(fabs((double)p->val[i] - x[i]) < 1e-6 * (fabs(x[i]) + 1e-2 * (double)t));
    }
    free(x);
    params_free(p);
    graph_free(g);
}

static void test_first_step_is_the_learning_rate(void **state)
{
    (void)state;
    struct graph *g;
    struct params *p = some_params(&g);
    const float before = p->val[0], still = p->val[1];
    p->grad[0] = -123.0f;
    adam_step(p, &conf, 0.5, 1);
    assert_true(fabsf(p->val[0] - before - 0.5f) < 1e-6f);
    assert_true(p->val[1] == still); /* no gradient, no move, no NaN */
    params_free(p);
    graph_free(g);
}

/* A convolution and a norm: only the norm's parameters keep out of the decay. */
static struct params *decaying(struct graph **g)
{
    *g = graph_new();
    const int x = nn_conv(*g, graph_input(*g, "input", 3), "c", 7, 3, true);
    graph_output(*g, nn_groupnorm(*g, x, "n", 7, true));
    assert_int_equal(graph_seal(*g, NULL), 0);
    struct params *p = params_new(*g, NULL);
    params_init(p, 1);
    for (size_t i = 0; i < p->len; i++)
        p->grad[i] = (float)sin((double)i);
    return p;
}

static void test_weight_decay(void **state)
{
    (void)state;
    for (int kind = ADAM_DECOUPLED; kind <= ADAM_L2; kind++) {
        const struct adam_conf decay = {1e-2, 0.9, 0.999, 1e-8, 0.1, kind};
        struct graph *g;
        struct params *p = decaying(&g);
        double x[512], m[512] = {0}, v[512] = {0};
        assert_true(p->len < 512);
        for (size_t i = 0; i < p->len; i++)
            x[i] = (double)p->val[i];
        for (uint64_t t = 1; t <= 20; t++) {
            for (int k = 0; k < p->n; k++)
                for (size_t i = p->list[k].offset; i < p->list[k].offset + p->list[k].len; i++) {
                    const double wd = p->list[k].name[0] == 'c' ? 0.1 : 0.0;
                    const double d = (double)p->grad[i] + (kind == ADAM_L2 ? wd * x[i] : 0.0);
                    if (kind == ADAM_DECOUPLED) x[i] *= 1.0 - 1e-2 * wd;
                    m[i] = 0.9 * m[i] + 0.1 * d;
                    v[i] = 0.999 * v[i] + 0.001 * d * d;
                    x[i] -= 1e-2 * m[i] / (1 - pow(0.9, (double)t)) /
                            (sqrt(v[i] / (1 - pow(0.999, (double)t))) + 1e-8);
                }
            adam_step(p, &decay, 1e-2, t);
        }
        for (size_t i = 0; i < p->len; i++)
            assert_true(fabs((double)p->val[i] - x[i]) < 1e-5);
        params_free(p);
        graph_free(g);
    }
}

static void test_gradient_norm(void **state)
{
    (void)state;
    struct graph *g;
    struct params *p = decaying(&g);
    double sum = 0.0;
    for (size_t i = 0; i < p->len; i++)
        sum += (double)p->grad[i] * (double)p->grad[i];
    const double norm = params_gradient_norm(p);
    assert_true(fabs(norm / sqrt(sum) - 1.0) < 1e-12);
    params_scale_gradient(p, 1.0 / norm);
    assert_true(fabs(params_gradient_norm(p) - 1.0) < 1e-6);
    p->grad[p->len - 1] = NAN;
    assert_true(isnan(params_gradient_norm(p)));
    params_free(p);
    graph_free(g);
}

static void test_moving_average(void **state)
{
    (void)state;
    struct graph *g;
    struct params *p = decaying(&g);
    assert_int_equal(params_average_begin(p, NULL), 0);
    double mean = (double)p->val[0];
    assert_true(p->mean[0] == p->val[0]);
    for (uint64_t t = 1; t <= 100; t++) {
        const double d = fmin(0.9, (1.0 + (double)t) / (10.0 + (double)t));
        p->val[0] = (float)t;
        params_average(p, 0.9, t);
        mean = d * mean + (1.0 - d) * (double)t;
    }
    assert_true(fabs((double)p->mean[0] - mean) < 1e-4);
    const uint64_t version = p->version;
    const float was = p->mean[0];
    params_exchange(p);
    assert_true(p->val[0] == was && p->mean[0] == 100.0f && p->version != version);
    params_exchange(p);
    assert_true(p->val[0] == 100.0f && p->mean[0] == was);
    params_free(p);
    graph_free(g);
}

static void test_fields(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        double v;
    } all[] = {{"lr", 1e-3}, {"beta1", 0.9}, {"beta2", 0.999}, {"eps", 1e-8}, {"weight_decay", 0}};
    for (int k = 0; k < 5; k++) {
        assert_string_equal(adam_fields[k].key, all[k].key);
        assert_true(atof(adam_fields[k].def) == all[k].v);
        assert_true(adam_fields[k].min <= all[k].v && all[k].v <= adam_fields[k].max);
    }
    assert_string_equal(adam_fields[5].key, "decay");
    assert_int_equal(adam_fields[6].type, CFG_TYPE_END);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_the_paper),
        cmocka_unit_test(test_first_step_is_the_learning_rate),
        cmocka_unit_test(test_weight_decay),
        cmocka_unit_test(test_gradient_norm),
        cmocka_unit_test(test_moving_average),
        cmocka_unit_test(test_fields),
    };
    return cmocka_run_group_tests_name("adam", tests, NULL, NULL);
}
