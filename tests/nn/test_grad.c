/* Every operator of the engine, forward and backward, against the naive double-precision oracle.
 * Each runs in a small network behind a convolution, whose weight gradient carries the operator's
 * input gradient. Errors are norm-wise per tensor (compare.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compare.h"
#include "twin.h"

/* What the engine may be off by. In plain float32 sums that is 1e-5. The fastest kernels lose about
 * 4e-6 in each convolution, and norms and cancelling sums multiply it: measured over 600 random
 * networks, at most 1.3e-4. Of bfloat16 the oracle rounds the same factors, so that nearly all
 * networks agree to 1e-6; but a number that lies within a few 1e-8 of halfway between two bfloat16
 * ones may be rounded the other way, a difference of 2^-8, which shows as up to 7e-3 where it is
 * one of few. `condition`: networks in which that, or float32 alone, costs more are left out
 * (twin_condition). */
struct mode {
    const char *name;
    enum nn_precision precision;
    double tolerance;
    struct {
        double operators, random;
    } condition;
};
static const struct mode modes[] = {
    {"fp32-direct", NN_FP32_DIRECT, 1e-5, {1e-6, 3e-7}},
    {"fp32", NN_FP32, 2e-4, {1e-6, 3e-7}},
    {"bf16", NN_BF16, 2e-2, {2e-3, 2e-3}},
};
enum { MODES = sizeof modes / sizeof *modes };

struct test_case {
    const char *name;
    struct naive_step steps[10];
};

