/* BART's pair of files (https://mrirecon.github.io/bart): NAME.hdr, text in which a line
 * "# Dimensions" is followed by up to 16 sizes; and NAME.cfl, complex64 in the byte order of this
 * machine, the first dimension fastest. What the dimensions mean is for the caller to say. */
#pragma once

#include "base/err.h"

#include <complex.h>
#include <stddef.h>
#include <stdint.h>

enum { CFL_READ = 0, CFL_PHS1 = 1, CFL_PHS2 = 2, CFL_COIL = 3, CFL_MAPS = 4, CFL_SLICE = 13 };
enum { CFL_DIMS = 16 };

/* The sizes of NAME.cfl (all of at least 1, those its header does not have are 1), having checked
 * that it has as many bytes as they promise. ERR_NOINPUT where a file cannot be read, ERR_DATA
 * where it is wrong. */
int cfl_sizes(const char *path, int64_t dim[CFL_DIMS], struct err *e);
int cfl_open(const char *path, struct err *e); /* a file descriptor, or -1 */
/* n samples from the sample `at` on; `path` for errors. */
int cfl_read(int fd, const char *path, size_t at, float complex *x, size_t n, struct err *e);
