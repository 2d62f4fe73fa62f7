#include "train/recon.h"

#include "base/mem.h"
#include "data/fft.h"
#include "data/normalise.h"
#include "data/zerofill.h"
#include "train/samples.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double TOP_SHARE = 0.05; /* the authors' TopMagnitudeNormalizer */

struct side { /* the training or the validation images, each used by a reader thread of its own */
    struct images *images;
    struct zerofill zerofill;
    struct masks *masks;
    const struct augment_conf *augment; /* NULL: none, and one mask a file */
    uint64_t seed;
    float *keep, *scratch;            /* as large as the largest mask, and image */
    float complex *raw, *zero, *full; /* zero-filled at the scan's size; both at the image size */
};

struct recon {
    struct task task;
    struct side train, validation;
};

static int make(void *ctx, uint32_t index, uint32_t epoch, float *input, float *target, float *mask,
                struct err *e)
{
    (void)mask;
    struct side *s = ctx;
    struct images *im = s->images;
    struct image at = im->list[index];
    const struct scan *scan = &im->scans.list[at.scan];
    struct mask_key key = s->augment ? mask_key_of_sample(s->seed, epoch, index)
                                     : mask_key_of_file(s->seed, scan->path);
    int mask_h, mask_w;
    zerofill_mask_size(s->zerofill.mask_on, scan, &mask_h, &mask_w);
    if (masks_draw(s->masks, key, mask_h, mask_w, s->keep, e) ||
        images_read(im, (int)index, s->full, e) ||
        zerofill_slice(&s->zerofill, scan, &im->cache[at.scan], at.slice, s->keep, s->raw, e))
        return -1;
    image_fit(s->raw, scan->height, scan->width, s->zero, im->height, im->width);
    size_t n = (size_t)im->height * (size_t)im->width;
    double scale = normalise_top_magnitude(s->zero, n, TOP_SHARE, s->scratch);
    struct augment a =
        s->augment ? augment_draw(s->augment, s->seed, epoch, index) : augment_none();
    if (scale > 0.0) a.factor *= (float)(1.0 / scale); /* an empty image stays empty */
    augment_apply(&a, (const float *)s->zero, im->height, im->width, 2, input);
    augment_apply(&a, (const float *)s->full, im->height, im->width, 2, target);
    return 0;
}

enum { ERROR, ELEMENTS, PSNR, PSNR_ZERO, SUMS };

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
    sums[PSNR] += psnr(output, target, n);
    sums[PSNR_ZERO] += psnr(input, target, n);
}

static void summarise(const double *sums, int n, double *values)
{
    values[0] = sums[ERROR] / sums[ELEMENTS];
    values[1] = sums[PSNR] / n;
    values[2] = sums[PSNR_ZERO] / n;
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

static int side_init(struct side *s, struct images *images, const struct jsense_conf *jsense,
                     struct cfg_pick mask, int mask_on, const struct augment_conf *augment,
                     uint64_t seed, struct err *e)
{
    *s = (struct side){.images = images, .augment = augment, .seed = seed};
    if (!(s->masks = masks_new(mask, e))) return -1;
    size_t n = (size_t)images->height * (size_t)images->width, largest = n, masked = 0;
    for (int i = 0; i < images->scans.n; i++) {
        const struct scan *scan = &images->scans.list[i];
        size_t pixels = (size_t)scan->height * (size_t)scan->width;
        if (pixels > largest) largest = pixels;
        int h, w;
        zerofill_mask_size(mask_on, scan, &h, &w);
        if ((size_t)h * (size_t)w > masked) masked = (size_t)h * (size_t)w;
        if (!masks_plan(s->masks, h, w, e)) return err_wrap(e, "%s", scan->path);
    }
    s->zerofill.conf = *jsense;
    s->zerofill.mask_on = mask_on;
    s->keep = mem_new(masked, sizeof *s->keep, e);
    s->raw = mem_new(largest, sizeof *s->raw, e);
    s->scratch = mem_new(n, sizeof *s->scratch, e);
    s->zero = mem_new(n, sizeof *s->zero, e);
    s->full = mem_new(n, sizeof *s->full, e);
    return s->keep && s->raw && s->scratch && s->zero && s->full ? 0 : -1;
}

static void side_release(struct side *s)
{
    zerofill_release(&s->zerofill);
    masks_free(s->masks);
    mem_free(s->keep);
    mem_free(s->raw);
    mem_free(s->scratch);
    mem_free(s->zero);
    mem_free(s->full);
}

static void name_sample(const struct task *t, bool validation, uint32_t index, char *text,
                        size_t size)
{
    const struct recon *owner = t->ctx;
    samples_name(validation ? owner->validation.images : owner->train.images, index, text, size);
}

static struct sample_source source(struct side *s)
{
    size_t pixels = (size_t)s->images->height * (size_t)s->images->width;
    return (struct sample_source){s, (uint32_t)s->images->n, 2 * pixels, 2 * pixels, 0, make};
}

struct recon *recon_new(struct cfg_pick mask, int mask_on, const struct augment_conf *augment,
                        const struct jsense_conf *jsense, const struct unet_conf *unet,
                        uint64_t seed, struct images *train, struct images *validation,
                        struct err *e)
{
    struct recon *r = mem_new(1, sizeof *r, e);
    if (!r) return NULL;
    if (augment_check(augment, train->height, train->width, e) ||
        side_init(&r->train, train, jsense, mask, mask_on, augment, seed, e) ||
        side_init(&r->validation, validation, jsense, mask, mask_on, NULL, seed, e)) {
        recon_free(r);
        return NULL;
    }
    r->task = (struct task){
        .name = "recon",
        .unet = *unet,
        .height = train->height,
        .width = train->width,
        .train = source(&r->train),
        .validation = source(&r->validation),
        .fingerprint = samples_fingerprint(train, validation),
        .name_sample = name_sample,
        .ctx = r,
        .nsums = SUMS,
        .nscores = 3,
        .scores = {"val_loss", "val_psnr", "val_psnr_zero_filled"},
        .measure = measure,
        .summarise = summarise,
        .ntiles = 4,
        .tile_names = {"fully sampled", "zero-filled", "reconstructed", "|difference| x 5"},
        .tiles = tiles,
    };
    return r;
}

void recon_print_masks(const struct recon *r)
{
    const struct side *sides[] = {&r->train, &r->validation};
    char line[256], last[256] = "";
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < sides[k]->images->scans.n; i++) {
            const struct scan *s = &sides[k]->images->scans.list[i];
            int h, w;
            zerofill_mask_size(sides[k]->zerofill.mask_on, s, &h, &w);
            const struct mask_plan *p = masks_plan(sides[k]->masks, h, w, NULL);
            if (!p) continue;
            masks_describe(sides[k]->masks, p, line, sizeof line);
            if (strcmp(line, last)) fprintf(stderr, "undersampling: %s\n", line);
            memcpy(last, line, sizeof last);
        }
}

void recon_free(struct recon *r)
{
    if (!r) return;
    side_release(&r->train);
    side_release(&r->validation);
    mem_free(r);
}

const struct task *recon_task(const struct recon *r)
{
    return &r->task;
}
