/* What a study has computed so far, so that an interrupted one goes on where it was: a text file
 * that begins with a key (everything the numbers depend on) and grows by a line a job, which ends
 * in its checksum. Lines from the first on that a crash or a full disk cut off, or a disk damaged,
 * count as not written, and so does a whole file whose key is cut off. */
#pragma once

#include "base/err.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

struct journal {
    char path[PATH_MAX];
    FILE *file;
    int jobs, values; /* a job has so many numbers */
};

/* With `resume` and a journal of the same key: its jobs are marked in done[jobs] and their numbers
 * put into value (jobs, values); *count of them. A journal of another key is then ERR_CONFIG, with
 * the first line in which the keys differ. Without `resume`, an older journal is begun anew. */
int journal_open(struct journal *j, const char *path, const char *key, int jobs, int values,
                 bool resume, bool *done, double *value, int *count, struct err *e);
int journal_add(struct journal *j, int job, const double *value, struct err *e);
int journal_sync(struct journal *j, struct err *e); /* to the disk */
void journal_close(struct journal *j);              /* the file stays */
int journal_remove(struct journal *j, struct err *e);
