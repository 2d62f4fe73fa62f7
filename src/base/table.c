#include "base/table.h"

#include "base/io.h"
#include "base/mem.h"
#include "base/num.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

union cell {
    double number;
    char *text;
};

struct table {
    char *names;         /* owns the column names, NUL-separated */
    const char **column; /* into names */
    bool *is_text;
    int columns, rows, room;
    union cell *cell; /* (room, columns) */
};

static char *copy_text(const char *text, struct err *e)
{
    size_t n = strlen(text);
    char *p = mem_new(n + 1, 1, e);
    return p ? memcpy(p, text, n) : NULL;
}

struct table *table_new(const char *columns, struct err *e)
{
    int n = 1;
    for (const char *p = columns; *p; p++)
        n += *p == ',';
    struct table *t = mem_new(1, sizeof *t, e);
    if (!t) return NULL;
    t->columns = n;
    t->names = copy_text(columns, e);
    t->column = mem_new((size_t)n, sizeof *t->column, e);
    t->is_text = mem_new((size_t)n, sizeof *t->is_text, e);
    if (!t->names || !t->column || !t->is_text) {
        table_free(t);
        return NULL;
    }
    char *rest = t->names;
    for (int i = 0; i < n; i++) {
        t->column[i] = strsep(&rest, ",");
        t->is_text[i] = *t->column[i] == '$';
        t->column[i] += t->is_text[i];
    }
    return t;
}

void table_free(struct table *t)
{
    if (!t) return;
    for (int r = 0; r < t->rows; r++)
        for (int c = 0; c < t->columns; c++)
            if (t->is_text[c]) mem_free(t->cell[r * t->columns + c].text);
    mem_free(t->cell);
    mem_free(t->names);
    mem_free(t->column);
    mem_free(t->is_text);
    mem_free(t);
}

static int make_room(struct table *t, struct err *e)
{
    if (t->rows < t->room) return 0;
    int room = t->room ? 2 * t->room : 16;
    union cell *cell = mem_new((size_t)room * (size_t)t->columns, sizeof *cell, e);
    if (!cell) return -1;
    if (t->rows) memcpy(cell, t->cell, (size_t)t->rows * (size_t)t->columns * sizeof *cell);
    mem_free(t->cell);
    t->cell = cell;
    t->room = room;
    return 0;
}

/* Takes over the row of which `failed` says that a text could not be copied. */
static int finish_row(struct table *t, union cell *row, bool failed)
{
    for (int c = 0; failed && c < t->columns; c++)
        if (t->is_text[c]) mem_free(row[c].text);
    if (failed) return -1;
    t->rows++;
    return 0;
}

int table_add(struct table *t, struct err *e, ...)
{
    if (make_room(t, e)) return -1;
    union cell *row = t->cell + (size_t)t->rows * (size_t)t->columns;
    bool failed = false;
    va_list ap;
    va_start(ap, e);
    for (int c = 0; c < t->columns; c++) {
        if (t->is_text[c])
            failed |= !(row[c].text = copy_text(va_arg(ap, const char *), e));
        else
            row[c].number = va_arg(ap, double);
    }
    va_end(ap);
    return finish_row(t, row, failed);
}

int table_add_arrays(struct table *t, const char *const *text, const double *number, struct err *e)
{
    if (make_room(t, e)) return -1;
    union cell *row = t->cell + (size_t)t->rows * (size_t)t->columns;
    bool failed = false;
    for (int c = 0; c < t->columns; c++) {
        if (t->is_text[c])
            failed |= !(row[c].text = copy_text(*text++, e));
        else
            row[c].number = *number++;
    }
    return finish_row(t, row, failed);
}

int table_rows(const struct table *t)
{
    return t->rows;
}

static const union cell *find(const struct table *t, int row, const char *column, bool text)
{
    assert(row >= 0 && row < t->rows);
    int c = 0;
    while (c < t->columns && strcmp(t->column[c], column) != 0)
        c++;
    assert(c < t->columns && t->is_text[c] == text);
    return &t->cell[(size_t)row * (size_t)t->columns + (size_t)c];
}

double table_number(const struct table *t, int row, const char *column)
{
    return find(t, row, column, false)->number;
}

const char *table_text(const struct table *t, int row, const char *column)
{
    return find(t, row, column, true)->text;
}

static void put_text(const char *text, FILE *out)
{
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"') fputc('"', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

static void put_rows(const struct table *t, FILE *out)
{
    char number[NUM_TEXT];
    for (int r = -1; r < t->rows; r++) /* row -1: the header */
        for (int c = 0; c < t->columns; c++) {
            const union cell *x = r < 0 ? NULL : &t->cell[r * t->columns + c];
            if (!x || t->is_text[c])
                put_text(x ? x->text : t->column[c], out);
            else if (!isnan(x->number))
                fputs(num_text(number, x->number, 9), out);
            fputc(c + 1 < t->columns ? ',' : '\n', out);
        }
}

int table_write_csv(const struct table *t, const char *path, struct err *e)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (!out) return err_set(e, ERR_FAILED, "%s: out of memory", path);
    put_rows(t, out);
    bool failed = ferror(out);
    failed |= fclose(out) != 0;
    int r = failed ? err_set(e, ERR_FAILED, "%s: out of memory", path)
                   : io_write_text(path, text, len, e);
    free(text);
    return r;
}
