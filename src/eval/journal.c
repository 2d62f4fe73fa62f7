#include "eval/journal.h"

#include "base/hash.h"
#include "base/io.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char first_line[] = "ssfd study journal, values a job: ";

static int fail(const struct journal *j, struct err *e)
{
    return err_set(e, ERR_IO, "%s: %s", j->path, strerror(errno));
}

/* The next line of the file without its end; NULL at the end and where no newline closes it. */
static char *next_line(FILE *f, char **line, size_t *room)
{
    ssize_t n = getline(line, room, f);
    if (n <= 0 || (*line)[n - 1] != '\n') return NULL;
    (*line)[n - 1] = '\0';
    return *line;
}

/* Compares the head of the file with the key, line by line; *cut: the file ends before the key
 * does, and agrees so far. */
static int compare_key(struct journal *j, const char *key, char **line, size_t *room, bool *cut,
                       struct err *e)
{
    char want[64];
    snprintf(want, sizeof want, "%s%d", first_line, j->values);
    for (const char *p = NULL;; p = p ? p + strcspn(p, "\n") + 1 : key) {
        size_t len = p ? strcspn(p, "\n") : strlen(want);
        const char *expected = p ? p : want;
        if (p && *p == '\0') return 0;
        const char *got = next_line(j->file, line, room);
        if ((*cut = !got)) return 0;
        if (p && *got) got++; /* lines of the key are marked with one character */
        if (strlen(got) == len && strncmp(got, expected, len) == 0) continue;
        err_set(e, ERR_CONFIG, "%s: the interrupted study was another one: it has '%s', not '%.*s'",
                j->path, got, (int)len, expected);
        return err_hint(e, "without --resume the study begins anew");
    }
}

/* "JOB value value … checksum" -> the numbers; false where the line is not exactly that. */
static bool parse(const struct journal *j, char *line, bool *done, double *value)
{
    char *end, *sum = strrchr(line, ' '), want[20];
    if (!sum) return false;
    *sum = '\0';
    snprintf(want, sizeof want, "%016" PRIx64, xxh_of(line, (size_t)(sum - line)));
    if (strcmp(sum + 1, want) != 0) return false;
    long job = strtol(line, &end, 10);
    if (end == line || job < 0 || job >= j->jobs) return false;
    double *to = value + (size_t)job * (size_t)j->values;
    for (int v = 0; v < j->values; v++) {
        const char *from = end;
        if (*from != ' ') return false;
        to[v] = strtod(from, &end);
        if (end == from) return false;
    }
    if (*end != '\0') return false;
    done[job] = true;
    return true;
}

static int begin(struct journal *j, const char *key, struct err *e)
{
    j->file = fopen(j->path, "we");
    if (!j->file) return fail(j, e);
    fprintf(j->file, "%s%d\n", first_line, j->values);
    for (const char *p = key; *p; p += strcspn(p, "\n") + 1)
        fprintf(j->file, "#%.*s\n", (int)strcspn(p, "\n"), p);
    return journal_sync(j, e);
}

static int read_back(struct journal *j, const char *key, bool *done, double *value, int *count,
                     struct err *e)
{
    char *line = NULL;
    size_t room = 0;
    long end = 0;
    bool cut = false;
    int rc = compare_key(j, key, &line, &room, &cut, e);
    while (rc == 0 && !cut) {
        end = ftell(j->file);
        if (!next_line(j->file, &line, &room) || !parse(j, line, done, value)) break;
    }
    free(line);
    if (rc) return -1;
    if (cut) {
        journal_close(j);
        return begin(j, key, e);
    }
    for (int i = 0; i < j->jobs; i++)
        *count += done[i];
    /* Whatever follows the last whole line goes. */
    if (end < 0 || fseek(j->file, end, SEEK_SET) || ftruncate(fileno(j->file), end))
        return fail(j, e);
    return 0;
}

int journal_open(struct journal *j, const char *path, const char *key, int jobs, int values,
                 bool resume, bool *done, double *value, int *count, struct err *e)
{
    *j = (struct journal){.jobs = jobs, .values = values};
    *count = 0;
    if (io_path(j->path, sizeof j->path, e, "%s", path)) return -1;
    if (resume && (j->file = fopen(path, "r+e"))) return read_back(j, key, done, value, count, e);
    if (resume && errno != ENOENT) return fail(j, e);
    return begin(j, key, e);
}

int journal_add(struct journal *j, int job, const double *value, struct err *e)
{
    char *text = NULL;
    size_t len = 0;
    FILE *line = open_memstream(&text, &len);
    if (!line) return err_set(e, ERR_FAILED, "%s: out of memory", j->path);
    fprintf(line, "%d", job);
    for (int v = 0; v < j->values; v++)
        fprintf(line, " %a", value[v]);
    int rc = fclose(line) ? err_set(e, ERR_FAILED, "%s: out of memory", j->path) : 0;
    if (rc == 0 && fprintf(j->file, "%s %016" PRIx64 "\n", text, xxh_of(text, len)) < 0)
        rc = fail(j, e);
    free(text);
    return rc;
}

int journal_sync(struct journal *j, struct err *e)
{
    return fflush(j->file) || ferror(j->file) || fsync(fileno(j->file)) ? fail(j, e) : 0;
}

void journal_close(struct journal *j)
{
    if (j->file) fclose(j->file);
    j->file = NULL;
}

int journal_remove(struct journal *j, struct err *e)
{
    journal_close(j);
    return unlink(j->path) == 0 || errno == ENOENT ? 0 : fail(j, e);
}
