/* Datasets: their types and shapes, blocks of them, a list of them. */
#include "base/h5_private.h"

#include <assert.h>
#include <hdf5.h>
#include <stdio.h>

enum { MAX_ELEMENT = 64 }; /* bytes of one number, real or complex */

/* ---- Types and shapes -------------------------------------------------------------------- */

/* Does a member lie inside its compound, which in a damaged file it may not? The library does not
 * look. */
static bool is_inside(hid_t t, int member)
{
    hid_t m = H5Tget_member_type(t, (unsigned)member);
    size_t size = m >= 0 ? H5Tget_size(m) : 0, whole = H5Tget_size(t);
    size_t at = H5Tget_member_offset(t, (unsigned)member);
    if (m >= 0) H5Tclose(m);
    return size && size <= whole && at <= whole - size;
}

/* The names of a complex number's parts in type `t`, NULL where it is not one. */
static const char *const *complex_parts(hid_t t)
{
    static const char *const names[][2] = {{"r", "i"}, {"real", "imag"}};
    if (H5Tget_class(t) != H5T_COMPOUND || H5Tget_nmembers(t) != 2) return NULL;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        int re = H5Tget_member_index(t, names[k][0]), im = H5Tget_member_index(t, names[k][1]);
        if (re < 0 || im < 0) continue;
        if (is_inside(t, re) && is_inside(t, im) &&
            H5Tget_member_class(t, (unsigned)re) == H5T_FLOAT &&
            H5Tget_member_class(t, (unsigned)im) == H5T_FLOAT)
            return names[k];
    }
    H5Eclear2(H5E_DEFAULT);
    return NULL;
}

enum h5_type h5_type_of(int64_t t)
{
    /* A damaged size field would make the library convert through buffers of gigabytes. */
    if (H5Tget_class(t) != H5T_STRING && H5Tget_size(t) > MAX_ELEMENT) return H5_OTHER;
    switch (H5Tget_class(t)) {
    case H5T_FLOAT:
        return H5Tget_size(t) > sizeof(float) ? H5_F64 : H5_F32;
    case H5T_INTEGER:
        return H5_INT;
    case H5T_ENUM:
        return H5_INT; /* numpy's booleans */
    case H5T_STRING:
        return H5_TEXT;
    case H5T_COMPOUND:
        return complex_parts(t) ? H5_C64 : H5_OTHER;
    default:
        return H5_OTHER;
    }
}

static hid_t complex_type(const char *const *parts)
{
    hid_t t = H5Tcreate(H5T_COMPOUND, sizeof(float complex));
    H5Tinsert(t, parts[0], 0, H5T_NATIVE_FLOAT);
    H5Tinsert(t, parts[1], sizeof(float), H5T_NATIVE_FLOAT);
    return t;
}

static const char *type_name(enum h5_type t)
{
    static const char *const names[] = {
        "of an unknown type", "real (float32)", "real (float64)", "complex", "integer", "text"};
    return names[t];
}

/* "(1, 16, 128, 128)" */
static const char *shape_text(int rank, const int64_t *dim, char out[160])
{
    size_t n = (size_t)snprintf(out, 160, "(");
    for (int i = 0; i < rank; i++)
        n += (size_t)snprintf(out + n, 160 - n, i ? ", %lld" : "%lld", (long long)dim[i]);
    snprintf(out + n, 160 - n, ")");
    return out;
}

int64_t h5_open_dataset(const struct h5 *f, const char *name, struct err *e)
{
    h5_hush();
    if (!h5_has(f, name)) {
        err_set(e, ERR_DATA, "%s: dataset '%s' is missing", f->path, name);
        return -1;
    }
    hid_t d = H5Dopen2(f->file, name, H5P_DEFAULT);
    if (d < 0) h5_fail(e, ERR_DATA, f, name, "cannot be opened as a dataset");
    return d;
}

static int describe(const struct h5 *f, const char *name, hid_t d, struct h5_info *info,
                    struct err *e)
{
    *info = (struct h5_info){0};
    hid_t t = H5Dget_type(d), space = H5Dget_space(d);
    hsize_t dim[H5S_MAX_RANK];
    int rank = space < 0 ? -1 : H5Sget_simple_extent_dims(space, dim, NULL), rc = -1;
    if (t < 0 || rank < 0) {
        h5_read_fail(e, f, name);
    } else if (rank > H5_MAX_RANK) {
        err_set(e, ERR_DATA, "%s: dataset '%s' has %d dimensions, at most %d are supported",
                f->path, name, rank, H5_MAX_RANK);
    } else {
        info->type = h5_type_of(t);
        info->rank = rank;
        rc = 0;
        for (int i = 0; i < rank; i++) {
            info->dim[i] = (int64_t)dim[i];
            if (dim[i] > INT64_MAX)
                rc = err_set(e, ERR_DATA, "%s: dataset '%s' has an impossible size", f->path, name);
        }
    }
    if (t >= 0) H5Tclose(t);
    if (space >= 0) H5Sclose(space);
    return rc;
}

