#include "data/refmake.h"

#include "base/h5.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/par.h"
#include "base/progress.h"
#include "base/stop.h"
#include "data/maps_file.h"
#include "data/reference.h"
#include "data/reflock.h"
#include "data/refpicture.h"
#include "data/refstamp.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { AHEAD = 2 };     /* slices read before a thread is free for them */
enum { HASH = -1 };     /* in the place of a slice: hash the sources */
enum { PATIENCE = 10 }; /* seconds to wait for another process before doing its work too */

struct job { /* a file in the making; the calling thread's, but for `hash` */
    struct refmake *of;
    struct scan_file *in;
    struct h5 *out;
    struct maps_file maps;
    struct refstamp stamp;
    struct refhash hash;
    int next, done, flying; /* slice to read next (HASH first), written, on their way */
    int empty;              /* slices of zeros */
    bool failed;
    int failed_slice; /* of those that failed the first, whatever the order of threads */
    struct err failure;
};

enum state { FREE, READY, RUNNING, DONE };
struct slot { /* one slice on its way */
    enum state state;
    long order; /* of being read: the oldest is next */
    struct job *job;
    int slice;
    float complex *raw, *maps, *image, *kernels;
    float *rss;
    bool failed, empty;
    struct err e;
};

struct maker {
    struct refmake *list;
    const int *turn; /* which of the list, in this order */
    int n, at;
    struct job *current; /* being read */
    struct reflock lock;
    bool *later; /* (of list): another process is at it */
    int failures, first_failure;
    bool halt; /* no use going on */
    struct err failure;
    struct progress progress;
    long done, fed;
    const char *folder;

    pthread_mutex_t mutex; /* around the states of slots, and `closing` */
    pthread_cond_t ready, finished;
    bool closing;
    int slots, threads;
    struct slot *slot;
    pthread_t *thread;
};

/* ---- Checks and reasons -------------------------------------------------------------------- */

void refmake_check(const void *x, size_t bytes, float piece[PIECES])
{
    uint64_t hash = xxh_of(x, bytes);
    for (int i = 0; i < PIECES; i++)
        piece[i] = (float)(hash >> (16 * i) & 0xffff);
}

static bool has_shape(const struct h5 *f, const char *name, enum h5_type type, int rank,
                      const int64_t *dim)
{
    struct h5_info info;
    if (!h5_has(f, name) || h5_describe(f, name, &info, NULL)) return false;
    if (info.type != type || info.rank != rank) return false;
    for (int i = 0; i < rank; i++)
        if (info.dim[i] != dim[i]) return false;
    return true;
}

const char *refmake_why(const struct refcache *r)
{
    if (!io_exists(r->path)) return "new";
    struct h5 *f = h5_open(r->path, NULL);
    if (!f) return "the cached file is damaged";
    const int64_t image[3] = {r->slices, r->height, r->width};
    const int64_t kernels[4] = {r->slices, r->coils, r->kernel, r->kernel};
    const int64_t checks[3] = {r->slices, PARTS, PIECES};
    const char *why = refstamp_why(f, &r->scan, &r->conf);
    if (!why &&
        !(has_shape(f, "reference", H5_C64, 3, image) &&
          (r->kernel == 0 || has_shape(f, "kernels", H5_C64, 4, kernels)) &&
          has_shape(f, "rss", H5_F32, 3, image) && has_shape(f, "checks", H5_INT, 3, checks)))
        why = "the cached file is damaged";
    h5_close(f);
    return why;
}

/* ---- Computing: the other threads ---------------------------------------------------------- */

static bool fits(const struct reference *r, const struct scan *s)
{
    return r->images && r->coils == s->coils && r->readout == s->readout && r->phase == s->phase &&
           r->height == s->height && r->width == s->width;
}

static int compute_slice(struct slot *s, struct reference *r)
{
    const struct refcache *c = s->job->of->cache;
    const size_t pixels = (size_t)c->height * (size_t)c->width;
    if (!fits(r, &c->scan)) {
        reference_release(r);
        if (reference_init(r, &c->scan, &c->conf, &s->e))
            return err_wrap(&s->e, "%s", c->scan.path);
    }
    if (scan_check_samples(&c->scan, s->raw, &s->empty, &s->e) ||
        reference_make(r, s->raw, c->kernel ? NULL : s->maps, &s->e))
        return err_wrap(&s->e, "%s: slice %d", c->scan.path, s->slice);
    memcpy(s->image, r->image, pixels * sizeof *s->image);
    memcpy(s->rss, r->rss, pixels * sizeof *s->rss);
    if (c->kernel)
        memcpy(s->kernels, r->kernels,
               (size_t)(c->coils * c->kernel * c->kernel) * sizeof *s->kernels);
    if (s->slice != c->slices / 2) return 0;
    return refpicture_write(c->path, s->image, s->rss, c->height, c->width, &s->e);
}

