#include "data/refpicture.h"

#include "base/io.h"
#include "base/mem.h"
#include "base/png.h"
#include "data/normalise.h"

#include <math.h>
#include <string.h>

enum { TILES = 3 };

int refpicture_path(char *path, size_t size, const char *cache, struct err *e)
{
    return io_path(path, size, e, "%.*s.png", (int)(strlen(cache) - strlen(".h5")), cache);
}

int refpicture_write(const char *cache, const float complex *reference, const float *rss, int h,
                     int w, struct err *e)
{
    static const char *const titles[TILES] = {"root-sum-of-squares", "JSENSE", "|difference| x 10"};
    const size_t n = (size_t)h * (size_t)w;
    char path[1024];
    if (refpicture_path(path, sizeof path, cache, e)) return -1;
    float *jsense = mem_new(2 * n, sizeof *jsense, e), *difference = jsense + n;
    if (!jsense) return -1;
    memcpy(difference, rss, n * sizeof *rss); /* as scratch */
    const float white = normalise_top(difference, n, 0.01);
    for (size_t i = 0; i < n; i++) {
        jsense[i] = cabsf(reference[i]);
        difference[i] = 10.0f * fabsf(jsense[i] - rss[i]);
    }
    const float *const tiles[TILES] = {rss, jsense, difference};
    const float low[TILES] = {0}, high[TILES] = {white, white, white};
    int rc = png_write_panel(path, tiles, titles, 1, TILES, h, w, low, high, e);
    mem_free(jsense);
    return rc;
}
