/* Scans of noise of any size, and their images, for tests of what undersamples them. */
#pragma once

#include "base/mem.h"
#include "data/undersample.h"
#include "scratch.h"

#include <math.h>

struct sizes {
    int coils, readout, phase; /* of k-space */
    int h, w;                  /* of references */
    int height, width;         /* of images */
};

enum { NOISY_SLICES = 2 };

static inline void write_noise(const char *path, struct sizes z, uint32_t seed)
{
    const int64_t dim[] = {NOISY_SLICES, z.coils, z.readout, z.phase},
                  rss[] = {NOISY_SLICES, z.h, z.w};
    const int n = NOISY_SLICES * z.coils * z.readout * z.phase;
    struct err e = {0};
    float complex *x = mem_new((size_t)n, sizeof *x, NULL);
    float *image = mem_new((size_t)(NOISY_SLICES * z.h * z.w), sizeof *image, NULL);
    for (int i = 0; i < n; i++) {
        const int v = i % z.phase - z.phase / 2, u = i / z.phase % z.readout - z.readout / 2;
        const float re = scratch_noise(&seed);
        x[i] = (float)exp(-0.2 * hypot(u, v)) * (re + scratch_noise(&seed) * I);
    }
    struct h5 *f = h5_create(path, &e);
    if (!f || h5_make(f, "kspace", H5_C64, 4, dim, &e) ||
        h5_write_c64(f, "kspace", 4, NULL, dim, x, &e) ||
        h5_make(f, "reconstruction_rss", H5_F32, 3, rss, &e) ||
        h5_write_f32(f, "reconstruction_rss", 3, NULL, rss, image, &e) || h5_commit(f, &e))
        fail_msg("%s", e.text);
    h5_close(f);
    mem_free(x);
    mem_free(image);
}

/* Of the scans in the folder, which are all of one reference size. */
static inline void open_images(struct images *im, const char *folder, int height, int width)
{
    const char *const paths[] = {folder};
    char cache[256];
    snprintf(cache, sizeof cache, "%s", scratch_path("cache"));
    const struct images_conf c = {.scans = {1, paths},
                                  .split = {.kind = split_kinds[0]},
                                  .part = PART_TEST,
                                  .cache = cache,
                                  .slices = SLICES_ALL,
                                  .height = height,
                                  .width = width,
                                  .jsense = {.kernel = 4,
                                             .calibration = 0.6,
                                             .iterations = 3,
                                             .inner_iterations = 3,
                                             .lambda = 0.0}};
    struct err e = {0};
    if (images_find(im, &c, true, &e) || images_prepare(im, true, &e)) fail_msg("%s", e.text);
}

/* One scan in a folder of its own. */
static inline void open_one(struct images *im, const char *name, struct sizes z)
{
    char folder[256], path[300];
    snprintf(folder, sizeof folder, "%s", scratch_path(name));
    snprintf(path, sizeof path, "%s/%s.h5", folder, name);
    mkdir(folder, 0777);
    write_noise(path, z, (uint32_t)strlen(name) + (uint32_t)z.w);
    open_images(im, folder, z.height, z.width);
}

/* A kind of mask with its defaults, but for an acceleration and share of the centre. */
struct mask_choice {
    struct cfg *cfg;
    struct undersample_conf conf;
};

static inline struct mask_choice choose_mask(const char *kind, double acceleration, int mask_on)
{
    struct mask_choice m;
    char text[128];
    struct err e = {0};
    const int n =
        snprintf(text, sizeof text,
                 "mask: {kind: %s, acceleration: %g, center_fraction: 0.2}\nmask_on: %s\n", kind,
                 acceleration, mask_on_choices[mask_on]);
    m.cfg = cfg_parse(undersample_fields, &m.conf, "test", text, (size_t)n, NULL, 0, &e);
    if (!m.cfg) fail_msg("%s", e.text);
    return m;
}
