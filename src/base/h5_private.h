/* What the files h5*.c share. Identifiers of HDF5 (hid_t) are 64-bit numbers. */
#pragma once

#include "base/h5.h"

struct h5 {
    int64_t file; /* negative once committed */
    char *path;
    char *temp; /* the file under construction; NULL when reading */
};

void h5_hush(void); /* to be called first by whoever calls HDF5: errors become ours */
/* "path: 'name' <what>: <the library's innermost reason>", name may be NULL. Always -1. */
int h5_fail(struct err *e, enum err_code code, const struct h5 *f, const char *name,
            const char *what);
int h5_read_fail(struct err *e, const struct h5 *f, const char *name);

/* Datasets, to be closed by the caller; negative after an error. */
int64_t h5_open_dataset(const struct h5 *f, const char *name, struct err *e);
int64_t h5_make_dataset(struct h5 *f, const char *name, int64_t type, int64_t space, struct err *e);
enum h5_type h5_type_of(int64_t stored_type);
