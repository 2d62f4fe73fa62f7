#include "eval/truth.h"

#include "base/mem.h"
#include "base/num.h"
#include "eval/csv.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { KIND_TEXT = 32 };
enum { SCAN, KIND, FIRST, LAST, WANTED };
static const char *const wanted[WANTED] = {"scan", "kind", "first_slice", "last_slice"};

struct row {
    const char *scan;      /* into the table */
    int kind, first, last; /* kind -1: none */
};

struct truth {
    struct csv table;
    struct row *row; /* (table.rows) */
    int kinds;
    char kind[TRUTH_KINDS][KIND_TEXT];
};

static int find_columns(const struct csv *t, int column[WANTED], struct err *e)
{
    for (int w = 0; w < WANTED; w++)
        column[w] = csv_column(t, wanted[w]);
    for (int w = SCAN; w <= KIND; w++)
        if (column[w] < 0) {
            err_set(e, ERR_DATA, "line %d: there is no column '%s'", t->line[0], wanted[w]);
            return err_hint(e,
                            "the first line names the columns: scan,kind,first_slice,last_slice");
        }
    return 0;
}

static int place_of_kind(struct truth *t, const char *name, int line, int *out, struct err *e)
{
    *out = -1;
    if (name[0] == '\0' || strcmp(name, "none") == 0) return 0;
    for (int k = 0; k < t->kinds; k++)
        if (strcmp(t->kind[k], name) == 0) *out = k;
    if (*out >= 0) return 0;
    if (t->kinds == TRUTH_KINDS || strlen(name) >= KIND_TEXT)
        return err_set(e, ERR_DATA, "line %d: '%.40s' is too long a kind, or one more than %d",
                       line, name, TRUTH_KINDS);
    *out = t->kinds++;
    memcpy(t->kind[*out], name, strlen(name) + 1);
    return 0;
}

/* A slice number; `absent` where the cell is empty or there is no such column. */
static int slice_number(const char *text, int absent, int line, int *out, struct err *e)
{
    int64_t v;
    *out = absent;
    if (!text || text[0] == '\0') return 0;
    if (!num_whole(text, &v) || v < 0 || v > INT_MAX)
        return err_set(e, ERR_DATA, "line %d: '%.40s' is not the number of a slice", line, text);
    *out = (int)v;
    return 0;
}

static int read_row(struct truth *t, int i, const int column[WANTED], struct err *e)
{
    const int line = t->table.line[1 + i];
    char *text[WANTED];
    for (int w = 0; w < WANTED; w++)
        text[w] = column[w] >= 0 ? csv_cell(&t->table, i, column[w]) : NULL;
    if (text[SCAN][0] == '\0') return err_set(e, ERR_DATA, "line %d: the scan is missing", line);
    struct row *r = &t->row[i];
    size_t len = strlen(text[SCAN]);
    if (len > 3 && strcmp(text[SCAN] + len - 3, ".h5") == 0) text[SCAN][len - 3] = '\0';
    r->scan = text[SCAN];
    if (place_of_kind(t, text[KIND], line, &r->kind, e) ||
        slice_number(text[FIRST], 0, line, &r->first, e) ||
        slice_number(text[LAST], INT_MAX, line, &r->last, e))
        return -1;
    if (r->first <= r->last) return 0;
    return err_set(e, ERR_DATA, "line %d: the first slice, %d, is after the last, %d", line,
                   r->first, r->last);
}

static int read_rows(struct truth *t, struct err *e)
{
    int column[WANTED];
    if (find_columns(&t->table, column, e)) return -1;
    if (!(t->row = mem_new((size_t)t->table.rows, sizeof *t->row, e))) return -1;
    for (int i = 0; i < t->table.rows; i++)
        if (read_row(t, i, column, e)) return -1;
    return 0;
}

struct truth *truth_read(const char *path, struct err *e)
{
    struct truth *t = mem_new(1, sizeof *t, e);
    if (!t) return NULL;
    if (csv_read(&t->table, path, e) == 0) {
        if (read_rows(t, e) == 0) return t;
        err_wrap(e, "%s", path);
    }
    truth_free(t);
    return NULL;
}

void truth_free(struct truth *t)
{
    if (!t) return;
    csv_free(&t->table);
    mem_free(t->row);
    mem_free(t);
}

int truth_kinds(const struct truth *t)
{
    return t->kinds;
}

const char *truth_kind(const struct truth *t, int kind)
{
    return t->kind[kind];
}

long truth_of(const struct truth *t, const char *scan, int slice)
{
    long set = -1;
    for (int i = 0; i < t->table.rows; i++) {
        const struct row *r = &t->row[i];
        if (strcmp(r->scan, scan) != 0) continue;
        if (set < 0) set = 0;
        if (r->kind >= 0 && slice >= r->first && slice <= r->last) set |= 1L << r->kind;
    }
    return set;
}
