#include "train/recon.h"

#include "base/mem.h"
#include "base/progress.h"
#include "data/acquisition.h"
#include "nn/ckpt.h"
#include "train/samples.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct side { /* the training or the validation images, each used by a reader thread of its own */
    struct images *images;
    struct undersample from;
    const struct augment_conf *augment;    /* NULL: none, and one mask a file */
    const struct acquisition *acquisition; /* NULL: the network is not told */
    float complex *zero, *full;
};

struct recon {
    struct task task;
    struct side train, validation;
    struct acquisition *acquisition; /* of both, where there is data consistency */
    struct normal normal;
    char undersampling[CKPT_TEXT];
};

static int make(void *ctx, uint32_t index, uint32_t epoch, float *input, float *target,
                float *acquisition, struct err *e)
{
    struct side *s = ctx;
    struct images *im = s->images;
    const struct image at = im->list[index];
    const uint64_t seed = s->from.conf.seed;
    const struct mask_key key = s->augment ? mask_key_of_sample(seed, epoch, index)
                                           : undersample_own_mask(&s->from, at.scan);
    if (images_read(im, (int)index, s->full, e) ||
        undersample_slice(&s->from, at.scan, at.slice, key, s->zero, e))
        return -1;
    const double scale = undersample_scale(&s->from, s->zero);
    struct augment a = s->augment ? augment_draw(s->augment, seed, epoch, index) : augment_none();
    if (scale > 0.0) a.factor *= (float)(1.0 / scale); /* an empty image stays empty */
    augment_apply(&a, (const float *)s->zero, im->height, im->width, 2, input);
    augment_apply(&a, (const float *)s->full, im->height, im->width, 2, target);
    if (s->acquisition) acquisition_describe(s->acquisition, &s->from, at.scan, &a, acquisition);
    return 0;
}

enum { ERROR, ELEMENTS, PSNR, PSNR_ZERO, NOT_EMPTY, SUMS };

static double magnitude(const float *x, size_t i)
{
    return hypot((double)x[2 * i], (double)x[2 * i + 1]);
}

/* 10 log10(max |reference|^2 / mean (|x| - |reference|)^2) of one image. */
static double psnr(const float *x, const float *reference, size_t n)
{
    double max = 0.0, sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        double r = magnitude(reference, i), d = magnitude(x, i) - r;
        max = fmax(max, r);
        sum += d * d;
    }
    return 10.0 * log10(max * max / fmax(sum / (double)n, 1e-30));
}

static bool empty(const float *x, size_t n)
{
    for (size_t i = 0; i < 2 * n; i++)
        if (x[i] != 0.0f) return false;
    return true;
}

static void measure(const struct task *t, const float *input, const float *output,
                    const float *target, const float *mask, double *sums)
{
    (void)mask;
    size_t n = (size_t)t->height * (size_t)t->width;
    for (size_t i = 0; i < 2 * n; i++) {
        double d = (double)output[i] - (double)target[i];
        sums[ERROR] += d * d;
    }
    sums[ELEMENTS] += (double)(2 * n);
    if (empty(target, n)) return; /* it has no PSNR */
    sums[PSNR] += psnr(output, target, n);
    sums[PSNR_ZERO] += psnr(input, target, n);
    sums[NOT_EMPTY]++;
}

static void summarise(const double *sums, int n, double *values)
{
    (void)n;
    values[0] = sums[ERROR] / sums[ELEMENTS];
    values[1] = sums[PSNR] / sums[NOT_EMPTY];
    values[2] = sums[PSNR_ZERO] / sums[NOT_EMPTY];
}

static void tiles(const struct task *t, const float *input, const float *output,
                  const float *target, float *const *tile)
{
    size_t n = (size_t)t->height * (size_t)t->width;
    for (size_t i = 0; i < n; i++) {
        tile[0][i] = (float)magnitude(target, i);
        tile[1][i] = (float)magnitude(input, i);
        tile[2][i] = (float)magnitude(output, i);
        tile[3][i] = 5.0f * fabsf(tile[2][i] - tile[0][i]);
    }
}

static int side_init(struct side *s, struct images *images, struct undersample_conf from,
                     const struct augment_conf *augment, struct err *e)
{
    const size_t n = (size_t)images->height * (size_t)images->width;
    *s = (struct side){.images = images, .augment = augment};
    if (undersample_init(&s->from, from, images, e)) return -1;
    s->zero = mem_new(n, sizeof *s->zero, e);
    s->full = mem_new(n, sizeof *s->full, e);
    return s->zero && s->full ? 0 : -1;
}

static void side_release(struct side *s)
{
    undersample_release(&s->from);
    mem_free(s->zero);
    mem_free(s->full);
}

