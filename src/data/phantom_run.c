/* Many scans: what is there and what is missing, room for it, the work with its progress, and the
 * truth about defects. */
#include "base/h5.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/progress.h"
#include "base/table.h"
#include "data/phantom_slot.h"

#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

struct job {
    const struct phantom_conf *c;
    struct anatomy *volume;
    bool *kept;          /* scans that are there already */
    long slices;         /* to simulate, in all */
    size_t bytes;        /* to write, in all */
    int missing;         /* scans */
    struct table *truth; /* NULL: no defects asked for */
    struct progress bar;
    long before; /* slices done before the present scan */
};

static int scan_path(char *path, size_t size, const struct phantom_conf *c, int scan, struct err *e)
{
    return io_path(path, size, e, "%s/knee-%llu-%04d.h5", c->out, (unsigned long long)c->seed,
                   scan);
}

/* Whether the file at `path` is the scan p. */
static bool is_there(const char *path, const struct phantom *p)
{
    char parameters[PHANTOM_PARAMETERS];
    struct h5 *f = h5_open(path, NULL);
    bool same = false;
    if (f && h5_attr_has(f, "/", "parameters")) {
        char *found = h5_attr_text(f, "/", "parameters", NULL);
        phantom_parameters(p, parameters);
        same = found && strcmp(found, parameters) == 0;
        mem_free(found);
    }
    h5_close(f);
    return same;
}

static int tell(struct job *j, const struct phantom *p, const char *path, struct err *e)
{
    if (!j->truth) return 0;
    const char *slash = strrchr(path, '/');
    return defect_tell(j->truth, &p->defect, slash ? slash + 1 : path, p->fs ? "fs" : "non-fs", e);
}

/* Which scans are there; refuses to replace others unless told to. */
static int look(struct job *j, struct err *e)
{
    const struct phantom_conf *c = j->c;
    for (int i = 0; i < c->scans; i++) {
        char path[1024];
        struct phantom *p = phantom_new(c, j->volume, i, e);
        if (!p) return -1;
        int bad = scan_path(path, sizeof path, c, i, e) || tell(j, p, path, e);
        if (!bad && io_exists(path)) {
            j->kept[i] = is_there(path, p);
            if (!j->kept[i] && !c->overwrite) {
                err_set(e, ERR_USAGE, "%s exists already, with other parameters", path);
                err_hint(e, "choose another folder or seed, or replace the scans with --overwrite "
                            "true");
                bad = 1;
            }
        }
        if (!bad && !j->kept[i]) {
            j->slices += p->shape.slices;
            j->bytes += phantom_bytes(&p->shape);
            j->missing++;
        }
        phantom_free(p);
        if (bad) return -1;
    }
    return 0;
}

static int ask_for_room(const struct job *j, struct err *e)
{
    struct statvfs fs;
    if (statvfs(j->c->out, &fs)) return 0; /* not all file systems tell */
    const double room = (double)fs.f_bavail * (double)fs.f_frsize, need = 1.01 * (double)j->bytes;
    if (need <= room) return 0;
    err_set(e, ERR_IO, "%s: %d scans take %.1f GB, and there is room for %.1f GB", j->c->out,
            j->missing, need / 1e9, room / 1e9);
    return err_hint(e, "make fewer scans, smaller ones (--preset small), or choose another folder");
}

static void tick_slice(void *ctx, int done)
{
    struct job *j = ctx;
    progress_at(&j->bar, j->before + done, "");
}

static int run_one(struct job *j, int scan, struct err *e)
{
    char path[1024];
    struct phantom *p = phantom_new(j->c, j->volume, scan, e);
    if (!p) return -1;
    int rc =
        scan_path(path, sizeof path, j->c, scan, e) || phantom_write(p, path, tick_slice, j, e);
    if (rc == 0) j->before += p->shape.slices;
    phantom_free(p);
    return rc ? -1 : 0;
}

static int write_truth(const struct job *j, struct err *e)
{
    char path[1024];
    if (!j->truth) return 0;
    if (io_path(path, sizeof path, e, "%s/knee-%llu-defects.csv", j->c->out,
                (unsigned long long)j->c->seed))
        return -1;
    return table_write_csv(j->truth, path, e);
}

static int simulate_missing(struct job *j, bool quiet, struct err *e)
{
    const int kept = j->c->scans - j->missing;
    char detail[160];
    double start = clock_seconds();
    int rc = 0, made = 0;
    j->bar = progress_begin("simulating", 0, j->slices, quiet);
    for (int i = 0; i < j->c->scans && rc == 0; i++)
        if (!j->kept[i]) made += (rc = run_one(j, i, e)) == 0;
    double seconds = clock_seconds() - start + 1e-9;
    double done = j->slices > 0 ? (double)j->before / (double)j->slices : 0;
    snprintf(detail, sizeof detail, "scans=%d kept=%d scans_per_minute=%.3g MB_per_second=%.3g",
             made, kept, 60 * made / seconds, done * (double)j->bytes / 1e6 / seconds);
    progress_end(&j->bar, detail);
    return rc;
}

int phantom_run(const struct phantom_conf *c, bool quiet, struct err *e)
{
    struct job j = {.c = c};
    int rc = -1;
    if (phantom_check(c, e) || io_mkdirs(c->out, e)) return -1;
    if (c->anatomy && *c->anatomy && !(j.volume = anatomy_load(c->anatomy, e))) return -1;
    if (!(j.kept = mem_new((size_t)c->scans, sizeof *j.kept, e))) goto out;
    if ((c->defects > 0 || (c->defect && *c->defect)) && !(j.truth = defect_table(e))) goto out;
    if (look(&j, e) || ask_for_room(&j, e) || write_truth(&j, e) || simulate_missing(&j, quiet, e))
        goto out;
    rc = 0;
out:
    table_free(j.truth);
    mem_free(j.kept);
    anatomy_free(j.volume);
    return rc;
}
