/* Tables of text as CSV: RFC 4180 with newlines of any kind, the first line names the columns. */
#pragma once

#include "base/err.h"

struct csv {
    char *text; /* holds the cells */
    int columns, rows;
    char **cell; /* (1 + rows, columns); the first row is the names */
    int *line;   /* (1 + rows): where it begins in the file, from 1 */
};
/* ERR_DATA naming file and line where a line has another number of cells than the first, a
 * quotation mark is not closed, two columns have one name, or there is no row. */
int csv_read(struct csv *t, const char *path, struct err *e);
void csv_free(struct csv *t);
int csv_column(const struct csv *t, const char *name); /* -1: there is none */
static inline char *csv_cell(const struct csv *t, int row, int column)
{
    return t->cell[(1 + row) * t->columns + column];
}