/* Networks that keep the size of the image end at a target; the others at a second branch. */
static const struct test_case cases[] = {
    {"conv 3x3",
     {{NAIVE_CONV, .filters = 5, .side = 1},
      {NAIVE_CONV, .filters = 7, .side = 3, .affine = true}}},
    {"conv 3x3 16 to 32",
     {{NAIVE_CONV, .filters = 16, .side = 3}, {NAIVE_CONV, .filters = 32, .side = 3}}},
    {"conv 3x3 20 to 40",
     {{NAIVE_CONV, .filters = 20, .side = 3, .affine = true},
      {NAIVE_CONV, .filters = 40, .side = 3, .affine = true}}},
    {"conv 3x3 to 1 channel",
     {{NAIVE_CONV, .filters = 3, .side = 3},
      {NAIVE_CONV, .filters = 1, .side = 3, .affine = true}}},
    {"conv 1x1",
     {{NAIVE_CONV, .filters = 9, .side = 3},
      {NAIVE_CONV, .filters = 2, .side = 1, .affine = true}}},
    {"conv 1x1 without bias",
     {{NAIVE_CONV, .filters = 33, .side = 1}, {NAIVE_CONV, .filters = 17, .side = 1}}},
    {"deconv",
     {{NAIVE_CONV, .filters = 5, .side = 3},
      {NAIVE_DECONV, .filters = 3, .affine = true},
      {NAIVE_DECONV, .filters = 3, .a = 2},
      {NAIVE_L2, .b = 1}}},
    {"deconv 40 to 20",
     {{NAIVE_CONV, .filters = 40, .side = 1},
      {NAIVE_DECONV, .filters = 20, .affine = true},
      {.kind = NAIVE_AVGPOOL}}},
    {"deconv to 1 channel",
     {{NAIVE_CONV, .filters = 3, .side = 1},
      {NAIVE_DECONV, .filters = 1},
      {.kind = NAIVE_AVGPOOL}}},
    {"max pool",
     {{NAIVE_CONV, .filters = 5, .side = 3},
      {.kind = NAIVE_MAXPOOL},
      {NAIVE_CONV, .filters = 5, .side = 1, .a = 2},
      {.kind = NAIVE_MAXPOOL},
      {NAIVE_L2, .b = 2}}},
    {"max pool of many channels",
     {{NAIVE_CONV, .filters = 36, .side = 3},
      {.kind = NAIVE_MAXPOOL},
      {NAIVE_CONV, .filters = 36, .side = 1, .a = 2},
      {.kind = NAIVE_AVGPOOL},
      {NAIVE_L2, .b = 2}}},
    {"average pool",
     {{NAIVE_CONV, .filters = 3, .side = 3},
      {.kind = NAIVE_AVGPOOL},
      {NAIVE_CONV, .filters = 3, .side = 3, .a = 2},
      {.kind = NAIVE_AVGPOOL},
      {NAIVE_L2, .b = 2}}},
    {"group norm 6 in 3",
     {{NAIVE_CONV, .filters = 6, .side = 3}, {NAIVE_GROUPNORM, .groups = 3, .affine = true}}},
    {"group norm 20 in 10",
     {{NAIVE_CONV, .filters = 20, .side = 3, .affine = true},
      {NAIVE_GROUPNORM, .groups = 10, .affine = true}}},
    {"group norm 33 in 1, no affine",
     {{NAIVE_CONV, .filters = 33, .side = 1}, {NAIVE_GROUPNORM, .groups = 1}}},
    {"group norm 64 in 2",
     {{NAIVE_CONV, .filters = 64, .side = 1}, {NAIVE_GROUPNORM, .groups = 2, .affine = true}}},
    {"group norm, groups as channels",
     {{NAIVE_CONV, .filters = 8, .side = 3}, {NAIVE_GROUPNORM, .groups = 8, .affine = true}}},
    {"instance norm", {{NAIVE_CONV, .filters = 7, .side = 3}, {.kind = NAIVE_INSTANCENORM}}},
    {"instance norm, affine",
     {{NAIVE_CONV, .filters = 20, .side = 3}, {NAIVE_INSTANCENORM, .affine = true}}},
    {"norm of one channel",
     {{NAIVE_CONV, .filters = 1, .side = 3}, {NAIVE_GROUPNORM, .groups = 1, .affine = true}}},
    {"group norm and relu",
     {{NAIVE_CONV, .filters = 20, .side = 3, .affine = true},
      {NAIVE_GROUPNORM, .groups = 10, .affine = true},
      {.kind = NAIVE_RELU}}},
    {"instance norm and leaky relu",
     {{NAIVE_CONV, .filters = 9, .side = 3},
      {.kind = NAIVE_INSTANCENORM},
      {NAIVE_LEAKY, .slope = 0.2},
      {NAIVE_CONV, .filters = 3, .side = 3}}},
    {"norm, leaky relu and another",
     {{NAIVE_CONV, .filters = 33, .side = 1},
      {NAIVE_GROUPNORM, .groups = 3, .affine = true},
      {NAIVE_LEAKY, .slope = 0.5},
      {.kind = NAIVE_RELU},
      {NAIVE_CONV, .filters = 3, .side = 1}}},
    {"norm that is read before and behind its relu",
     {{NAIVE_CONV, .filters = 6, .side = 3},
      {NAIVE_GROUPNORM, .groups = 2, .affine = true},
      {.kind = NAIVE_RELU},
      {NAIVE_CONCAT, .a = 0, .b = 1}}},
    {"relu of a norm, read twice",
     {{NAIVE_CONV, .filters = 6, .side = 3},
      {NAIVE_INSTANCENORM, .affine = true},
      {NAIVE_LEAKY, .slope = 0.1},
      {NAIVE_CONV, .filters = 4, .side = 3},
      {NAIVE_CONCAT, .a = 0, .b = 1}}},
    {"relu", {{NAIVE_CONV, .filters = 5, .side = 3, .affine = true}, {.kind = NAIVE_RELU}}},
    {"relu between",
     {{NAIVE_CONV, .filters = 16, .side = 3},
      {.kind = NAIVE_RELU},
      {NAIVE_CONV, .filters = 3, .side = 3}}},
    {"leaky relu",
     {{NAIVE_CONV, .filters = 3, .side = 3, .affine = true}, {NAIVE_LEAKY, .slope = 0.2}}},
    {"leaky relu, other slope",
     {{NAIVE_CONV, .filters = 17, .side = 1}, {NAIVE_LEAKY, .slope = 0.01}}},
    {"relu of a value read twice",
     {{NAIVE_CONV, .filters = 6, .side = 3, .affine = true},
      {.kind = NAIVE_RELU},
      {NAIVE_CONV, .filters = 3, .side = 1, .a = 1},
      {NAIVE_CONCAT, .b = 1}}},
    {"relu read twice",
     {{NAIVE_CONV, .filters = 18, .side = 3, .affine = true},
      {.kind = NAIVE_RELU},
      {NAIVE_CONV, .filters = 3, .side = 1},
      {NAIVE_CONCAT, .b = 1}}},
    {"two relus of a convolution",
     {{NAIVE_CONV, .filters = 5, .side = 3},
      {NAIVE_LEAKY, .slope = 0.5},
      {NAIVE_LEAKY, .slope = 0.3},
      {NAIVE_CONV, .filters = 2, .side = 1}}},
    {"relu as an output, and read twice",
     {{NAIVE_CONV, .filters = 20, .side = 3, .affine = true},
      {.kind = NAIVE_RELU, .tap = true},
      {NAIVE_CONV, .filters = 3, .side = 3},
      {NAIVE_CONCAT, .b = 1}}},
    {"what a relu reads as an output",
     {{NAIVE_CONV, .filters = 6, .side = 3, .affine = true, .tap = true},
      {NAIVE_LEAKY, .slope = 0.2},
      {NAIVE_CONV, .filters = 3, .side = 1}}},
    {"relu of a deconv as an output",
     {{NAIVE_CONV, .filters = 6, .side = 1},
      {NAIVE_DECONV, .filters = 5, .affine = true},
      {NAIVE_LEAKY, .slope = 0.2, .tap = true},
      {.kind = NAIVE_AVGPOOL}}},
    {"relu of a deconv",
     {{NAIVE_CONV, .filters = 5, .side = 3},
      {NAIVE_DECONV, .filters = 3, .affine = true},
      {.kind = NAIVE_RELU},
      {.kind = NAIVE_AVGPOOL}}},
    {"leaky relu of a deconv, read twice",
     {{NAIVE_CONV, .filters = 7, .side = 1},
      {NAIVE_DECONV, .filters = 17},
      {NAIVE_LEAKY, .slope = 0.2},
      {NAIVE_CONV, .filters = 4, .side = 3},
      {NAIVE_CONCAT, .b = 1},
      {.kind = NAIVE_AVGPOOL}}},
    {"dropout of rate 0", {{NAIVE_CONV, .filters = 5, .side = 3}, {NAIVE_DROPOUT, .slope = 0}}},
    {"concat of 3 and 17",
     {{NAIVE_CONV, .filters = 3, .side = 3},
      {NAIVE_CONV, .filters = 17, .side = 3, .a = 1},
      {NAIVE_CONCAT, .a = 0, .b = 1},
      {NAIVE_CONV, .filters = 4, .side = 1}}},
    {"concat of 31 and 33 under a 3x3 convolution",
     {{NAIVE_CONV, .filters = 31, .side = 1},
      {NAIVE_CONV, .filters = 33, .side = 3, .a = 1},
      {NAIVE_CONCAT, .a = 0, .b = 1},
      {NAIVE_CONV, .filters = 5, .side = 3, .affine = true},
      {.kind = NAIVE_RELU}}},
    {"concat of the input and 20",
     {{NAIVE_CONV, .filters = 20, .side = 3},
      {NAIVE_CONCAT, .a = 1, .b = 0},
      {NAIVE_CONV, .filters = 7, .side = 3}}},
    {"concat of 20 and 1, order kept",
     {{NAIVE_CONV, .filters = 20, .side = 1},
      {NAIVE_CONV, .filters = 1, .side = 3, .a = 1},
      {NAIVE_CONCAT, .a = 1, .b = 0}}},
    {"concat of a value with itself",
     {{NAIVE_CONV, .filters = 3, .side = 3}, {.kind = NAIVE_CONCAT}}},
    {"input with three readers",
     {{NAIVE_CONV, .filters = 2, .side = 3},
      {NAIVE_CONV, .filters = 5, .side = 1, .a = 1},
      {NAIVE_CONCAT, .b = 1},
      {NAIVE_CONCAT, .b = 3}}},
    {"in-place operators on a value that is read again",
     {{NAIVE_CONV, .filters = 6, .side = 3},
      {.kind = NAIVE_RELU},
      {NAIVE_LEAKY, .slope = 0.3, .a = 1},
      {NAIVE_GROUPNORM, .groups = 2, .affine = true, .a = 2},
      {NAIVE_CONCAT, .a = 1, .b = 2},
      {NAIVE_CONCAT, .a = 0, .b = 1},
      {NAIVE_CONCAT, .a = 5, .b = 0}}},
    {"l2 of a value and what was made from it",
     {{NAIVE_CONV, .filters = 4, .side = 3},
      {.kind = NAIVE_RELU},
      {NAIVE_CONV, .filters = 4, .side = 3},
      {NAIVE_L2, .b = 2}}},
    {"two readers, one dead",
     {{NAIVE_CONV, .filters = 4, .side = 3},
      {NAIVE_CONV, .filters = 4, .side = 3},
      {NAIVE_CONV, .filters = 2, .side = 1, .a = 1}}},
    {"conv 3x3 40 to 80 and 33 to 17",
     {{NAIVE_CONV, .filters = 40, .side = 3},
      {NAIVE_CONV, .filters = 80, .side = 3, .affine = true},
      {NAIVE_CONV, .filters = 33, .side = 1},
      {NAIVE_CONV, .filters = 17, .side = 3, .affine = true}}},
};

