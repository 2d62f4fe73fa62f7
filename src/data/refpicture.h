/* What a reference looks like: root-sum-of-squares, JSENSE-combined magnitude, and ten times their
 * difference, of one slice, side by side in one grey window. A look at it shows what numbers hide:
 * holes of a map, a calibration region too small, a coil that failed. */
#pragma once

#include "base/err.h"

#include <complex.h>
#include <stddef.h>

/* The picture of the cached file `cache`: a PNG of the same name beside it. */
int refpicture_path(char *path, size_t size, const char *cache, struct err *e);
int refpicture_write(const char *cache, const float complex *reference, const float *rss, int h,
                     int w, struct err *e);
