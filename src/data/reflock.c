#include "data/reflock.h"

#include "base/io.h"
#include "data/xxh.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void reflock_open(struct reflock *l, const char *folder)
{
    char path[1024];
    l->fd = -1;
    if (io_path(path, sizeof path, NULL, "%s/.lock", folder) == 0)
        l->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
}

void reflock_close(struct reflock *l)
{
    if (l->fd >= 0) close(l->fd);
    l->fd = -1;
}

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Locks of an open file, not of the process: two preparations in one process also see each other.
 */
static int set(const struct reflock *l, const char *path, short type)
{
    const char *name = name_of(path);
    struct flock f = {.l_type = type, .l_whence = SEEK_SET, .l_len = 1};
    f.l_start = (off_t)(xxh_of(name, strlen(name)) >> 2);
    return fcntl(l->fd, F_OFD_SETLK, &f);
}

bool reflock_try(struct reflock *l, const char *path)
{
    if (l->fd < 0 || set(l, path, F_WRLCK) == 0) return true;
    return errno != EAGAIN && errno != EACCES;
}

void reflock_release(struct reflock *l, const char *path)
{
    if (l->fd >= 0) set(l, path, F_UNLCK);
}

/* A process that was killed and that nobody has waited for yet is dead, too. */
static bool alive(long pid)
{
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    if (kill((pid_t)pid, 0) && errno == ESRCH) return false;
    FILE *f = fopen(path, "r");
    const size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f) fclose(f);
    text[n] = '\0';
    const char *state = strrchr(text, ')'); /* "pid (name) Z ..." */
    return !state || state[1] == '\0' || (state[2] != 'Z' && state[2] != 'X');
}

/* The files are PATH.PID.tmp (base/h5.c, base/io.c). */
void reflock_sweep(const struct reflock *l, const char *path)
{
    char pattern[2048];
    glob_t found;
    size_t n = 0;
    if (l->fd < 0) return;
    for (const char *p = path; *p && n < sizeof pattern - 8; p++) {
        if (strchr("*?[\\", *p)) pattern[n++] = '\\';
        pattern[n++] = *p;
    }
    memcpy(pattern + n, ".*.tmp", sizeof ".*.tmp");
    if (glob(pattern, GLOB_NOSORT, NULL, &found)) return;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        long pid = strtol(found.gl_pathv[i] + strlen(path) + 1, NULL, 10);
        if (pid > 0 && !alive(pid)) unlink(found.gl_pathv[i]);
    }
    globfree(&found);
}