static const struct shape shapes[] = {
    {1, 4, 4, 1}, {3, 5, 7, 3}, {2, 9, 3, 5}, {1, 16, 16, 16}, {1, 6, 10, 20}, {2, 8, 12, 33},
    {7, 3, 5, 2}, {1, 1, 1, 4}, {3, 1, 6, 1}, {1, 2, 2, 8},    {1, 17, 31, 2},
};

struct tally {
    int run, bad, cancelled;
    double worst; /* error of any output or gradient */
};

static void report(const struct mode *m, const char *name, struct shape s, struct twin_error e)
{
    printf("%s: %s, input %dx%dx%dx%d: output %.1e, loss %.1e, gradient %.1e (%s)\n", m->name, name,
           s.n, s.h, s.w, s.c, e.output, e.loss, e.grad, e.worst);
}

static void check(const struct mode *m, const char *name, struct twin *t, double most,
                  struct tally *sum)
{
    sum->run++;
    if (twin_condition(t) > most) {
        sum->cancelled++;
        return;
    }
    const struct twin_error e = twin_compare(t, (struct step_key){0});
    sum->worst = fmax(sum->worst, fmax(e.output, e.grad));
    if (e.output <= m->tolerance && e.loss <= m->tolerance && e.grad <= m->tolerance) return;
    report(m, name, t->naive->shape[0], e);
    sum->bad++;
}

