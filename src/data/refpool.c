#include "data/refpool.h"

#include "base/mem.h"
#include "base/par.h"
#include "data/reference.h"
#include "data/refpicture.h"

#include <string.h>

enum { AHEAD = 2 }; /* slices read before a thread is free for them */

/* ---- Computing ------------------------------------------------------------------------------ */

static bool fits(const struct reference *r, const struct scan *s)
{
    return r->images && r->coils == s->coils && r->readout == s->readout && r->phase == s->phase &&
           r->height == s->height && r->width == s->width;
}

static int compute(struct refslot *s, struct reference *r)
{
    const struct refcache *c = s->cache;
    if (!fits(r, &c->scan)) {
        reference_release(r);
        if (reference_init(r, &c->scan, &c->conf, &s->e))
            return err_wrap(&s->e, "%s", c->scan.path);
    }
    if (scan_check_samples(&c->scan, s->raw, &s->empty, &s->e) ||
        reference_make(r, s->raw, c->kernel ? NULL : s->maps, &s->e))
        return err_wrap(&s->e, "%s: slice %d", c->scan.path, s->slice);
    const void *const from[REF_PARTS] = {r->image, r->kernels, r->rss};
    for (int i = 0; i < REF_PARTS; i++)
        if (reffile_has(c, i)) memcpy(s->part[i], from[i], reffile_bytes(c, i));
    if (s->slice != c->slices / 2) return 0;
    return refpicture_write(c->path, r->image, r->rss, c->height, c->width, &s->e);
}

static struct refslot *oldest_ready(const struct refpool *p)
{
    struct refslot *oldest = NULL;
    for (int i = 0; i < p->slots; i++) {
        struct refslot *s = p->slot + i;
        if (s->state == REFSLOT_READY && (!oldest || s->order < oldest->order)) oldest = s;
    }
    return oldest;
}

static void *work(void *ctx)
{
    struct refpool *p = ctx;
    struct reference r = {0};
    pthread_mutex_lock(&p->mutex);
    for (;;) {
        struct refslot *s = oldest_ready(p);
        if (!s && p->closing) break;
        if (!s) {
            pthread_cond_wait(&p->ready, &p->mutex);
            continue;
        }
        s->state = REFSLOT_RUNNING;
        pthread_mutex_unlock(&p->mutex);
        const struct refcache *c = s->cache;
        s->failed = s->slice == REFPOOL_HASH ? refstamp_hash(&c->scan, &c->conf, &s->hash, &s->e)
                                             : compute(s, &r);
        pthread_mutex_lock(&p->mutex);
        s->state = REFSLOT_DONE;
        pthread_cond_signal(&p->finished);
    }
    pthread_mutex_unlock(&p->mutex);
    reference_release(&r);
    return NULL;
}

/* ---- Slots ---------------------------------------------------------------------------------- */

static struct refslot *slot_in(struct refpool *p, int state)
{
    struct refslot *found = NULL;
    pthread_mutex_lock(&p->mutex);
    for (int i = 0; i < p->slots && !found; i++)
        if ((int)p->slot[i].state == state) found = p->slot + i;
    pthread_mutex_unlock(&p->mutex);
    return found;
}

struct refslot *refpool_free(struct refpool *p)
{
    return slot_in(p, REFSLOT_FREE);
}

struct refslot *refpool_done(struct refpool *p)
{
    return slot_in(p, REFSLOT_DONE);
}

void refpool_submit(struct refpool *p, struct refslot *s)
{
    s->e = (struct err){0};
    s->empty = s->failed = false;
    pthread_mutex_lock(&p->mutex);
    s->state = REFSLOT_READY;
    s->order = p->submitted++;
    pthread_cond_signal(&p->ready);
    pthread_mutex_unlock(&p->mutex);
}

void refpool_give_back(struct refpool *p, struct refslot *s)
{
    pthread_mutex_lock(&p->mutex);
    s->state = REFSLOT_FREE;
    pthread_mutex_unlock(&p->mutex);
}

bool refpool_wait(struct refpool *p)
{
    for (;;) {
        bool done = false, under_way = false;
        pthread_mutex_lock(&p->mutex);
        for (int i = 0; i < p->slots; i++) {
            done |= p->slot[i].state == REFSLOT_DONE;
            under_way |= p->slot[i].state != REFSLOT_FREE;
        }
        if (!done && under_way) pthread_cond_wait(&p->finished, &p->mutex);
        pthread_mutex_unlock(&p->mutex);
        if (done || !under_way) return done;
    }
}

/* ---- The whole ------------------------------------------------------------------------------ */

static size_t most(size_t a, size_t b)
{
    return a > b ? a : b;
}

static int make_slots(struct refpool *p, const struct refcache *const *files, int n, struct err *e)
{
    size_t raw = 0, maps = 0, part[REF_PARTS] = {0};
    long slices = 0;
    for (int i = 0; i < n; i++) {
        const struct refcache *c = files[i];
        const size_t coils = (size_t)c->coils;
        raw = most(raw, coils * (size_t)c->scan.readout * (size_t)c->scan.phase);
        if (!c->kernel) maps = most(maps, coils * (size_t)c->height * (size_t)c->width);
        for (int k = 0; k < REF_PARTS; k++)
            part[k] = most(part[k], reffile_bytes(c, k));
        slices += c->slices;
    }
    p->threads = par_threads() < slices ? par_threads() : (int)slices;
    p->slots = p->threads + AHEAD;
    p->slot = mem_new((size_t)p->slots, sizeof *p->slot, e);
    p->thread = mem_new((size_t)p->threads, sizeof *p->thread, e);
    if (!p->slot || !p->thread) return -1;
    for (int i = 0; i < p->slots; i++) {
        struct refslot *s = p->slot + i;
        if (!(s->raw = mem_new(raw, sizeof *s->raw, e)) ||
            !(s->maps = mem_new(maps, sizeof *s->maps, e)))
            return -1;
        for (int k = 0; k < REF_PARTS; k++)
            if (!(s->part[k] = mem_new(part[k], 1, e))) return -1;
    }
    return 0;
}

int refpool_init(struct refpool *p, const struct refcache *const *files, int n, struct err *e)
{
    *p = (struct refpool){0};
    pthread_mutex_init(&p->mutex, NULL);
    pthread_cond_init(&p->ready, NULL);
    pthread_cond_init(&p->finished, NULL);
    if (make_slots(p, files, n, e)) return -1;
    for (; p->started < p->threads; p->started++)
        if (pthread_create(p->thread + p->started, NULL, work, p)) break;
    return p->started ? 0 : err_set(e, ERR_FAILED, "no thread could be started");
}

void refpool_release(struct refpool *p)
{
    pthread_mutex_lock(&p->mutex);
    p->closing = true;
    pthread_cond_broadcast(&p->ready);
    pthread_mutex_unlock(&p->mutex);
    for (int i = 0; i < p->started; i++)
        pthread_join(p->thread[i], NULL);
    pthread_cond_destroy(&p->finished);
    pthread_cond_destroy(&p->ready);
    pthread_mutex_destroy(&p->mutex);
    for (int i = 0; p->slot && i < p->slots; i++) {
        mem_free(p->slot[i].raw);
        mem_free(p->slot[i].maps);
        for (int k = 0; k < REF_PARTS; k++)
            mem_free(p->slot[i].part[k]);
    }
    mem_free(p->slot);
    mem_free(p->thread);
}