int h5_describe(const struct h5 *f, const char *name, struct h5_info *info, struct err *e)
{
    hid_t d = h5_open_dataset(f, name, e);
    if (d < 0) return -1;
    int rc = describe(f, name, d, info, e);
    H5Dclose(d);
    return rc;
}

/* ---- Blocks of datasets ------------------------------------------------------------------ */

/* One block to move: the dataset, the element type, and both data spaces, all to be closed. */
struct block {
    hid_t set, type, file, memory;
    bool empty;
};

static void block_release(const struct block *b)
{
    if (b->memory > 0) H5Sclose(b->memory);
    if (b->file > 0) H5Sclose(b->file);
    if (b->type > 0) H5Tclose(b->type);
    if (b->set > 0) H5Dclose(b->set);
}

/* Is [start, start + count) inside a dataset of this shape, and its size addressable? */
static int check_block(const struct h5 *f, const char *name, const struct h5_info *info, int rank,
                       const int64_t *start, const int64_t *count, struct err *e)
{
    char has[160], want[160], at[160];
    bool ok = info->rank == rank;
    size_t bytes = sizeof(double complex);
    for (int i = 0; ok && i < rank; i++) {
        int64_t from = start ? start[i] : 0;
        ok = count[i] >= 0 && from >= 0 && from <= info->dim[i] &&
             count[i] <= info->dim[i] - from && (start || count[i] == info->dim[i]) &&
             !__builtin_mul_overflow(bytes, (size_t)count[i], &bytes);
    }
    if (ok) return 0;
    err_set(e, ERR_DATA, "%s: dataset '%s' has the shape %s, expected %s", f->path, name,
            shape_text(info->rank, info->dim, has), shape_text(rank, count, want));
    if (start) err_wrap(e, "block at %s", shape_text(rank, start, at));
    return -1;
}

static int block_prepare(struct block *b, const struct h5 *f, const char *name, int rank,
                         const int64_t *start, const int64_t *count, bool is_complex, struct err *e)
{
    *b = (struct block){0};
    assert(rank >= 0 && rank <= H5_MAX_RANK);
    b->set = h5_open_dataset(f, name, e);
    if (b->set < 0) return -1;
    struct h5_info info;
    if (describe(f, name, b->set, &info, e)) return -1;
    bool fits = is_complex ? info.type == H5_C64
                           : info.type == H5_F32 || info.type == H5_F64 || info.type == H5_INT;
    if (!fits)
        return err_set(e, ERR_DATA, "%s: dataset '%s' is %s, expected %s numbers", f->path, name,
                       type_name(info.type), is_complex ? "complex" : "real");
    if (check_block(f, name, &info, rank, start, count, e)) return -1;

    hsize_t from[H5_MAX_RANK], len[H5_MAX_RANK];
    for (int i = 0; i < rank; i++) {
        from[i] = start ? (hsize_t)start[i] : 0;
        len[i] = (hsize_t)count[i];
        b->empty |= count[i] == 0;
    }
    hid_t stored = H5Dget_type(b->set);
    b->type = is_complex ? complex_type(complex_parts(stored)) : H5Tcopy(H5T_NATIVE_FLOAT);
    H5Tclose(stored);
    b->file = H5Dget_space(b->set);
    b->memory = H5Screate_simple(rank, len, NULL);
    bool bad = b->type < 0 || b->file < 0 || b->memory < 0;
    if (!bad && rank > 0 && !b->empty)
        bad = H5Sselect_hyperslab(b->file, H5S_SELECT_SET, from, NULL, len, NULL) < 0;
    return bad ? h5_read_fail(e, f, name) : 0;
}

static int read_block(const struct h5 *f, const char *name, int rank, const int64_t *start,
                      const int64_t *count, bool is_complex, void *out, struct err *e)
{
    struct block b;
    int rc = block_prepare(&b, f, name, rank, start, count, is_complex, e);
    if (rc == 0 && !b.empty && H5Dread(b.set, b.type, b.memory, b.file, H5P_DEFAULT, out) < 0)
        rc = h5_read_fail(e, f, name);
    block_release(&b);
    return rc;
}

