/* Dropout: identity without training or rate; masks of the right density, bound to the image and
 * not to its place or the threads, new for every epoch, seed, image and node; and gradients through
 * the survivors alone, against the oracle given the same mask. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/par.h"
#include "compare.h"
#include "twin.h"

/* Two dropouts of one value, both results outputs "drop1" and "drop2". */
static const struct naive_step two[] = {{NAIVE_CONV, .filters = 6, .side = 1, .affine = true},
                                        {NAIVE_DROPOUT, .slope = 0.3},
                                        {NAIVE_DROPOUT, .slope = 0.3, .a = 1},
                                        {NAIVE_CONCAT, .b = 1},
                                        {NAIVE_CONV, .filters = 2, .side = 1},
                                        {.kind = NAIVE_END}};

/* The masks of both after a pass, one byte an element; the caller frees them. */
static void masks(struct twin *t, struct step_key key, char *mask[2], size_t *n)
{
    plan_forward(t->plan, key);
    for (int k = 0; k < 2; k++) {
        struct shape s;
        const float *y = plan_output(t->plan, k ? "drop2" : "drop1", &s);
        *n = shape_len(s);
        mask[k] = malloc(*n);
        assert_non_null(mask[k]);
        for (size_t i = 0; i < *n; i++)
            mask[k][i] = y[i] != 0;
    }
}

static double alike(size_t n, const char *a, const char *b)
{
    size_t same = 0;
    for (size_t i = 0; i < n; i++)
        same += a[i] == b[i];
    return (double)same / (double)n;
}

/* Two independent masks of rate 0.3 agree in 0.58 of n places, give or take five sigma. */
static void check_independent(size_t n, const char *a, const char *b)
{
    assert_true(fabs(alike(n, a, b) - 0.58) < 5 * sqrt(0.58 * 0.42 / (double)n));
}

/* Images of 31 x 47: their ends meet neither the kernel's runs nor its bytes. */
static void test_masks(void **state)
{
    (void)state;
    const uint32_t id[] = {7, 2, 9}, turned[] = {9, 7, 2};
    const struct step_key key = {.seed = 4, .epoch = 6, .sample = id};
    struct twin t = twin_new(two, NULL, (struct shape){3, 31, 47, 2}, NN_FP32_DIRECT);
    char *a[2], *b[2];
    size_t n;
    twin_fill(&t, 1);
    masks(&t, key, a, &n);
    const size_t image = n / 3;
    check_independent(n, a[0], a[1]);                /* nodes */
    check_independent(image, a[0], a[0] + image);    /* images */
    for (int threads = 1; threads <= 5; threads++) { /* no randomness of their own */
        par_set_threads(threads);
        masks(&t, key, b, &n);
        for (int k = 0; k < 2; k++) {
            assert_memory_equal(a[k], b[k], n);
            free(b[k]);
        }
    }
    par_set_threads(2);
    const struct step_key other[] = {{.seed = 4, .epoch = 7, .sample = id},
                                     {.seed = 5, .epoch = 6, .sample = id}};
    for (int k = 0; k < 2; k++) {
        masks(&t, other[k], b, &n);
        check_independent(n, a[0], b[0]);
        free(b[0]);
        free(b[1]);
    }
    masks(&t, (struct step_key){.seed = 4, .epoch = 6, .sample = turned}, b, &n);
    for (int k = 0; k < 2; k++) { /* the mask goes with the image */
        assert_memory_equal(b[k], a[k] + 2 * image, image);
        assert_memory_equal(b[k] + image, a[k], 2 * image);
        free(a[k]);
        free(b[k]);
    }
    twin_release(&t);
}

/* Checkpoints rely on it: element i of an image survives where sixteen bits of the stream, half i
 * mod 2 of word i / 2 mod 4 of block i / 8 of the node, are at least 0.3 of all their values. */
static void test_mask_is_never_another(void **state)
{
    (void)state;
    const uint32_t id[] = {7, 2};
    struct twin t = twin_new(two, NULL, (struct shape){2, 37, 53, 1}, NN_FP32_DIRECT);
    char *a[2];
    size_t n;
    twin_fill(&t, 3);
    masks(&t, (struct step_key){.seed = 11, .epoch = 3, .sample = id}, a, &n);
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; i < n; i++) {
            const size_t at = i % (n / 2);
            const struct rng r = rng_make(11, RNG_DROPOUT, 3, id[i / (n / 2)]);
            uint32_t word[4];
            rng_block(&r, (uint64_t)k << 32 | at / 8, word);
            assert_int_equal(a[k][i], (word[at % 8 / 2] >> 16 * (at % 2) & 0xffff) >= 19661);
        }
    free(a[0]);
    free(a[1]);
    twin_release(&t);
}

/* Oracle and engine agree given the mask: survivors are scaled by 1 / (1 - rate), and gradients
 * pass through them alone. The share of survivors is binomial, five sigma. */
