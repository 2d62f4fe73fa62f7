/* Puts images of scans side by side, for scripts/simulated-knees:
 *
 *     knee_sheet OUT.png COLUMNS (SCAN.h5 SLICE LABEL)...
 *
 * A slice is the middle of the stack plus SLICE. Images are halved, each windowed by its scan. */
#include "base/h5.h"
#include "base/mem.h"
#include "base/png.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST = 64, LEVELS = 56 /* of grey: small files */ };

static int compare(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Slice `at` of the reference images, averaged over 2 x 2 and scaled so that all but half a per
 * cent of the scan is in [0, 1]. */
static float *tile_of(const char *path, int at, int *h, int *w, struct err *e)
{
    struct h5_info info;
    struct h5 *f = h5_open(path, e);
    float *x = NULL, *tile = NULL, *sorted = NULL;
    if (!f || h5_describe(f, "reconstruction_rss", &info, e)) goto out;
    const size_t slice = (size_t)(info.dim[1] * info.dim[2]), n = slice * (size_t)info.dim[0];
    *h = (int)info.dim[1] / 2;
    *w = (int)info.dim[2] / 2;
    at += (int)info.dim[0] / 2;
    if (at < 0 || at >= info.dim[0]) {
        err_set(e, ERR_USAGE, "%s has no slice %d", path, at);
        goto out;
    }
    x = mem_new(n, sizeof *x, e);
    sorted = mem_new(n, sizeof *sorted, e);
    tile = mem_new(slice / 4, sizeof *tile, e);
    if (!x || !sorted || !tile || h5_read_f32(f, "reconstruction_rss", 3, NULL, info.dim, x, e))
        goto fail;
    for (size_t i = 0; i < n; i++)
        sorted[i] = x[i];
    qsort(sorted, n, sizeof *sorted, compare);
    const float white = sorted[n - n / 200 - 1], *s = x + (size_t)at * slice;
    for (int i = 0; i < *h; i++)
        for (int j = 0; j < *w; j++) {
            const float *p = s + 2 * i * info.dim[2] + 2 * j;
            const float mean = 0.25f * (p[0] + p[1] + p[info.dim[2]] + p[info.dim[2] + 1]) / white;
            tile[i * *w + j] = roundf(fminf(mean, 1) * (LEVELS - 1)) / (LEVELS - 1);
        }
    goto out;
fail:
    mem_free(tile);
    tile = NULL;
out:
    mem_free(x);
    mem_free(sorted);
    h5_close(f);
    return tile;
}

int main(int argc, char **argv)
{
    struct err e = {0};
    float *tile[MOST] = {0}, low[MOST] = {0}, high[MOST];
    const char *title[MOST];
    const int n = (argc - 3) / 3, cols = argc > 2 ? atoi(argv[2]) : 0;
    int h = 0, w = 0, bad = 0;
    if (argc < 6 || (argc - 3) % 3 || n > MOST || cols < 1 || n % cols) {
        fprintf(stderr, "usage: knee_sheet OUT.png COLUMNS (SCAN.h5 SLICE LABEL)...\n");
        return ERR_USAGE;
    }
    for (int i = 0; i < n && !bad; i++) {
        title[i] = argv[3 + 3 * i + 2];
        high[i] = 1;
        bad = !(tile[i] = tile_of(argv[3 + 3 * i], atoi(argv[3 + 3 * i + 1]), &h, &w, &e));
    }
    if (!bad)
        bad = png_write_panel(argv[1], (const float *const *)tile, title, n / cols, cols, h, w, low,
                              high, &e);
    if (bad) fprintf(stderr, "knee_sheet: %s\n", e.text);
    for (int i = 0; i < n; i++)
        mem_free(tile[i]);
    return bad ? (int)e.code : 0;
}