static void *work(void *ctx)
{
    struct maker *m = ctx;
    struct reference r = {0};
    pthread_mutex_lock(&m->mutex);
    for (;;) {
        struct slot *s = NULL;
        for (int i = 0; i < m->slots; i++)
            if (m->slot[i].state == READY && (!s || m->slot[i].order < s->order)) s = m->slot + i;
        if (!s && m->closing) break;
        if (!s) {
            pthread_cond_wait(&m->ready, &m->mutex);
            continue;
        }
        s->state = RUNNING;
        pthread_mutex_unlock(&m->mutex);
        const struct refcache *c = s->job->of->cache;
        s->failed = s->slice == HASH ? refstamp_hash(&c->scan, &c->conf, &s->job->hash, &s->e) != 0
                                     : compute_slice(s, &r) != 0;
        pthread_mutex_lock(&m->mutex);
        s->state = DONE;
        pthread_cond_signal(&m->finished);
    }
    pthread_mutex_unlock(&m->mutex);
    reference_release(&r);
    return NULL;
}

/* ---- Files: the calling thread ------------------------------------------------------------- */

static void fail(struct job *j, int slice, const struct err *e)
{
    if (j->failed && slice >= j->failed_slice) return;
    j->failed = true;
    j->failed_slice = slice;
    j->failure = *e;
}

static int create_datasets(struct job *j, struct err *e)
{
    const struct refcache *c = j->of->cache;
    const int64_t image[3] = {c->slices, c->height, c->width};
    const int64_t kernels[4] = {c->slices, c->coils, c->kernel, c->kernel};
    const int64_t checks[3] = {c->slices, PARTS, PIECES};
    return h5_make(j->out, "reference", H5_C64, 3, image, e) ||
                   (c->kernel && h5_make(j->out, "kernels", H5_C64, 4, kernels, e)) ||
                   h5_make(j->out, "rss", H5_F32, 3, image, e) ||
                   h5_make(j->out, "checks", H5_INT, 3, checks, e)
               ? -1
               : 0;
}

static int write_slice(struct job *j, const struct slot *s, struct err *e)
{
    const struct refcache *c = j->of->cache;
    const size_t pixels = (size_t)c->height * (size_t)c->width;
    const size_t numbers = (size_t)(c->coils * c->kernel * c->kernel);
    const int64_t at[4] = {s->slice, 0, 0, 0}, image[3] = {1, c->height, c->width};
    const int64_t kernels[4] = {1, c->coils, c->kernel, c->kernel}, checks[3] = {1, PARTS, PIECES};
    float check[PARTS][PIECES] = {{0}};
    refmake_check(s->image, pixels * sizeof *s->image, check[PART_REFERENCE]);
    refmake_check(s->rss, pixels * sizeof *s->rss, check[PART_RSS]);
    if (c->kernel) refmake_check(s->kernels, numbers * sizeof *s->kernels, check[PART_KERNELS]);
    return h5_write_c64(j->out, "reference", 3, at, image, s->image, e) ||
                   (c->kernel && h5_write_c64(j->out, "kernels", 4, at, kernels, s->kernels, e)) ||
                   h5_write_f32(j->out, "rss", 3, at, image, s->rss, e) ||
                   h5_write_f32(j->out, "checks", 3, at, checks, check[0], e)
               ? -1
               : 0;
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
    if (j->done == c->slices && !j->failed) judge_empty(m, j);
    const bool complete = j->done == c->slices && !j->failed;
    if (complete && finish_file(j, &e)) fail(j, c->slices, &e);
    scan_close(j->in);
    h5_close(j->out);
    maps_close(&j->maps);
    if (!complete && !io_exists(c->path) &&
        refpicture_path(picture, sizeof picture, c->path, NULL) == 0)
        unlink(picture);
    reflock_release(&m->lock, c->path);
    if (j->failed) note_failure(m, j);
    if (m->current == j) m->current = NULL;
    mem_free(j);
}

static int open_files(struct job *j, struct err *e)
{
    const struct refcache *c = j->of->cache;
    if (refstamp_look(&c->scan, &c->conf, &j->stamp, e) || !(j->in = scan_open(&c->scan, e)) ||
        (c->kernel == 0 && maps_open(&j->maps, c->conf.maps, &c->scan, e)) ||
        !(j->out = h5_create(c->path, e)))
        return -1;
    return create_datasets(j, e);
}

