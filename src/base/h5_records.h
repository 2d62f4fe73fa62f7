/* Tables of records: datasets of one dimension whose elements are compounds, as ISMRMRD stores raw
 * data. A member is named by its way through nested compounds: "head.idx.slice". */
#pragma once

#include "base/h5.h"

/* Records in a table; ERR_DATA where `table` is not one. */
int h5_record_count(const struct h5 *f, const char *table, int64_t *n, struct err *e);
/* One member, a whole number not below zero, of every record. */
int h5_read_column(const struct h5 *f, const char *table, const char *member, int64_t n,
                   uint64_t *out, struct err *e);
/* The list of variable length in one record: it must hold exactly n floats (a complex number, a
 * compound of two, is two of them). */
int h5_read_list(const struct h5 *f, const char *table, const char *member, int64_t record,
                 size_t n, float *out, struct err *e);
