#include "data/scans.h"

#include "base/io.h"
#include "base/mem.h"
#include "base/progress.h"
#include "base/stop.h"
#include "base/table.h"
#include "data/scan_format.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const bad_scan_choices[] = {"stop", "skip", NULL};

/* Room for one more at the end of an array that is full at every power of two; NULL without. */
static void *room_for_one(void *list, int n, size_t size, struct err *e)
{
    if (n & (n - 1)) return list;
    void *more = mem_new(n ? 2 * (size_t)n : 1, size, e);
    if (more && n) memcpy(more, list, (size_t)n * size);
    if (more) mem_free(list);
    return more;
}

/* ---- Bad ones ------------------------------------------------------------------------------ */

int scans_leave_out(struct scans *s, const char *path, struct err *why)
{
    if (s->on_bad != BAD_SCAN_SKIP || (why->code != ERR_DATA && why->code != ERR_NOINPUT))
        return -1;
    struct bad_scan *bad = room_for_one(s->bad, s->nbad, sizeof *bad, why);
    if (!bad) return -1;
    s->bad = bad;
    snprintf(bad[s->nbad].path, sizeof bad->path, "%s", path);
    snprintf(bad[s->nbad].why, sizeof bad->why, "%.1000s", why->text);
    s->nbad++;
    *why = (struct err){0};
    return 0;
}

int scans_drop(struct scans *s, int i, struct err *why)
{
    if (!why || scans_leave_out(s, s->list[i].path, why)) return -1;
    s->list[i].dropped = true;
    return 0;
}

static int write_list(struct scans *const *sets, int n, const char *path, struct err *e)
{
    struct table *t = table_new("$scan,$reason", e);
    int rc = t ? 0 : -1;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < sets[i]->nbad && rc == 0; k++)
            rc = table_add(t, e, sets[i]->bad[k].path, sets[i]->bad[k].why);
    if (rc == 0) rc = table_write_csv(t, path, e);
    table_free(t);
    return rc;
}

int scans_report(struct scans *const *sets, int n, const char *folder, FILE *notes, struct err *e)
{
    enum { SHOWN = 10 };
    char path[1024];
    int bad = 0, good = 0, shown = 0;
    bool told = true;
    for (int i = 0; i < n; i++) {
        bad += sets[i]->nbad;
        good += sets[i]->n;
        told &= sets[i]->told == sets[i]->nbad;
        sets[i]->told = sets[i]->nbad;
    }
    if (io_path(path, sizeof path, e, "%s/skipped_scans.csv", folder)) return -1;
    if (!bad) {
        if (unlink(path) == 0 || errno == ENOENT) return 0;
        return err_set(e, ERR_IO, "%s: cannot be removed: %s", path, strerror(errno));
    }
    if (told) return 0;
    if (write_list(sets, n, path, e)) return -1;
    fprintf(notes, "skipped %d of %d scans, listed in %s:\n", bad, good + bad, path);
    for (int i = 0; i < n; i++)
        for (int k = 0; k < sets[i]->nbad && shown < SHOWN; k++, shown++)
            fprintf(notes, "  %s\n", sets[i]->bad[k].why);
    if (bad > shown) fprintf(notes, "  … and %d more\n", bad - shown);
    return 0;
}

/* ---- Finding ------------------------------------------------------------------------------- */

struct files { /* what is to be probed */
    int n;
    char (*path)[1024];
};

static int add_file(struct files *f, const char *folder, const char *name, struct err *e)
{
    void *more = room_for_one(f->path, f->n, sizeof *f->path, e);
    if (!more) return -1;
    f->path = more;
    if (io_path(f->path[f->n], sizeof *f->path, e, folder ? "%s/%s" : "%s%s", folder ? folder : "",
                name))
        return -1;
    f->n++;
    return 0;
}

static int visible_scan(const struct dirent *d)
{
    return scan_has_ending(d->d_name);
}

