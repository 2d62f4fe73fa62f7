/* Text, and attributes, some of which are text. */
#include "base/h5_private.h"
#include "base/mem.h"

#include <hdf5.h>
#include <string.h>

enum { MAX_TEXT = 64 << 20 }; /* bytes of one string: a larger one is a damaged length field */

/* ---- Text -------------------------------------------------------------------------------- */

static hid_t text_type(void)
{
    hid_t t = H5Tcopy(H5T_C_S1);
    H5Tset_size(t, H5T_VARIABLE);
    H5Tset_cset(t, H5T_CSET_UTF8);
    return t;
}

/* Reads one string from dataset or attribute `id`. */
static herr_t read_raw(hid_t id, bool is_attr, hid_t type, void *out)
{
    return is_attr ? H5Aread(id, type, out) : H5Dread(id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out);
}

static char *read_fixed(hid_t id, bool is_attr, hid_t stored, struct err *e)
{
    size_t size = H5Tget_size(stored);
    if (size > MAX_TEXT) {
        err_set(e, ERR_DATA, "a text of %zu bytes is longer than the limit of %d", size, MAX_TEXT);
        return NULL;
    }
    char *text = mem_new(size + 1, 1, e);
    hid_t t = H5Tcopy(stored); /* keeps the character set, which HDF5 does not convert */
    H5Tset_size(t, size + 1);
    H5Tset_strpad(t, H5T_STR_NULLTERM);
    if (text && read_raw(id, is_attr, t, text) < 0) {
        err_set(e, ERR_DATA, "the text cannot be read");
        mem_free(text);
        text = NULL;
    }
    H5Tclose(t);
    return text;
}

/* libhdf5 1.10 itself may crash where a file's heap of such strings is damaged, so this program's
 * own files that must survive damage (caches, checkpoints) keep numbers instead. */
static char *read_variable(hid_t id, bool is_attr, hid_t stored, struct err *e)
{
    char *raw = NULL, *text = NULL;
    if (read_raw(id, is_attr, stored, &raw) < 0) {
        err_set(e, ERR_DATA, "the text cannot be read");
        return NULL;
    }
    size_t len = raw ? strlen(raw) : 0;
    text = mem_new(len + 1, 1, e);
    if (text && raw) memcpy(text, raw, len);
    H5free_memory(raw);
    return text;
}

static char *read_text(const struct h5 *f, const char *name, hid_t id, bool is_attr, struct err *e)
{
    char *text = NULL;
    hid_t t = is_attr ? H5Aget_type(id) : H5Dget_type(id);
    hid_t space = is_attr ? H5Aget_space(id) : H5Dget_space(id);
    if (t < 0 || space < 0 || H5Tget_class(t) != H5T_STRING)
        err_set(e, ERR_DATA, "is not text");
    else if (H5Sget_simple_extent_npoints(space) != 1)
        err_set(e, ERR_DATA, "is not a single text but a list");
    else
        text = H5Tis_variable_str(t) > 0 ? read_variable(id, is_attr, t, e)
                                         : read_fixed(id, is_attr, t, e);
    if (!text) err_wrap(e, "%s: %s '%s'", f->path, is_attr ? "attribute" : "dataset", name);
    if (t >= 0) H5Tclose(t);
    if (space >= 0) H5Sclose(space);
    H5Eclear2(H5E_DEFAULT);
    return text;
}

char *h5_read_text(const struct h5 *f, const char *name, struct err *e)
{
    hid_t d = h5_open_dataset(f, name, e);
    if (d < 0) return NULL;
    char *text = read_text(f, name, d, false, e);
    H5Dclose(d);
    return text;
}

int h5_write_text(struct h5 *f, const char *name, const char *text, struct err *e)
{
    h5_hush();
    hid_t t = text_type(), space = H5Screate(H5S_SCALAR);
    hid_t set = h5_make_dataset(f, name, t, space, e);
    int rc = set < 0 ? -1 : 0;
    if (rc == 0 && H5Dwrite(set, t, H5S_ALL, H5S_ALL, H5P_DEFAULT, &text) < 0)
        rc = h5_fail(e, ERR_IO, f, name, "cannot be written");
    if (set >= 0) H5Dclose(set);
    H5Sclose(space);
    H5Tclose(t);
    return rc;
}