/* Begins with one of the list, unless another process is at it or has made it by now. */
static void begin_job(struct maker *m, int index)
{
    struct refmake *of = m->list + index;
    const struct refcache *c = of->cache;
    struct err e = {0};
    char picture[1024];
    m->later[index] = !reflock_try(&m->lock, c->path);
    if (m->later[index]) return;
    if (!of->force && !refmake_why(c)) {
        m->done += c->slices;
        reflock_release(&m->lock, c->path);
        return;
    }
    reflock_sweep(&m->lock, c->path);
    if (refpicture_path(picture, sizeof picture, c->path, NULL) == 0)
        reflock_sweep(&m->lock, picture);
    struct job *j = mem_new(1, sizeof *j, &e);
    if (!j) {
        m->failures++;
        m->halt = true;
        m->failure = e;
        return;
    }
    *j = (struct job){.of = of, .next = HASH, .maps = {.fd = -1}};
    m->current = j;
    if (open_files(j, &e)) {
        fail(j, HASH, &e);
        close_job(m, j);
    }
}

static bool give_up(const struct maker *m)
{
    return m->halt || stop_requested();
}

/* Fills a free slot with what is next. False when there is nothing. */
static bool feed(struct maker *m, struct slot *s)
{
    while (!give_up(m)) {
        struct job *j = m->current;
        if (!j) {
            if (m->at == m->n) return false;
            begin_job(m, m->turn[m->at++]);
            continue;
        }
        const struct refcache *c = j->of->cache;
        s->job = j;
        s->slice = j->next;
        s->e = (struct err){0};
        s->empty = false;
        if (!j->failed && s->slice < c->slices) {
            j->next++;
            if (s->slice == HASH ||
                (scan_read_kspace(&c->scan, j->in, s->slice, s->raw, &s->e) == 0 &&
                 (c->kernel || maps_read(&j->maps, &c->scan, s->slice, s->maps, &s->e) == 0))) {
                j->flying++;
                return true;
            }
            fail(j, s->slice, &s->e);
        }
        if (j->flying == 0)
            close_job(m, j);
        else
            m->current = NULL; /* closed when its last slice arrives */
    }
    return false;
}

/* Takes over what a slot brings. */
static void take(struct maker *m, struct slot *s)
{
    struct job *j = s->job;
    const struct refcache *c = j->of->cache;
    j->flying--;
    if (s->failed) {
        fail(j, s->slice, &s->e);
    } else if (s->slice != HASH && !j->failed) {
        if (write_slice(j, s, &s->e)) fail(j, s->slice, &s->e);
        j->empty += s->empty;
        j->done++;
        char detail[512];
        snprintf(detail, sizeof detail, "%s: %s", c->scan.name, j->of->why);
        if (j->done == 1) m->progress.last = 0.0; /* the reason of every file is shown */
        progress_at(&m->progress, ++m->done, detail);
    }
    if (j->flying == 0 && m->current != j) close_job(m, j);
}

static struct slot *slot_in(struct maker *m, enum state state)
{
    for (int i = 0; i < m->slots; i++)
        if (m->slot[i].state == state) return m->slot + i;
    return NULL;
}

/* Makes what `turn` lists, until nothing is on its way. */
static void make_turn(struct maker *m, const int *turn, int n)
{
    m->turn = turn;
    m->n = n;
    m->at = 0;
    pthread_mutex_lock(&m->mutex);
    for (;;) {
        struct slot *s = slot_in(m, DONE);
        if (s) {
            pthread_mutex_unlock(&m->mutex);
            take(m, s);
            pthread_mutex_lock(&m->mutex);
            s->state = FREE;
            continue;
        }
        if ((s = slot_in(m, FREE))) {
            pthread_mutex_unlock(&m->mutex);
            bool fed = feed(m, s);
            pthread_mutex_lock(&m->mutex);
            if (fed) {
                s->state = READY;
                s->order = m->fed++;
                pthread_cond_signal(&m->ready);
                continue;
            }
        }
        if (slot_in(m, DONE)) continue;
        if (!slot_in(m, READY) && !slot_in(m, RUNNING)) break;
        pthread_cond_wait(&m->finished, &m->mutex);
    }
    pthread_mutex_unlock(&m->mutex);
    if (m->current) close_job(m, m->current); /* given up */
}

/* ---- All ----------------------------------------------------------------------------------- */

