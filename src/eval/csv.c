#include "eval/csv.h"

#include "base/io.h"
#include "base/mem.h"

#include <stdbool.h>
#include <string.h>

enum { MOST_BYTES = 64 << 20, MOST_COLUMNS = 4096 };

void csv_free(struct csv *t)
{
    mem_free(t->text);
    mem_free(t->cell);
    mem_free(t->line);
    *t = (struct csv){0};
}

/* Ends the cell that starts at *at, in place; *at moves to the next, *line with it. The character
 * that ended it: ',', '\n' or 0; -1 where a quotation mark is not closed. */
static int next_cell(char **at, char **cell, int *line)
{
    char *from = *at, *to = *at;
    bool quoted = *from == '"';
    *cell = to;
    from += quoted;
    for (; quoted || (*from != ',' && *from != '\n' && *from != '\0'); from++) {
        if (*from == '\0') return -1;
        *line += *from == '\n';
        if (quoted && *from == '"' && from[1] == '"')
            from++;
        else if (*from == '"' && quoted) {
            quoted = false;
            continue;
        }
        *to++ = *from;
    }
    int end = *from;
    *at = end ? from + 1 : from;
    if (end != ',' && to > *cell && to[-1] == '\r') to--;
    *to = '\0';
    *line += end == '\n';
    return end;
}

/* The record that begins in line *line into cell[columns]. */
static int next_record(char **at, char **cell, int columns, int *line, struct err *e)
{
    const int begun = *line;
    int end = ',', n = 0;
    for (; n < columns && end == ','; n++)
        if ((end = next_cell(at, &cell[n], line)) < 0)
            return err_set(e, ERR_DATA, "line %d: a quotation mark is not closed", begun);
    if (n == columns && end != ',') return 0;
    return err_set(e, ERR_DATA, "line %d: %s than %d cells, which the first line has", begun,
                   end == ',' ? "more" : "less", columns);
}

static int count_columns(const char *text)
{
    int n = 1;
    bool quoted = false;
    for (; *text && (quoted || *text != '\n'); text++) {
        quoted ^= *text == '"';
        n += *text == ',' && !quoted;
    }
    return n;
}

static int parse(struct csv *t, struct err *e)
{
    char *at = t->text;
    if (strncmp(at, "\xef\xbb\xbf", 3) == 0) at += 3; /* a byte order mark */
    size_t lines = 1;
    for (const char *p = at; *p; p++)
        lines += *p == '\n';
    t->columns = count_columns(at);
    if (t->columns > MOST_COLUMNS)
        return err_set(e, ERR_DATA, "more than %d columns", MOST_COLUMNS);
    t->cell = mem_new(lines * (size_t)t->columns, sizeof *t->cell, e);
    t->line = mem_new(lines, sizeof *t->line, e);
    if (!t->cell || !t->line) return -1;
    t->rows = -1;
    for (int line = 1; *at;) {
        const int row = t->rows + 1;
        if (*at == '\n' || (*at == '\r' && at[1] == '\n')) { /* an empty line */
            at += *at == '\n' ? 1 : 2;
            line++;
            continue;
        }
        t->line[row] = line;
        if (next_record(&at, t->cell + (size_t)row * (size_t)t->columns, t->columns, &line, e))
            return -1;
        t->rows++;
    }
    for (int c = 0; c < t->columns && t->rows > 0; c++)
        if (csv_column(t, t->cell[c]) != c)
            return err_set(e, ERR_DATA, "two columns are named '%s'", t->cell[c]);
    return t->rows > 0 ? 0 : err_set(e, ERR_DATA, "there is no row below the names of columns");
}

int csv_read(struct csv *t, const char *path, struct err *e)
{
    size_t len = 0;
    *t = (struct csv){0};
    if (!(t->text = io_read_text(path, MOST_BYTES, &len, e))) return -1;
    int rc = strlen(t->text) == len ? parse(t, e) : err_set(e, ERR_DATA, "it has a zero byte");
    if (rc == 0) return 0;
    csv_free(t);
    return err_wrap(e, "%s", path);
}

int csv_column(const struct csv *t, const char *name)
{
    for (int c = 0; c < t->columns; c++)
        if (strcmp(t->cell[c], name) == 0) return c;
    return -1;
}