/* ---- Attributes -------------------------------------------------------------------------- */

bool h5_attr_has(const struct h5 *f, const char *on, const char *key)
{
    h5_hush();
    bool yes = H5Aexists_by_name(f->file, on, key, H5P_DEFAULT) > 0;
    H5Eclear2(H5E_DEFAULT);
    return yes;
}

static hid_t open_attr(const struct h5 *f, const char *on, const char *key, struct err *e)
{
    if (!h5_attr_has(f, on, key)) {
        err_set(e, ERR_DATA, "%s: attribute '%s' of '%s' is missing", f->path, key, on);
        return -1;
    }
    hid_t a = H5Aopen_by_name(f->file, on, key, H5P_DEFAULT, H5P_DEFAULT);
    if (a < 0) h5_read_fail(e, f, key);
    return a;
}

static int read_number(const struct h5 *f, const char *on, const char *key, bool whole, hid_t type,
                       void *v, struct err *e)
{
    hid_t a = open_attr(f, on, key, e);
    if (a < 0) return -1;
    hid_t t = H5Aget_type(a), space = H5Aget_space(a);
    enum h5_type is = h5_type_of(t);
    int rc = 0;
    if (!(is == H5_INT || (!whole && (is == H5_F32 || is == H5_F64))) ||
        H5Sget_simple_extent_npoints(space) != 1)
        rc = err_set(e, ERR_DATA, "%s: attribute '%s' of '%s' is not one %s number", f->path, key,
                     on, whole ? "whole" : "real");
    else if (H5Aread(a, type, v) < 0)
        rc = h5_read_fail(e, f, key);
    if (t >= 0) H5Tclose(t);
    if (space >= 0) H5Sclose(space);
    H5Aclose(a);
    return rc;
}

int h5_attr_f64(const struct h5 *f, const char *on, const char *key, double *v, struct err *e)
{
    return read_number(f, on, key, false, H5T_NATIVE_DOUBLE, v, e);
}

int h5_attr_i64(const struct h5 *f, const char *on, const char *key, int64_t *v, struct err *e)
{
    return read_number(f, on, key, true, H5T_NATIVE_INT64, v, e);
}

char *h5_attr_text(const struct h5 *f, const char *on, const char *key, struct err *e)
{
    hid_t a = open_attr(f, on, key, e);
    if (a < 0) return NULL;
    char *text = read_text(f, key, a, true, e);
    H5Aclose(a);
    return text;
}

static int set_attr(struct h5 *f, const char *on, const char *key, hid_t type, const void *v,
                    struct err *e)
{
    if (h5_attr_has(f, on, key)) H5Adelete_by_name(f->file, on, key, H5P_DEFAULT);
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t a =
        H5Acreate_by_name(f->file, on, key, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    int rc = 0;
    if (a < 0 || H5Awrite(a, type, v) < 0)
        rc = h5_fail(e, ERR_IO, f, key, "cannot be written as an attribute");
    if (a >= 0) H5Aclose(a);
    H5Sclose(space);
    return rc;
}

int h5_set_attr_f64(struct h5 *f, const char *on, const char *key, double v, struct err *e)
{
    return set_attr(f, on, key, H5T_NATIVE_DOUBLE, &v, e);
}

int h5_set_attr_i64(struct h5 *f, const char *on, const char *key, int64_t v, struct err *e)
{
    return set_attr(f, on, key, H5T_NATIVE_INT64, &v, e);
}

int h5_set_attr_text(struct h5 *f, const char *on, const char *key, const char *v, struct err *e)
{
    hid_t t = text_type();
    int rc = set_attr(f, on, key, t, &v, e);
    H5Tclose(t);
    return rc;
}
