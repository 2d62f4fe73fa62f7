/* Sharing the work between processes that fill one cache folder: locks on bytes of the file `.lock`
 * in it, one byte a cached file. The system gives them back when a process ends, however it ends.
 * They only save work: files appear complete or not at all without them, so where locks do not work
 * (some network file systems, a folder that cannot be written), or where the owner sleeps, we go on
 * without. Private to refmake.c. */
#pragma once

#include <stdbool.h>

struct reflock {
    int fd; /* -1: no locks here */
};
void reflock_open(struct reflock *l, const char *folder);
void reflock_close(struct reflock *l);
bool reflock_try(struct reflock *l, const char *path); /* false: another process makes that file */
void reflock_release(struct reflock *l, const char *path);
/* Removes what dead processes of this machine left of that file; call with the lock held. */
void reflock_sweep(const struct reflock *l, const char *path);
