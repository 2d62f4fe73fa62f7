/* What h5.c and h5_records.c share. Identifiers of HDF5 (hid_t) are 64-bit numbers. */
#pragma once

#include "base/h5.h"

struct h5 {
    int64_t file; /* negative once committed */
    char *path;
    char *temp; /* the file under construction; NULL when reading */
};

void h5_hush(void); /* to be called first by whoever calls HDF5: errors become ours */
int h5_read_fail(struct err *e, const struct h5 *f, const char *name);
int64_t h5_open_dataset(const struct h5 *f, const char *name, struct err *e);
