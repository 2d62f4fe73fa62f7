#include "data/loader.h"

#include "base/mem.h"
#include "base/par.h"
#include "base/rng.h"

#include <pthread.h>
#include <string.h>

/* A ring of batches between one producer and one consumer. Slots are filled and handed out in
 * order; the consumer holds at most one, which is free again at its next call. */
struct loader {
    struct sample_source source;
    struct loader_conf conf;
    int slots;
    struct batch *slot;
    uint32_t *order; /* permutation of the epoch `order_epoch`; reader thread only */
    uint32_t order_epoch;
    uint64_t total; /* batches in an unshuffled pass; 0: no end */

    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t produced, consumed; /* batches; produced - consumed <= slots */
    bool holding, quit, failed;
    struct err err;
};

static void shuffle_epoch(struct loader *l, uint32_t epoch)
{
    for (uint32_t i = 0; i < l->source.samples; i++)
        l->order[i] = i;
    struct rng rng = rng_make(l->conf.seed, RNG_ORDER, epoch, 0);
    if (l->conf.shuffle) rng_shuffle(&rng, l->order, l->source.samples);
    l->order_epoch = epoch;
}

static int fill(struct loader *l, uint64_t number, struct batch *b, struct err *e)
{
    const struct sample_source *s = &l->source;
    b->n = 0;
    for (int i = 0; i < l->conf.size; i++) {
        uint64_t at = l->conf.first + number * (uint64_t)l->conf.size + (uint64_t)i;
        bool counts = l->conf.shuffle || at < s->samples;
        if (!counts) at = s->samples - 1;
        b->n += counts;
        b->epoch[i] = (uint32_t)(at / s->samples);
        if (b->epoch[i] != l->order_epoch) shuffle_epoch(l, b->epoch[i]);
        b->index[i] = l->order[at % s->samples];
        size_t k = (size_t)i;
        if (s->make(s->ctx, b->index[i], b->epoch[i], b->input + k * s->input_len,
                    b->target + k * s->target_len, b->mask + k * s->mask_len, e))
            return -1;
    }
    return 0;
}

static void *reader(void *arg)
{
    struct loader *l = arg;
    par_unbind();
    pthread_mutex_lock(&l->lock);
    while (!l->quit && !l->failed && (!l->total || l->produced < l->total)) {
        if (l->produced - l->consumed == (uint64_t)l->slots) {
            pthread_cond_wait(&l->changed, &l->lock);
            continue;
        }
        uint64_t number = l->produced;
        pthread_mutex_unlock(&l->lock);
        struct err e = {0};
        int r = fill(l, number, &l->slot[number % (uint64_t)l->slots], &e);
        pthread_mutex_lock(&l->lock);
        if (r) {
            l->err = e;
            l->failed = true;
        } else
            l->produced++;
        pthread_cond_broadcast(&l->changed);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

static int slot_init(struct loader *l, struct batch *b, struct err *e)
{
    size_t n = (size_t)l->conf.size;
    b->epoch = mem_new(n, sizeof *b->epoch, e);
    b->index = mem_new(n, sizeof *b->index, e);
    b->input = mem_new(n * l->source.input_len, sizeof *b->input, e);
    b->target = mem_new(n * l->source.target_len, sizeof *b->target, e);
    b->mask = mem_new(n * l->source.mask_len, sizeof *b->mask, e);
    return b->epoch && b->index && b->input && b->target && b->mask ? 0 : -1;
}

struct loader *loader_new(struct sample_source source, struct loader_conf conf, struct err *e)
{
    if (source.samples == 0) {
        err_set(e, ERR_DATA, "there is nothing to load: no samples");
        return NULL;
    }
    struct loader *l = mem_new(1, sizeof *l, e);
    if (!l) return NULL;
    l->source = source;
    l->conf = conf;
    l->slots = conf.ahead + 1; /* one is in the consumer's hands */
    uint64_t rest = conf.first < source.samples ? source.samples - conf.first : 0;
    l->total = conf.shuffle ? 0 : (rest + (uint64_t)conf.size - 1) / (uint64_t)conf.size;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->changed, NULL);
    l->slot = mem_new((size_t)l->slots, sizeof *l->slot, e);
    l->order = mem_new(source.samples, sizeof *l->order, e);
    bool ok = l->slot && l->order;
    for (int i = 0; ok && i < l->slots; i++)
        ok = slot_init(l, &l->slot[i], e) == 0;
    if (ok) {
        shuffle_epoch(l, (uint32_t)(conf.first / source.samples));
        l->started = pthread_create(&l->thread, NULL, reader, l) == 0;
        if (!l->started) err_set(e, ERR_FAILED, "the reader thread cannot be started");
    }
    if (l->started) return l;
    loader_free(l);
    return NULL;
}

void loader_free(struct loader *l)
{
    if (!l) return;
    if (l->started) {
        pthread_mutex_lock(&l->lock);
        l->quit = true;
        pthread_cond_broadcast(&l->changed);
        pthread_mutex_unlock(&l->lock);
        pthread_join(l->thread, NULL);
    }
    for (int i = 0; l->slot && i < l->slots; i++) {
        mem_free(l->slot[i].epoch);
        mem_free(l->slot[i].index);
        mem_free(l->slot[i].input);
        mem_free(l->slot[i].target);
        mem_free(l->slot[i].mask);
    }
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->changed);
    mem_free(l->slot);
    mem_free(l->order);
    mem_free(l);
}

int loader_next(struct loader *l, const struct batch **out, struct err *e)
{
    *out = NULL;
    pthread_mutex_lock(&l->lock);
    if (l->holding) {
        l->holding = false;
        l->consumed++;
        pthread_cond_broadcast(&l->changed);
    }
    bool end = l->total && l->consumed == l->total;
    while (!end && l->produced == l->consumed && !l->failed)
        pthread_cond_wait(&l->changed, &l->lock);
    bool ready = !end && l->produced > l->consumed; /* batches made before a failure still count */
    if (ready) {
        l->holding = true;
        *out = &l->slot[l->consumed % (uint64_t)l->slots];
    }
    bool failed = !end && !ready;
    if (failed && e) *e = l->err;
    pthread_mutex_unlock(&l->lock);
    return failed ? -1 : 0;
}
