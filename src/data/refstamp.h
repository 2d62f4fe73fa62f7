/* What a cached reference was made from: parameters and sources, as attributes of its file and, in
 * short, in its name. Private to reffile.c, refpool.c and refmake.c. */
#pragma once

#include "data/jsense.h"
#include "data/scan.h"

#include <stdint.h>

struct h5;

/* A number for the file name, from the parameters, the size of the sources (scan and, if any, maps)
 * and a few blocks of their content: scans of one name in different data sets, and one scan with
 * different parameters, have files of their own; a copy of a scan has that of its original. */
int refstamp_key(const struct scan *s, const struct jsense_conf *c, uint32_t *key, struct err *e);

/* When and how large the sources are; `maps` stays 0 without maps. */
struct refstamp {
    struct {
        int64_t size, mtime_ns;
    } scan, maps;
};
int refstamp_look(const struct scan *s, const struct jsense_conf *c, struct refstamp *t,
                  struct err *e);
bool refstamp_same(const struct refstamp *a, const struct refstamp *b);

/* Hashes of the whole content of the sources. */
struct refhash {
    int64_t scan, maps;
};
int refstamp_hash(const struct scan *s, const struct jsense_conf *c, struct refhash *h,
                  struct err *e);

int refstamp_write(struct h5 *f, const struct scan *s, const struct jsense_conf *c,
                   const struct refstamp *t, const struct refhash *h, struct err *e);
/* Why a file is not current, or NULL. The content is hashed only where the size agrees and the time
 * does not. */
const char *refstamp_why(const struct h5 *f, const struct scan *s, const struct jsense_conf *c);
