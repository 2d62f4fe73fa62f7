#include "train/samples.h"

#include <stdio.h>
#include <string.h>

static uint64_t add(uint64_t hash, uint32_t x)
{
    for (int k = 0; k < 4; k++)
        hash = (hash ^ (x >> 8 * k & 255)) * 0x100000001b3u; /* FNV-1a */
    return hash;
}

uint64_t samples_fingerprint(const struct images *train, const struct images *validation)
{
    const struct images *const set[] = {train, validation};
    uint64_t hash = 0xcbf29ce484222325u;
    for (int k = 0; k < 2; k++) {
        hash = add(hash, (uint32_t)set[k]->n);
        for (int i = 0; i < set[k]->n; i++) {
            const uint64_t content = (uint64_t)set[k]->cache[set[k]->list[i].scan].source_hash;
            hash = add(hash, images_id(set[k], i));
            hash = add(hash, (uint32_t)content);
            hash = add(hash, (uint32_t)(content >> 32));
        }
    }
    return hash;
}

void samples_name(const struct task *t, bool validation, uint32_t index, char *text, size_t size)
{
    const struct images *im = validation ? t->validation_images : t->train_images;
    snprintf(text, size, "%s, slice %d", images_name(im, (int)index), im->list[index].slice);
}

struct sample_source samples_source(void *ctx, const struct images *im, int input, int target,
                                    int mask, sample_fn *make)
{
    const size_t pixels = (size_t)im->height * (size_t)im->width;
    return (struct sample_source){.ctx = ctx,
                                  .samples = (uint32_t)im->n,
                                  .input_len = pixels * (size_t)input,
                                  .target_len = pixels * (size_t)target,
                                  .mask_len = pixels * (size_t)mask,
                                  .make = make};
}

void samples_copy(const struct sample_source *s, const struct batch *b, int n, float *input,
                  float *target, float *acquisition)
{
    const size_t bytes = (size_t)n * sizeof(float);
    memcpy(input, b->input, bytes * s->input_len);
    memcpy(target, b->target, bytes * s->target_len);
    if (acquisition) memcpy(acquisition, b->mask, bytes * s->mask_len);
}
