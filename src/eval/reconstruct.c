/* A batch of slices at a time: every thread makes the zero-filled image of one, then all of them
 * run the network on the batch, then scores are taken and the slices written, in order. So there
 * are as many slices in memory as threads, whatever the scans. */
#include "eval/reconstruct.h"

#include "base/h5.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/par.h"
#include "base/progress.h"
#include "base/stop.h"
#include "data/fft.h"
#include "data/undersample.h"
#include "eval/volume.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct slot { /* one thread's slice */
    struct undersample from;
    float *scratch, *rss;
    float complex *raw, *zero, *image; /* at the reference's size; at the network's */
    float *target, *magnitude;
    double scale;
    int rc;
    struct err err;
};

struct work {
    struct reconstruction *r;
    int scan, first; /* of the batch */
    struct slot *slot;
    struct volume recon, zero;
    double *scores;
};

int reconstruct_path(const struct reconstruct_conf *c, const char *name, char *path, size_t size,
                     struct err *e)
{
    return io_path(path, size, e, "%s/%s", c->output, name);
}

struct recon_shape reconstruct_shape(const struct reconstruction *r, int scan)
{
    return (struct recon_shape){.slices = r->images.cache[scan].slices,
                                .height = r->net.height,
                                .width = r->net.width,
                                .metrics = r->conf->metrics.n,
                                .image = r->conf->image,
                                .zero_filled = r->conf->zero_filled};
}

/* ---- slices ---- */

/* The magnitude (h, w) that reconstructions are compared with. */
static int read_target(const struct reconstruction *r, int scan, int slice, struct slot *s,
                       struct err *e)
{
    const struct refcache *ref = &r->images.cache[scan];
    const int h = r->net.height, w = r->net.width;
    if (r->conf->target == TARGET_RSS) {
        if (refcache_read_rss(ref, slice, s->rss, e)) return -1;
        image_fit_f32(s->rss, ref->height, ref->width, s->target, h, w);
        return 0;
    }
    if (refcache_read(ref, slice, s->raw, e)) return -1;
    image_fit(s->raw, ref->height, ref->width, s->image, h, w);
    for (size_t i = 0, n = (size_t)h * (size_t)w; i < n; i++)
        s->target[i] = cabsf(s->image[i]);
    return 0;
}

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Slice first + i: its target, its zero-filled image, and that as the network's input. */
static void prepare(void *ctx, int i)
{
    const struct work *k = ctx;
    const struct reconstruction *r = k->r;
    const int slice = k->first + i;
    struct slot *s = k->slot + i;
    s->rc = read_target(r, k->scan, slice, s, &s->err) ||
            undersample_slice(&s->from, k->scan, slice, undersample_own_mask(&s->from, k->scan),
                              s->zero, &s->err);
    if (s->rc) return;
    const size_t n = (size_t)r->net.height * (size_t)r->net.width;
    s->scale = undersample_scale(&s->from, s->zero);
    const float factor = s->scale > 0.0 ? (float)(1.0 / s->scale) : 1.0f;
    float *input = r->net.input + (size_t)i * 2 * n;
    for (size_t p = 0; p < n; p++) {
        input[2 * p] = crealf(s->zero[p]) * factor;
        input[2 * p + 1] = cimagf(s->zero[p]) * factor;
    }
    reconstructor_tell(&r->net, i, &s->from, k->scan);
}

/* The network's output in the units of the scan. An empty slice stays empty. */
static void take_output(void *ctx, int i)
{
    const struct work *k = ctx;
    struct slot *s = k->slot + i;
    const size_t n = (size_t)k->r->net.height * (size_t)k->r->net.width;
    const float *output = k->r->net.output + (size_t)i * 2 * n, scale = (float)s->scale;
    for (size_t p = 0; p < n; p++) {
        s->image[p] = (output[2 * p] + output[2 * p + 1] * I) * scale;
        if (isfinite(crealf(s->image[p])) && isfinite(cimagf(s->image[p]))) continue;
        s->rc = err_set(&s->err, ERR_FAILED, "the network's output is not finite");
        return;
    }
}

/* Every metric of |x|, into score[0 .. metrics). Where the target is zero everywhere none is
 * defined: NaN. `maximum`: of the target's volume. */
static int score(const struct reconstruction *r, struct slot *s, const float complex *x,
                 double maximum, double *score, struct err *e)
{
    const int h = r->net.height, w = r->net.width;
    const struct metric_pair pair = {s->target, s->magnitude, h, w, {maximum}};
    float most = 0.0f;
    for (size_t i = 0; i < (size_t)h * (size_t)w; i++) {
        s->magnitude[i] = cabsf(x[i]);
        most = fmaxf(most, s->target[i]);
    }
    for (int m = 0; m < r->conf->metrics.n; m++) {
        const struct metric *metric = reconstruct_metric(r->conf, m);
        score[m] = NAN;
        if (most > 0.0f &&
            metric->score(r->state[m], r->conf->metrics.v[m].conf, &pair, score + m, e))
            return err_wrap(e, "metric %s", metric->kind.name);
    }
    return 0;
}

