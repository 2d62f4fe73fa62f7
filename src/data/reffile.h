/* The file of a cached reference, by its parts:
 *
 *     reference  complex64 (slice, h, w)             JSENSE-combined image
 *     kernels    complex64 (slice, coil, k, k)       sensitivities, as jsense_maps takes them;
 *                                                    absent where maps made elsewhere are used
 *     rss        float32 (slice, h, w)
 *     checks     integers (slice, 3, 4)              XXH3 of the bytes of a slice in these three,
 *                                                    in pieces of 16 bits, the lowest first
 *
 * and, as attributes, parameters and sources (refstamp.h). Private to refcache.c, refmake.c and
 * refpool.c. */
#pragma once

#include "data/refcache.h"

#include <stddef.h>

struct h5;

enum ref_part { REF_IMAGE, REF_KERNELS, REF_RSS, REF_PARTS };

bool reffile_has(const struct refcache *r, enum ref_part part);
size_t reffile_bytes(const struct refcache *r, enum ref_part part); /* of a slice, in memory */

/* Why the file has to be made, or NULL where it can be used as it is. */
const char *reffile_why(const struct refcache *r);
/* A new one with all datasets; what is to come are slices and the stamp. */
struct h5 *reffile_create(const struct refcache *r, struct err *e);
int reffile_write(struct h5 *f, const struct refcache *r, int slice, void *const part[REF_PARTS],
                  struct err *e);
/* One part of one slice, compared with its check; ERR_DATA also where the file has been made from
 * another scan than r says. */
int reffile_read(const struct refcache *r, enum ref_part part, int slice, void *out, struct err *e);
