#include "data/refstamp.h"

#include "base/h5.h"
#include "base/hash.h"
#include "base/mem.h"
#include "data/maps_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { FORMAT = 2 }; /* raised whenever the same parameters give other references */

/* The parameters as attributes, numbers all; where maps are given, those of JSENSE do not count. */
struct setting {
    const char *key;
    double value;
};
enum { SETTINGS = 10 };

static void list_settings(const struct scan *s, const struct jsense_conf *c,
                          struct setting out[SETTINGS])
{
    const bool given = jsense_given(c);
    const struct setting all[SETTINGS] = {
        {"format", FORMAT},
        {"maps", given},
        {"kernel", given ? 0 : c->kernel},
        {"calibration", given ? 0 : c->calibration},
        {"iterations", given ? 0 : c->iterations},
        {"inner_iterations", given ? 0 : c->inner_iterations},
        {"lambda", given ? 0 : c->lambda},
        {"coils", s->coils},
        {"height", s->height},
        {"width", s->width},
    };
    memcpy(out, all, sizeof all);
}

/* ---- The key ------------------------------------------------------------------------------- */

/* Adds the size of a file and a block at its start, middle and end. */
static int add_file(struct xxh *h, const char *path, struct err *e)
{
    enum { BLOCK = 16 << 10 };
    struct stat st;
    char *block = mem_new(BLOCK, 1, e);
    FILE *f = block ? fopen(path, "rb") : NULL;
    int rc = f && fstat(fileno(f), &st) == 0 ? 0 : -1;
    if (rc && block) err_set(e, ERR_NOINPUT, "%s: %s", path, strerror(errno));
    const int64_t size = rc ? 0 : (int64_t)st.st_size;
    xxh_add(h, &size, sizeof size);
    for (int i = 0; i < 3 && rc == 0; i++) {
        const int64_t last = size > BLOCK ? size - BLOCK : 0;
        if (fseeko(f, (off_t)(last * i / 2), SEEK_SET) == 0)
            xxh_add(h, block, fread(block, 1, BLOCK, f));
        if (ferror(f)) rc = err_set(e, ERR_NOINPUT, "%s: cannot be read", path);
    }
    if (f) fclose(f);
    mem_free(block);
    return rc;
}

int refstamp_key(const struct scan *s, const struct jsense_conf *c, uint32_t *key, struct err *e)
{
    struct setting settings[SETTINGS];
    struct xxh *h = xxh_new(e);
    char maps[1024];
    list_settings(s, c, settings);
    int rc = h ? 0 : -1;
    for (int i = 0; i < SETTINGS && rc == 0; i++)
        xxh_add(h, &settings[i].value, sizeof settings[i].value);
    if (rc == 0) rc = add_file(h, s->path, e);
    if (rc == 0 && jsense_given(c))
        rc = maps_path(c->maps, s, maps, sizeof maps, e) || add_file(h, maps, e) ? -1 : 0;
    if (rc == 0) *key = (uint32_t)xxh_result(h);
    xxh_free(h);
    return rc;
}

/* ---- Stamps and hashes --------------------------------------------------------------------- */

static int look(const char *path, int64_t *size, int64_t *mtime_ns, struct err *e)
{
    struct stat st;
    if (stat(path, &st)) return err_set(e, ERR_NOINPUT, "%s: %s", path, strerror(errno));
    *size = (int64_t)st.st_size;
    *mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + (int64_t)st.st_mtim.tv_nsec;
    return 0;
}

int refstamp_look(const struct scan *s, const struct jsense_conf *c, struct refstamp *t,
                  struct err *e)
{
    char maps[1024];
    *t = (struct refstamp){0};
    if (look(s->path, &t->scan.size, &t->scan.mtime_ns, e)) return -1;
    if (!jsense_given(c)) return 0;
    return maps_path(c->maps, s, maps, sizeof maps, e) ||
                   look(maps, &t->maps.size, &t->maps.mtime_ns, e)
               ? -1
               : 0;
}

bool refstamp_same(const struct refstamp *a, const struct refstamp *b)
{
    return a->scan.size == b->scan.size && a->scan.mtime_ns == b->scan.mtime_ns &&
           a->maps.size == b->maps.size && a->maps.mtime_ns == b->maps.mtime_ns;
}

static int hash_source(const char *path, int64_t *hash, struct err *e)
{
    uint64_t bits = 0;
    if (hash_file(path, UINT64_MAX, &bits, e)) return -1;
    *hash = (int64_t)bits;
    return 0;
}

int refstamp_hash(const struct scan *s, const struct jsense_conf *c, struct refhash *h,
                  struct err *e)
{
    char maps[1024];
    *h = (struct refhash){0};
    if (hash_source(s->path, &h->scan, e)) return -1;
    if (!jsense_given(c)) return 0;
    return maps_path(c->maps, s, maps, sizeof maps, e) || hash_source(maps, &h->maps, e) ? -1 : 0;
}

/* ---- Attributes ---------------------------------------------------------------------------- */

int refstamp_write(struct h5 *f, const struct scan *s, const struct jsense_conf *c,
                   const struct refstamp *t, const struct refhash *h, struct err *e)
{
    struct setting settings[SETTINGS];
    list_settings(s, c, settings);
    for (int i = 0; i < SETTINGS; i++)
        if (h5_set_attr_f64(f, "/", settings[i].key, settings[i].value, e)) return -1;
    return h5_set_attr_i64(f, "/", "source_size", t->scan.size, e) ||
                   h5_set_attr_i64(f, "/", "source_mtime_ns", t->scan.mtime_ns, e) ||
                   h5_set_attr_i64(f, "/", "source_hash", h->scan, e) ||
                   h5_set_attr_i64(f, "/", "maps_size", t->maps.size, e) ||
                   h5_set_attr_i64(f, "/", "maps_mtime_ns", t->maps.mtime_ns, e) ||
                   h5_set_attr_i64(f, "/", "maps_hash", h->maps, e)
               ? -1
               : 0;
}

static bool same_sources(const struct h5 *f, const struct scan *s, const struct jsense_conf *c)
{
    struct refstamp then = {0}, now;
    struct refhash was, is;
    if (h5_attr_i64(f, "/", "source_size", &then.scan.size, NULL) ||
        h5_attr_i64(f, "/", "source_mtime_ns", &then.scan.mtime_ns, NULL) ||
        h5_attr_i64(f, "/", "source_hash", &was.scan, NULL) ||
        h5_attr_i64(f, "/", "maps_size", &then.maps.size, NULL) ||
        h5_attr_i64(f, "/", "maps_mtime_ns", &then.maps.mtime_ns, NULL) ||
        h5_attr_i64(f, "/", "maps_hash", &was.maps, NULL) || refstamp_look(s, c, &now, NULL))
        return false;
    if (refstamp_same(&then, &now)) return true;
    if (then.scan.size != now.scan.size || then.maps.size != now.maps.size) return false;
    /* touched or copied */
    return refstamp_hash(s, c, &is, NULL) == 0 && is.scan == was.scan && is.maps == was.maps;
}

const char *refstamp_why(const struct h5 *f, const struct scan *s, const struct jsense_conf *c)
{
    struct setting settings[SETTINGS];
    list_settings(s, c, settings);
    for (int i = 0; i < SETTINGS; i++) {
        double v;
        if (h5_attr_f64(f, "/", settings[i].key, &v, NULL)) return "the cached file is damaged";
        if (v != settings[i].value) return "parameters have changed";
    }
    return same_sources(f, s, c) ? NULL : "the scan has changed";
}
