/* The undersampled scan itself, zeros for what was not sampled: what a reconstruction starts from.
 */
#include "base/mem.h"
#include "data/undersample.h"
#include "eval/source.h"

#include <stdio.h>

struct zero_filled {
    struct undersample from;
    float complex *x; /* (h, w) */
    size_t pixels;
};

static int methods(const void *conf)
{
    (void)conf;
    return 1;
}

static void name(const void *conf, int k, char *text, int size)
{
    (void)conf, (void)k;
    snprintf(text, (size_t)size, "zero_filled");
}

static void describe(const void *conf, int k, char *text, int size)
{
    const struct undersample_conf *c = conf;
    (void)k;
    snprintf(text, (size_t)size, "zero-filled, mask %s, seed %llu", c->mask.kind->name,
             (unsigned long long)c->seed);
}

static void close_zero_filled(void *state)
{
    struct zero_filled *z = state;
    if (!z) return;
    undersample_release(&z->from);
    mem_free(z->x);
    mem_free(z);
}

static void *open_zero_filled(const void *conf, int k, struct images *im, struct err *e)
{
    (void)k;
    struct zero_filled *z = mem_new(1, sizeof *z, e);
    if (!z) return NULL;
    z->pixels = (size_t)im->height * (size_t)im->width;
    z->x = mem_new(z->pixels, sizeof *z->x, e);
    if (z->x && !undersample_init(&z->from, *(const struct undersample_conf *)conf, im, e))
        return z;
    close_zero_filled(z);
    return NULL;
}

static int read(void *state, int i, const float *reference, float *magnitude, struct err *e)
{
    (void)reference;
    struct zero_filled *z = state;
    const struct image at = z->from.images->list[i];
    const struct mask_key key = undersample_own_mask(&z->from, at.scan);
    if (undersample_slice(&z->from, at.scan, at.slice, key, z->x, e)) return -1;
    for (size_t p = 0; p < z->pixels; p++)
        magnitude[p] = cabsf(z->x[p]);
    return 0;
}

const struct source source_zero_filled = {
    .kind = {"zero_filled", "the undersampled scan with zeros for what is missing",
             undersample_fields, sizeof(struct undersample_conf)},
    .methods = methods,
    .name = name,
    .describe = describe,
    .open = open_zero_filled,
    .close = close_zero_filled,
    .read = read,
};