static int finish(struct work *k, int i, struct h5 *out, struct err *e)
{
    struct reconstruction *r = k->r;
    struct slot *s = k->slot + i;
    const struct recon_shape shape = reconstruct_shape(r, k->scan);
    if (score(r, s, s->zero, k->zero.maximum, k->scores + shape.metrics, e)) return -1;
    volume_add(&k->zero, s->target, s->magnitude);
    if (score(r, s, s->image, k->recon.maximum, k->scores, e)) return -1;
    volume_add(&k->recon, s->target, s->magnitude);
    return recon_file_add(out, &shape, k->first + i, s->image, s->zero, k->scores, s->scratch, e);
}

static int first_failure(const struct work *k, int n, struct err *e)
{
    for (int i = 0; i < n; i++)
        if (k->slot[i].rc) {
            if (e) *e = k->slot[i].err;
            return err_wrap(e, "%s, slice %d", k->r->images.scans.list[k->scan].path, k->first + i);
        }
    return 0;
}

static int batch(struct work *k, int n, struct h5 *out, struct err *e)
{
    par_for(n, prepare, k);
    if (first_failure(k, n, e)) return -1;
    reconstructor_run(&k->r->net);
    par_for(n, take_output, k);
    if (first_failure(k, n, e)) return -1;
    for (int i = 0; i < n; i++)
        if (finish(k, i, out, e))
            return err_wrap(e, "%s, slice %d", k->r->images.scans.list[k->scan].path, k->first + i);
    return 0;
}

/* ---- scans ---- */

/* Everything the file depends on: the configuration without places, the weights, and
 * the reference, whose name has a hash of the scan in it. */
static char *recipe(const struct reconstruction *r, int scan, struct err *e)
{
    struct reconstruct_conf bare = *r->conf;
    char *text = NULL;
    size_t len = 0;
    bare.output = bare.data.cache = bare.checkpoint = "";
    bare.data.scans.n = 0; /* nor how the scan was chosen */
    bare.data.split.kind = split_kinds[0];
    FILE *out = open_memstream(&text, &len);
    int bad = !out || cfg_write(r->cli->fields, &bare, out);
    if (out)
        fprintf(out, "# weights %016llx\n# reference %s\n", (unsigned long long)r->net.weights,
                file_name(r->images.cache[scan].path));
    if (out && !fclose(out) && !bad) return text;
    free(text);
    err_set(e, ERR_FAILED, "out of memory");
    return NULL;
}

