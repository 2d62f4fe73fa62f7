/* The table of defects of a folder of scans, made from what the files say of themselves. */
#include "base/h5.h"
#include "base/io.h"
#include "base/mem.h"
#include "data/phantom_slot.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_SCANS = 100000 }; /* as phantom_fields has it */

/* Which scans of the seed are in the folder, by their names. */
static int list(const struct phantom_conf *c, bool *there, struct err *e)
{
    char path[PATH_MAX];
    DIR *d = opendir(c->out);
    if (!d) return err_set(e, ERR_IO, "%s: %s", c->out, strerror(errno));
    for (struct dirent *f; (f = readdir(d));) {
        unsigned long long seed;
        int scan;
        if (sscanf(f->d_name, "knee-%llu-%d", &seed, &scan) != 2 || scan < 0 || scan >= MAX_SCANS ||
            phantom_path(path, sizeof path, c, scan, NULL))
            continue;
        there[scan] |= strcmp(strrchr(path, '/') + 1, f->d_name) == 0;
    }
    closedir(d);
    return 0;
}

/* What the scan says of its defect, or NULL (damaged, say). An older version of make-scans did not
 * write it down: it follows from the parameters, where they are ours. */
static char *truth_of(const struct phantom_conf *c, const struct anatomy *volume, int scan,
                      const char *path)
{
    struct h5 *f = h5_open(path, NULL);
    const bool told = f && h5_attr_has(f, "/", "defect");
    char *text = told ? h5_attr_text(f, "/", "defect", NULL) : NULL;
    h5_close(f);
    if (!f || told) return text;
    struct phantom *p = phantom_new(c, volume, scan, NULL);
    if (p && phantom_find(path, p, NULL) == PHANTOM_SAME && (text = mem_new(1, DEFECT_TEXT, NULL)))
        phantom_truth_of(p, text);
    phantom_free(p);
    return text;
}

/* Returns whether it is a defect. */
static bool put(FILE *out, const char *path, char *text)
{
    const bool defect = !strstr(text, ",none,");
    char *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        fprintf(out, "%s,%s\n", strrchr(path, '/') + 1, line);
    return defect;
}

static int write_or_remove(const struct phantom_conf *c, bool wanted, const char *text, size_t len,
                           struct err *e)
{
    char path[PATH_MAX];
    if (io_path(path, sizeof path, e, "%s/knee-%llu-defects.csv", c->out,
                (unsigned long long)c->seed))
        return -1;
    if (wanted) return io_write_text(path, text, len, e);
    if (unlink(path) == 0 || errno == ENOENT) return 0;
    return err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
}

int phantom_truth(const struct phantom_conf *c, const struct anatomy *volume, const bool *gone,
                  struct err *e)
{
    bool *there = mem_new(MAX_SCANS, sizeof *there, e);
    char *csv = NULL, path[PATH_MAX];
    size_t len = 0;
    int rows = 0, rc = -1;
    bool wanted = c->defects > 0 || (c->defect && *c->defect), failed;
    FILE *out = NULL;
    if (!there || list(c, there, e)) goto out;
    if (!(out = open_memstream(&csv, &len))) {
        err_set(e, ERR_FAILED, "the table of defects: out of memory");
        goto out;
    }
    fputs("scan," DEFECT_COLUMNS "\n", out);
    for (int i = 0; i < MAX_SCANS; i++) {
        if (!there[i] || (gone && i < c->scans && gone[i])) continue;
        char *text = NULL;
        if (phantom_path(path, sizeof path, c, i, NULL) == 0) text = truth_of(c, volume, i, path);
        if (text) wanted |= put(out, path, text);
        rows += text != NULL;
        mem_free(text);
    }
    failed = ferror(out);
    failed |= fclose(out) != 0;
    rc = failed ? err_set(e, ERR_FAILED, "the table of defects: out of memory")
                : write_or_remove(c, wanted && rows > 0, csv, len, e);
out:
    free(csv);
    mem_free(there);
    return rc;
}