static void check_rate(double rate, struct shape s)
{
    const struct naive_step steps[] = {{NAIVE_CONV, .filters = 7, .side = 3, .affine = true},
                                       {NAIVE_GROUPNORM, .groups = 1, .affine = true},
                                       {NAIVE_DROPOUT, .slope = rate},
                                       {NAIVE_CONV, .filters = 3, .side = 3},
                                       {.kind = NAIVE_END}};
    struct twin t = twin_new(steps, NULL, s, NN_FP32_DIRECT);
    twin_fill(&t, 2);
    const struct twin_error e = twin_compare(&t, (struct step_key){.seed = 8});
    if (!(e.output <= 1e-5 && e.loss <= 1e-5 && e.grad <= 1e-5))
        fail_msg("rate %g: output %.1e, loss %.1e, gradient %.1e (%s)", rate, e.output, e.loss,
                 e.grad, e.worst);
    const size_t n = shape_len(t.naive->shape[3]);
    double kept = 0;
    for (size_t i = 0; i < n; i++)
        kept += t.keep[2][i];
    const double off = kept / (double)n - (1 - rate);
    assert_true(fabs(off) <= 5 * sqrt(rate * (1 - rate) / (double)n));
    twin_release(&t);
}

static void test_rates(void **state)
{
    (void)state;
    static const double rates[] = {0, 0.1, 0.25, 0.5, 0.9};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        check_rate(rates[i], (struct shape){2, 29, 41, 3});
        check_rate(rates[i], (struct shape){1, 64, 64, 1});
    }
}

/* A norm that ends in what follows it gives the same numbers as nodes on their own, whose values
 * are seen: results, masks and gradients. */
static void check_folded(struct naive_step norm, double slope, struct shape s)
{
    struct twin t[2];
    const float *y[2];
    struct shape out = {0};
    for (int apart = 0; apart < 2; apart++) {
        norm.tap = apart;
        const struct naive_step steps[] = {{NAIVE_CONV, .filters = 18, .side = 3, .affine = true},
                                           norm,
                                           {NAIVE_LEAKY, .slope = slope, .tap = apart},
                                           {NAIVE_DROPOUT, .slope = 0.3},
                                           {NAIVE_CONV, .filters = 3, .side = 3},
                                           {.kind = NAIVE_END}};
        t[apart] = twin_new(steps, NULL, s, NN_FP32_DIRECT);
        twin_fill(&t[apart], 5);
        const struct twin_error e = twin_compare(&t[apart], (struct step_key){.seed = 8});
        assert_true(e.output <= 1e-5 && e.loss <= 1e-5 && e.grad <= 1e-5);
        y[apart] = plan_output(t[apart].plan, "drop3", &out);
    }
    for (size_t i = 0; i < shape_len(out); i++) /* -0 is 0 */
        assert_true(y[0][i] == y[1][i]);
    for (size_t i = 0; i < t[0].params->len; i++)
        assert_true(t[0].params->grad[i] == t[1].params->grad[i]);
    twin_release(&t[0]);
    twin_release(&t[1]);
}

static void test_folded_into_a_norm(void **state)
{
    (void)state;
    static const struct naive_step norms[] = {{NAIVE_GROUPNORM, .groups = 3, .affine = true},
                                              {NAIVE_INSTANCENORM, .affine = true},
                                              {.kind = NAIVE_INSTANCENORM}};
    for (int k = 0; k < 3; k++)
        for (double slope = 0; slope <= 1; slope += 0.5) {
            check_folded(norms[k], slope, (struct shape){2, 29, 41, 3});
            check_folded(norms[k], slope, (struct shape){3, 5, 3, 1});
            check_folded(norms[k], slope, (struct shape){1, 64, 96, 1}); /* several pieces */
        }
}

/* Rate 0 while training, and any rate otherwise, change no bit. */
static void test_identity(void **state)
{
    (void)state;
    for (int training = 0; training < 2; training++) {
        struct graph *g = graph_new();
        const int x = nn_conv(g, graph_input(g, "input", 2), "c", 5, 1, true);
        graph_output(g, graph_name(g, x, "before"));
        const int y = nn_dropout(g, x, training ? 0 : 0.5f);
        graph_output(g, graph_name(g, y, "after"));
        graph_output(g, nn_l2(g, y, graph_input(g, "target", 5)));
        assert_int_equal(graph_seal(g, NULL), 0);
        struct params *p = params_new(g, NULL);
        params_init(p, 1);
        struct plan *plan = plan_new(
            g, p, (struct plan_conf){.batch = 2, .height = 9, .width = 5, .training = training},
            NULL);
        assert_non_null(plan);
        for (int i = 0; i < 180; i++)
            plan_input(plan, "input")[i] = sinf((float)i);
        plan_forward(plan, (struct step_key){.seed = 3});
        const float *before = plan_output(plan, "before", NULL);
        assert_true(before[0] != 0);
        assert_memory_equal(before, plan_output(plan, "after", NULL), 450 * sizeof *before);
        plan_free(plan);
        params_free(p);
        graph_free(g);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const float rates[] = {-0.1f, 1.0f, 1.5f, NAN};
    for (int i = 0; i < 4; i++) {
        struct graph *g = graph_new();
        struct err e = {0};
        graph_output(g, nn_dropout(g, graph_input(g, "input", 2), rates[i]));
        assert_int_equal(graph_seal(g, &e), -1);
        assert_non_null(strstr(e.text, "dropout rate"));
        graph_free(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_masks),    cmocka_unit_test(test_mask_is_never_another),
        cmocka_unit_test(test_rates),    cmocka_unit_test(test_folded_into_a_norm),
        cmocka_unit_test(test_identity), cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