static int set_attributes(const struct work *k, struct h5 *f, struct err *e)
{
    const struct reconstruction *r = k->r;
    const struct scan *scan = &r->images.scans.list[k->scan];
    struct undersample *from = &k->slot->from;
    const struct mask_plan *plan = undersample_plan(from, scan, e);
    if (!plan) return -1;
    char mask[256], program[64];
    masks_describe(from->masks, plan, mask, sizeof mask);
    snprintf(program, sizeof program, "reconstruct (ssfd) %s", cli_version());
    const struct {
        const char *key, *text;
    } texts[] = {{"program", program},
                 {"scan", scan->path},
                 {"reference", file_name(r->images.cache[k->scan].path)},
                 {"acquisition", scan->acquisition},
                 {"mask", mask},
                 {"checkpoint", r->conf->checkpoint},
                 {"target", r->conf->target == TARGET_RSS ? "rss" : "reference"}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (h5_set_attr_text(f, "/", texts[i].key, texts[i].text, e)) return -1;
    const struct volume_scores a = volume_scores(&k->recon), b = volume_scores(&k->zero);
    const struct {
        const char *key;
        double value;
    } numbers[] = {{"acceleration", (double)plan->of / plan->kept},
                   {"volume_psnr", a.psnr},
                   {"volume_ssim", a.ssim},
                   {"volume_nmse", a.nmse},
                   {"zero_filled_volume_psnr", b.psnr},
                   {"zero_filled_volume_ssim", b.ssim},
                   {"zero_filled_volume_nmse", b.nmse}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (h5_set_attr_f64(f, "/", numbers[i].key, numbers[i].value, e)) return -1;
    return h5_set_attr_i64(f, "/", "checkpoint_step", (int64_t)r->net.info.step, e);
}

/* The volume's maximum must be known before its first slice is scored. */
static int begin_volumes(struct work *k, int slices, struct err *e)
{
    const struct reconstruction *r = k->r;
    const size_t n = (size_t)r->net.height * (size_t)r->net.width;
    float most = 0.0f;
    for (int slice = 0; slice < slices; slice++) {
        if (read_target(r, k->scan, slice, k->slot, e)) return -1;
        for (size_t i = 0; i < n; i++)
            most = fmaxf(most, k->slot->target[i]);
    }
    return volume_init(&k->recon, r->net.height, r->net.width, (double)most, e) ||
                   volume_init(&k->zero, r->net.height, r->net.width, (double)most, e)
               ? -1
               : 0;
}

static int one_scan(struct work *k, const char *path, const char *recipe, struct progress *p,
                    long *done, struct err *e)
{
    const struct recon_shape shape = reconstruct_shape(k->r, k->scan);
    const char *name = k->r->images.scans.list[k->scan].name;
    struct h5 *f = NULL;
    int rc = begin_volumes(k, shape.slices, e) || !(f = recon_file_new(path, &shape, recipe, e));
    for (k->first = 0; !rc && k->first < shape.slices; k->first += k->r->net.batch) {
        const int left = shape.slices - k->first,
                  n = left < k->r->net.batch ? left : k->r->net.batch;
        if (stop_requested()) {
            rc = err_set(e, ERR_STOPPED, "stopped by %s while reconstructing %s", stop_signal(),
                         name);
            err_hint(e, "finished scans are kept; the same command with --resume goes on");
        } else {
            rc = batch(k, n, f, e);
        }
        if (!rc) progress_at(p, *done += n, name);
    }
    rc = rc || set_attributes(k, f, e) || h5_commit(f, e);
    h5_close(f);
    volume_release(&k->recon);
    volume_release(&k->zero);
    return rc ? -1 : 0;
}

/* ---- all of it ---- */

static void slots_free(struct slot *slot, int n)
{
    for (int i = 0; slot && i < n; i++) {
        struct slot *s = slot + i;
        undersample_release(&s->from);
        void *const all[] = {s->scratch, s->rss,    s->raw,      s->zero,
                             s->image,   s->target, s->magnitude};
        for (size_t k = 0; k < sizeof all / sizeof *all; k++)
            mem_free(all[k]);
    }
    mem_free(slot);
}

static struct slot *slots_new(const struct reconstruction *r, struct err *e)
{
    size_t n = (size_t)r->net.height * (size_t)r->net.width, largest = n;
    for (int i = 0; i < r->images.scans.n; i++) {
        const struct scan *scan = &r->images.scans.list[i];
        size_t pixels = (size_t)scan->height * (size_t)scan->width;
        if (pixels > largest) largest = pixels;
    }
    struct slot *slot = mem_new((size_t)r->net.batch, sizeof *slot, e);
    for (int i = 0; slot && i < r->net.batch; i++) {
        struct slot *s = slot + i;
        s->rss = mem_new(largest, sizeof *s->rss, e);
        s->raw = mem_new(largest, sizeof *s->raw, e);
        s->scratch = mem_new(n, sizeof *s->scratch, e);
        s->zero = mem_new(n, sizeof *s->zero, e);
        s->image = mem_new(n, sizeof *s->image, e);
        s->target = mem_new(n, sizeof *s->target, e);
        s->magnitude = mem_new(n, sizeof *s->magnitude, e);
        if (s->rss && s->raw && s->scratch && s->zero && s->image && s->target && s->magnitude &&
            !undersample_init(&s->from, reconstruct_from(r->conf), &r->images, e))
            continue;
        slots_free(slot, r->net.batch);
        return NULL;
    }
    return slot;
}

/* Reconstructs the scans of which text[i], their recipe, is there. */
static int run_all(struct work *k, char *const *text, long slices, struct err *e)
{
    struct progress p = progress_begin("reconstructing", 0, slices, k->r->cli->quiet);
    long done = 0;
    int rc = 0;
    for (int i = 0; i < k->r->images.scans.n && !rc; i++) {
        char path[1200], file[300];
        if (!text[i]) continue;
        snprintf(file, sizeof file, "%s.h5", k->r->images.scans.list[i].name);
        k->scan = i;
        rc = reconstruct_path(k->r->conf, file, path, sizeof path, e) ||
             one_scan(k, path, text[i], &p, &done, e);
    }
    progress_end(&p, "");
    return rc;
}

/* What is to be done: the recipe of each scan whose file is not there. */
static int plan_all(const struct reconstruction *r, char **text, long *slices, struct err *e)
{
    for (int i = 0; i < r->images.scans.n; i++) {
        char path[1200], file[300];
        enum recon_state state;
        snprintf(file, sizeof file, "%s.h5", r->images.scans.list[i].name);
        if (reconstruct_path(r->conf, file, path, sizeof path, e) || !(text[i] = recipe(r, i, e)) ||
            recon_file_check(path, text[i], &state, e))
            return -1;
        if (state == RECON_ABSENT) {
            *slices += r->images.cache[i].slices;
            continue;
        }
        free(text[i]);
        text[i] = NULL;
        if (r->cli->resume) continue;
        err_set(e, ERR_CONFIG, "%s is there already", path);
        return err_hint(e, "add --resume to make only what is missing, or choose another 'output'");
    }
    return 0;
}

int reconstruct_scans(struct reconstruction *r, struct err *e)
{
    struct work k = {.r = r};
    long slices = 0;
    int rc = -1, scans = r->images.scans.n;
    char **text = mem_new((size_t)scans, sizeof *text, e);
    k.scores = mem_new((size_t)(2 * r->conf->metrics.n), sizeof *k.scores, e);
    k.slot = slots_new(r, e);
    if (text && k.scores && k.slot && !plan_all(r, text, &slices, e))
        rc = slices ? run_all(&k, text, slices, e) : 0;
    for (int i = 0; text && i < scans; i++)
        free(text[i]);
    mem_free(text);
    mem_free(k.scores);
    slots_free(k.slot, r->net.batch);
    return rc;
}
