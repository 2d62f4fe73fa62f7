/* Sharing work between processes that fill one folder with files: locks on bytes of the file
 * `.lock` in it, one byte a file to be made. The system gives them back when a process ends,
 * however it ends. They only save work: files appear complete or not at all without them, so where
 * locks do not work (some network file systems, a folder that cannot be written) we go on without.
 * A process locks one file at a time and then looks whether it is still missing. */
#pragma once

#include <stdbool.h>

struct worklock {
    int fd; /* -1: no locks here */
};
void worklock_open(struct worklock *l, const char *folder);
void worklock_close(struct worklock *l);
bool worklock_try(struct worklock *l,
                  const char *path); /* false: another process makes that file */
void worklock_release(struct worklock *l, const char *path);
/* Removes what dead processes of this machine left of that file; call with the lock held. */
void worklock_sweep(const struct worklock *l, const char *path);
