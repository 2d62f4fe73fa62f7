/* The network that is trained and its loss: SSFD in the graph is SSFD as the metric computes it,
 * with the encoder of a checkpoint, which training leaves as it is. */
#include "base/mem.h"
#include "base/rng.h"
#include "data/normalise.h"
#include "nn/adam.h"
#include "nn/ckpt.h"
#include "nn/plan.h"
#include "nn/step.h"
#include "train/net.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { N = 32, PIXELS = N * N };
static const struct unet_conf ssl = {1, 1, 4, 3, UNET_BLOCK_CONTEXT, 2, 0.5, .residual = false};
static const struct unet_conf recon = {2, 2, 4, 2, UNET_BLOCK_FASTMRI, 1, 0.0, .residual = true};
static char path[64] = "/tmp/ssfd-test-net-XXXXXX";

/* An encoder with weights by seed, saved; its tap's graph and parameters stay. */
struct encoder {
    struct graph *graph;
    struct params *params;
};

static struct encoder make_encoder(void)
{
    struct encoder c = {graph_new(), NULL};
    struct err e = {0};
    struct unet_conf net = ssl;
    unet_build(c.graph, &net, graph_input(c.graph, "input", 1));
    graph_output(c.graph, graph_find(c.graph, "output"));
    graph_output(c.graph, graph_find(c.graph, "block3_relu1"));
    if (graph_seal(c.graph, &e)) fail_msg("%s", e.text);
    c.params = params_new(c.graph, &e);
    params_init(c.params, 9);
    struct ckpt_info info = {.task = "ssl", .unet = ssl};
    if (ckpt_save(path, c.params, &info, &e)) fail_msg("%s", e.text);
    return c;
}

static void encode(const struct encoder *c, const float *x, size_t len, float *features)
{
    struct err e = {0};
    struct plan *p =
        plan_new(c->graph, c->params, (struct plan_conf){.batch = 1, .height = N, .width = N}, &e);
    float *in = plan_input(p, "input");
    for (int i = 0; i < PIXELS; i++)
        in[i] = hypotf(x[2 * i], x[2 * i + 1]);
    normalise_zscore(in, PIXELS);
    plan_forward(p, (struct step_key){0});
    memcpy(features, plan_output(p, "block3_relu1", NULL), len * sizeof *features);
    plan_free(p);
}

static void ssfd_is_the_metric(void **state)
{
    (void)state;
    enum { FEATURES = 16 * PIXELS / 16 };
    const struct encoder c = make_encoder();
    const struct loss_conf loss = {.kind = LOSS_L1, .ssfd = {0.75, path, "conv5"}};
    struct err e = {0};
    uint64_t checksum;
    struct graph *g = net_graph(&recon, &loss, &e);
    if (!g) fail_msg("%s", e.text);
    struct params *p = net_params(g, &recon, &loss, 1, &checksum, &e);
    if (!p) fail_msg("%s", e.text);
    assert_true(checksum != 0);
    p->val[p->list[0].offset] += 0.1f;
    for (size_t i = 0; i < p->trained_len; i++) /* a correction that is not zero */
        if (p->val[i] == 0.0f) p->val[i] = 0.01f * (float)(i % 7) - 0.02f;
    struct plan_conf conf = {.batch = 1, .height = N, .width = N, .training = true};
    struct plan *plan = plan_new(g, p, conf, &e);
    if (!plan) fail_msg("%s", e.text);
    struct rng r = rng_make(1, RNG_TEST, 0, 0);
    float *in = plan_input(plan, "input"), *target = plan_input(plan, "target");
    for (int i = 0; i < 2 * PIXELS; i++) {
        target[i] = (float)rng_normal(&r);
        in[i] = target[i] + 0.5f * (float)rng_normal(&r);
    }
    p->version++;
    plan_forward(plan, (struct step_key){0});
    const float *out = plan_output(plan, "output", NULL);
    static float a[FEATURES], b[FEATURES];
    encode(&c, out, FEATURES, a);
    encode(&c, target, FEATURES, b);
    double distance = 0.0, l1 = 0.0;
    for (int i = 0; i < FEATURES; i++)
        distance += pow((double)a[i] - (double)b[i], 2) / FEATURES;
    for (int i = 0; i < PIXELS; i++)
        l1 += hypot((double)out[2 * i] - (double)target[2 * i],
                    (double)out[2 * i + 1] - (double)target[2 * i + 1]) /
              PIXELS;
    const double expected = 0.75 * distance + 0.25 * l1;
    print_message("loss %g, the metric's %g\n", plan_loss(plan), expected);
    assert_true(distance > 0.0 && fabs(plan_loss(plan) / expected - 1.0) < 1e-3);
    /* The encoder is no part of what is trained. */
    float *frozen = p->val + p->trained_len;
    float *before = mem_new(p->len - p->trained_len, sizeof *before, NULL);
    memcpy(before, frozen, (p->len - p->trained_len) * sizeof *before);
    const struct adam_conf adam = {1e-2, 0.9, 0.999, 1e-8, 0.1, ADAM_L2};
    const double first = plan_loss(plan);
    for (uint64_t t = 1; t <= 20; t++) {
        plan_backward(plan);
        adam_step(p, &adam, 1e-3, t);
        plan_forward(plan, (struct step_key){0});
    }
    assert_true(plan_loss(plan) < first);
    assert_memory_equal(before, frozen, (p->len - p->trained_len) * sizeof *before);
    mem_free(before);
    plan_free(plan);
    params_free(p);
    graph_free(g);
    params_free(c.params);
    graph_free(c.graph);
}

