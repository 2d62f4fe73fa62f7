#include "base/h5_records.h"

#include "base/h5_private.h"
#include "base/mem.h"

#include <hdf5.h>
#include <string.h>

enum { MAX_DEPTH = 4, MAX_NAME = 64 };

/* A way through compounds, in its parts. */
struct way {
    int n;
    char part[MAX_DEPTH][MAX_NAME];
};

static int split_way(struct way *w, const char *member, struct err *e)
{
    *w = (struct way){0};
    for (const char *at = member; *at; w->n++) {
        size_t len = strcspn(at, ".");
        if (w->n == MAX_DEPTH || len == 0 || len >= MAX_NAME)
            return err_set(e, ERR_FAILED, "'%s' is not the name of a member", member);
        memcpy(w->part[w->n], at, len);
        at += len + (at[len] == '.');
    }
    return 0;
}

/* The type of the member in a stored type, or negative where there is none. */
static hid_t stored_member(hid_t table, const struct way *w)
{
    hid_t t = H5Tcopy(table);
    for (int i = 0; i < w->n && t >= 0; i++) {
        int k = H5Tget_class(t) == H5T_COMPOUND ? H5Tget_member_index(t, w->part[i]) : -1;
        hid_t next = k >= 0 ? H5Tget_member_type(t, (unsigned)k) : -1;
        H5Tclose(t);
        t = next;
    }
    return t;
}

/* A type in memory that is the member alone, in compounds of nothing else. Closes `leaf`. */
static hid_t wrapped(hid_t leaf, const struct way *w)
{
    hid_t t = leaf;
    for (int i = w->n - 1; i >= 0 && t >= 0; i--) {
        hid_t around = H5Tcreate(H5T_COMPOUND, H5Tget_size(t));
        if (around >= 0) H5Tinsert(around, w->part[i], 0, t);
        H5Tclose(t);
        t = around;
    }
    return t;
}

struct table { /* all to be closed */
    hid_t set, type, space;
    hsize_t n;
};

static void table_close(const struct table *t)
{
    if (t->space >= 0) H5Sclose(t->space);
    if (t->type >= 0) H5Tclose(t->type);
    if (t->set >= 0) H5Dclose(t->set);
    H5Eclear2(H5E_DEFAULT);
}

static int table_open(struct table *t, const struct h5 *f, const char *name, struct err *e)
{
    *t = (struct table){.set = h5_open_dataset(f, name, e), .type = -1, .space = -1};
    if (t->set < 0) return -1;
    t->type = H5Dget_type(t->set);
    t->space = H5Dget_space(t->set);
    if (t->type < 0 || t->space < 0) return h5_read_fail(e, f, name);
    if (H5Tget_class(t->type) == H5T_COMPOUND && H5Sget_simple_extent_ndims(t->space) == 1 &&
        H5Sget_simple_extent_dims(t->space, &t->n, NULL) == 1 && t->n <= INT64_MAX)
        return 0;
    return err_set(e, ERR_DATA, "%s: dataset '%s' is not a table of records", f->path, name);
}

int h5_record_count(const struct h5 *f, const char *table, int64_t *n, struct err *e)
{
    struct table t;
    int rc = table_open(&t, f, table, e);
    if (rc == 0) *n = (int64_t)t.n;
    table_close(&t);
    return rc;
}

static int no_member(const struct h5 *f, const char *table, const char *member, const char *what,
                     struct err *e)
{
    return err_set(e, ERR_DATA, "%s: the records of '%s' have no %s '%s'", f->path, table, what,
                   member);
}

