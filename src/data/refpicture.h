/* What a reference looks like: root-sum-of-squares, JSENSE-combined magnitude, and ten times their
 * difference, of the centre slice, side by side in one grey window. A look at it shows what numbers
 * hide: holes of a map, a calibration region too small, a coil that failed. */
#pragma once

#include "data/refcache.h"

/* Beside the cached file, as PNG of the same name. */
int refpicture_write(const struct refcache *r, struct err *e);
