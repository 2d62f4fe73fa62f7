/* The oracle of the gradient tests passes central differences: for the input and every parameter of
 * networks that together use every naive operator, in double precision, to a relative error of
 * 1e-6. */
#include <float.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compare.h"
#include "golden.h"
#include "naive_net.h"

static double *new_normal(struct rng *r, size_t n, double sd)
{
    double *x = calloc(n, sizeof *x);
    assert_non_null(x);
    fill_normal(r, n, 0, sd, x);
    return x;
}

/* dLoss/dv for each of the n values v, which are part of net or x. A difference within the rounding
 * of the losses is none: a bias in front of a normalisation has no effect, and without this its
 * gradient would be compared with noise. */
static void differences(struct naive_net *net, const double *x, const double *target, size_t n,
                        double *v, double *grad)
{
    const double h = 1e-5;
    for (size_t i = 0; i < n; i++) {
        const double keep = v[i];
        v[i] = keep + h;
        const double up = naive_net_forward(net, x, target);
        v[i] = keep - h;
        const double down = naive_net_forward(net, x, target);
        v[i] = keep;
        const double rounding = 64 * DBL_EPSILON * fabs(up);
        grad[i] = fabs(up - down) <= rounding ? 0 : (up - down) / (2 * h);
    }
}

static void check_tensor(const char *net_name, const char *name, size_t n, const double *grad,
                         const double *ref)
{
    const double err = relative_error(n, grad, ref);
    if (!(err <= 1e-6)) printf("%s: d %s: relative error %.2e\n", net_name, name, err);
    assert_true(err <= 1e-6);
}

static void check_net(const char *name, const struct naive_step *steps, struct shape s)
{
    struct naive_net *net = naive_net_new(steps, s);
    struct rng r = rng_make(1, RNG_TEST, 0, 0);
    struct shape out;
    naive_net_output(net, &out);
    double *x = new_normal(&r, shape_len(s), 1), *target = new_normal(&r, shape_len(out), 1);
    double *keep[NAIVE_STEPS] = {0};
    for (int p = 0; p < net->nparams; p++) {
        struct naive_param *q = &net->param[p];
        fill_normal(&r, q->len, 0.1, q->fan_in ? 1 / sqrt((double)q->fan_in) : 1, q->val);
    }
    for (int i = 0; i < net->n; i++) {
        if (net->step[i].kind != NAIVE_DROPOUT) continue;
        const size_t n = shape_len(net->shape[i + 1]);
        net->keep[i] = keep[i] = calloc(n, sizeof(double));
        for (size_t k = 0; k < n; k++)
            keep[i][k] = rng_uniform(&r) >= net->step[i].slope;
    }
    naive_net_forward(net, x, target);
    naive_net_backward(net, target);
    double *diff = calloc(shape_len(s), sizeof *diff);
    differences(net, x, target, shape_len(s), x, diff);
    check_tensor(name, "input", shape_len(s), net->dy[0], diff);
    free(diff);
    for (int p = 0; p < net->nparams; p++) {
        struct naive_param *q = &net->param[p];
        diff = calloc(q->len, sizeof *diff);
        differences(net, x, target, q->len, q->val, diff);
        check_tensor(name, q->name, q->len, q->grad, diff);
        free(diff);
    }
    for (int i = 0; i < net->n; i++)
        free(keep[i]);
    free(x);
    free(target);
    naive_net_free(net);
}

static const struct {
    const char *name;
    struct naive_step steps[9];
} nets[] = {
    {"conv 3x3", {{NAIVE_CONV, .filters = 5, .side = 3, .affine = true}}},
    {"conv 3x3 without bias", {{NAIVE_CONV, .filters = 2, .side = 3}}},
    {"conv 1x1", {{NAIVE_CONV, .filters = 4, .side = 1, .affine = true}}},
    {"deconv", {{NAIVE_DECONV, .filters = 3, .affine = true}}},
    {"deconv without bias", {{NAIVE_DECONV, .filters = 2}}},
    {"max pool", {{.kind = NAIVE_MAXPOOL}}},
    {"average pool", {{.kind = NAIVE_AVGPOOL}}},
    {"group norm",
     {{NAIVE_CONV, .filters = 6, .side = 1}, {NAIVE_GROUPNORM, .groups = 3, .affine = true}}},
    {"group norm without affine",
     {{NAIVE_CONV, .filters = 6, .side = 1}, {NAIVE_GROUPNORM, .groups = 2}}},
    {"instance norm", {{.kind = NAIVE_INSTANCENORM}}},
    {"instance norm with affine", {{NAIVE_INSTANCENORM, .affine = true}}},
    {"relu", {{.kind = NAIVE_RELU}}},
    {"leaky relu", {{NAIVE_LEAKY, .slope = 0.2}}},
    {"dropout", {{NAIVE_DROPOUT, .slope = 0.3}}},
    {"concat", {{NAIVE_CONV, .filters = 3, .side = 1}, {NAIVE_CONCAT, .b = 1}}},
    {"fork",
     {{NAIVE_CONV, .filters = 3, .side = 1},
      {.kind = NAIVE_RELU},
      {NAIVE_CONCAT, .b = 1},
      {NAIVE_CONCAT, .b = 2},
      {NAIVE_CONCAT, .b = 4}}},
    {"l2 to both sides",
     {{NAIVE_CONV, .filters = 3, .side = 1},
      {NAIVE_CONV, .filters = 3, .side = 3, .a = 1},
      {NAIVE_L2, .b = 1}}},
};