static struct acquisition *acquire(struct undersample_conf from, const struct images *const sets[2],
                                   struct err *e)
{
    struct acquisition *a = acquisition_new(from, sets, 2, e);
    if (!a && e && e->code == ERR_CONFIG) {
        char hint[sizeof e->hint];
        memcpy(hint, e->hint, sizeof hint);
        err_hint(e, "%s%sset network.data_consistency to 0", hint, *hint ? ", or " : "");
    }
    return a;
}

static int make_consistent(struct recon *r, const struct augment_conf *augment, struct err *e)
{
    const struct images *const sets[] = {r->train.images, r->validation.images};
    if (recon_check(&r->task.unet, augment, e) ||
        !(r->acquisition = acquire(r->train.from.conf, sets, e)))
        return -1;
    r->train.acquisition = r->validation.acquisition = r->acquisition;
    r->normal =
        (struct normal){acquisition_planes(r->acquisition), r->acquisition, acquisition_row};
    r->task.unet.normal = &r->normal;
    return 0;
}

int recon_check(const struct unet_conf *unet, const struct augment_conf *augment, struct err *e)
{
    if (unet->data_consistency == 0 || !augment->turn) return 0;
    err_set(e, ERR_CONFIG,
            "augment.turn turns the columns of k-space into rows, of which data consistency knows "
            "nothing");
    return err_hint(e, "set augment.turn to false, or network.data_consistency to 0");
}

static void recon_free(void *ctx)
{
    struct recon *r = ctx;
    side_release(&r->train);
    side_release(&r->validation);
    acquisition_free(r->acquisition);
    mem_free(r);
}

struct task *recon_new(struct undersample_conf from, const struct augment_conf *augment,
                       const struct unet_conf *unet, struct images *train,
                       struct images *validation, struct err *e)
{
    struct recon *r = mem_new(1, sizeof *r, e);
    if (!r) return NULL;
    r->task.unet = *unet;
    if (augment_check(augment, train->height, train->width, e) ||
        undersample_write(&from, r->undersampling, sizeof r->undersampling, e) ||
        side_init(&r->train, train, from, augment, e) ||
        side_init(&r->validation, validation, from, NULL, e) ||
        (unet->data_consistency > 0 && make_consistent(r, augment, e))) {
        recon_free(r);
        return NULL;
    }
    const int told = r->acquisition ? acquisition_planes(r->acquisition) : 0;
    r->task = (struct task){
        .name = "recon",
        .unet = r->task.unet,
        .undersampling = r->undersampling,
        .height = train->height,
        .width = train->width,
        .train = samples_source(&r->train, train, 2, 2, told, make),
        .validation = samples_source(&r->validation, validation, 2, 2, told, make),
        .fingerprint = samples_fingerprint(train, validation),
        .train_images = train,
        .validation_images = validation,
        .name_sample = samples_name,
        .ctx = r,
        .free = recon_free,
        .nsums = SUMS,
        .nscores = 3,
        .scores = {"val_loss", "val_psnr", "val_psnr_zero_filled"},
        .measure = measure,
        .summarise = summarise,
        .ntiles = 4,
        .tile_names = {"fully sampled", "zero-filled", "reconstructed", "|difference| x 5"},
        .short_names = {"full", "zeros", "network", "5|diff|"},
        .tiles = tiles,
    };
    return &r->task;
}

static int admit_masks(struct masks *masks, int mask_on, const struct images *im, char last[256],
                       bool quiet, struct err *e)
{
    char line[256];
    for (int i = 0; i < im->scans.n; i++) {
        const struct scan *s = &im->scans.list[i];
        int h, w;
        zerofill_mask_size(mask_on, s, &h, &w);
        const struct mask_plan *p = masks_plan(masks, h, w, e);
        if (!p) return err_wrap(e, "%s", s->path);
        masks_describe(masks, p, line, sizeof line);
        if (p->kept == p->of && strcmp(line, last))
            progress_warn("mask: nothing of %s is left out, so the input is the target", s->path);
        if (!quiet && strcmp(line, last)) fprintf(stderr, "undersampling: %s\n", line);
        memcpy(last, line, sizeof line);
    }
    return 0;
}

int recon_admit(struct undersample_conf from, const struct unet_conf *unet,
                const struct images *train, const struct images *validation, bool quiet,
                struct err *e)
{
    const struct images *const sets[] = {train, validation};
    char last[256] = "", text[CKPT_TEXT];
    if (undersample_write(&from, text, sizeof text, e)) return -1; /* it must fit in checkpoints */
    struct masks *masks = masks_new(from.mask, e);
    int bad = !masks || admit_masks(masks, from.mask_on, train, last, quiet, e) ||
              admit_masks(masks, from.mask_on, validation, last, quiet, e);
    masks_free(masks);
    if (bad || unet->data_consistency == 0) return bad ? -1 : 0;
    struct acquisition *a = acquire(from, sets, e);
    acquisition_free(a);
    return a ? 0 : -1;
}
