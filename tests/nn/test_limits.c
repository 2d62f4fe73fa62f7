/* What a network of the usual kind does not show: several plans over one set of parameters,
 * networks without parameters, odd maps joined below a pool, values far from zero. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compare.h"
#include "twin.h"

static void check(const char *what, struct twin *t)
{
    const struct twin_error e = twin_compare(t, (struct step_key){0});
    if (!(e.output <= 1e-5 && e.loss <= 1e-5 && e.grad <= 1e-5))
        fail_msg("%s: output %.1e, loss %.1e, gradient %.1e (%s)", what, e.output, e.loss, e.grad,
                 e.worst);
}

/* Plans of different batches and sizes, for training and not, take turns over one set of
 * parameters, which changes in between: each result is that of the oracle. */
static void test_plans_share_parameters(void **state)
{
    (void)state;
    const struct unet_conf conf = {2, 1, 4, 2, UNET_BLOCK_CONTEXT, 2, 0, .residual = false};
    static const struct shape shapes[] = {
        {1, 8, 8, 2}, {7, 6, 4, 2}, {2, 16, 10, 2}, {1, 12, 8, 2}};
    enum { PLANS = 4 };
    struct twin t[PLANS];
    for (int k = 0; k < PLANS; k++)
        t[k] = twin_new(NULL, &conf, shapes[k], NN_FP32_DIRECT);
    struct params *shared = t[0].params, *own[PLANS];
    for (int k = 0; k < PLANS; k++) {
        own[k] = t[k].params;
        t[k].params = shared;
        plan_free(t[k].plan);
        t[k].plan = plan_new(t[0].graph, shared,
                             (struct plan_conf){.batch = shapes[k].n,
                                                .height = shapes[k].h,
                                                .width = shapes[k].w,
                                                .training = true,
                                                .precision = NN_FP32_DIRECT},
                             NULL);
        assert_non_null(t[k].plan);
    }
    for (int round = 0; round < 3; round++)
        for (int k = 0; k < PLANS; k++) {
            uint64_t seed = (uint64_t)(10 * round + k);
            do
                twin_fill(&t[k], seed += 100);
            while (twin_condition(&t[k]) > 5e-7 && seed < 5000);
            assert_true(seed < 5000);
            check("plans that share parameters", &t[k]);
            check("a plan used again", &t[k]);
        }
    for (int k = PLANS; k-- > 0;) {
        t[k].params = own[k];
        plan_free(t[k].plan);
        t[k].plan = NULL;
    }
    for (int k = 0; k < PLANS; k++)
        twin_release(&t[k]);
}

static void test_no_parameters(void **state)
{
    (void)state;
    struct graph *g = graph_new();
    const int x = graph_input(g, "input", 2);
    graph_output(g, graph_name(g, nn_maxpool(g, nn_leaky_relu(g, x, 0.5f)), "y"));
    assert_int_equal(graph_seal(g, NULL), 0);
    struct params *p = params_new(g, NULL);
    assert_non_null(p);
    assert_int_equal(p->len, 0);
    struct plan *plan =
        plan_new(g, p, (struct plan_conf){.batch = 1, .height = 2, .width = 3}, NULL);
    assert_non_null(plan);
    float *in = plan_input(plan, "input");
    for (int i = 0; i < 12; i++)
        in[i] = (float)(i % 2 ? -i : i);
    plan_forward(plan, (struct step_key){0});
    struct shape s;
    const float *y = plan_output(plan, "y", &s);
    assert_true(s.h == 1 && s.w == 1 && s.c == 2);
    assert_true(y[0] == 8 && y[1] == -0.5f);
    plan_free(plan);
    params_free(p);
    graph_free(g);
}

