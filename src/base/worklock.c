#include "base/worklock.h"

#include "base/hash.h"
#include "base/io.h"
#include "base/leftover.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

void worklock_open(struct worklock *l, const char *folder)
{
    char path[1024];
    l->fd = -1;
    if (io_path(path, sizeof path, NULL, "%s/.lock", folder) == 0)
        l->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
}

void worklock_close(struct worklock *l)
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
static int set(const struct worklock *l, const char *path, short type)
{
    const char *name = name_of(path);
    struct flock f = {.l_type = type, .l_whence = SEEK_SET, .l_len = 1};
    f.l_start = (off_t)(xxh_of(name, strlen(name)) >> 2);
    return fcntl(l->fd, F_OFD_SETLK, &f);
}

bool worklock_try(struct worklock *l, const char *path)
{
    if (l->fd < 0 || set(l, path, F_WRLCK) == 0) return true;
    return errno != EAGAIN && errno != EACCES;
}

void worklock_release(struct worklock *l, const char *path)
{
    if (l->fd >= 0) set(l, path, F_UNLCK);
}

void worklock_sweep(const struct worklock *l, const char *path)
{
    if (l->fd >= 0) leftover_remove(path);
}
