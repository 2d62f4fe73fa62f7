/* The two networks: parameter counts, names, taps, and what they refuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nn/params.h"
#include "nn/plan.h"
#include "nn/unet.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct unet_conf ssl = {1, 1, 20, 5, UNET_BLOCK_CONTEXT, 10, 0.1, .residual = false};
static const struct unet_conf recon = {2, 2, 32, 4, UNET_BLOCK_FASTMRI, 10, 0.0, .residual = false};

static struct graph *build(const struct unet_conf *c, struct err *e)
{
    struct graph *g = graph_new();
    graph_output(g, unet_build(g, c, graph_input(g, "input", c->in_channels)));
    if (graph_seal(g, e) == 0) return g;
    graph_free(g);
    return NULL;
}

static size_t count(struct unet_conf c)
{
    struct graph *g = build(&c, NULL);
    struct params *p = params_new(g, NULL);
    const size_t n = p->len;
    size_t sum = 0;
    for (int i = 0; i < p->n; i++) {
        assert_int_equal(p->list[i].offset, sum); /* dense, in order */
        sum += p->list[i].len;
        assert_ptr_equal(params_find(p, p->list[i].name), &p->list[i]);
    }
    assert_int_equal(n, sum);
    params_free(p);
    graph_free(g);
    return n;
}

static void test_counts(void **state)
{
    (void)state;
    assert_int_equal(count(ssl), 3034381);
    assert_int_equal(count(recon), 1923714);
    assert_int_equal(
        count((struct unet_conf){2, 2, 32, 5, UNET_BLOCK_FASTMRI, 10, 0.0, .residual = false}),
        7756418);
    assert_int_equal(
        count((struct unet_conf){1, 1, 8, 1, UNET_BLOCK_CONTEXT, 2, 0.5, .residual = false}),
        8 * 9 + 8 + 64 * 9 + 8 + 16 + 8 + 1);
}

/* The default of a field, as text. */
static const char *preset(const struct cfg_field *f, const char *key)
{
    for (; f->key; f++)
        if (strcmp(f->key, key) == 0) return f->def;
    fail_msg("there is no field '%s'", key);
    return NULL;
}

static void test_defaults(void **state)
{
    (void)state;
    const struct {
        const struct cfg_field *fields;
        const struct unet_conf *c;
        const char *block;
    } all[] = {{unet_ssl_fields, &ssl, "context"}, {unet_recon_fields, &recon, "fastmri"}};
    for (int k = 0; k < 2; k++) {
        const struct cfg_field *f = all[k].fields;
        assert_int_equal(atoi(preset(f, "in_channels")), all[k].c->in_channels);
        assert_int_equal(atoi(preset(f, "out_channels")), all[k].c->out_channels);
        assert_int_equal(atoi(preset(f, "filters")), all[k].c->filters);
        assert_int_equal(atoi(preset(f, "levels")), all[k].c->levels);
        assert_int_equal(atoi(preset(f, "groups")), all[k].c->groups);
        assert_true(atof(preset(f, "dropout")) == all[k].c->dropout);
        assert_string_equal(preset(f, "block"), all[k].block);
    }
}

static void has(const struct params *p, const char *name, int a, int b, int c, int d)
{
    const struct param *q = params_find(p, name);
    if (!q) fail_msg("there is no '%s'", name);
    const int want[4] = {a, b, c, d}, rank = b ? 4 : 1;
    assert_int_equal(q->rank, rank);
    for (int k = 0; k < rank; k++)
        assert_int_equal(q->dim[k], want[k]);
}

static void test_names(void **state)
{
    (void)state;
    struct graph *g = build(&ssl, NULL);
    struct params *p = params_new(g, NULL);
    has(p, "block1.conv1.weight", 20, 1, 3, 3);
    has(p, "block1.conv2.bias", 20, 0, 0, 0);
    has(p, "block5.conv1.weight", 320, 160, 3, 3);
    has(p, "block5.norm.weight", 320, 0, 0, 0);
    has(p, "up4.deconv.weight", 320, 160, 2, 2);
    has(p, "up4.deconv_norm.bias", 160, 0, 0, 0);
    has(p, "up4.conv1.weight", 160, 320, 3, 3);
    has(p, "up1.norm.weight", 20, 0, 0, 0);
    has(p, "output.weight", 1, 20, 1, 1);
    has(p, "output.bias", 1, 0, 0, 0);
    assert_int_equal(p->n, 5 * 6 + 4 * 10 + 2);
    params_free(p);
    graph_free(g);
    g = build(&recon, NULL);
    p = params_new(g, NULL);
    has(p, "block4.conv2.weight", 256, 256, 3, 3);
    has(p, "up3.deconv.weight", 256, 128, 2, 2);
    assert_null(params_find(p, "block1.conv1.bias"));
    assert_null(params_find(p, "up3.deconv.bias"));
    has(p, "output.bias", 2, 0, 0, 0);
    assert_int_equal(p->n, 4 * 2 + 3 * 3 + 2);
    params_free(p);
    graph_free(g);
}

