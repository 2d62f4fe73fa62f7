/* Paths and whole files. A file written here appears complete or not at all: readers see the old
 * content or the new, never a part, whatever happens in between. */
#pragma once

#include "base/err.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Writes `len` bytes as the file `path`: into a temporary file of the same directory, flushed to
 * the disk, then renamed. ERR_IO with the old file, if any, untouched. A symbolic link is replaced,
 * not followed. */
int io_write_text(const char *path, const char *text, size_t len, struct err *e);
/* The same without waiting for the disk, for many small files that can be made again: whole after a
 * crash of the program, but after a power cut perhaps missing, empty or cut off, until io_flush. */
int io_put_text(const char *path, const char *text, size_t len, struct err *e);
/* Everything written so far to the file system of this folder is on the disk. */
int io_flush(const char *folder, struct err *e);

/* The same for a file too large for memory: write to `file`, then end it. */
struct io_stream {
    FILE *file;
    char path[PATH_MAX], temp[PATH_MAX];
};
int io_stream_begin(struct io_stream *s, const char *path, struct err *e);
/* With `keep` the file appears under its path; without, or where any write failed, it is gone. Of a
 * zeroed struct: nothing to do. */
int io_stream_end(struct io_stream *s, bool keep, struct err *e);

/* Renames, replacing what is there, and flushes the directory: after it the name is on the disk. */
int io_rename(const char *from, const char *to, struct err *e);

/* The content of a regular file of at most `max` bytes, as a new NUL-ended string (mem_free); its
 * length in *len. ERR_NOINPUT when it cannot be read, ERR_DATA when it is larger. */
char *io_read_text(const char *path, size_t max, size_t *len, struct err *e);

/* Makes the directory `path` and its missing parents. The error names the component that failed. */
int io_mkdirs(const char *path, struct err *e);

/* Prints a path into `out`; an error, not a truncated path, when `size` bytes do not hold it. */
int io_path(char *out, size_t size, struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

bool io_exists(const char *path); /* anything by that name; a dangling link counts as nothing */
