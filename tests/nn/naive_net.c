#include "naive_net.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Tests have nothing to say about a machine without memory. */
static double *zeros(size_t n)
{
    double *x = calloc(n ? n : 1, sizeof *x);
    if (!x) abort();
    return x;
}

static struct naive_param *param_add(struct naive_net *net, const char *step, const char *what,
                                     int rank, const int *dim, int fan_in)
{
    assert(net->nparams < NAIVE_PARAMS);
    struct naive_param *p = &net->param[net->nparams++];
    *p = (struct naive_param){.rank = rank, .len = 1, .fan_in = (size_t)fan_in};
    snprintf(p->name, sizeof p->name, "%s.%s", step, what);
    for (int k = 0; k < rank; k++) {
        p->dim[k] = dim[k];
        p->len *= (size_t)dim[k];
    }
    p->val = zeros(p->len);
    p->grad = zeros(p->len);
    return p;
}

/* The shape of step i's result, after adding its parameters. */
static struct shape step_infer(struct naive_net *net, int i)
{
    struct naive_step *t = &net->step[i];
    struct shape s = net->shape[i - t->a];
    if (!t->name[0]) snprintf(t->name, sizeof t->name, "s%d", i);
    net->weight[i] = net->nparams;
    switch (t->kind) {
    case NAIVE_CONV:
        param_add(net, t->name, "weight", 4, (int[]){t->filters, s.c, t->side, t->side},
                  s.c * t->side * t->side);
        if (t->affine) param_add(net, t->name, "bias", 1, &t->filters, 0);
        s.c = t->filters;
        break;
    case NAIVE_DECONV:
        param_add(net, t->name, "weight", 4, (int[]){s.c, t->filters, 2, 2}, s.c);
        if (t->affine) param_add(net, t->name, "bias", 1, &t->filters, 0);
        s = (struct shape){s.n, 2 * s.h, 2 * s.w, t->filters};
        break;
    case NAIVE_MAXPOOL:
    case NAIVE_AVGPOOL:
        s.h /= 2;
        s.w /= 2;
        break;
    case NAIVE_INSTANCENORM:
        t->groups = s.c; /* fall through */
    case NAIVE_GROUPNORM:
        assert(s.c % t->groups == 0);
        if (t->affine) {
            param_add(net, t->name, "weight", 1, &s.c, 0);
            param_add(net, t->name, "bias", 1, &s.c, 0);
        }
        break;
    case NAIVE_CONCAT:
        assert(shape_len(s) / (size_t)s.c ==
               shape_len(net->shape[i - t->b]) / (size_t)net->shape[i - t->b].c);
        s.c += net->shape[i - t->b].c;
        break;
    case NAIVE_L2:
        assert(shape_len(s) == shape_len(net->shape[i - t->b]));
        s = (struct shape){1, 1, 1, 1};
        break;
    default:
        break;
    }
    if (net->weight[i] == net->nparams) net->weight[i] = -1;
    return s;
}

struct naive_net *naive_net_new(const struct naive_step *steps, struct shape input)
{
    struct naive_net *net = calloc(1, sizeof *net);
    if (!net) abort();
    net->shape[0] = input;
    for (; steps[net->n].kind != NAIVE_END; net->n++) {
        assert(net->n < NAIVE_STEPS);
        net->step[net->n] = steps[net->n];
        net->shape[net->n + 1] = step_infer(net, net->n);
    }
    for (int v = 0; v <= net->n; v++) {
        net->y[v] = zeros(shape_len(net->shape[v]));
        net->dy[v] = zeros(shape_len(net->shape[v]));
    }
    return net;
}

void naive_net_free(struct naive_net *net)
{
    for (int v = 0; net && v <= net->n; v++) {
        free(net->y[v]);
        free(net->dy[v]);
    }
    for (int p = 0; net && p < net->nparams; p++) {
        free(net->param[p].val);
        free(net->param[p].grad);
    }
    free(net);
}

struct naive_param *naive_net_param(struct naive_net *net, const char *name)
{
    for (int p = 0; p < net->nparams; p++)
        if (!strcmp(net->param[p].name, name)) return &net->param[p];
    return NULL;
}

static bool has_l2(const struct naive_net *net)
{
    return net->step[net->n - 1].kind == NAIVE_L2;
}

const double *naive_net_output(const struct naive_net *net, struct shape *s)
{
    const int v = has_l2(net) ? net->n - 1 - net->step[net->n - 1].a : net->n;
    if (s) *s = net->shape[v];
    return net->y[v];
}

/* What the convolution of step i multiplies, in memory of its own. */
static double *factor(const struct naive_net *net, int i, size_t n, const double *x)
{
    double *f = zeros(n);
    for (size_t k = 0; k < n; k++)
        f[k] = net->bf16[i] ? naive_bf16(x[k]) : x[k];
    return f;
}

static void conv_forward(const struct naive_net *net, int i)
{
    const struct naive_step *t = &net->step[i];
    const struct shape s = net->shape[i - t->a];
    const struct naive_param *p = &net->param[net->weight[i]];
    const double *b = t->affine ? p[1].val : NULL;
    double *x = factor(net, i, shape_len(s), net->y[i - t->a]), *w = factor(net, i, p->len, p->val);
    if (t->kind == NAIVE_CONV)
        naive_conv(s, t->filters, t->side, x, w, b, net->y[i + 1]);
    else
        naive_deconv(s, t->filters, x, w, b, net->y[i + 1]);
    free(x);
    free(w);
}

