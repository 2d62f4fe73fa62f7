#include "nn/vgg.h"

#include "base/h5.h"
#include "base/mem.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

const float vgg_means[3] = {103.939f, 116.779f, 123.68f};

static const struct {
    const char *name, *value;
    int filters;
    bool pool; /* after it */
} layers[] = {
    {"block1_conv1", "block1_relu1", 64, false},  {"block1_conv2", "block1_relu2", 64, true},
    {"block2_conv1", "block2_relu1", 128, false}, {"block2_conv2", "block2_relu2", 128, true},
    {"block3_conv1", "block3_relu1", 256, false}, {"block3_conv2", "block3_relu2", 256, false},
    {"block3_conv3", "block3_relu3", 256, false},
};
enum { LAYERS = sizeof layers / sizeof *layers };

int vgg_build(struct graph *g, int x)
{
    for (int k = 0; k < LAYERS; k++) {
        x = nn_relu(g, nn_conv(g, x, layers[k].name, layers[k].filters, 3, true));
        x = graph_name(g, x, "%s", layers[k].value);
        if (layers[k].pool) x = nn_maxpool(g, x);
    }
    return x;
}

/* ---- The file ---------------------------------------------------------------------------- */

enum { PATH = 512 };

struct found { /* datasets of the layers; empty: none yet */
    const char *file;
    struct err *e;
    int failed;                 /* h5_each ends where it is set, without an error of its own */
    char name[LAYERS][2][PATH]; /* kernel, bias */
};

/* Is `part` one of the groups a dataset lies in? */
static bool lies_in(const char *path, const char *part)
{
    size_t len = strlen(part);
    for (const char *end; (end = strchr(path, '/')); path = end + 1)
        if ((size_t)(end - path) == len && strncmp(path, part, len) == 0) return true;
    return false;
}

/* The layer a dataset belongs to, by one of its names; -1: none of ours. */
static int layer_of(const char *path)
{
    char numbered[16] = "conv2d"; /* Keras 3 counts them */
    for (int k = 0; k < LAYERS; k++) {
        if (k) snprintf(numbered, sizeof numbered, "conv2d_%d", k);
        if (lies_in(path, layers[k].name) || lies_in(path, numbered)) return k;
    }
    return -1;
}

static int visit(void *ctx, const char *path, const struct h5_info *info)
{
    struct found *f = ctx;
    if (lies_in(path, "optimizer") || lies_in(path, "optimizer_weights")) return 0;
    int k = layer_of(path);
    if (k < 0 || (info->rank != 4 && info->rank != 1)) return 0;
    char *name = f->name[k][info->rank == 1];
    if (*name)
        return f->failed =
                   err_set(f->e, ERR_DATA, "%s: two %s for %s: '%s' and '%s'", f->file,
                           info->rank == 1 ? "biases" : "kernels", layers[k].name, name, path);
    if (strlen(path) >= PATH)
        return f->failed = err_set(f->e, ERR_DATA, "%s: a dataset's name is too long: '%.80s…'",
                                   f->file, path);
    memcpy(name, path, strlen(path) + 1);
    return 0;
}

static int wrong_shape(const char *file, const char *name, const struct h5_info *info,
                       const struct param *p, struct err *e)
{
    const int64_t *d = info->dim;
    err_set(e, ERR_DATA, "%s: '%s' is (%lld, %lld, %lld, %lld), expected (3, 3, %d, %d)", file,
            name, (long long)d[0], (long long)d[1], (long long)d[2], (long long)d[3], p->dim[1],
            p->dim[0]);
    if (d[2] == 3 && d[3] == 3)
        return err_hint(e, "this is a file of Theano's ordering; VGG-16 in TensorFlow's is called "
                           "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5");
    return err_hint(e, "the weights are those of VGG-16 for colour images");
}

/* (row, column, in, out) of the file to (out, in, row, column). */
static int read_kernel(const struct h5 *f, const char *name, const struct param *p, float *to,
                       struct err *e)
{
    struct h5_info info;
    const int out = p->dim[0], in = p->dim[1];
    const int64_t dim[4] = {3, 3, in, out};
    if (h5_describe(f, name, &info, e)) return -1;
    if (memcmp(info.dim, dim, sizeof dim) != 0) return wrong_shape(h5_path(f), name, &info, p, e);
    float *x = mem_new(p->len, sizeof *x, e);
    if (!x || h5_read_f32(f, name, 4, NULL, dim, x, e)) {
        mem_free(x);
        return -1;
    }
    for (int at = 0; at < 9; at++)
        for (int i = 0; i < in; i++)
            for (int o = 0; o < out; o++)
                to[((size_t)o * (size_t)in + (size_t)i) * 9 + (size_t)at] =
                    x[((size_t)at * (size_t)in + (size_t)i) * (size_t)out + (size_t)o];
    mem_free(x);
    return 0;
}

static int read_layer(const struct h5 *f, const struct found *found, int k, struct params *p,
                      struct err *e)
{
    char name[32];
    for (int bias = 0; bias < 2; bias++) {
        snprintf(name, sizeof name, "%s.%s", layers[k].name, bias ? "bias" : "weight");
        const struct param *param = params_find(p, name);
        if (!param) continue; /* a layer that nothing asks for */
        const char *path = found->name[k][bias];
        if (!*path) {
            err_set(e, ERR_DATA, "%s: there is no %s for %s", h5_path(f), bias ? "bias" : "kernel",
                    layers[k].name);
            return err_hint(e, "expected is Keras' VGG-16, for example "
                               "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5");
        }
        float *to = p->val + param->offset;
        const int64_t filters = param->dim[0];
        if (bias ? h5_read_f32(f, path, 1, NULL, &filters, to, e)
                 : read_kernel(f, path, param, to, e))
            return -1;
        for (size_t i = 0; i < param->len; i++)
            if (!isfinite(to[i]))
                return err_set(e, ERR_DATA, "%s: '%s' has a value that is not finite", h5_path(f),
                               path);
    }
    return 0;
}

int vgg_load(const char *path, struct params *p, struct err *e)
{
    struct h5 *f = h5_open(path, e);
    struct found *found = f ? mem_new(1, sizeof *found, e) : NULL;
    int rc = -1;
    if (found) {
        found->file = path;
        found->e = e;
        rc = h5_each(f, visit, found, e) ? -1 : found->failed;
        for (int k = 0; k < LAYERS && rc == 0; k++)
            rc = read_layer(f, found, k, p, e);
        p->version++;
    }
    mem_free(found);
    h5_close(f);
    return rc;
}
