/* HDF5 files: typed datasets and attributes, every shape checked before a byte is read, and files
 * that appear complete or not at all. Files are in h5.c, datasets in h5_data.c, text and attributes
 * in h5_attr.c; tables of records have a header of their own, h5_records.h. Errors name the file
 * and the dataset. Not for two threads at once on one file; different files from different threads
 * are serialised by the HDF5 library. */
#pragma once

#include "base/err.h"

#include <complex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { H5_MAX_RANK = 6 };
enum h5_type { H5_OTHER, H5_F32, H5_F64, H5_C64, H5_INT, H5_TEXT };

struct h5;
struct h5_info {
    /* H5_C64: compound of two floats named r and i, or real and imag, of any precision; H5_INT:
     * integers of any size, numpy's booleans too */
    enum h5_type type;
    int rank;
    int64_t dim[H5_MAX_RANK];
};

struct h5 *h5_open(const char *path, struct err *e);
/* Creates a file that other readers do not see until h5_commit renames it to `path`. */
struct h5 *h5_create(const char *path, struct err *e);
int h5_commit(struct h5 *f, struct err *e); /* flush, fsync, rename; then only h5_close is legal */
void h5_close(struct h5 *f);                /* an uncommitted new file is removed; NULL is legal */
const char *h5_path(const struct h5 *f);

bool h5_has(const struct h5 *f, const char *name); /* a dataset or a group */
int h5_describe(const struct h5 *f, const char *name, struct h5_info *info, struct err *e);

/* Read the block [start, start + count) of a dataset of the same rank; start NULL: the whole
 * dataset, whose dimensions must then equal count. F32 accepts float64 and integers in the file,
 * converted; C64 accepts only complex data, and converts it to float32. */
int h5_read_f32(const struct h5 *f, const char *name, int rank, const int64_t *start,
                const int64_t *count, float *out, struct err *e);
int h5_read_c64(const struct h5 *f, const char *name, int rank, const int64_t *start,
                const int64_t *count, float complex *out, struct err *e);
/* A single string of fixed or variable length, as a new NUL-ended string (mem_free). */
char *h5_read_text(const struct h5 *f, const char *name, struct err *e);

/* Make a dataset (parent groups of "a/b" are created), then fill it block by block. */
int h5_make(struct h5 *f, const char *name, enum h5_type type, int rank, const int64_t *dim,
            struct err *e);
int h5_write_f32(struct h5 *f, const char *name, int rank, const int64_t *start,
                 const int64_t *count, const float *x, struct err *e);
int h5_write_c64(struct h5 *f, const char *name, int rank, const int64_t *start,
                 const int64_t *count, const float complex *x, struct err *e);
int h5_write_text(struct h5 *f, const char *name, const char *text, struct err *e);

/* Attributes of the object `on` ("/" for the file). Readers of a missing attribute return -1 with
 * ERR_DATA; use h5_attr_has first where it is optional. */
bool h5_attr_has(const struct h5 *f, const char *on, const char *key);
int h5_attr_f64(const struct h5 *f, const char *on, const char *key, double *v, struct err *e);
int h5_attr_i64(const struct h5 *f, const char *on, const char *key, int64_t *v, struct err *e);
char *h5_attr_text(const struct h5 *f, const char *on, const char *key, struct err *e);
int h5_set_attr_f64(struct h5 *f, const char *on, const char *key, double v, struct err *e);
int h5_set_attr_i64(struct h5 *f, const char *on, const char *key, int64_t v, struct err *e);
int h5_set_attr_text(struct h5 *f, const char *on, const char *key, const char *v, struct err *e);

/* Calls fn for every dataset below the root, in name order; stops at the first non-zero return. */
int h5_each(const struct h5 *f, int (*fn)(void *ctx, const char *name, const struct h5_info *info),
            void *ctx, struct err *e);
