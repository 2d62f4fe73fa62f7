/* Building and sealing: dead nodes are cut, a value read twice is forked, the first mistake is
 * told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nn/graph_rep.h"
#include "nn/params.h"

#include <string.h>

static int count(const struct graph *g, const struct op *op)
{
    int n = 0;
    for (int i = 0; i < g->nodes; i++)
        n += g->node[i].op == op;
    return n;
}

/* Every value has one writer before its one reader. */
static void check_order(const struct graph *g)
{
    for (int v = 0; v < g->values; v++) {
        int readers = 0;
        for (int i = 0; i < g->nodes; i++)
            for (int k = 0; k < g->node[i].nin; k++)
                if (g->node[i].in[k] == v) {
                    readers++;
                    assert_int_equal(g->value[v].reader, i);
                    assert_true(g->value[v].node >= 0 && g->value[v].node < i);
                }
        assert_true(readers <= 1);
        if (g->value[v].node < 0) assert_int_equal(readers, 0);
    }
}

static void test_dead_nodes_are_cut(void **state)
{
    (void)state;
    struct graph *g = graph_new();
    int x = graph_input(g, "input", 2);
    x = nn_conv(g, x, "a", 4, 3, true);
    const int tap = graph_name(g, nn_relu(g, x), "tap");
    nn_conv(g, tap, "dead", 8, 3, true);
    graph_input(g, "unused", 1);
    graph_output(g, tap);
    assert_int_equal(graph_seal(g, NULL), 0);
    assert_int_equal(g->nodes, 2); /* the ReLU is folded into the convolution */
    check_order(g);
    struct params *p = params_new(g, NULL);
    assert_int_equal(p->n, 2);
    assert_int_equal(p->len, 4 * 2 * 9 + 4);
    assert_null(params_find(p, "dead.weight"));
    assert_int_equal(graph_find(g, "unused"), -1);
    assert_int_equal(graph_find(g, "tap"), tap);
    params_free(p);
    graph_free(g);
}

static void test_forks(void **state)
{
    (void)state;
    for (int readers = 1; readers <= 5; readers++) {
        struct graph *g = graph_new();
        const int x = graph_input(g, "input", 3);
        int y = -1;
        for (int r = 0; r < readers; r++) {
            const int z = nn_relu(g, x);
            y = r ? nn_concat(g, y, z) : z;
        }
        graph_output(g, y);
        assert_int_equal(graph_seal(g, NULL), 0);
        assert_int_equal(count(g, &op_fork), readers - 1);
        assert_int_equal(count(g, &op_relu), readers);
        check_order(g);
        graph_free(g);
    }
}

static void test_one_node_reading_a_value_twice(void **state)
{
    (void)state;
    struct graph *g = graph_new();
    const int x = graph_input(g, "input", 3);
    graph_output(g, nn_concat(g, x, x));
    assert_int_equal(graph_seal(g, NULL), 0);
    assert_int_equal(count(g, &op_fork), 1);
    check_order(g);
    graph_free(g);
}

static void test_reader_that_is_cut_makes_no_fork(void **state)
{
    (void)state;
    struct graph *g = graph_new();
    const int x = graph_input(g, "input", 3);
    graph_output(g, nn_relu(g, x));
    nn_maxpool(g, x);
    assert_int_equal(graph_seal(g, NULL), 0);
    assert_int_equal(count(g, &op_fork), 0);
    assert_int_equal(g->nodes, 2);
    graph_free(g);
}

static int bad_side(struct graph *g, int x)
{
    return nn_conv(g, x, "c", 4, 5, true);
}
static int bad_filters(struct graph *g, int x)
{
    return nn_conv(g, x, "c", 0, 3, true);
}
static int bad_groups(struct graph *g, int x)
{
    return nn_groupnorm(g, x, "n", 4, true);
}
static int bad_rate(struct graph *g, int x)
{
    return nn_dropout(g, x, 1.0f);
}
static int bad_slope(struct graph *g, int x)
{
    return nn_leaky_relu(g, x, -0.5f);
}
static int bad_value(struct graph *g, int x)
{
    return nn_relu(g, x + 100);
}
static int bad_l2(struct graph *g, int x)
{
    return nn_l2(g, x, nn_concat(g, x, x));
}
static int same_prefix(struct graph *g, int x)
{
    return nn_conv(g, nn_conv(g, x, "c", 3, 3, true), "c", 3, 3, true);
}
static int no_name(struct graph *g, int x)
{
    return nn_conv(g, x, NULL, 3, 3, true);
}
static int same_name(struct graph *g, int x)
{
    return graph_name(g, nn_relu(g, x), "input");
}
static int long_name(struct graph *g, int x)
{
    return graph_name(g, x, "%s", "a name that is far too long to be the name of a value");
}

/* A ReLU moves into the convolution or norm it alone reads, once, and only where nobody sees what
 * it reads. */