static int visible_folder(const struct dirent *d)
{
    return d->d_name[0] != '.' && (d->d_type == DT_DIR || d->d_type == DT_LNK);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* fastMRI unpacks to folders in a folder: whoever names the outer one is told the inner ones. */
static int no_scans(const char *folder, struct err *e)
{
    struct dirent **entry = NULL;
    char list[512];
    size_t used = 0;
    int n = scandir(folder, &entry, visible_folder, by_name);
    for (int i = 0; i < n; i++) {
        const char *comma = used ? ", " : "", *name = entry[i]->d_name;
        if (used + strlen(name) + 3 < sizeof list)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", comma, name);
        free(entry[i]);
    }
    free(entry);
    err_set(e, ERR_NOINPUT, "%s: the folder holds no scans", folder);
    if (n > 0)
        return err_hint(e,
                        "scans are looked for directly inside; the folder has the folders %.300s: "
                        "name one of them",
                        list);
    return err_hint(e, "expected files named *.h5 in fastMRI's layout (or ISMRMRD's *.h5, *.mrd; "
                       "BART's *.cfl), directly inside it");
}

static bool wants(const struct scans_query *q, const char *file)
{
    char name[256];
    snprintf(name, sizeof name, "%s", file);
    *strrchr(name, '.') = '\0'; /* scan_has_ending */
    return !q->wanted || q->wanted(q->ctx, name);
}

static int add_folder(struct files *f, const struct scans_query *q, const char *folder,
                      struct err *e)
{
    struct dirent **entry = NULL;
    int n = scandir(folder, &entry, visible_scan, by_name), rc = 0;
    if (n < 0) return err_set(e, ERR_NOINPUT, "%s: %s", folder, strerror(errno));
    if (n == 0) rc = no_scans(folder, e);
    for (int i = 0; i < n; i++) {
        if (rc == 0 && wants(q, entry[i]->d_name)) rc = add_file(f, folder, entry[i]->d_name, e);
        free(entry[i]);
    }
    free(entry);
    return rc;
}

static int not_there(const char *path, struct err *e)
{
    char here[1024];
    err_set(e, ERR_NOINPUT, "%s: %s", path, strerror(errno));
    if (*path == '/' || !getcwd(here, sizeof here)) return -1;
    return err_hint(e, "paths are relative to where the command is run: %s", here);
}

static int list_files(struct files *f, const struct scans_query *q, struct err *e)
{
    for (int i = 0; i < q->paths.n; i++) {
        struct stat st;
        const char *path = q->paths.v[i];
        int rc = 0;
        if (!*path)
            rc = err_set(e, ERR_CONFIG, "entry %d of %d is empty: expected a file or folder", i + 1,
                         q->paths.n);
        else if (stat(path, &st))
            rc = not_there(path, e);
        else if (S_ISDIR(st.st_mode))
            rc = add_folder(f, q, path, e);
        else
            rc = add_file(f, NULL, path, e);
        if (rc) return -1;
    }
    return 0;
}

static int add_scan(struct scans *s, const char *path, struct err *e)
{
    struct scan *list = room_for_one(s->list, s->n, sizeof *list, e);
    if (!list) return -1;
    s->list = list;
    struct err why = {0};
    if (scan_probe(list + s->n, path, &why) == 0 && scan_check_reference(list + s->n, &why) == 0) {
        s->n++;
        return 0;
    }
    if (scans_leave_out(s, path, &why) == 0) return 0;
    if (e) *e = why;
    return -1;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp((*(const struct scan *const *)a)->name, (*(const struct scan *const *)b)->name);
}

/* Names are the keys of splits, caches and tables. */
static int refuse_duplicates(const struct scans *s, struct err *e)
{
    if (s->n < 2) return 0;
    const struct scan **order = mem_new((size_t)s->n, sizeof *order, e);
    if (!order) return -1;
    for (int i = 0; i < s->n; i++)
        order[i] = s->list + i;
    qsort(order, (size_t)s->n, sizeof *order, compare_names);
    int rc = 0;
    for (int i = 1; i < s->n && rc == 0; i++) {
        if (compare_names(order + i - 1, order + i)) continue;
        rc = err_set(e, ERR_DATA, "two scans have the name '%s': %s and %s", order[i]->name,
                     order[i - 1]->path, order[i]->path);
        err_hint(e, "names tell scans apart in caches and tables; rename one or list it once");
    }
    mem_free(order);
    return rc;
}

static int refuse_none(const struct scans *s, struct err *e)
{
    if (s->n || !s->nbad) return 0;
    err_set(e, ERR_DATA, "of %d scans none can be used; the first: %s", s->nbad, s->bad[0].why);
    return err_hint(e, "data.on_bad_scan=skip leaves out single bad scans; here something is wrong "
                       "with all");
}

int scans_search(struct scans *s, const struct scans_query *q, struct err *e)
{
    *s = (struct scans){.on_bad = q->on_bad};
    struct files f = {0};
    int rc = list_files(&f, q, e);
    struct progress p = progress_begin("scans", 0, f.n, q->quiet || f.n < 100);
    for (int i = 0; i < f.n && rc == 0; i++) {
        if (stop_requested())
            rc = err_set(e, ERR_STOPPED, "stopped by %s", stop_signal());
        else
            rc = add_scan(s, f.path[i], e);
        progress_at(&p, i + 1, "");
    }
    progress_end(&p, "");
    mem_free(f.path);
    if (rc == 0) rc = refuse_duplicates(s, e) || refuse_none(s, e) ? -1 : 0;
    if (rc) scans_release(s);
    return rc;
}

int scans_find(struct scans *s, const char *const *paths, int n, struct err *e)
{
    const struct scans_query q = {.paths = {n, paths}, .quiet = true};
    return scans_search(s, &q, e);
}

void scans_release(struct scans *s)
{
    mem_free(s->list);
    mem_free(s->bad);
    *s = (struct scans){0};
}