/* Of a step in several passes the parts are means over all images; asking for them changes no bit.
 */
static void parts_are_of_the_whole_step(void **state)
{
    (void)state;
    enum { BATCH = 3 };
    const struct encoder c = make_encoder();
    struct loss_parts parts = {0};
    const struct loss_conf losses[] = {
        {.kind = LOSS_L1, .ssfd = {0.75, path, "conv5"}, .parts = &parts},
        {.kind = LOSS_L1, .ssfd = {0.75, path, "conv5"}}};
    float *gradient = NULL;
    for (int k = 0; k < 2; k++) {
        struct err e = {0};
        uint64_t checksum;
        struct graph *g = net_graph(&recon, &losses[k], &e);
        struct params *p = net_params(g, &recon, &losses[k], 1, &checksum, &e);
        struct plan_conf conf = {.batch = BATCH, .height = N, .width = N, .training = true};
        struct step *s = step_new(g, p, conf, 1, &e);
        if (!s) fail_msg("%s", e.text);
        struct rng r = rng_make(2, RNG_TEST, 0, 0);
        double loss = 0.0;
        for (int part = 0; part < BATCH; part++) {
            for (int i = 0; i < 2 * PIXELS; i++) {
                step_input(s, "target")[i] = (float)rng_normal(&r);
                step_input(s, "input")[i] = (float)rng_normal(&r);
            }
            loss += step_part(s, part, (struct step_key){0}, NULL) / BATCH;
        }
        if (k == 0) {
            const struct loss_part *l1 = &parts.list[0], *ssfd = &parts.list[1];
            assert_int_equal(parts.n, 2);
            assert_string_equal(l1->name, "loss_l1");
            assert_string_equal(ssfd->name, "loss_ssfd");
            assert_int_equal(l1->training.passes, BATCH);
            assert_int_equal(l1->validation.passes + ssfd->validation.passes, 0);
            const double sum = 0.25 * part_mean(l1->training) + 0.75 * part_mean(ssfd->training);
            assert_true(fabs(sum / loss - 1.0) < 1e-12);
            gradient = mem_new(p->trained_len, sizeof *gradient, NULL);
            memcpy(gradient, p->grad, p->trained_len * sizeof *gradient);
        } else {
            assert_memory_equal(gradient, p->grad, p->trained_len * sizeof *gradient);
        }
        step_free(s);
        params_free(p);
        graph_free(g);
    }
    mem_free(gradient);
    params_free(c.params);
    graph_free(c.graph);
}

/* A network that corrects its input begins as the identity. */
static void a_residual_network_begins_as_its_input(void **state)
{
    (void)state;
    const struct loss_conf loss = {.kind = LOSS_L2, .ssfd = {0, "", "conv9"}};
    struct err e = {0};
    uint64_t none;
    struct graph *g = net_graph(&recon, &loss, &e);
    struct params *p = net_params(g, &recon, &loss, 1, &none, &e);
    struct plan *plan = plan_new(g, p, (struct plan_conf){.batch = 1, .height = N, .width = N}, &e);
    float *in = plan_input(plan, "input");
    for (int i = 0; i < 2 * PIXELS; i++)
        in[i] = (float)sin(i);
    plan_forward(plan, (struct step_key){0});
    assert_memory_equal(in, plan_output(plan, "output", NULL), 2 * PIXELS * sizeof *in);
    assert_int_equal(none, 0);
    plan_free(plan);
    params_free(p);
    graph_free(g);
}

static void refuse(const struct loss_conf *loss, const char *text)
{
    struct err e = {0};
    assert_null(net_graph(&recon, loss, &e));
    if (!strstr(e.text, text)) fail_msg("%s", e.text);
}

static void what_is_no_encoder_is_refused(void **state)
{
    (void)state;
    const struct encoder c = make_encoder();
    refuse(&(struct loss_conf){.kind = LOSS_L2, .ssfd = {0.5, path, "conv9"}}, "no layer 'conv9'");
    struct ckpt_info info = {.task = "recon", .unet = ssl};
    assert_int_equal(ckpt_save(path, c.params, &info, NULL), 0);
    refuse(&(struct loss_conf){.kind = LOSS_L2, .ssfd = {0.5, path, "conv5"}},
           "a network of task 'recon'");
    unlink(path);
    refuse(&(struct loss_conf){.kind = LOSS_L2, .ssfd = {0.5, path, "conv5"}},
           "fit.ssfd.checkpoint");
    params_free(c.params);
    graph_free(c.graph);
}

int main(void)
{
    const int fd = mkstemp(path);
    if (fd >= 0) close(fd);
    const struct CMUnitTest tests[] = {cmocka_unit_test(ssfd_is_the_metric),
                                       cmocka_unit_test(parts_are_of_the_whole_step),
                                       cmocka_unit_test(a_residual_network_begins_as_its_input),
                                       cmocka_unit_test(what_is_no_encoder_is_refused)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed;
}