int h5_read_column(const struct h5 *f, const char *table, const char *member, int64_t n,
                   uint64_t *out, struct err *e)
{
    struct table t;
    struct way w;
    hid_t stored = -1, type = -1;
    int rc = table_open(&t, f, table, e) || split_way(&w, member, e) ? -1 : 0;
    if (rc == 0 && t.n != (hsize_t)n)
        rc = err_set(e, ERR_DATA, "%s: '%s' has %llu records, expected %lld", f->path, table,
                     (unsigned long long)t.n, (long long)n);
    if (rc == 0) {
        stored = stored_member(t.type, &w);
        if (stored < 0 || H5Tget_class(stored) != H5T_INTEGER)
            rc = no_member(f, table, member, "whole number", e);
    }
    if (rc == 0) {
        type = wrapped(H5Tcopy(H5T_NATIVE_UINT64), &w);
        if (type < 0 || H5Dread(t.set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) < 0)
            rc = h5_read_fail(e, f, table);
    }
    if (stored >= 0) H5Tclose(stored);
    if (type >= 0) H5Tclose(type);
    table_close(&t);
    return rc;
}

/* Floats in one element of a list: 1, or 2 for a complex number; 0 for anything else. */
static size_t floats_each(hid_t element)
{
    if (H5Tget_class(element) == H5T_FLOAT) return 1;
    if (H5Tget_class(element) != H5T_COMPOUND || H5Tget_nmembers(element) != 2) return 0;
    for (unsigned i = 0; i < 2; i++)
        if (H5Tget_member_class(element, i) != H5T_FLOAT) return 0;
    return 2;
}

/* The same element in memory: float32, or two of them under the stored names. */
static hid_t element_in_memory(hid_t element, size_t each)
{
    if (each == 1) return H5Tcopy(H5T_NATIVE_FLOAT);
    hid_t t = H5Tcreate(H5T_COMPOUND, 2 * sizeof(float));
    for (unsigned i = 0; i < 2 && t >= 0; i++) {
        char *name = H5Tget_member_name(element, i);
        if (name) H5Tinsert(t, name, i * sizeof(float), H5T_NATIVE_FLOAT);
        H5free_memory(name);
    }
    return t;
}

/* The one record, whose list the library allocates. */
static int read_one(const struct h5 *f, const struct table *t, const char *table, hid_t type,
                    int64_t record, hvl_t *list, struct err *e)
{
    const hsize_t at = (hsize_t)record, one = 1;
    if (record < 0 || at >= t->n)
        return err_set(e, ERR_DATA, "%s: '%s' has no record %lld", f->path, table,
                       (long long)record);
    hid_t memory = H5Screate_simple(1, &one, NULL);
    int rc = 0;
    if (H5Sselect_hyperslab(t->space, H5S_SELECT_SET, &at, NULL, &one, NULL) < 0 ||
        H5Dread(t->set, type, memory, t->space, H5P_DEFAULT, list) < 0)
        rc = h5_read_fail(e, f, table);
    H5Sclose(memory);
    return rc;
}

int h5_read_list(const struct h5 *f, const char *table, const char *member, int64_t record,
                 size_t n, float *out, struct err *e)
{
    struct table t;
    struct way w;
    hid_t stored = -1, element = -1, type = -1;
    hvl_t list = {0, NULL};
    size_t each = 0;
    int rc = table_open(&t, f, table, e) || split_way(&w, member, e) ? -1 : 0;
    if (rc == 0 && (stored = stored_member(t.type, &w)) >= 0 && H5Tget_class(stored) == H5T_VLEN &&
        (element = H5Tget_super(stored)) >= 0)
        each = floats_each(element);
    if (rc == 0 && !each) rc = no_member(f, table, member, "list of real or complex numbers", e);
    if (rc == 0) {
        hid_t inner = element_in_memory(element, each);
        type = wrapped(H5Tvlen_create(inner), &w);
        H5Tclose(inner);
        rc = type < 0 ? h5_read_fail(e, f, table) : read_one(f, &t, table, type, record, &list, e);
    }
    if (rc == 0 && list.len * each != n)
        rc = err_set(e, ERR_DATA, "%s: '%s' of record %lld in '%s' has %zu numbers, expected %zu",
                     f->path, member, (long long)record, table, list.len * each, n);
    if (rc == 0 && n) memcpy(out, list.p, n * sizeof *out);
    H5free_memory(list.p);
    if (stored >= 0) H5Tclose(stored);
    if (element >= 0) H5Tclose(element);
    if (type >= 0) H5Tclose(type);
    table_close(&t);
    return rc;
}