static void test_initial_values(void **state)
{
    (void)state;
    struct graph *g = build(&ssl, NULL);
    struct params *p = params_new(g, NULL), *q = params_new(g, NULL);
    params_init(p, 1);
    params_init(q, 1);
    assert_memory_equal(p->val, q->val, p->len * sizeof(float));
    params_init(q, 2);
    for (int i = 0; i < p->n; i++) {
        const struct param *x = &p->list[i];
        const bool norm = strstr(x->name, "norm.weight") != NULL, weight = x->rank == 4;
        double sum = 0, squares = 0;
        for (size_t k = 0; k < x->len; k++) {
            const double v = (double)p->val[x->offset + k];
            sum += v;
            squares += v * v;
            if (!weight) assert_true(v == (norm ? 1.0 : 0.0));
        }
        if (!weight) continue;
        assert_true(memcmp(p->val + x->offset, q->val + x->offset, x->len * sizeof(float)) != 0);
        const bool deconv = strstr(x->name, "deconv.") != NULL;
        const double fan_in = deconv ? x->dim[0] : x->dim[1] * x->dim[2] * x->dim[3];
        const double n = (double)x->len, std = sqrt(2.0 / fan_in);
        assert_true(fabs(sum / n) < 5 * std / sqrt(n));
        assert_true(fabs(squares / n / (std * std) - 1) < 5 * sqrt(2 / n));
    }
    params_free(p);
    params_free(q);
    graph_free(g);
}

/* A part of a network begins with the same weights as the whole. */
static void test_initial_values_follow_names(void **state)
{
    (void)state;
    struct graph *g = build(&ssl, NULL), *part = graph_new();
    unet_build(part, &ssl, graph_input(part, "input", 1));
    graph_output(part, graph_find(part, "block3_relu1"));
    assert_int_equal(graph_seal(part, NULL), 0);
    struct params *p = params_new(g, NULL), *q = params_new(part, NULL);
    params_init(p, 1);
    params_init(q, 1);
    assert_int_equal(q->n, 6 + 6 + 2);
    for (int i = 0; i < q->n; i++)
        assert_memory_equal(p->val + params_find(p, q->list[i].name)->offset,
                            q->val + q->list[i].offset, q->list[i].len * sizeof(float));
    params_free(p);
    params_free(q);
    graph_free(g);
    graph_free(part);
}

static void test_taps(void **state)
{
    (void)state;
    struct graph *g = graph_new();
    unet_build(g, &ssl, graph_input(g, "input", 1));
    for (int k = 1; k <= 10; k++) {
        char layer[16], name[32];
        snprintf(layer, sizeof layer, "conv%d", k);
        assert_int_equal(unet_tap(&ssl, layer, name, NULL), 0);
        const int v = graph_find(g, name);
        assert_true(v >= 0);
        graph_output(g, v);
        if (k == 9) assert_string_equal(name, "block5_relu1");
    }
    assert_int_equal(graph_seal(g, NULL), 0);
    struct params *p = params_new(g, NULL);
    struct plan *plan =
        plan_new(g, p, (struct plan_conf){.batch = 1, .height = 32, .width = 48}, NULL);
    for (int k = 1; k <= 10; k++) {
        char name[32];
        struct shape s;
        snprintf(name, sizeof name, "block%d_relu%d", (k + 1) / 2, 2 - k % 2);
        assert_non_null(plan_output(plan, name, &s));
        assert_int_equal(s.c, 20 << (k - 1) / 2);
        assert_int_equal(s.h, 32 >> (k - 1) / 2);
        assert_int_equal(s.w, 48 >> (k - 1) / 2);
    }
    char name[32];
    assert_int_equal(unet_tap(&ssl, "block2_relu2", name, NULL), 0);
    assert_string_equal(name, "block2_relu2");
    static const char *const wrong[] = {
        "conv0",        "conv11",       "conv", "conv1x",        "conv-1", "conv01",
        "block6_relu1", "block1_relu3", "",     "block1_relu1 ", "block1", "conv99999999999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct err e = {0};
        assert_int_equal(unet_tap(&ssl, wrong[i], name, &e), -1);
        assert_int_equal(e.code, ERR_CONFIG);
        assert_non_null(strstr(e.hint, "conv1 to conv10"));
    }
    plan_free(plan);
    params_free(p);
    graph_free(g);
}

static void test_refused(void **state)
{
    (void)state;
    struct err e = {0};
    struct unet_conf c = ssl;
    c.groups = 7;
    assert_null(build(&c, &e));
    assert_int_equal(e.code, ERR_CONFIG);
    assert_non_null(strstr(e.text, "'block1.norm': 20 channels cannot be divided into 7 groups"));
    c = ssl;
    c.levels = 0;
    assert_null(build(&c, &e));
    assert_int_equal(e.code, ERR_CONFIG);
    assert_int_equal(unet_size_multiple(&ssl), 16);
    assert_int_equal(unet_size_multiple(&recon), 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_initial_values),
        cmocka_unit_test(test_initial_values_follow_names),
        cmocka_unit_test(test_taps),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests_name("unet", tests, NULL, NULL);
}
