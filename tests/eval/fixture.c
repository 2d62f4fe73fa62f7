#include "fixture.h"

#include "base/h5.h"
#include "base/mem.h"
#include "base/rng.h"
#include "data/fft.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <complex.h>
#include <math.h>
#include <stdio.h>

struct params *save_checkpoint(const char *path, const char *task, const struct unet_conf *conf,
                               struct graph **g)
{
    struct err e = {0};
    *g = graph_new();
    graph_output(*g, unet_build(*g, conf, graph_input(*g, "input", conf->in_channels)));
    struct params *p = graph_seal(*g, &e) ? NULL : params_new(*g, &e);
    if (!p) fail_msg("%s", e.text);
    params_init(p, 5);
    for (int i = 0; i < p->n; i++) {
        if (p->list[i].rank != 1) continue;
        for (size_t k = 0; k < p->list[i].len; k++)
            p->val[p->list[i].offset + k] += 0.05f * (float)((int)(k * 7 + (size_t)i) % 11 - 5);
    }
    struct ckpt_info info = {.unet = *conf, .step = 1, .height = 32, .width = 32};
    snprintf(info.task, sizeof info.task, "%s", task);
    if (ckpt_save(path, p, &info, &e)) fail_msg("%s", e.text);
    return p;
}

static void put_random(struct h5 *f, const char *name, int rank, const int64_t *dim, uint32_t key,
                       double most)
{
    struct err e = {0};
    struct rng rng = rng_make(7, RNG_INIT, key, 0);
    size_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= (size_t)dim[i];
    float *x = mem_new(n, sizeof *x, &e);
    for (size_t i = 0; x && i < n; i++)
        x[i] = (float)((2 * rng_uniform(&rng) - 1) * most);
    if (!x || h5_make(f, name, H5_F32, rank, dim, &e) ||
        h5_write_f32(f, name, rank, NULL, dim, x, &e))
        fail_msg("%s", e.text);
    mem_free(x);
}

void save_vgg(const char *path)
{
    static const struct {
        const char *name;
        int in, out;
    } layers[] = {{"block1_conv1", 3, 64},    {"block1_conv2", 64, 64},
                  {"block2_conv1", 64, 128},  {"block2_conv2", 128, 128},
                  {"block3_conv1", 128, 256}, {"block3_conv2", 256, 256},
                  {"block3_conv3", 256, 256}};
    struct err e = {0};
    struct h5 *f = h5_create(path, &e);
    if (!f) fail_msg("%s", e.text);
    for (uint32_t k = 0; k < sizeof layers / sizeof *layers; k++) {
        char name[64];
        const int64_t dim[4] = {3, 3, layers[k].in, layers[k].out};
        snprintf(name, sizeof name, "%s/%s_W_1:0", layers[k].name, layers[k].name);
        put_random(f, name, 4, dim, 2 * k, sqrt(6.0 / (9 * layers[k].in)));
        snprintf(name, sizeof name, "%s/%s_b_1:0", layers[k].name, layers[k].name);
        put_random(f, name, 1, &dim[3], 2 * k + 1, 0.1);
    }
    if (h5_commit(f, &e)) fail_msg("%s", e.text);
    h5_close(f);
}

enum { COILS = 3 };

static double complex sample(int slice, int coil, int i, int j, int side, int seed)
{
    double y = 2.0 * i / side - 1.0, x = 2.0 * j / side - 1.0;
    double r = x * x / 0.6 + y * y / (0.4 + 0.02 * slice);
    double tissue = r < 1.0 ? 1.0 + 0.3 * sin(9 * x + seed) * cos(7 * y + slice) +
                                  0.2 * ((i / 3 + j / 4 + seed) % 2)
                            : 0.0;
    double angle = 2 * M_PI * coil / COILS, cx = cos(angle), cy = sin(angle);
    double sensitivity = exp(-0.4 * ((x - cx) * (x - cx) + (y - cy) * (y - cy)));
    return tissue * sensitivity * cexp(I * (0.8 * x * cy + 0.6 * y * cx + coil));
}

void save_scan(const char *path, int slices, int side, int seed, int bad)
{
    save_scan_of(NULL, path, slices, side, seed, bad);
}

void save_scan_of(const char *acquisition, const char *path, int slices, int side, int seed,
                  int bad)
{
    struct err e = {0};
    const int64_t dim[] = {slices, COILS, side, side}, one[] = {1, 1, side, side};
    struct h5 *f = h5_create(path, &e);
    struct fft2 *fft = fft2_new(side, side, &e);
    float complex *x = mem_new((size_t)side * (size_t)side, sizeof *x, &e);
    if (!f || !fft || !x || h5_make(f, "kspace", H5_C64, 4, dim, &e)) fail_msg("%s", e.text);
    if (acquisition && h5_set_attr_text(f, "/", "acquisition", acquisition, &e))
        fail_msg("%s", e.text);
    for (int s = 0; s < slices; s++)
        for (int c = 0; c < COILS; c++) {
            for (int k = 0; k < side * side; k++)
                x[k] = (float complex)sample(s, c, k / side, k % side, side, seed);
            fft2_forward(fft, x);
            if (bad && s == slices / 2 && c == 1) x[side + 2] = NAN;
            const int64_t start[] = {s, c, 0, 0};
            if (h5_write_c64(f, "kspace", 4, start, one, x, &e)) fail_msg("%s", e.text);
        }
    if (h5_commit(f, &e)) fail_msg("%s", e.text);
    h5_close(f);
    fft2_free(fft);
    mem_free(x);
}
