/* A batch a few images at a time: the same loss and gradients as all at once, the same dropout
 * masks, and memory of the few. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/par.h"
#include "compare.h"
#include "nn/dn.h"
#include "nn/step.h"
#include "nn/unet.h"

enum { BATCH = 6, SIDE = 32 };

struct setting {
    struct graph *graph;
    struct params *params;
    struct step *step;
    float *input[2]; /* of the whole batch */
    size_t len;      /* of an image */
};
static const char *const names[] = {"input", "target"};

static const struct unet_conf nets[] = {
    {1, 1, 20, 3, UNET_BLOCK_CONTEXT, 10, 0.3, .residual = false},
    {2, 2, 8, 2, UNET_BLOCK_FASTMRI, 1, 0.0, .residual = false}};

static struct setting make(const struct unet_conf *net, int at_once)
{
    struct setting s = {.graph = graph_new()};
    const int x = graph_input(s.graph, "input", net->in_channels);
    const int y = unet_build(s.graph, net, x);
    graph_output(s.graph, nn_l2(s.graph, y, graph_input(s.graph, "target", net->out_channels)));
    assert_int_equal(graph_seal(s.graph, NULL), 0);
    s.params = params_new(s.graph, NULL);
    assert_non_null(s.params);
    params_init(s.params, 3);
    const struct plan_conf c = {.batch = BATCH,
                                .height = SIDE,
                                .width = SIDE,
                                .training = true,
                                .precision = NN_FP32_DIRECT}; /* sums differ, products do not */
    s.step = step_new(s.graph, s.params, c, at_once, NULL);
    assert_non_null(s.step);
    s.len = (size_t)(SIDE * SIDE * net->in_channels);
    for (uint32_t k = 0; k < 2; k++) {
        struct rng r = rng_make(1, RNG_TEST, 0, k);
        assert_non_null(s.input[k] = malloc(BATCH * s.len * sizeof(float)));
        for (size_t i = 0; i < BATCH * s.len; i++)
            s.input[k][i] = (float)rng_normal(&r);
        assert_non_null(step_input(s.step, names[k]));
    }
    assert_null(step_input(s.step, "other"));
    return s;
}

static void release(struct setting *s)
{
    free(s->input[0]);
    free(s->input[1]);
    step_free(s->step);
    params_free(s->params);
    graph_free(s->graph);
}

static double *gradient(struct setting *s, const uint32_t *sample, double *loss)
{
    static const uint32_t in_order[BATCH] = {0, 1, 2, 3, 4, 5};
    const int at_once = step_at_once(s->step), parts = step_parts(s->step);
    *loss = 0.0;
    for (int part = 0; part < parts; part++) {
        const size_t first = (size_t)(part * at_once), n = (size_t)at_once * s->len;
        for (int k = 0; k < 2; k++)
            memcpy(step_input(s->step, names[k]), s->input[k] + first * s->len, n * sizeof(float));
        const struct step_key key = {
            .seed = 5, .epoch = 2, .sample = (sample ? sample : in_order) + first};
        *loss += step_part(s->step, part, key, NULL) / parts;
    }
    double *g = malloc(s->params->len * sizeof *g);
    assert_non_null(g);
    for (size_t i = 0; i < s->params->len; i++)
        g[i] = (double)s->params->grad[i];
    return g;
}

static void test_parts_make_the_whole(void **state)
{
    (void)state;
    static const uint32_t ids[BATCH] = {9, 4, 77, 0, 3, 1000};
    for (size_t n = 0; n < 2; n++)
        for (int named = 0; named < 2; named++) {
            const uint32_t *sample = named ? ids : NULL;
            struct setting whole = make(&nets[n], BATCH);
            double loss, *ref = gradient(&whole, sample, &loss);
            for (int at_once = 1; at_once < BATCH; at_once++) {
                if (BATCH % at_once) continue;
                struct setting parts = make(&nets[n], at_once);
                assert_int_equal(step_at_once(parts.step), at_once);
                assert_true(plan_arena_bytes(step_plan(parts.step)) <
                            plan_arena_bytes(step_plan(whole.step)));
                for (int again = 0; again < 2; again++) {
                    double own, *g = gradient(&parts, sample, &own);
                    assert_true(fabs(own - loss) <= 1e-6 * loss);
                    assert_true(relative_error(parts.params->len, g, ref) <= 2e-6);
                    free(g);
                }
                release(&parts);
            }
            free(ref);
            release(&whole);
        }
}

/* Small images go all at once, large ones one by one; never a number that does not divide. */
static void test_rule(void **state)
{
    (void)state;
    static const struct {
        int threads, batch, side, amx, other; /* images at a time, with AMX and without */
    } cases[] = {{2, 4, 320, 1, 2}, {2, 4, 128, 4, 4}, {2, 9, 128, 3, 9},  {2, 7, 128, 7, 7},
                 {1, 7, 128, 1, 7}, {8, 8, 320, 4, 8}, {64, 8, 320, 8, 8}, {1, 1, 640, 1, 1}};
    const bool amx = dn_isa() == DN_ISA_AMX;
    const int before = par_threads();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        par_set_threads(cases[i].threads);
        struct graph *g = graph_new();
        const int y = nn_conv(g, graph_input(g, "input", 1), "a", 1, 1, true);
        graph_output(g, nn_l2(g, y, graph_input(g, "target", 1)));
        assert_int_equal(graph_seal(g, NULL), 0);
        struct params *p = params_new(g, NULL);
        struct step *s = step_new(g, p,
                                  (struct plan_conf){.batch = cases[i].batch,
                                                     .height = cases[i].side,
                                                     .width = cases[i].side,
                                                     .training = true},
                                  0, NULL);
        assert_non_null(s);
        assert_int_equal(step_at_once(s), amx ? cases[i].amx : cases[i].other);
        step_free(s);
        params_free(p);
        graph_free(g);
    }
    par_set_threads(before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parts_make_the_whole),
                                       cmocka_unit_test(test_rule)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