/* An input may itself be an output, twice named values may not be. */
static void test_input_as_output(void **state)
{
    (void)state;
    struct graph *g = graph_new();
    const int x = graph_input(g, "input", 1);
    graph_output(g, x);
    graph_output(g, graph_name(g, nn_relu(g, x), "y"));
    graph_output(g, graph_name(g, nn_relu(g, nn_dropout(g, x, 0.5f)), "z"));
    assert_int_equal(graph_seal(g, NULL), 0);
    struct params *p = params_new(g, NULL);
    struct plan *plan =
        plan_new(g, p, (struct plan_conf){.batch = 1, .height = 1, .width = 3}, NULL);
    assert_non_null(plan);
    const float in[] = {-1, 0, 2}, out[] = {0, 0, 2};
    for (int again = 0; again < 2; again++) { /* inputs stay */
        if (!again) memcpy(plan_input(plan, "input"), in, sizeof in);
        plan_forward(plan, (struct step_key){0});
        assert_memory_equal(plan_output(plan, "input", NULL), in, sizeof in);
        assert_memory_equal(plan_output(plan, "y", NULL), out, sizeof out);
        assert_memory_equal(plan_output(plan, "z", NULL), out, sizeof out);
    }
    plan_free(plan);
    params_free(p);
    graph_free(g);
}

/* Both sides of the join are below the pool that rounds: any size can pass. */
static void test_joined_below_a_pool(void **state)
{
    (void)state;
    const struct naive_step steps[] = {{NAIVE_CONV, .filters = 3, .side = 3},
                                       {.kind = NAIVE_MAXPOOL},
                                       {NAIVE_CONV, .filters = 2, .side = 1},
                                       {NAIVE_CONV, .filters = 2, .side = 3, .a = 1},
                                       {NAIVE_CONCAT, .b = 1},
                                       {NAIVE_CONV, .filters = 3, .side = 1},
                                       {NAIVE_L2, .b = 4},
                                       {.kind = NAIVE_END}};
    struct twin t = twin_new(steps, NULL, (struct shape){2, 5, 7, 1}, NN_FP32_DIRECT);
    twin_fill(&t, 3);
    check("concat below a pool of an odd map", &t);
    twin_release(&t);
}

/* Values of mean 1000 and deviation 1 into a norm. A 1x1 convolution by the identity with a bias of
 * 1000, on multiples of 2^-10, makes them without rounding, so the norm alone can lose anything. */
static void test_norm_far_from_zero(void **state)
{
    (void)state;
    static const struct naive_step norms[] = {{NAIVE_GROUPNORM, .groups = 2, .affine = true},
                                              {NAIVE_INSTANCENORM, .affine = true},
                                              {.kind = NAIVE_INSTANCENORM}};
    for (int k = 0; k < 3; k++) {
        const struct naive_step steps[] = {{NAIVE_CONV, .filters = 4, .side = 1, .affine = true},
                                           norms[k],
                                           {NAIVE_CONV, .filters = 3, .side = 3},
                                           {.kind = NAIVE_END}};
        struct twin t = twin_new(steps, NULL, (struct shape){2, 17, 23, 4}, NN_FP32_DIRECT);
        twin_fill(&t, 4);
        for (size_t i = 0; i < t.nx; i++)
            t.x[i] = rint(1024 * t.x[i]) / 1024;
        for (size_t i = 0; i < 16; i++)
            naive_net_param(t.naive, "s0.weight")->val[i] = i % 5 == 0;
        for (size_t i = 0; i < 4; i++)
            naive_net_param(t.naive, "s0.bias")->val[i] = 1000;
        twin_copy(&t);
        check("a norm of values far from zero", &t);
        twin_release(&t);
    }
}

/* Gradients of 1e-8 and losses of 1e8 are numbers like others. */
static void test_scales(void **state)
{
    (void)state;
    const struct naive_step steps[] = {{NAIVE_CONV, .filters = 5, .side = 3},
                                       {NAIVE_LEAKY, .slope = 0.2},
                                       {NAIVE_CONV, .filters = 2, .side = 3},
                                       {.kind = NAIVE_END}};
    for (int k = -4; k <= 4; k += 4) {
        struct twin t = twin_new(steps, NULL, (struct shape){1, 9, 9, 3}, NN_FP32_DIRECT);
        twin_fill(&t, 5);
        for (size_t i = 0; i < t.nx; i++)
            t.x[i] = (float)(t.x[i] * pow(10, k));
        for (size_t i = 0; i < t.ntarget; i++)
            t.target[i] = (float)(t.target[i] * pow(10, k));
        twin_copy(&t);
        check("large or small values", &t);
        twin_release(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plans_share_parameters), cmocka_unit_test(test_no_parameters),
        cmocka_unit_test(test_input_as_output),        cmocka_unit_test(test_joined_below_a_pool),
        cmocka_unit_test(test_norm_far_from_zero),     cmocka_unit_test(test_scales)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