static const struct shape shapes[] = {
    {1, 4, 4, 1}, {2, 5, 7, 3}, {3, 9, 3, 2}, {1, 2, 2, 7}, {1, 3, 2, 1},
};

static void test_operators(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++)
        for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++)
            check_net(nets[i].name, nets[i].steps, shapes[k]);
}

static void test_unets(void **state)
{
    (void)state;
    const struct unet_conf context = {1, 1, 2, 2, UNET_BLOCK_CONTEXT, 2, 0.1, .residual = false};
    const struct unet_conf fastmri = {2, 2, 2, 2, UNET_BLOCK_FASTMRI, 0, 0.1, .residual = false};
    struct naive_step steps[NAIVE_STEPS];
    naive_unet(&context, steps);
    check_net("context UNet", steps, (struct shape){2, 6, 4, 1});
    naive_unet(&fastmri, steps);
    check_net("fastMRI UNet", steps, (struct shape){2, 6, 4, 2});
}

/* What PyTorch does where a derivative does not exist. */
static void test_kinks(void **state)
{
    (void)state;
    const double x[4] = {0, 2, 2, -1}, one[4] = {1, 1, 1, 1};
    double dx[4] = {0};
    naive_maxpool_back((struct shape){1, 2, 2, 1}, x, one, dx);
    assert_true(dx[0] == 0 && dx[1] == 1 && dx[2] == 0 && dx[3] == 0);
    memset(dx, 0, sizeof dx);
    naive_relu_back(4, 0.25, x, one, dx);
    assert_true(dx[0] == 0.25 && dx[1] == 1 && dx[3] == 0.25);
}

/* The naive UNets agree with PyTorch (in float64) to the eight digits of the golden files. */
static void check_torch(bool ssl)
{
    struct golden *gold = golden_read(ssl ? "ssl.txt" : "recon.txt");
    const struct unet_conf conf = golden_conf(ssl);
    const struct shape s = golden_input(ssl);
    struct naive_step steps[NAIVE_STEPS];
    naive_unet(&conf, steps);
    struct naive_net *net = naive_net_new(steps, s);
    double *x = calloc(shape_len(s), sizeof *x), *target = calloc(shape_len(s), sizeof *x);
    golden_image(gold, "input", shape_len(s), x);
    golden_image(gold, "target", shape_len(s), target);
    for (int p = 0; p < net->nparams; p++)
        golden_param(net->param[p].name, net->param[p].rank, net->param[p].dim, net->param[p].val);
    const double loss = naive_net_forward(net, x, target);
    naive_net_backward(net, target);
    const struct golden_entry *e = golden_find(gold, "losses_float64");
    assert_non_null(e);
    assert_true(fabs(loss - e->v[0]) <= 1e-7 * e->v[0]);
    e = golden_find(gold, "output");
    assert_non_null(e);
    assert_int_equal(e->len, shape_len(s));
    assert_true(relative_error(e->len, naive_net_output(net, NULL), e->v) <= 1e-7);
    for (int p = 0; p < net->nparams; p++) {
        char name[80];
        snprintf(name, sizeof name, "grad:%s", net->param[p].name);
        e = golden_find(gold, name);
        if (!e) fail_msg("%s is not among the golden numbers", name);
        assert_int_equal(e->len, net->param[p].len);
        const double err = relative_error(e->len, net->param[p].grad, e->v);
        if (!(err <= 1e-7)) fail_msg("%s: relative error %.2e", name, err);
    }
    free(x);
    free(target);
    naive_net_free(net);
    golden_free(gold);
}

static void test_torch(void **state)
{
    (void)state;
    check_torch(true);
    check_torch(false);
}

static void test_bf16(void **state)
{
    (void)state;
    static const double pairs[][2] = {
        {0, 0},
        {1, 1},
        {1.00390625, 1},         /* 1 + 2^-8 lies halfway: to the even one */
        {1.01171875, 1.015625},  /* 1 + 3 2^-8 */
        {1.00390637, 1.0078125}, /* just above */
        {-1.00390625, -1},       /* signs alike */
        {255.9, 256},            /* into the next power of two */
        {1e-3, 0.00099945068359375},
        {1 + 0x1p-8 + 0x1p-40, 1}, /* float32 comes first */
    };
    for (size_t k = 0; k < sizeof pairs / sizeof *pairs; k++)
        assert_true(naive_bf16(pairs[k][0]) == pairs[k][1]);
    assert_true(isnan(naive_bf16(NAN)) && naive_bf16(INFINITY) == INFINITY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_operators),
                                       cmocka_unit_test(test_unets), cmocka_unit_test(test_kinks),
                                       cmocka_unit_test(test_torch), cmocka_unit_test(test_bf16)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