static int write_block(struct h5 *f, const char *name, int rank, const int64_t *start,
                       const int64_t *count, bool is_complex, const void *x, struct err *e)
{
    struct block b;
    int rc = block_prepare(&b, f, name, rank, start, count, is_complex, e);
    if (rc == 0 && !b.empty && H5Dwrite(b.set, b.type, b.memory, b.file, H5P_DEFAULT, x) < 0)
        rc = h5_fail(e, ERR_IO, f, name, "cannot be written");
    block_release(&b);
    return rc;
}

int h5_read_f32(const struct h5 *f, const char *name, int rank, const int64_t *start,
                const int64_t *count, float *out, struct err *e)
{
    return read_block(f, name, rank, start, count, false, out, e);
}

int h5_read_c64(const struct h5 *f, const char *name, int rank, const int64_t *start,
                const int64_t *count, float complex *out, struct err *e)
{
    return read_block(f, name, rank, start, count, true, out, e);
}

int h5_write_f32(struct h5 *f, const char *name, int rank, const int64_t *start,
                 const int64_t *count, const float *x, struct err *e)
{
    return write_block(f, name, rank, start, count, false, x, e);
}

int h5_write_c64(struct h5 *f, const char *name, int rank, const int64_t *start,
                 const int64_t *count, const float complex *x, struct err *e)
{
    return write_block(f, name, rank, start, count, true, x, e);
}

int64_t h5_make_dataset(struct h5 *f, const char *name, int64_t type, int64_t space, struct err *e)
{
    hid_t links = H5Pcreate(H5P_LINK_CREATE), how = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    H5Pset_obj_track_times(how, false); /* the same data gives the same bytes */
    hid_t set = H5Dcreate2(f->file, name, type, space, links, how, H5P_DEFAULT);
    if (set < 0) h5_fail(e, ERR_IO, f, name, "cannot be made");
    H5Pclose(links);
    H5Pclose(how);
    return set;
}

int h5_make(struct h5 *f, const char *name, enum h5_type type, int rank, const int64_t *dim,
            struct err *e)
{
    static const char *const parts[] = {"r", "i"};
    h5_hush();
    assert(rank >= 0 && rank <= H5_MAX_RANK);
    assert(type == H5_F32 || type == H5_F64 || type == H5_C64 || type == H5_INT);
    hsize_t len[H5_MAX_RANK];
    for (int i = 0; i < rank; i++) {
        assert(dim[i] >= 0);
        len[i] = (hsize_t)dim[i];
    }
    hid_t t = type == H5_C64   ? complex_type(parts)
              : type == H5_F32 ? H5Tcopy(H5T_NATIVE_FLOAT)
              : type == H5_F64 ? H5Tcopy(H5T_NATIVE_DOUBLE)
                               : H5Tcopy(H5T_NATIVE_INT64);
    hid_t space = H5Screate_simple(rank, len, NULL), set = h5_make_dataset(f, name, t, space, e);
    if (set >= 0) H5Dclose(set);
    H5Sclose(space);
    H5Tclose(t);
    return set < 0 ? -1 : 0;
}

/* ---- Listing ----------------------------------------------------------------------------- */

struct each {
    const struct h5 *f;
    int (*fn)(void *ctx, const char *name, const struct h5_info *info);
    void *ctx;
    struct err *e;
    bool failed;
};

static herr_t visit(hid_t group, const char *name, const H5L_info_t *link, void *arg)
{
    struct each *v = arg;
    if (link->type != H5L_TYPE_HARD) return 0;
    hid_t object = H5Oopen(group, name, H5P_DEFAULT);
    if (object < 0) {
        v->failed = true;
        return h5_read_fail(v->e, v->f, name);
    }
    int rc = 0;
    if (H5Iget_type(object) == H5I_DATASET) {
        struct h5_info info;
        v->failed = describe(v->f, name, object, &info, v->e) != 0;
        rc = v->failed ? -1 : v->fn(v->ctx, name, &info) != 0;
    }
    H5Oclose(object);
    return rc;
}

int h5_each(const struct h5 *f, int (*fn)(void *ctx, const char *name, const struct h5_info *info),
            void *ctx, struct err *e)
{
    h5_hush();
    struct each v = {.f = f, .fn = fn, .ctx = ctx, .e = e};
    if (H5Lvisit(f->file, H5_INDEX_NAME, H5_ITER_INC, visit, &v) < 0 && !v.failed)
        return h5_read_fail(e, f, "/");
    return v.failed ? -1 : 0;
}