static void conclude(const struct mode *m, const char *what, struct tally sum, int most_cancelled)
{
    printf("%s: %d %s, %d wrong, %d left out, worst error %.1e\n", m->name, sum.run, what, sum.bad,
           sum.cancelled, sum.worst);
    assert_int_equal(sum.bad, 0);
    assert_true(sum.cancelled < most_cancelled);
}

/* Whether the result has pixels, at the size of the input where it meets a target. */
static bool fits(const struct naive_step *steps, struct shape s)
{
    struct naive_net *net = naive_net_new(steps, s);
    bool ok = true;
    for (int v = 0; v <= net->n; v++)
        ok = ok && net->shape[v].h > 0 && net->shape[v].w > 0;
    naive_net_free(net);
    return ok;
}

static void test_operators(void **state)
{
    (void)state;
    for (const struct mode *m = modes; m < modes + MODES; m++) {
        struct tally sum = {0};
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
            for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
                if (!fits(cases[i].steps, shapes[k])) continue;
                struct twin t = twin_new(cases[i].steps, NULL, shapes[k], m->precision);
                twin_fill(&t, 100 * i + k);
                check(m, cases[i].name, &t, m->condition.operators, &sum);
                twin_release(&t);
            }
        assert_true(sum.run > 300);
        conclude(m, "networks", sum, sum.run / 20);
    }
}

