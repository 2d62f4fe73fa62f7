/* What a training is about: the samples, the network, and what validation measures. The loop
 * (fit.h) knows nothing else of in-painting or reconstruction; a further task is one more of these.
 */
#pragma once

#include "data/loader.h"
#include "nn/unet.h"

enum { TASK_MAX_SCORES = 8, TASK_MAX_TILES = 6 };

struct images;
struct task {
    const char *name; /* "ssl", "recon": in checkpoints */
    struct unet_conf unet;
    const char *undersampling; /* of the input, for checkpoints (nn/ckpt.h); NULL: none */
    int height, width;         /* of every sample */
    /* input (h, w, in), target (h, w, out), mask (mask_len): the network's input "acquisition",
     * where it has one. */
    struct sample_source train;
    struct sample_source validation; /* the same every time */

    /* A number for the sets of scans, the same only for the same ones; 0: not known. */
    uint64_t fingerprint;
    /* How people know a sample: scan and slice. NULL: by number. */
    const struct images *train_images, *validation_images; /* of samples_name (samples.h) */
    void (*name_sample)(const struct task *t, bool validation, uint32_t index, char *text,
                        size_t size);

    /* Validation: adds one image's figures to sums[] (nsums of them), then turns the sums over all
     * n images into values[] named by `scores`. scores[0] is "val_loss", the loss of training, by
     * which checkpoints are chosen: its value is the validation's own (validate.h), whatever
     * `summarise` gives. */
    int nsums, nscores;
    const char *scores[TASK_MAX_SCORES];
    void (*measure)(const struct task *t, const float *input, const float *output,
                    const float *target, const float *mask, double *sums);
    void (*summarise)(const double *sums, int n, double *values);

    /* Picture of one validation sample: `ntiles` images (h, w) side by side, all in the grey
     * window of the first, the reference. */
    int ntiles;
    const char *tile_names[TASK_MAX_TILES];
    const char *short_names[TASK_MAX_TILES]; /* where the images are too narrow for those */
    void (*tiles)(const struct task *t, const float *input, const float *output,
                  const float *target, float *const *tile);
    void *ctx;
    void (*free)(void *ctx); /* of what task_free is to free, the task in it; NULL: nothing */
};

static inline void task_free(struct task *t) /* NULL: legal */
{
    if (t && t->free) t->free(t->ctx);
}
