/* TFRecord framing (tensorflow/core/lib/io/record_writer.h): a file is a sequence of records, all
 * numbers little-endian,
 *
 *     uint64 length, uint32 masked(crc32c(length)), bytes, uint32 masked(crc32c(bytes))
 *     masked(c) = (c >> 15 | c << 17) + 0xa282ead8u
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct tfrecord {
    const unsigned char *bytes;
    size_t len;
};

/* Appends one record: `head`, then `tail`, which may be NULL of length 0. -1 with errno. */
int tfrecord_write(FILE *out, const void *head, size_t head_len, const void *tail, size_t tail_len);
/* The record at *at of a file's content, and the place behind it. False at the end, and at a record
 * that is cut or damaged, which ends a file for every reader. */
bool tfrecord_next(const void *text, size_t len, size_t *at, struct tfrecord *r);
