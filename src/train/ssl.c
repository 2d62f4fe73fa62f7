#include "train/ssl.h"

#include "base/mem.h"
#include "train/samples.h"

#include <string.h>

/* Epochs count up from 0; validation draws from one that no training reaches. */
static const uint32_t VALIDATION_EPOCH = UINT32_MAX;

struct side { /* the training or the validation images, each used by a reader thread of its own */
    struct images *images;
    struct patches *patches;
    const struct augment_conf *augment; /* NULL: none, and the same patches each time */
    uint64_t seed;
    float *image; /* before augmentation */
};

struct ssl {
    struct task task;
    struct side train, validation;
};

static int make(void *ctx, uint32_t index, uint32_t epoch, float *input, float *target, float *mask,
                struct err *e)
{
    struct side *s = ctx;
    struct images *im = s->images;
    if (images_read_zscored(im, (int)index, s->image, e)) return -1;
    struct augment a =
        s->augment ? augment_draw(s->augment, s->seed, epoch, index) : augment_none();
    augment_apply(&a, s->image, im->height, im->width, 1, target);
    struct rng rng =
        s->augment ? rng_make(s->seed, RNG_PATCHES, epoch, index)
                   : rng_make(s->seed, RNG_PATCHES, VALIDATION_EPOCH, images_id(im, (int)index));
    if (patches_draw(s->patches, rng, mask, e)) return -1;
    for (size_t i = 0, n = (size_t)im->height * (size_t)im->width; i < n; i++)
        input[i] = target[i] * mask[i];
    return 0;
}

enum { WHOLE, INSIDE, ZERO, INSIDE_PIXELS, WHOLE_PIXELS, SUMS };

static void measure(const struct task *t, const float *input, const float *output,
                    const float *target, const float *mask, double *sums)
{
    (void)input;
    size_t n = (size_t)t->height * (size_t)t->width;
    for (size_t i = 0; i < n; i++) {
        double d = (double)output[i] - (double)target[i], inside = 1.0 - (double)mask[i];
        sums[WHOLE] += d * d;
        sums[INSIDE] += inside * d * d;
        sums[ZERO] += inside * (double)target[i] * (double)target[i];
        sums[INSIDE_PIXELS] += inside;
    }
    sums[WHOLE_PIXELS] += (double)n;
}

static void summarise(const double *sums, int n, double *values)
{
    (void)n;
    values[0] = sums[WHOLE] / sums[WHOLE_PIXELS];
    values[1] = sums[INSIDE] / sums[INSIDE_PIXELS];
    values[2] = sums[ZERO] / sums[INSIDE_PIXELS];
    values[3] = sums[ZERO] > 0.0 ? sums[INSIDE] / sums[ZERO] : 0.0;
}

static void tiles(const struct task *t, const float *input, const float *output,
                  const float *target, float *const *tile)
{
    size_t bytes = (size_t)t->height * (size_t)t->width * sizeof(float);
    memcpy(tile[0], target, bytes);
    memcpy(tile[1], input, bytes);
    memcpy(tile[2], output, bytes);
}

static int side_init(struct side *s, struct images *images, const struct patches_conf *p,
                     const struct augment_conf *augment, uint64_t seed, struct err *e)
{
    *s = (struct side){.images = images, .augment = augment, .seed = seed};
    s->patches = patches_new(p, images->height, images->width, e);
    s->image = mem_new((size_t)images->height * (size_t)images->width, sizeof *s->image, e);
    return s->patches && s->image ? 0 : -1;
}

static void side_release(struct side *s)
{
    patches_free(s->patches);
    mem_free(s->image);
}

static void ssl_free(void *ctx)
{
    struct ssl *s = ctx;
    side_release(&s->train);
    side_release(&s->validation);
    mem_free(s);
}

struct task *ssl_new(const struct patches_conf *p, const struct augment_conf *augment,
                     const struct unet_conf *unet, uint64_t seed, struct images *train,
                     struct images *validation, struct err *e)
{
    struct ssl *s = mem_new(1, sizeof *s, e);
    if (!s) return NULL;
    int h = train->height, w = train->width;
    if (augment_check(augment, h, w, e) || side_init(&s->train, train, p, augment, seed, e) ||
        side_init(&s->validation, validation, p, NULL, seed, e)) {
        ssl_free(s);
        return NULL;
    }
    s->task = (struct task){
        .name = "ssl",
        .unet = *unet,
        .height = h,
        .width = w,
        .train = samples_source(&s->train, train, 1, 1, 1, make),
        .validation = samples_source(&s->validation, validation, 1, 1, 1, make),
        .fingerprint = samples_fingerprint(train, validation),
        .train_images = train,
        .validation_images = validation,
        .name_sample = samples_name,
        .ctx = s,
        .free = ssl_free,
        .nsums = SUMS,
        .nscores = 4,
        .scores = {"val_loss", "val_patches", "val_patches_zero", "val_patches_ratio"},
        .measure = measure,
        .summarise = summarise,
        .ntiles = 3,
        .tile_names = {"original", "corrupted", "in-painted"},
        .short_names = {"whole", "cut", "filled"},
        .tiles = tiles,
    };
    return &s->task;
}