static void test_unets(void **state)
{
    (void)state;
    const struct unet_conf confs[] = {
        {1, 1, 4, 3, UNET_BLOCK_CONTEXT, 2, 0, .residual = false},
        {3, 2, 6, 2, UNET_BLOCK_CONTEXT, 3, 0, .residual = false},
        {1, 1, 5, 1, UNET_BLOCK_CONTEXT, 1, 0, .residual = false},
        {2, 2, 4, 3, UNET_BLOCK_FASTMRI, 1, 0, .residual = false},
        {1, 3, 5, 2, UNET_BLOCK_FASTMRI, 1, 0, .residual = false},
        {2, 2, 3, 4, UNET_BLOCK_FASTMRI, 1, 0, .residual = false},
    };
    enum { CONFS = sizeof confs / sizeof *confs };
    for (const struct mode *m = modes; m < modes + MODES; m++)
        for (int i = 0; i < CONFS; i++) {
            const struct shape input = {2, 16, 24, confs[i].in_channels};
            struct twin t = twin_new(NULL, &confs[i], input, m->precision);
            char name[16];
            snprintf(name, sizeof name, "UNet %d", i);
            twin_fill(&t, (uint64_t)i);
            const struct twin_error e = twin_compare(&t, (struct step_key){0});
            report(m, name, input, e);
            assert_true(e.output <= m->tolerance && e.loss <= m->tolerance &&
                        e.grad <= m->tolerance);
            twin_release(&t);
        }
}

/* Of equal maxima the first takes the gradient. With weights (1, 1) pixels of (v, 3 - v) all become
 * 3, and the four of a window have four different v: the weight gradient tells which was taken.
 * Integers: exact. */
static void test_maxpool_ties(void **state)
{
    (void)state;
    const struct naive_step steps[] = {{NAIVE_CONV, .filters = 1, .side = 1, .name = "a"},
                                       {.kind = NAIVE_MAXPOOL},
                                       {NAIVE_DECONV, .filters = 1, .name = "b"},
                                       {.kind = NAIVE_END}};
    struct twin t = twin_new(steps, NULL, (struct shape){1, 4, 4, 2}, NN_FP32_DIRECT);
    for (int first = 0; first < 4; first++) {
        for (size_t i = 0; i < t.nx / 2; i++) {
            t.x[2 * i] = (double)((i % 4 + 2 * (i / 4) + (size_t)first) % 4);
            t.x[2 * i + 1] = 3 - t.x[2 * i];
        }
        for (size_t i = 0; i < t.ntarget; i++)
            t.target[i] = (double)i;
        for (int p = 0; p < t.naive->nparams; p++)
            for (size_t i = 0; i < t.naive->param[p].len; i++)
                t.naive->param[p].val[i] = 1;
        twin_copy(&t);
        const struct twin_error e = twin_compare(&t, (struct step_key){0});
        assert_true(e.output == 0 && e.grad <= 1e-6);
    }
    twin_release(&t);
}

