/* Slices on their way to being references: one thread, the caller's, fills slots and empties them,
 * a thread a core computes what is in them. Memory is that of a few slices, however large the
 * scans. Private to refmake.c. */
#pragma once

#include "data/reffile.h"
#include "data/refstamp.h"

#include <pthread.h>

enum { REFPOOL_HASH = -1 }; /* in the place of a slice: hash the sources */

struct refslot { /* the caller's until submitted, and again from done on */
    const struct refcache *cache;
    int slice;
    void *owner;               /* the caller's own */
    float complex *raw, *maps; /* to be read into: k-space; maps where they are given */
    void *part[REF_PARTS];     /* results */
    struct refhash hash;       /* result, of REFPOOL_HASH */
    bool empty;                /* result: k-space holds only zeros */
    bool failed;               /* result, with e */
    struct err e;

    enum { REFSLOT_FREE, REFSLOT_READY, REFSLOT_RUNNING, REFSLOT_DONE } state;
    long order; /* of submission: the oldest is computed next */
};

struct refpool {
    pthread_mutex_t mutex; /* around the states of slots, and `closing` */
    pthread_cond_t ready, finished;
    bool closing;
    long submitted;
    int slots, threads, started;
    struct refslot *slot;
    pthread_t *thread;
};
/* With slots as large as the largest of n files needs. Release also after failure. */
int refpool_init(struct refpool *p, const struct refcache *const *files, int n, struct err *e);
void refpool_release(struct refpool *p); /* when nothing is on its way */

struct refslot *refpool_free(struct refpool *p); /* one that may be filled, or NULL */
void refpool_submit(struct refpool *p, struct refslot *s);
struct refslot *refpool_done(struct refpool *p); /* one that is computed, or NULL */
void refpool_give_back(struct refpool *p, struct refslot *s);
/* Until one is done. False: none is on its way. */
bool refpool_wait(struct refpool *p);
