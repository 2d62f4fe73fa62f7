/* Grey 8-bit PNG pictures of float images: one image, or a panel of equal tiles. png.c alone
 * includes libpng. Files are written atomically (base/io.h) and repeat bit for bit. */
#pragma once

#include "base/err.h"

#include <stdbool.h>

/* x (h, w) with the window [low, high] mapped to black … white and clipped. Values that are not
 * finite are black; an empty window (high <= low) gives mid-grey. Not flushed (io_put_text). */
int png_write_gray(const char *path, const float *x, int h, int w, float low, float high,
                   struct err *e);

/* Whether there is such a file with the end that a PNG has. */
bool png_is_whole(const char *path);

/* Whether a panel of tiles so wide shows a title whole. */
bool png_title_fits(const char *title, int w);
/* rows x cols tiles of (h, w) each, row by row, separated and framed by a white line; a tile that
 * is NULL stays white. low and high are one window a tile. `titles`, if not NULL, are rows x cols
 * ASCII texts (NULL or "": none) set in a strip above the tile, cut where the tile ends. */
int png_write_panel(const char *path, const float *const *tiles, const char *const *titles,
                    int rows, int cols, int h, int w, const float *low, const float *high,
                    struct err *e);
