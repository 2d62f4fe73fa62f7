#include "data/reffile.h"

#include "base/h5.h"
#include "base/hash.h"
#include "base/io.h"
#include "data/refstamp.h"

#include <string.h>

enum { CHECKS = REF_PARTS, DATASETS, PIECES = 4 };

struct dataset {
    const char *name;
    enum h5_type type;
    int rank;
    int64_t dim[4]; /* of slices the first */
};

static struct dataset dataset(const struct refcache *r, int i)
{
    const struct dataset all[DATASETS] = {
        [REF_IMAGE] = {"reference", H5_C64, 3, {r->slices, r->height, r->width}},
        [REF_KERNELS] = {"kernels", H5_C64, 4, {r->slices, r->coils, r->kernel, r->kernel}},
        [REF_RSS] = {"rss", H5_F32, 3, {r->slices, r->height, r->width}},
        [CHECKS] = {"checks", H5_INT, 3, {r->slices, REF_PARTS, PIECES}},
    };
    return all[i];
}

bool reffile_has(const struct refcache *r, enum ref_part part)
{
    return part != REF_KERNELS || r->kernel > 0;
}

size_t reffile_bytes(const struct refcache *r, enum ref_part part)
{
    const struct dataset d = dataset(r, part);
    size_t bytes = d.type == H5_C64 ? sizeof(float complex) : sizeof(float);
    for (int i = 1; i < d.rank; i++)
        bytes *= (size_t)d.dim[i];
    return bytes;
}

static bool has_dataset(const struct h5 *f, const struct dataset *d)
{
    struct h5_info info;
    if (!h5_has(f, d->name) || h5_describe(f, d->name, &info, NULL)) return false;
    return info.type == d->type && info.rank == d->rank &&
           memcmp(info.dim, d->dim, (size_t)d->rank * sizeof *d->dim) == 0;
}

const char *reffile_why(const struct refcache *r)
{
    if (!io_exists(r->path)) return "new";
    struct h5 *f = h5_open(r->path, NULL);
    if (!f) return "the cached file is damaged";
    const char *why = refstamp_why(f, &r->scan, &r->conf);
    for (int i = 0; i < DATASETS && !why; i++) {
        const struct dataset d = dataset(r, i);
        if (reffile_has(r, i) && !has_dataset(f, &d)) why = "the cached file is damaged";
    }
    h5_close(f);
    return why;
}

struct h5 *reffile_create(const struct refcache *r, struct err *e)
{
    struct h5 *f = h5_create(r->path, e);
    for (int i = 0; i < DATASETS && f; i++) {
        const struct dataset d = dataset(r, i);
        if (!reffile_has(r, i) || h5_make(f, d.name, d.type, d.rank, d.dim, e) == 0) continue;
        h5_close(f);
        f = NULL;
    }
    return f;
}

/* Pieces of a hash: numbers that float holds exactly. */
static void check(const void *x, size_t bytes, float piece[PIECES])
{
    uint64_t hash = xxh_of(x, bytes);
    for (int i = 0; i < PIECES; i++)
        piece[i] = (float)(hash >> (16 * i) & 0xffff);
}

int reffile_write(struct h5 *f, const struct refcache *r, int slice, void *const part[REF_PARTS],
                  struct err *e)
{
    const int64_t at[4] = {slice};
    float checks[REF_PARTS][PIECES] = {{0}};
    for (int i = 0; i < DATASETS; i++) {
        struct dataset d = dataset(r, i);
        if (!reffile_has(r, i)) continue;
        if (i < REF_PARTS) check(part[i], reffile_bytes(r, i), checks[i]);
        const void *x = i < REF_PARTS ? part[i] : checks[0];
        d.dim[0] = 1;
        if (d.type == H5_C64 ? h5_write_c64(f, d.name, d.rank, at, d.dim, x, e)
                             : h5_write_f32(f, d.name, d.rank, at, d.dim, x, e))
            return -1;
    }
    return 0;
}

int reffile_read(const struct refcache *r, enum ref_part part, int slice, void *out, struct err *e)
{
    struct dataset d = dataset(r, part);
    const int64_t at[4] = {slice}, check_at[3] = {slice, part}, check_count[3] = {1, 1, PIECES};
    float want[PIECES], is[PIECES];
    int64_t source;
    struct h5 *f = h5_open(r->path, e);
    if (!f) return -1;
    d.dim[0] = 1;
    int bad = h5_attr_i64(f, "/", "source_hash", &source, e);
    if (!bad && source != r->source_hash)
        bad = err_set(e, ERR_DATA, "%s: it holds the references of another scan", r->path);
    if (!bad)
        bad = d.type == H5_C64 ? h5_read_c64(f, d.name, d.rank, at, d.dim, out, e)
                               : h5_read_f32(f, d.name, d.rank, at, d.dim, out, e);
    bad = bad || h5_read_f32(f, dataset(r, CHECKS).name, 3, check_at, check_count, want, e);
    h5_close(f);
    if (bad) return -1;
    check(out, reffile_bytes(r, part), is);
    if (memcmp(want, is, sizeof is) == 0) return 0;
    return err_set(e, ERR_DATA, "%s: dataset '%s' is damaged at slice %d", r->path, d.name, slice);
}
