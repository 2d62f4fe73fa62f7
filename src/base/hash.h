/* Checksums: XXH3, 64 bits, which finds damage but resists no forger. Only hash.c includes
 * xxhash.h. */
#pragma once

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

uint64_t xxh_of(const void *x, size_t bytes);

struct xxh; /* of what comes piece by piece */
struct xxh *xxh_new(struct err *e);
void xxh_add(struct xxh *h, const void *x, size_t bytes); /* h may be NULL */
uint64_t xxh_result(const struct xxh *h);
void xxh_free(struct xxh *h);

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
