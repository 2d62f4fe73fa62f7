#include "twin.h"

#include "compare.h"
#include "nn/conv_kernel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int add_step(struct graph *g, const struct naive_step *t, const char *name, int a, int b)
{
    switch (t->kind) {
    case NAIVE_CONV:
        return nn_conv(g, a, name, t->filters, t->side, t->affine);
    case NAIVE_DECONV:
        return nn_deconv(g, a, name, t->filters, t->affine);
    case NAIVE_MAXPOOL:
        return nn_maxpool(g, a);
    case NAIVE_AVGPOOL:
        return nn_avgpool(g, a);
    case NAIVE_GROUPNORM:
        return nn_groupnorm(g, a, name, t->groups, t->affine);
    case NAIVE_INSTANCENORM:
        return nn_instancenorm(g, a, name, t->affine);
    case NAIVE_RELU:
        return nn_relu(g, a);
    case NAIVE_LEAKY:
        return nn_leaky_relu(g, a, (float)t->slope);
    case NAIVE_DROPOUT:
        return nn_dropout(g, a, (float)t->slope);
    case NAIVE_CONCAT:
        return nn_concat(g, a, b);
    case NAIVE_L2:
        return nn_l2(g, a, b);
    case NAIVE_END:
        break;
    }
    fail_msg("unknown step");
    return -1;
}

static void seal(struct graph *g)
{
    struct err e = {0};
    if (graph_seal(g, &e)) fail_msg("graph_seal: %s", e.text);
}

/* Outputs: the value, named "result" unless it has a name, and the loss against a target of its
 * size. */
static void finish(struct graph *g, int value, const char *name, int channels)
{
    graph_output(g, name ? graph_name(g, value, "%s", name) : value);
    const int loss = nn_l2(g, value, graph_input(g, "target", channels));
    graph_output(g, graph_name(g, loss, "loss"));
    seal(g);
}

struct graph *twin_graph(const struct naive_step *steps, struct shape input)
{
    struct naive_net *net =
        naive_net_new(steps, input); /* for the names of steps and the channels */
    struct graph *g = graph_new();
    int value[NAIVE_STEPS + 1] = {graph_input(g, "input", input.c)};
    for (int i = 0; i < net->n; i++) {
        const struct naive_step *t = &net->step[i];
        const int v = value[i + 1] =
            add_step(g, t, t->name, value[i - t->a], t->b <= i ? value[i - t->b] : -1);
        if (t->kind == NAIVE_DROPOUT) graph_output(g, graph_name(g, v, "drop%d", i));
        if (t->tap) graph_output(g, graph_name(g, v, "tap%d", i));
    }
    const struct naive_step *last = &net->step[net->n - 1];
    if (last->kind == NAIVE_L2) {
        graph_output(g, graph_name(g, value[net->n - 1 - last->a], "result"));
        graph_output(g, graph_name(g, value[net->n], "loss"));
        seal(g);
    } else {
        finish(g, value[net->n], "result", net->shape[net->n].c);
    }
    naive_net_free(net);
    return g;
}

static bool multiplies_bf16(const struct naive_net *net, int i, enum nn_precision precision)
{
    const struct naive_step *t = &net->step[i];
    const struct shape x = net->shape[i - t->a];
    const bool up = t->kind == NAIVE_DECONV;
    if (!up && t->kind != NAIVE_CONV) return false;
    const struct conv_conf c = {.n = x.n,
                                .h = x.h,
                                .w = x.w,
                                .in = x.c,
                                .out = net->shape[i + 1].c,
                                .side = up ? 2 : t->side,
                                .up = up,
                                .precision = precision};
    return conv_kernel_for(&c, dn_isa()) == &conv_bf16;
}

