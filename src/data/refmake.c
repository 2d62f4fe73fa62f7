#include "data/refmake.h"

#include "base/h5.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/progress.h"
#include "base/stop.h"
#include "base/worklock.h"
#include "data/maps_file.h"
#include "data/refpicture.h"
#include "data/refpool.h"

#include <stdio.h>
#include <unistd.h>

enum { PATIENCE = 10 }; /* seconds to wait for another process before doing its work too */

struct job { /* a file in the making */
    struct refmake *of;
    struct scan_file *in;
    struct h5 *out;
    struct maps_file maps;
    struct refstamp stamp;
    struct refhash hash;
    int next, done, flying; /* slice to read next (REFPOOL_HASH first), written, on their way */
    int empty;              /* slices of zeros */
    bool failed;
    int failed_slice; /* of those that failed the first, whatever the order of threads */
    struct err failure;
};

struct maker {
    struct refmake *list;
    const int *turn; /* which of the list, in this order */
    int n, at;
    struct job *current; /* being read */
    struct worklock lock;
    bool *later; /* (of list): another process is at it */
    int failures, first_failure;
    bool halt; /* no use going on */
    struct err failure;
    struct progress progress;
    long done;
    const char *folder;
    struct refpool pool;
};

/* ---- One file ------------------------------------------------------------------------------ */

static void fail(struct job *j, int slice, const struct err *e)
{
    if (j->failed && slice >= j->failed_slice) return;
    j->failed = true;
    j->failed_slice = slice;
    j->failure = *e;
}

static int finish_file(struct job *j, struct err *e)
{
    const struct refcache *c = j->of->cache;
    struct refstamp now;
    if (refstamp_write(j->out, &c->scan, &c->conf, &j->stamp, &j->hash, e) ||
        refstamp_look(&c->scan, &c->conf, &now, e))
        return -1;
    if (!refstamp_same(&j->stamp, &now))
        return err_set(e, ERR_DATA, "%s: the file changed while it was read", c->scan.path);
    return h5_commit(j->out, e);
}

static void note_failure(struct maker *m, const struct job *j)
{
    int index = (int)(j->of - m->list);
    j->of->failure = j->failure;
    if (m->failures++ == 0 || index < m->first_failure) {
        m->first_failure = index;
        m->failure = j->failure;
    }
    m->halt |= j->failure.code == ERR_IO; /* the folder will not take the others either */
    if (!m->progress.quiet) progress_warn("no reference: %s", j->failure.text);
}

/* A slice without content, outside of the body perhaps, is odd; a whole scan is no scan. */
static void judge_empty(struct maker *m, struct job *j)
{
    const struct refcache *c = j->of->cache;
    struct err e = {0};
    if (j->empty == c->slices) {
        err_set(&e, ERR_DATA, "%s: k-space holds only zeros, in every slice", c->scan.path);
        err_hint(&e, "was the file copied or downloaded in full?");
        fail(j, 0, &e);
    } else if (j->empty && !m->progress.quiet)
        progress_warn("%s: %d of %d slices hold only zeros", c->scan.path, j->empty, c->slices);
}

/* Ends a job that nothing is on its way for: complete, failed, or given up. */
static void close_job(struct maker *m, struct job *j)
{
    const struct refcache *c = j->of->cache;
    struct err e = {0};
    char picture[1024];
    const bool complete = j->done == c->slices;
    if (complete && !j->failed) judge_empty(m, j);
    if (complete && !j->failed && finish_file(j, &e)) fail(j, c->slices, &e);
    scan_close(j->in);
    h5_close(j->out);
    maps_close(&j->maps);
    if ((!complete || j->failed) && !io_exists(c->path) &&
        refpicture_path(picture, sizeof picture, c->path, NULL) == 0)
        unlink(picture);
    worklock_release(&m->lock, c->path);
    if (j->failed) note_failure(m, j);
    if (m->current == j) m->current = NULL;
    mem_free(j);
}

static int open_files(struct job *j, struct err *e)
{
    const struct refcache *c = j->of->cache;
    if (refstamp_look(&c->scan, &c->conf, &j->stamp, e) || !(j->in = scan_open(&c->scan, e)) ||
        (c->kernel == 0 && maps_open(&j->maps, c->conf.maps, &c->scan, e)) ||
        !(j->out = reffile_create(c, e)))
        return -1;
    return 0;
}

/* Begins with one of the list, unless another process is at it or has made it by now. */
static void begin_job(struct maker *m, int index)
{
    struct refmake *of = m->list + index;
    const struct refcache *c = of->cache;
    struct err e = {0};
    char picture[1024];
    m->later[index] = !worklock_try(&m->lock, c->path);
    if (m->later[index]) return;
    if (!of->force && !reffile_why(c)) {
        m->done += c->slices;
        worklock_release(&m->lock, c->path);
        return;
    }
    worklock_sweep(&m->lock, c->path);
    if (refpicture_path(picture, sizeof picture, c->path, NULL) == 0)
        worklock_sweep(&m->lock, picture);
    struct job *j = mem_new(1, sizeof *j, &e);
    if (!j) {
        m->failures++;
        m->halt = true;
        m->failure = e;
        return;
    }
    *j = (struct job){.of = of, .next = REFPOOL_HASH, .maps = {.fd = -1}};
    m->current = j;
    if (open_files(j, &e)) {
        fail(j, REFPOOL_HASH, &e);
        close_job(m, j);
    }
}