static int slots_init(struct maker *m, struct err *e)
{
    size_t raw = 0, maps = 0, pixels = 0, kernels = 0, one = sizeof(float complex);
    long slices = 0;
    for (int i = 0; i < m->n; i++) {
        const struct refcache *c = m->list[i].cache;
        const size_t coils = (size_t)c->coils, size = (size_t)c->height * (size_t)c->width;
        const size_t samples = coils * (size_t)c->scan.readout * (size_t)c->scan.phase;
        const size_t numbers = coils * (size_t)(c->kernel * c->kernel);
        raw = samples > raw ? samples : raw;
        pixels = size > pixels ? size : pixels;
        kernels = numbers > kernels ? numbers : kernels;
        if (!c->kernel && coils * size > maps) maps = coils * size;
        slices += c->slices;
    }
    m->threads = par_threads() < slices ? par_threads() : (int)slices;
    m->slots = m->threads + AHEAD;
    m->slot = mem_new((size_t)m->slots, sizeof *m->slot, e);
    m->thread = mem_new((size_t)m->threads, sizeof *m->thread, e);
    if (!m->slot || !m->thread) return -1;
    for (int i = 0; i < m->slots; i++) {
        struct slot *s = m->slot + i;
        if (!(s->raw = mem_new(raw, one, e)) || !(s->maps = mem_new(maps, one, e)) ||
            !(s->image = mem_new(pixels, one, e)) || !(s->kernels = mem_new(kernels, one, e)) ||
            !(s->rss = mem_new(pixels, sizeof *s->rss, e)))
            return -1;
    }
    return 0;
}

static void slots_release(struct maker *m)
{
    for (int i = 0; m->slot && i < m->slots; i++) {
        struct slot *s = m->slot + i;
        void *const all[] = {s->raw, s->maps, s->image, s->kernels, s->rss};
        for (size_t k = 0; k < sizeof all / sizeof *all; k++)
            mem_free(all[k]);
    }
    mem_free(m->slot);
    mem_free(m->thread);
}

/* What other processes had begun: most of it is there by now. One at a time, and nothing of ours is
 * locked meanwhile, so that no two processes wait for each other. */
static void make_later(struct maker *m)
{
    const int n = m->n;
    for (int i = 0; i < n; i++) {
        const double start = clock_seconds();
        while (m->later[i] && !give_up(m)) {
            make_turn(m, &i, 1);
            if (!m->later[i]) break;
            if (clock_seconds() - start > PATIENCE) {
                reflock_close(&m->lock);
                make_turn(m, &i, 1);
                reflock_open(&m->lock, m->folder);
            } else {
                usleep(100000);
            }
        }
    }
}

static void make_with_threads(struct maker *m, const int *turn, struct err *e)
{
    int started = 0;
    const int n = m->n;
    for (; started < m->threads; started++)
        if (pthread_create(m->thread + started, NULL, work, m)) break;
    if (started == 0) {
        err_set(e, ERR_FAILED, "no thread could be started");
        return;
    }
    make_turn(m, turn, n);
    m->n = n;
    make_later(m);
    pthread_mutex_lock(&m->mutex);
    m->closing = true;
    pthread_cond_broadcast(&m->ready);
    pthread_mutex_unlock(&m->mutex);
    for (int i = 0; i < started; i++)
        pthread_join(m->thread[i], NULL);
}

static int outcome(const struct maker *m, struct err *e)
{
    if (e->code) return -1;
    if (m->failures) {
        *e = m->failure;
        if (m->failures > 1) err_wrap(e, "%d scans have no reference; the first", m->failures);
        return -1;
    }
    if (!stop_requested()) return 0;
    err_set(e, ERR_STOPPED, "stopped by %s while making references", stop_signal());
    return err_hint(e, "references of finished scans are kept; run again to go on");
}

int refmake_all(struct refmake *list, int n, const char *folder, bool quiet, struct err *e)
{
    struct err mine = {0};
    long slices = 0;
    for (int i = 0; i < n; i++)
        slices += list[i].cache->slices;
    struct maker m = {.list = list, .n = n, .folder = folder};
    int *turn = mem_new((size_t)n, sizeof *turn, &mine);
    m.later = mem_new((size_t)n, sizeof *m.later, &mine);
    pthread_mutex_init(&m.mutex, NULL);
    pthread_cond_init(&m.ready, NULL);
    pthread_cond_init(&m.finished, NULL);
    reflock_open(&m.lock, folder);
    m.progress = progress_begin("references", 0, slices, quiet);
    if (turn && m.later && slots_init(&m, &mine) == 0) {
        for (int i = 0; i < n; i++)
            turn[i] = i;
        make_with_threads(&m, turn, &mine);
    }
    progress_end(&m.progress, "");
    reflock_close(&m.lock);
    pthread_cond_destroy(&m.finished);
    pthread_cond_destroy(&m.ready);
    pthread_mutex_destroy(&m.mutex);
    slots_release(&m);
    mem_free(m.later);
    mem_free(turn);
    int rc = outcome(&m, &mine);
    if (rc && e) *e = mine;
    return rc;
}