struct twin twin_new(const struct naive_step *steps, const struct unet_conf *conf,
                     struct shape input, enum nn_precision precision)
{
    struct naive_step unet[NAIVE_STEPS];
    struct err e = {0};
    struct twin t = {0};
    if (conf) {
        naive_unet(conf, unet);
        steps = unet;
        t.graph = graph_new();
        finish(t.graph, unet_build(t.graph, conf, graph_input(t.graph, "input", input.c)), NULL,
               conf->out_channels);
    } else {
        t.graph = twin_graph(steps, input);
    }
    t.naive = naive_net_new(steps, input);
    for (int i = 0; i < t.naive->n; i++)
        t.naive->bf16[i] = multiplies_bf16(t.naive, i, precision);
    t.margin = precision == NN_FP32 ? 3e-5 : 1e-6;
    t.params = params_new(t.graph, &e);
    if (!t.params) fail_msg("params_new: %s", e.text);
    t.plan = plan_new(t.graph, t.params,
                      (struct plan_conf){.batch = input.n,
                                         .height = input.h,
                                         .width = input.w,
                                         .training = true,
                                         .precision = precision},
                      &e);
    if (!t.plan) fail_msg("plan_new: %s", e.text);
    t.nx = shape_len(input);
    t.x = calloc(t.nx, sizeof *t.x);
    assert_non_null(t.x);
    if (t.naive->step[t.naive->n - 1].kind == NAIVE_L2) return t;
    struct shape out;
    naive_net_output(t.naive, &out);
    t.ntarget = shape_len(out);
    t.target = calloc(t.ntarget, sizeof *t.target);
    assert_non_null(t.target);
    return t;
}

void twin_release(struct twin *t)
{
    plan_free(t->plan);
    params_free(t->params);
    graph_free(t->graph);
    naive_net_free(t->naive);
    for (int i = 0; i < NAIVE_STEPS; i++)
        free(t->keep[i]);
    free(t->x);
    free(t->target);
}

static void to_f32(size_t n, const double *x, float *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = (float)x[i];
}

/* Of a ReLU: |x|. Of a max pool: how far the two largest of a window are apart. Exact zeros and
 * ties count as none: they come from earlier ReLUs and are exact in the engine, too. */
static double kink(const struct naive_net *net, int i)
{
    const struct naive_step *t = &net->step[i];
    const struct shape s = net->shape[i - t->a], o = net->shape[i + 1];
    const double *x = net->y[i - t->a], *y = net->y[i + 1];
    double least = INFINITY;
    if (t->kind == NAIVE_RELU || t->kind == NAIVE_LEAKY)
        for (size_t k = 0; k < shape_len(s); k++)
            if (x[k] != 0) least = fmin(least, fabs(x[k]));
    if (t->kind != NAIVE_MAXPOOL) return least;
    for (size_t k = 0; k < shape_len(s); k++) {
        const size_t c = k % (size_t)s.c, col = k / (size_t)s.c % (size_t)s.w / 2,
                     row = k / (size_t)(s.c * s.w) % (size_t)s.h / 2,
                     n = k / (size_t)(s.c * s.w * s.h);
        if (row >= (size_t)o.h || col >= (size_t)o.w) continue;
        const double d = y[((n * (size_t)o.h + row) * (size_t)o.w + col) * (size_t)o.c + c] - x[k];
        if (d > 0) least = fmin(least, d);
    }
    return least;
}

void twin_copy(struct twin *t)
{
    int found = 0;
    to_f32(t->nx, t->x, plan_input(t->plan, "input"));
    if (t->target) to_f32(t->ntarget, t->target, plan_input(t->plan, "target"));
    for (int p = 0; p < t->naive->nparams; p++) {
        const struct naive_param *q = &t->naive->param[p];
        const struct param *e = params_find(t->params, q->name);
        if (!e) continue; /* of a node that seal cut: twin_compare demands a gradient of zero */
        assert_int_equal(e->rank, q->rank);
        assert_memory_equal(e->dim, q->dim, (size_t)q->rank * sizeof(int));
        assert_int_equal(e->len, q->len);
        to_f32(q->len, q->val, t->params->val + e->offset);
        found++;
    }
    assert_int_equal(found, t->params->n);
    t->params->version++;
}

void twin_fill(struct twin *t, uint64_t seed)
{
    double least = 0;
    for (uint32_t attempt = 0; least < t->margin; attempt++) {
        struct rng r = rng_make(seed, RNG_TEST, attempt, 0);
        assert_true(attempt < 20);
        fill_normal(&r, t->nx, 0.1, 1, t->x);
        if (t->target) fill_normal(&r, t->ntarget, -0.2, 1, t->target);
        for (int p = 0; p < t->naive->nparams; p++) {
            struct naive_param *q = &t->naive->param[p];
            const bool bias = strstr(q->name, ".bias");
            if (q->fan_in)
                fill_normal(&r, q->len, 0, sqrt(2 / (double)q->fan_in), q->val);
            else
                fill_normal(&r, q->len, bias ? 0 : 1, 0.3, q->val);
        }
        naive_net_forward(t->naive, t->x, t->target);
        least = INFINITY;
        for (int i = 0; i < t->naive->n; i++)
            least = fmin(least, kink(t->naive, i));
    }
    twin_copy(t);
}

