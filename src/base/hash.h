/* Checksums of files: XXH3, 64 bits, which finds damage but resists no forger. Only hash.c includes
 * xxhash.h. */
#pragma once

#include "base/err.h"

#include <stdint.h>

/* Of the first `len` bytes; UINT64_MAX: of the whole file. ERR_NOINPUT where it cannot be read,
 * ERR_DATA where it is shorter. */
int hash_file(const char *path, uint64_t len, uint64_t *hash, struct err *e);

/* A sealed file ends in its checksum: a line of SEAL_BYTES bytes, "\nxxh3-64 0123456789abcdef\n",
 * over all before. HDF5 ignores what comes behind its own end. */
enum { SEAL_BYTES = 26 };
/* Appends it, and flushes the file to the disk. */
int seal_file(const char *path, struct err *e);
/* ERR_DATA where the file has none, or its content is another; `hash`, which may be NULL: the
 * checksum. */
int seal_check(const char *path, uint64_t *hash, struct err *e);
