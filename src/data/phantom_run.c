/* Many scans: what is there and what is missing, room for it, and the work with its progress. */
#include "base/io.h"
#include "base/leftover.h"
#include "base/mem.h"
#include "base/progress.h"
#include "base/stop.h"
#include "base/worklock.h"
#include "data/phantom_slot.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct job {
    const struct phantom_conf *c;
    struct anatomy *volume;
    bool *kept, *gone; /* scans that are there; that are there and get replaced */
    long slices;       /* to simulate, in all */
    size_t bytes;      /* to write, in all */
    int missing;       /* scans */
    struct worklock lock;
    struct progress bar;
    long before;  /* slices done before the present scan */
    int made;     /* scans, by this process */
    size_t wrote; /* bytes, likewise */
};

static int refuse(const char *path, enum phantom_found is, const struct err *why, struct err *e)
{
    if (is == PHANTOM_DAMAGED) {
        err_set(e, ERR_DATA, "%s exists already, but is damaged or unreadable: %s", path,
                why->text);
        return err_hint(e, "--overwrite true replaces it");
    }
    err_set(e, ERR_USAGE, "%s exists already, with other parameters", path);
    return err_hint(e, "choose another folder or seed, or replace the scans with --overwrite true");
}

/* Which scans are there; refuses to replace others unless told to. */
static int look(struct job *j, struct err *e)
{
    const struct phantom_conf *c = j->c;
    for (int i = 0; i < c->scans; i++) {
        char path[1024];
        struct phantom *p = phantom_new(c, j->volume, i, e);
        if (!p) return -1;
        int bad = phantom_path(path, sizeof path, c, i, e);
        if (!bad && io_exists(path)) {
            struct err why = {0};
            const enum phantom_found is = phantom_find(path, p, &why);
            j->kept[i] = is == PHANTOM_SAME;
            j->gone[i] = !j->kept[i];
            if (j->gone[i] && !c->overwrite) bad = refuse(path, is, &why, e);
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

/* What killed runs left of scans of this seed, and of their table. */
static void clear_leftovers(const struct phantom_conf *c)
{
    char prefix[PATH_MAX];
    if (io_path(prefix, sizeof prefix, NULL, "%s/knee-%llu-", c->out,
                (unsigned long long)c->seed) == 0)
        leftover_remove(prefix);
}

/* The folder need not be there yet: what counts is the file system that it will be on. */
static bool free_bytes(const char *folder, double *bytes)
{
    char path[PATH_MAX];
    struct statvfs fs;
    if (io_path(path, sizeof path, NULL, "%s", folder)) return false;
    while (statvfs(path, &fs)) {
        char *slash = strrchr(path, '/');
        if (errno != ENOENT || strcmp(path, ".") == 0) return false; /* not all can tell */
        if (!slash)
            strcpy(path, ".");
        else
            slash[slash == path] = '\0';
    }
    *bytes = (double)fs.f_bavail * (double)fs.f_frsize;
    return true;
}

static int ask_for_room(const struct job *j, struct err *e)
{
    const double need = 1.01 * (double)j->bytes;
    double room;
    if (!free_bytes(j->c->out, &room) || need <= room) return 0;
    err_set(e, ERR_IO, "%s: %d scans take %.0f MB, and there is room for %.0f MB", j->c->out,
            j->missing, ceil(need / 1e6), floor(room / 1e6));
    return err_hint(e, "make fewer scans, smaller ones (--preset small), or choose another folder");
}

static void tick_slice(void *ctx, int done)
{
    struct job *j = ctx;
    progress_at(&j->bar, j->before + done, "");
}

/* Makes a scan, unless another process has made it by now. */
static int make_one(struct job *j, int scan, const char *path, struct err *e)
{
    struct phantom *p = phantom_new(j->c, j->volume, scan, e);
    if (!p) return -1;
    int rc = 0;
    if (phantom_find(path, p, NULL) != PHANTOM_SAME) {
        rc = phantom_write(p, path, tick_slice, j, e);
        j->made += rc == 0;
        j->wrote += rc == 0 ? phantom_bytes(&p->shape) : 0;
    }
    j->before += rc == 0 ? p->shape.slices : 0;
    j->kept[scan] = rc == 0;
    phantom_free(p);
    return rc;
}

/* Makes what is missing and no other process is at. `left`: what others are at. */
static int make_missing(struct job *j, int *left, struct err *e)
{
    int rc = 0;
    *left = 0;
    for (int i = 0; i < j->c->scans && rc == 0; i++) {
        char path[PATH_MAX];
        if (j->kept[i]) continue;
        if ((rc = phantom_path(path, sizeof path, j->c, i, e))) break;
        if (worklock_try(&j->lock, path)) {
            rc = make_one(j, i, path, e);
            worklock_release(&j->lock, path);
        } else {
            ++*left;
        }
    }
    return rc;
}

static int simulate_missing(struct job *j, bool quiet, struct err *e)
{
    const int kept = j->c->scans - j->missing;
    char detail[160];
    double start = clock_seconds();
    int rc, left;
    j->bar = progress_begin("simulating", 0, j->slices, quiet);
    worklock_open(&j->lock, j->c->out);
    while ((rc = make_missing(j, &left, e)) == 0 && left > 0) {
        if (stop_requested()) {
            rc = err_set(e, ERR_STOPPED, "stopped by %s", stop_signal());
            break;
        }
        progress_at(&j->bar, j->before, "waiting for another make-scans");
        usleep(100000);
    }
    worklock_close(&j->lock);
    double seconds = clock_seconds() - start + 1e-9;
    snprintf(detail, sizeof detail, "scans=%d kept=%d scans_per_minute=%.3g MB_per_second=%.3g",
             j->made, kept, 60 * j->made / seconds, (double)j->wrote / 1e6 / seconds);
    progress_end(&j->bar, detail);
    return rc;
}

/* The table is made of the scans that are there: without those to be replaced as long as they are,
 * with all that were finished in the end, however it ended. */
static int simulate_and_tell(struct job *j, bool quiet, struct err *e)
{
    struct err second = {0};
    if (phantom_truth(j->c, j->volume, j->gone, e)) return -1;
    int rc = simulate_missing(j, quiet, e);
    int told = phantom_truth(j->c, j->volume, NULL, rc ? &second : e);
    return rc || told ? -1 : 0;
}

int phantom_run(const struct phantom_conf *c, bool quiet, struct err *e)
{
    struct job j = {.c = c};
    int rc = -1;
    if (phantom_check(c, e)) return -1;
    if (c->anatomy && *c->anatomy && !(j.volume = anatomy_load(c->anatomy, e))) return -1;
    if (!(j.kept = mem_new((size_t)c->scans, sizeof *j.kept, e)) ||
        !(j.gone = mem_new((size_t)c->scans, sizeof *j.gone, e)))
        goto out;
    if (look(&j, e)) goto out;
    clear_leftovers(c);
    if (ask_for_room(&j, e) || io_mkdirs(c->out, e) || simulate_and_tell(&j, quiet, e)) goto out;
    rc = 0;
out:
    mem_free(j.kept);
    mem_free(j.gone);
    anatomy_free(j.volume);
    return rc;
}