static void test_folding(void **state)
{
    (void)state;
    enum { ALONE, DECONV, NORM, TWICE, SEEN, SHARED, NO_WRITER, KINDS };
    static const int nodes[KINDS] = {2, 2, 2, 3, 3, 5, 3};
    static const float slopes[KINDS] = {0.2f, 0.2f, 0.2f, 0.2f, 1.0f, 1.0f, 1.0f};
    for (int k = 0; k < KINDS; k++) {
        struct graph *g = graph_new();
        const int x = graph_input(g, "input", 2);
        const int c = k == NO_WRITER ? nn_maxpool(g, x)
                      : k == DECONV  ? nn_deconv(g, x, "a", 4, true)
                      : k == NORM    ? nn_instancenorm(g, x, "a", true)
                                     : nn_conv(g, x, "a", 4, 3, true);
        int y = nn_leaky_relu(g, c, 0.2f);
        if (k == TWICE) y = nn_leaky_relu(g, y, 0.5f);
        if (k == SEEN) graph_output(g, graph_name(g, c, "linear"));
        if (k == SHARED) y = nn_concat(g, c, y);
        graph_output(g, graph_name(g, y, "y"));
        assert_int_equal(graph_seal(g, NULL), 0);
        assert_int_equal(g->nodes, nodes[k]);
        assert_true(g->node[1].slope == slopes[k]);
        assert_int_equal(graph_find(g, "y"), y);
        check_order(g);
        graph_free(g);
    }
}

/* A norm takes over a ReLU and behind it a dropout, each once, and nothing that would change their
 * order or that somebody sees. */
static void test_folding_dropout(void **state)
{
    (void)state;
    enum { ALONE, BEHIND_RELU, BEFORE_RELU, TWICE, SEEN, SHARED, CONV, KINDS };
    static const int nodes[KINDS] = {2, 2, 3, 3, 3, 5, 3};
    static const float rates[KINDS] = {0.25f, 0.25f, 0.25f, 0.25f, 0.0f, 0.0f, 0.0f};
    for (int k = 0; k < KINDS; k++) {
        struct graph *g = graph_new();
        const int x = graph_input(g, "input", 2);
        int c = k == CONV ? nn_conv(g, x, "a", 4, 3, true) : nn_instancenorm(g, x, "a", true);
        if (k == BEHIND_RELU) c = nn_leaky_relu(g, c, 0.5f);
        int y = nn_dropout(g, c, 0.25f);
        if (k == BEFORE_RELU) y = nn_relu(g, y);
        if (k == TWICE) y = nn_dropout(g, y, 0.5f);
        if (k == SEEN) graph_output(g, graph_name(g, c, "norm"));
        if (k == SHARED) y = nn_concat(g, c, y);
        graph_output(g, graph_name(g, y, "y"));
        assert_int_equal(graph_seal(g, NULL), 0);
        assert_int_equal(g->nodes, nodes[k]);
        assert_true(g->node[1].drop.rate == rates[k]);
        assert_true(g->node[1].slope == (k == BEHIND_RELU ? 0.5f : 1.0f));
        assert_int_equal(graph_find(g, "y"), y);
        check_order(g);
        graph_free(g);
    }
}

static void test_mistakes(void **state)
{
    (void)state;
    static const struct {
        int (*build)(struct graph *, int);
        const char *text;
    } all[] = {
        {bad_side, "'c': a convolution of side 5"},
        {bad_filters, "'c': 0 filters"},
        {bad_groups, "'n': 6 channels cannot be divided into 4 groups"},
        {bad_rate, "a dropout rate of 1 is not in [0, 1)"},
        {bad_slope, "a leaky ReLU of slope -0.5"},
        {bad_value, "input 1 of 'relu' is not a value"},
        {bad_l2, "l2 of 6 and 12 channels"},
        {same_prefix, "two nodes are named 'c'"},
        {no_name, "'conv' has parameters but no name"},
        {same_name, "two values are named 'input'"},
        {long_name, "cannot name a value"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct graph *g = graph_new();
        struct err e = {0};
        int x = all[i].build(g, graph_input(g, "input", 6));
        for (int k = 0; k < 3; k++) { /* sticky: what follows neither crashes nor hides it */
            x = nn_relu(g, nn_conv(g, x, "later", 3, 4, true));
            x = graph_name(g, x, "name");
        }
        graph_output(g, x);
        assert_int_equal(graph_seal(g, &e), -1);
        assert_int_equal(e.code, ERR_CONFIG);
        if (!strstr(e.text, all[i].text)) fail_msg("'%s' is not '%s'", e.text, all[i].text);
        graph_free(g);
    }
}

static void test_no_output(void **state)
{
    (void)state;
    struct graph *g = graph_new();
    struct err e = {0};
    nn_relu(g, graph_input(g, "input", 1));
    assert_int_equal(graph_seal(g, &e), -1);
    assert_string_equal(e.text, "the graph has no output");
    graph_free(g);
    graph_free(NULL);
}

static void test_growing(void **state)
{
    (void)state;
    struct graph *g = graph_new();
    int x = graph_input(g, "input", 1);
    for (int i = 0; i < 1000; i++)
        x = nn_relu(g, x);
    graph_output(g, x);
    assert_int_equal(graph_seal(g, NULL), 0);
    assert_int_equal(g->nodes, 1001);
    check_order(g);
    graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dead_nodes_are_cut),
        cmocka_unit_test(test_forks),
        cmocka_unit_test(test_one_node_reading_a_value_twice),
        cmocka_unit_test(test_reader_that_is_cut_makes_no_fork),
        cmocka_unit_test(test_folding),
        cmocka_unit_test(test_folding_dropout),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_no_output),
        cmocka_unit_test(test_growing),
    };
    return cmocka_run_group_tests_name("graph", tests, NULL, NULL);
}