/* Networks nobody thought of: random operators on random earlier values. More of them with
 * SSFD_TEST_RANDOM_NETWORKS=3000. */
static struct naive_step random_step(struct rng *r, const struct naive_net *net)
{
    for (;;) {
        struct naive_step t = {.kind = NAIVE_CONV + rng_below(r, NAIVE_L2 - NAIVE_CONV),
                               .a = rng_below(r, 3) ? 0 : (int)rng_below(r, (uint32_t)net->n + 1),
                               .b = (int)rng_below(r, (uint32_t)net->n + 1),
                               .filters = 1 + (int)rng_below(r, 9),
                               .side = rng_below(r, 2) ? 3 : 1,
                               .affine = rng_below(r, 2)};
        const struct shape s = net->shape[net->n - t.a], u = net->shape[net->n - t.b];
        if (t.kind == NAIVE_CONCAT && (s.h != u.h || s.w != u.w || s.c + u.c > 40)) continue;
        if (t.kind == NAIVE_DECONV && s.h > 8) continue;
        if ((t.kind == NAIVE_MAXPOOL || t.kind == NAIVE_AVGPOOL) && s.h < 4) continue;
        if (t.kind == NAIVE_LEAKY) t.slope = 0.1 + 0.5 * rng_uniform(r);
        if (t.kind == NAIVE_GROUPNORM) t.groups = s.c % 2 == 0 ? 2 : s.c % 3 == 0 ? 3 : 1;
        return t;
    }
}

/* At most 16 steps; pools, deconvolutions and a convolution at the end bring it back to the input's
 * size. */
static void random_steps(struct rng *r, struct shape input, struct naive_step *steps)
{
    const int most = 2 + (int)rng_below(r, 11);
    int n = 0;
    steps[n++] = (struct naive_step){NAIVE_CONV, .filters = 1 + (int)rng_below(r, 8), .side = 3};
    for (bool end = false; !end; n++) {
        steps[n] = (struct naive_step){.kind = NAIVE_END};
        struct naive_net *net = naive_net_new(steps, input);
        const int h = net->shape[net->n].h;
        if (n < most)
            steps[n] = random_step(r, net);
        else if (h > input.h)
            steps[n] = (struct naive_step){.kind = NAIVE_AVGPOOL};
        else if (h < input.h)
            steps[n] = (struct naive_step){NAIVE_DECONV, .filters = 3};
        else
            end = true;
        naive_net_free(net);
    }
    steps[n - 1] = (struct naive_step){NAIVE_CONV, .filters = 2, .side = 1, .affine = true};
    steps[n] = (struct naive_step){.kind = NAIVE_END};
}

static void check_random_network(const struct mode *m, int i, struct tally *sum)
{
    struct rng r = rng_make((uint64_t)i, RNG_TEST, 1, 0);
    const struct shape input = {1 + (int)rng_below(&r, 3), 8, 16, 1 + (int)rng_below(&r, 5)};
    struct naive_step steps[NAIVE_STEPS];
    char name[32];
    random_steps(&r, input, steps);
    struct twin t = twin_new(steps, NULL, input, m->precision);
    twin_fill(&t, (uint64_t)i);
    snprintf(name, sizeof name, "random network %d", i);
    check(m, name, &t, m->condition.random, sum);
    twin_release(&t);
}

static void test_random_networks(void **state)
{
    (void)state;
    const char *more = getenv("SSFD_TEST_RANDOM_NETWORKS");
    const int total = more ? atoi(more) : 150;
    for (const struct mode *m = modes; m < modes + MODES; m++) {
        struct tally sum = {0};
        for (int i = 0; i < total; i++)
            check_random_network(m, i, &sum);
        conclude(m, "random networks", sum, sum.run / 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operators), cmocka_unit_test(test_maxpool_ties),
        cmocka_unit_test(test_unets), cmocka_unit_test(test_random_networks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
