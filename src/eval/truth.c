#include "eval/truth.h"

#include "base/io.h"
#include "base/mem.h"
#include "base/num.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { LARGEST_BYTES = 16 << 20, COLUMNS = 64, KIND_TEXT = 32 };
enum { SCAN, KIND, FIRST, LAST, WANTED };
static const char *const wanted[WANTED] = {"scan", "kind", "first_slice", "last_slice"};

struct row {
    const char *scan;      /* into the text */
    int kind, first, last; /* kind -1: none */
};

struct truth {
    char *text;
    struct row *row;
    int rows, kinds;
    char kind[TRUTH_KINDS][KIND_TEXT];
};

/* Takes the next record of *at apart, in place: RFC 4180. Returns the number of cells, 0 at the
 * end, -1 with the error where a quote is not closed or there are too many cells. */
static int next_record(char **at, char *cell[COLUMNS], int *line, struct err *e)
{
    char *from = *at, *to;
    int n = 0;
    if (*from == '\0') return 0;
    for (;;) {
        if (n == COLUMNS)
            return err_set(e, ERR_DATA, "line %d: more than %d columns", *line, COLUMNS);
        bool quoted = *from == '"';
        from += quoted;
        cell[n++] = to = from;
        for (;; from++) {
            if (*from == '\0' && quoted)
                return err_set(e, ERR_DATA, "line %d: a quotation mark is not closed", *line);
            if (*from == '"' && quoted && from[1] != '"') {
                quoted = false;
                continue;
            }
            if (*from == '"' && quoted) from++;
            if (!quoted && (*from == ',' || *from == '\n' || *from == '\0')) break;
            *line += *from == '\n';
            *to++ = *from;
        }
        char end = *from;
        if (end != '\0') from++;
        *to = '\0';
        if (end == ',') continue;
        size_t len = strlen(cell[n - 1]);
        if (len > 0 && cell[n - 1][len - 1] == '\r') cell[n - 1][len - 1] = '\0';
        *at = from;
        *line += end == '\n';
        return n;
    }
}

static int find_columns(char *cell[COLUMNS], int n, int column[WANTED], struct err *e)
{
    for (int w = 0; w < WANTED; w++) {
        column[w] = -1;
        for (int c = 0; c < n; c++)
            if (strcmp(cell[c], wanted[w]) == 0) column[w] = c;
    }
    for (int w = SCAN; w <= KIND; w++)
        if (column[w] < 0) {
            err_set(e, ERR_DATA, "line 1: there is no column '%s'", wanted[w]);
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

static int add_row(struct truth *t, char *cell[COLUMNS], int n, const int column[WANTED], int line,
                   struct err *e)
{
    const char *text[WANTED];
    for (int w = 0; w < WANTED; w++)
        text[w] = column[w] >= 0 && column[w] < n ? cell[column[w]] : NULL;
    if (!text[SCAN] || !text[KIND] || text[SCAN][0] == '\0')
        return err_set(e, ERR_DATA, "line %d: scan or kind is missing", line);
    struct row *r = &t->row[t->rows++];
    size_t len = strlen(text[SCAN]);
    if (len > 3 && strcmp(text[SCAN] + len - 3, ".h5") == 0) cell[column[SCAN]][len - 3] = '\0';
    r->scan = text[SCAN];
    return place_of_kind(t, text[KIND], line, &r->kind, e) ||
                   slice_number(text[FIRST], 0, line, &r->first, e) ||
                   slice_number(text[LAST], INT_MAX, line, &r->last, e)
               ? -1
               : 0;
}

static int parse(struct truth *t, struct err *e)
{
    char *at = t->text, *cell[COLUMNS];
    int line = 1, column[WANTED], lines = 2;
    for (const char *p = t->text; *p; p++)
        lines += *p == '\n';
    if (!(t->row = mem_new((size_t)lines, sizeof *t->row, e))) return -1;
    int n = next_record(&at, cell, &line, e);
    if (n == 0) return err_set(e, ERR_DATA, "the file is empty");
    if (n < 0 || find_columns(cell, n, column, e)) return -1;
    for (;;) {
        int begun = line;
        if ((n = next_record(&at, cell, &line, e)) <= 0) return n;
        if (n == 1 && cell[0][0] == '\0') continue; /* an empty line */
        if (add_row(t, cell, n, column, begun, e)) return -1;
    }
}

struct truth *truth_read(const char *path, struct err *e)
{
    struct truth *t = mem_new(1, sizeof *t, e);
    size_t len = 0;
    if (!t) return NULL;
    t->text = io_read_text(path, LARGEST_BYTES, &len, e);
    if (t->text && strlen(t->text) != len)
        err_set(e, ERR_DATA, "%s: not a text file", path);
    else if (t->text && parse(t, e))
        err_wrap(e, "%s", path);
    else if (t->text)
        return t;
    truth_free(t);
    return NULL;
}

void truth_free(struct truth *t)
{
    if (!t) return;
    mem_free(t->text);
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
    for (int i = 0; i < t->rows; i++) {
        const struct row *r = &t->row[i];
        if (strcmp(r->scan, scan) != 0) continue;
        if (set < 0) set = 0;
        if (r->kind >= 0 && slice >= r->first && slice <= r->last) set |= 1L << r->kind;
    }
    return set;
}
