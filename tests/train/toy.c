#include "toy.h"

#include "base/mem.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { N = TOY_SIZE, PIXELS = N * N };

const struct cfg_field toy_fields[] = {
    CFG_GROUP(struct toy_conf, fit, fit_recon_fields, "training"), CFG_END};

struct side {
    struct toy toy;
    int calls;
};

static int make(void *ctx, uint32_t index, uint32_t epoch, float *input, float *target, float *mask,
                struct err *e)
{
    (void)mask;
    struct side *s = ctx;
    s->calls++;
    if (s->toy.watch) s->toy.watch(s->calls);
    if (s->calls == s->toy.stop_at) raise(SIGUSR1);
    if (s->calls == s->toy.fail_at) return err_set(e, ERR_NOINPUT, "blob.h5: cannot be opened");
    const float scale = s->calls == s->toy.loud_at ? 1e5f : 1.0f;
    for (int i = 0; i < PIXELS; i++) {
        const double y = i / N - 8.0, x = i % N - 8.0 + 0.3 * index;
        target[i] = scale * (float)exp(-(x * x + y * y) / 20.0);
        input[i] = target[i] + (float)(0.5 * sin(2.0 * i + epoch));
    }
    if (s->calls == s->toy.nan_at) input[PIXELS / 2] = NAN;
    return 0;
}

static void measure(const struct task *t, const float *input, const float *output,
                    const float *target, const float *mask, double *sums)
{
    (void)t, (void)input, (void)mask;
    for (int i = 0; i < PIXELS; i++)
        sums[0] += pow((double)output[i] - (double)target[i], 2) / PIXELS;
}

static void summarise(const double *sums, int n, double *values)
{
    values[1] = sums[0] / n;
}

static void tiles(const struct task *t, const float *input, const float *output,
                  const float *target, float *const *tile)
{
    (void)t, (void)target;
    memcpy(tile[0], input, PIXELS * sizeof(float));
    memcpy(tile[1], output, PIXELS * sizeof(float));
}

static void name_sample(const struct task *t, bool validation, uint32_t index, char *text,
                        size_t size)
{
    (void)t;
    snprintf(text, size, "%s blob %u", validation ? "validation" : "training", index);
}

static struct task make_task(struct side *train, struct side *validation)
{
    return (struct task){
        .name = "ssl",
        .unet = {.in_channels = 1,
                 .out_channels = 1,
                 .filters = 4,
                 .levels = 3,
                 .block = UNET_BLOCK_CONTEXT,
                 .groups = train->toy.groups ? train->toy.groups : 2,
                 .dropout = 0.1},
        .height = N,
        .width = N,
        .train = {train, TOY_IMAGES, PIXELS, PIXELS, 0, make},
        .validation = {validation, 3, PIXELS, PIXELS, 0, make},
        .fingerprint = train->toy.fingerprint,
        .name_sample = name_sample,
        .nsums = 1,
        .nscores = 2,
        .scores = {"val_loss", "val_l2"},
        .measure = measure,
        .summarise = summarise,
        .ntiles = 2,
        .tile_names = {"in", "out"},
        .tiles = tiles,
    };
}

/* Values of last.h5 as the optimiser has them. */
static void read_weights(const char *path, const struct unet_conf *unet, struct toy_outcome *o)
{
    struct graph *g = graph_new();
    struct err e = {0};
    graph_output(g, unet_build(g, unet, graph_input(g, "input", 1)));
    struct params *p = graph_seal(g, &e) ? NULL : params_new(g, &e);
    if (p && ckpt_load(path, p, false, &e) == 0 && (o->val = mem_new(p->len, sizeof(float), &e))) {
        o->len = p->len;
        memcpy(o->val, p->val, p->len * sizeof *o->val);
    }
    params_free(p);
    graph_free(g);
}

struct toy_outcome toy_train(const char *dir, bool resume, struct toy toy, const char *const *sets)
{
    const char *all[32] = {"fit.steps=40", "fit.validate_every=10", "fit.patience=0",
                           "fit.adam.lr=1e-2", "fit.save_minutes=0"};
    int n = 5;
    while (sets && *sets && n < 32)
        all[n++] = *sets++;
    struct toy_outcome o = {0};
    struct side train = {.toy = toy};
    struct side validation = {
        .toy = {.nan_at = toy.validation_nan_at, .fail_at = toy.validation_fail_at}};
    const struct task task = make_task(&train, &validation);
    struct toy_conf conf = {0};
    struct run run = {.lock = -1};
    char path[512];
    struct cfg *cfg = cfg_load(toy_fields, &conf, NULL, all, n, &o.err);
    struct cli cli = {.cfg = cfg,
                      .command = "toy",
                      .fields = toy_fields,
                      .conf_size = sizeof conf,
                      .resume = resume,
                      .quiet = true};
    const bool bad = !cfg ||
                     run_begin(&run, dir, &cli, &conf, 5, fit_may_change(&conf.fit), &o.err) ||
                     fit(&task, &conf.fit, 5, &run, &cli, &o.err);
    o.code = bad ? (int)o.err.code : 0;
    run_end(&run);
    cfg_free(cfg);
    snprintf(path, sizeof path, "%s/best.h5", dir);
    ckpt_read_info(path, &o.best, NULL);
    snprintf(path, sizeof path, "%s/last.h5", dir);
    if (ckpt_read_info(path, &o.last, NULL) == 0) read_weights(path, &task.unet, &o);
    return o;
}