double twin_condition(struct twin *t)
{
    struct naive_net *a = t->naive, *b = naive_net_new(a->step, a->shape[0]);
    struct rng r = rng_make(0, RNG_TEST, 2, 0);
    double worst = 0;
    b->single = true;
    memcpy(b->bf16, a->bf16, sizeof b->bf16);
    for (int p = 0; p < a->nparams; p++)
        for (size_t i = 0; i < a->param[p].len; i++)
            b->param[p].val[i] = a->param[p].val[i] * (1 + (rng_below(&r, 2) ? 0x1p-24 : -0x1p-24));
    naive_net_forward(a, t->x, t->target);
    naive_net_backward(a, t->target);
    naive_net_forward(b, t->x, t->target);
    naive_net_backward(b, t->target);
    for (int p = 0; p < a->nparams; p++)
        worst = fmax(worst, relative_error(a->param[p].len, b->param[p].grad, a->param[p].grad));
    for (int i = 0; i < a->n; i++) {
        const struct shape s = a->shape[i + 1];
        if (a->step[i].groups && shape_len(s) / (size_t)(s.n * a->step[i].groups) == 2)
            worst = INFINITY;
    }
    naive_net_free(b);
    return worst;
}

static void find_masks(struct twin *t)
{
    for (int i = 0; i < t->naive->n; i++) {
        char name[16];
        struct shape s;
        snprintf(name, sizeof name, "drop%d", i);
        const float *y = plan_output(t->plan, name, &s);
        if (!y) continue;
        assert_memory_equal(&s, &t->naive->shape[i + 1], sizeof s);
        if (!t->keep[i]) t->keep[i] = calloc(shape_len(s), sizeof(double));
        assert_non_null(t->keep[i]);
        for (size_t k = 0; k < shape_len(s); k++)
            t->keep[i][k] = y[k] != 0;
        t->naive->keep[i] = t->keep[i];
    }
}

static double error_of_taps(const struct twin *t)
{
    double worst = 0;
    for (int i = 0; i < t->naive->n; i++) {
        char name[16];
        struct shape s;
        if (!t->naive->step[i].tap) continue;
        snprintf(name, sizeof name, "tap%d", i);
        const float *y = plan_output(t->plan, name, &s);
        assert_non_null(y);
        assert_memory_equal(&s, &t->naive->shape[i + 1], sizeof s);
        const double e = relative_error_f32(shape_len(s), y, t->naive->y[i + 1]);
        if (worse(e, worst)) worst = e;
    }
    return worst;
}

struct twin_error twin_compare(struct twin *t, struct step_key key)
{
    struct twin_error err = {0};
    struct shape s, engine = {0};
    /* Gradients are to be overwritten, whatever they were. */
    for (size_t i = 0; i < t->params->len; i++)
        t->params->grad[i] = NAN;
    plan_forward(t->plan, key);
    find_masks(t);
    const double loss = naive_net_forward(t->naive, t->x, t->target);
    naive_net_backward(t->naive, t->target);
    const double *y = naive_net_output(t->naive, &s);
    const float *out = plan_output(t->plan, "result", &engine);
    if (!out) out = plan_output(t->plan, "output", &engine);
    assert_non_null(out);
    assert_memory_equal(&s, &engine, sizeof s);
    err.output = relative_error_f32(shape_len(s), out, y);
    const double taps = error_of_taps(t);
    if (worse(taps, err.output)) err.output = taps;
    err.loss = fabs(plan_loss(t->plan) - loss) / loss;
    plan_backward(t->plan);
    for (int p = 0; p < t->naive->nparams; p++) {
        const struct naive_param *q = &t->naive->param[p];
        const struct param *e = params_find(t->params, q->name);
        double d = 0;
        for (size_t i = 0; !e && i < q->len; i++)
            assert_true(q->grad[i] == 0);
        if (e) d = relative_error_f32(q->len, t->params->grad + e->offset, q->grad);
        if (worse(d, err.grad)) {
            err.grad = d;
            snprintf(err.worst, sizeof err.worst, "%s", q->name);
        }
    }
    return err;
}
