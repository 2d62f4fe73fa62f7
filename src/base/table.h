/* Result tables: named columns of numbers and text, written as CSV. */
#pragma once

#include "base/err.h"

#include <stddef.h>

struct table;
/* `columns`: names separated by commas; a name that starts with '$' holds text, the rest numbers.
 */
struct table *table_new(const char *columns, struct err *e);
void table_free(struct table *t);
/* Appends a row: a `const char *` for each text column, a `double` for each number, in order. */
int table_add(struct table *t, struct err *e, ...);
/* The same from arrays: `text` has an entry for each text column, `number` one for each other. */
int table_add_arrays(struct table *t, const char *const *text, const double *number, struct err *e);
int table_rows(const struct table *t);
double table_number(const struct table *t, int row, const char *column);
const char *table_text(const struct table *t, int row, const char *column);
/* CSV, quoted as RFC 4180 says but with plain newlines; numbers with 9 significant digits (float32
 * round trip); written atomically. NaN is a missing value: an empty cell, which gnuplot, pandas and
 * R all read as missing. */
int table_write_csv(const struct table *t, const char *path, struct err *e);