static bool give_up(const struct maker *m)
{
    return m->halt || stop_requested();
}

/* What is next of a job, read into a slot. */
static int read_next(struct job *j, struct refslot *s, struct err *e)
{
    const struct refcache *c = j->of->cache;
    s->owner = j;
    s->cache = c;
    s->slice = j->next++;
    if (s->slice == REFPOOL_HASH) return 0;
    if (scan_read_kspace(&c->scan, j->in, s->slice, s->raw, e)) return -1;
    return c->kernel ? 0 : maps_read(&j->maps, &c->scan, s->slice, s->maps, e);
}

/* Fills a free slot with what is next. False when there is nothing. */
static bool feed(struct maker *m, struct refslot *s)
{
    while (!give_up(m)) {
        struct job *j = m->current;
        struct err e = {0};
        if (!j) {
            if (m->at == m->n) return false;
            begin_job(m, m->turn[m->at++]);
            continue;
        }
        if (!j->failed && j->next < j->of->cache->slices) {
            if (read_next(j, s, &e) == 0) {
                j->flying++;
                return true;
            }
            fail(j, s->slice, &e);
        }
        if (j->flying == 0)
            close_job(m, j);
        else
            m->current = NULL; /* closed when its last slice arrives */
    }
    return false;
}

/* Takes over what a slot brings. */
static void take(struct maker *m, struct refslot *s)
{
    struct job *j = s->owner;
    const struct refcache *c = s->cache;
    j->flying--;
    if (s->failed) {
        fail(j, s->slice, &s->e);
    } else if (s->slice == REFPOOL_HASH) {
        j->hash = s->hash;
    } else if (!j->failed) {
        if (reffile_write(j->out, c, s->slice, s->part, &s->e)) fail(j, s->slice, &s->e);
        j->empty += s->empty;
        j->done++;
        char detail[512];
        snprintf(detail, sizeof detail, "%s: %s", c->scan.name, j->of->why);
        if (j->done == 1) m->progress.last = 0.0; /* the reason of every file is shown */
        progress_at(&m->progress, ++m->done, detail);
    }
    if (j->flying == 0 && m->current != j) close_job(m, j);
}

/* Makes what `turn` lists, until nothing is on its way. */
static void make_turn(struct maker *m, const int *turn, int n)
{
    struct refpool *p = &m->pool;
    struct refslot *s;
    m->turn = turn;
    m->n = n;
    m->at = 0;
    for (;;) {
        if ((s = refpool_done(p))) {
            take(m, s);
            refpool_give_back(p, s);
        } else if ((s = refpool_free(p)) && feed(m, s)) {
            refpool_submit(p, s);
        } else if (!refpool_wait(p)) {
            break;
        }
    }
    if (m->current) close_job(m, m->current); /* given up */
}

/* ---- All ----------------------------------------------------------------------------------- */

/* What other processes had begun: most of it is there by now. One at a time, and nothing of ours is
 * locked meanwhile, so that no two processes wait for each other. */
static void make_later(struct maker *m, int n)
{
    for (int i = 0; i < n; i++) {
        const double start = clock_seconds();
        while (m->later[i] && !give_up(m)) {
            make_turn(m, &i, 1);
            if (!m->later[i]) break;
            if (clock_seconds() - start > PATIENCE) {
                worklock_close(&m->lock);
                make_turn(m, &i, 1);
                worklock_open(&m->lock, m->folder);
            } else {
                usleep(100000);
            }
        }
    }
}

static int make_list(struct maker *m, int n, struct err *e)
{
    const struct refcache **files = mem_new((size_t)n, sizeof *files, e);
    int *turn = mem_new((size_t)n, sizeof *turn, e);
    m->later = mem_new((size_t)n, sizeof *m->later, e);
    int rc = files && turn && m->later ? 0 : -1;
    for (int i = 0; i < n && rc == 0; i++) {
        files[i] = m->list[i].cache;
        turn[i] = i;
    }
    if (rc == 0) {
        rc = refpool_init(&m->pool, files, n, e);
        if (rc == 0) make_turn(m, turn, n);
        if (rc == 0) make_later(m, n);
        refpool_release(&m->pool);
    }
    mem_free(m->later);
    mem_free(turn);
    mem_free(files);
    return rc;
}

static int outcome(const struct maker *m, struct err *e)
{
    if (m->failures) {
        if (e) *e = m->failure;
        if (m->failures > 1) err_wrap(e, "%d scans have no reference; the first", m->failures);
        return -1;
    }
    if (!stop_requested()) return 0;
    err_set(e, ERR_STOPPED, "stopped by %s while making references", stop_signal());
    return err_hint(e, "references of finished scans are kept; run again to go on");
}

int refmake_all(struct refmake *list, int n, const char *folder, bool quiet, struct err *e)
{
    long slices = 0;
    for (int i = 0; i < n; i++)
        slices += list[i].cache->slices;
    struct maker m = {.list = list, .folder = folder};
    worklock_open(&m.lock, folder);
    m.progress = progress_begin("references", 0, slices, quiet);
    int rc = make_list(&m, n, e);
    progress_end(&m.progress, "");
    worklock_close(&m.lock);
    return rc ? -1 : outcome(&m, e);
}