static void conv_backward(const struct naive_net *net, int i)
{
    const struct naive_step *t = &net->step[i];
    const struct shape s = net->shape[i - t->a], out = net->shape[i + 1];
    const struct naive_param *p = &net->param[net->weight[i]];
    double *x = factor(net, i, shape_len(s), net->y[i - t->a]), *w = factor(net, i, p->len, p->val);
    double *dy = factor(net, i, shape_len(out), net->dy[i + 1]), *dx = net->dy[i - t->a];
    if (t->kind == NAIVE_CONV)
        naive_conv_back(s, t->filters, t->side, x, w, dy, dx, p->grad, NULL);
    else
        naive_deconv_back(s, t->filters, x, w, dy, dx, p->grad, NULL);
    if (t->affine) naive_bias_back(out, net->dy[i + 1], p[1].grad);
    free(x);
    free(w);
    free(dy);
}

static void step_forward(struct naive_net *net, int i)
{
    const struct naive_step *t = &net->step[i];
    const struct shape s = net->shape[i - t->a];
    const struct naive_param *w = net->weight[i] < 0 ? NULL : &net->param[net->weight[i]];
    const double *x = net->y[i - t->a], *val = w ? w->val : NULL,
                 *bias = w && t->affine ? w[1].val : NULL;
    double *y = net->y[i + 1];
    switch (t->kind) {
    case NAIVE_CONV:
    case NAIVE_DECONV:
        conv_forward(net, i);
        break;
    case NAIVE_MAXPOOL:
        naive_maxpool(s, x, y);
        break;
    case NAIVE_AVGPOOL:
        naive_avgpool(s, x, y);
        break;
    case NAIVE_GROUPNORM:
    case NAIVE_INSTANCENORM:
        naive_norm(s, t->groups, x, val, bias, y);
        break;
    case NAIVE_RELU:
    case NAIVE_LEAKY:
        naive_relu(shape_len(s), t->slope, x, y);
        break;
    case NAIVE_DROPOUT:
        if (net->keep[i])
            naive_dropout(shape_len(s), t->slope, net->keep[i], x, y);
        else
            memcpy(y, x, shape_len(s) * sizeof *y);
        break;
    case NAIVE_CONCAT:
        naive_concat(s, net->shape[i - t->b].c, x, net->y[i - t->b], y);
        break;
    case NAIVE_L2:
        y[0] = naive_l2(shape_len(s), x, net->y[i - t->b]);
        break;
    case NAIVE_END:
        break;
    }
}

static void step_backward(struct naive_net *net, int i)
{
    const struct naive_step *t = &net->step[i];
    const struct shape s = net->shape[i - t->a];
    struct naive_param *w = net->weight[i] < 0 ? NULL : &net->param[net->weight[i]];
    const double *x = net->y[i - t->a], *dy = net->dy[i + 1], *val = w ? w->val : NULL;
    double *dx = net->dy[i - t->a], *dw = w ? w->grad : NULL,
           *db = w && t->affine ? w[1].grad : NULL;
    switch (t->kind) {
    case NAIVE_CONV:
    case NAIVE_DECONV:
        conv_backward(net, i);
        break;
    case NAIVE_MAXPOOL:
        naive_maxpool_back(s, x, dy, dx);
        break;
    case NAIVE_AVGPOOL:
        naive_avgpool_back(s, dy, dx);
        break;
    case NAIVE_GROUPNORM:
    case NAIVE_INSTANCENORM:
        naive_norm_back(s, t->groups, x, val, dy, dx, dw, db);
        break;
    case NAIVE_RELU:
    case NAIVE_LEAKY:
        naive_relu_back(shape_len(s), t->slope, x, dy, dx);
        break;
    case NAIVE_DROPOUT:
        if (net->keep[i])
            naive_dropout_back(shape_len(s), t->slope, net->keep[i], dy, dx);
        else
            for (size_t k = 0; k < shape_len(s); k++)
                dx[k] += dy[k];
        break;
    case NAIVE_CONCAT:
        naive_concat_back(s, net->shape[i - t->b].c, dy, dx, net->dy[i - t->b]);
        break;
    case NAIVE_L2:
        naive_l2_back(shape_len(s), x, net->y[i - t->b], dx, net->dy[i - t->b]); /* of dy = 1 */
        break;
    case NAIVE_END:
        break;
    }
}

static void maybe_round(const struct naive_net *net, struct shape s, double *x)
{
    for (size_t i = 0; net->single && i < shape_len(s); i++)
        x[i] = (float)x[i];
}

double naive_net_forward(struct naive_net *net, const double *x, const double *target)
{
    memcpy(net->y[0], x, shape_len(net->shape[0]) * sizeof *x);
    for (int i = 0; i < net->n; i++) {
        step_forward(net, i);
        maybe_round(net, net->shape[i + 1], net->y[i + 1]);
    }
    return has_l2(net) ? net->y[net->n][0]
                       : naive_l2(shape_len(net->shape[net->n]), net->y[net->n], target);
}

void naive_net_backward(struct naive_net *net, const double *target)
{
    for (int v = 0; v <= net->n; v++)
        memset(net->dy[v], 0, shape_len(net->shape[v]) * sizeof *net->dy[v]);
    for (int p = 0; p < net->nparams; p++)
        memset(net->param[p].grad, 0, net->param[p].len * sizeof *net->param[p].grad);
    if (has_l2(net))
        net->dy[net->n][0] = 1;
    else
        naive_l2_back(shape_len(net->shape[net->n]), net->y[net->n], target, net->dy[net->n], NULL);
    for (int i = net->n - 1; i >= 0; i--) {
        maybe_round(net, net->shape[i + 1], net->dy[i + 1]);
        step_backward(net, i);
    }
}
