/* A temporary folder for one test program, and small k-space files in it. */
#pragma once

#include "base/h5.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char scratch[64];

static inline int scratch_make(void **state)
{
    (void)state;
    strcpy(scratch, "/tmp/ssfd-test-XXXXXX");
    return mkdtemp(scratch) ? 0 : -1;
}

static inline int scratch_remove(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", scratch);
    return system(command);
}

/* A path inside the folder; the last eight stay valid. */
static inline const char *scratch_path(const char *name)
{
    static char path[8][256];
    static int turn;
    turn = (turn + 1) % 8;
    snprintf(path[turn], sizeof path[turn], "%s/%s", scratch, name);
    return path[turn];
}

/* A file of the real data, or NULL with the reason printed. */
static inline const char *shared_data(const char *name)
{
    static char path[512];
    const char *source = getenv("SSFD_SOURCE"), *other = getenv("SSFD_SHARED_DATA");
    snprintf(path, sizeof path, "%s/../shared/data/%s", source ? source : ".", name);
    if (access(path, R_OK) == 0) return path;
    snprintf(path, sizeof path, "%s/%s", other ? other : "", name);
    if (other && access(path, R_OK) == 0) return path;
    printf("skipped: %s is not here; set SSFD_SHARED_DATA to the folder of the real data\n", name);
    return NULL;
}

/* A scan file with the given k-space (all of dim), nothing else. */
static inline void write_kspace(const char *path, int rank, const int64_t *dim,
                                const float complex *x)
{
    struct err e = {0};
    struct h5 *f = h5_create(path, &e);
    if (!f || h5_make(f, "kspace", H5_C64, rank, dim, &e) ||
        h5_write_c64(f, "kspace", rank, NULL, dim, x, &e) || h5_commit(f, &e))
        fail_msg("%s", e.text);
    h5_close(f);
}

/* Numbers without structure in [-1, 1), the same on every machine. */
static inline float scratch_noise(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) * 0x1p-23f - 1.0f;
}
