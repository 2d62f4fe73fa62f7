#include "data/refpicture.h"

#include "base/io.h"
#include "base/mem.h"
#include "base/png.h"
#include "data/normalise.h"

#include <math.h>
#include <string.h>

enum { TILES = 3 };

static int write_panel(const struct refcache *r, float complex *reference, float *pixels,
                       struct err *e)
{
    static const char *const titles[TILES] = {"root-sum-of-squares", "JSENSE", "|difference| x 10"};
    const size_t n = (size_t)r->height * (size_t)r->width;
    float *rss = pixels, *jsense = pixels + n, *difference = pixels + 2 * n;
    if (refcache_read_rss(r, r->slices / 2, rss, e) ||
        refcache_read(r, r->slices / 2, reference, e))
        return -1;
    memcpy(difference, rss, n * sizeof *rss); /* as scratch */
    const float white = normalise_top(difference, n, 0.01);
    for (size_t i = 0; i < n; i++) {
        jsense[i] = cabsf(reference[i]);
        difference[i] = 10.0f * fabsf(jsense[i] - rss[i]);
    }
    const float *const tiles[TILES] = {rss, jsense, difference};
    const float low[TILES] = {0}, high[TILES] = {white, white, white};
    char path[sizeof r->path + 4];
    const int stem = (int)strlen(r->path) - (int)strlen(".h5");
    if (io_path(path, sizeof path, e, "%.*s.png", stem, r->path)) return -1;
    return png_write_panel(path, tiles, titles, 1, TILES, r->height, r->width, low, high, e);
}

int refpicture_write(const struct refcache *r, struct err *e)
{
    const size_t n = (size_t)r->height * (size_t)r->width;
    float complex *reference = mem_new(n, sizeof *reference, e);
    float *pixels = mem_new(TILES * n, sizeof *pixels, e);
    int rc = reference && pixels ? write_panel(r, reference, pixels, e) : -1;
    mem_free(reference);
    mem_free(pixels);
    return rc;
}
