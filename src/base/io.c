#include "base/io.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int write_all(int fd, const char *p, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

/* A rename is on the disk once its directory is. File systems that cannot sync a directory say
 * EINVAL; there is nothing more to be done on those. */
static int sync_directory(const char *path)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;
    memcpy(dir, path, n);
    if (n == 0) dir[n++] = slash ? '/' : '.';
    dir[n] = '\0';
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return errno == EACCES ? 0 : -1; /* a directory one may write but not list */
    int r = fsync(fd);
    int why = errno;
    close(fd);
    errno = why;
    return r == 0 || why == EINVAL ? 0 : -1;
}

/* Creates a file beside `path` that nobody else has; its name goes to `temp`. */
static int open_temporary(char *temp, size_t size, const char *path, struct err *e)
{
    for (int i = 0;; i++) {
        if (io_path(temp, size, e, "%s.%ld-%d.tmp", path, (long)getpid(), i)) return -1;
        int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0) return fd;
        if (errno != EEXIST || i == 1000)
            return err_set(e, ERR_IO, "%s: cannot be created: %s", path, strerror(errno));
    }
}

/* Gives a temporary file, closed (unless `why`, an errno, says otherwise), its name; with `sync` it
 * is on the disk, and so will be the name. */
static int settle(const char *temp, const char *path, bool sync, int why, struct err *e)
{
    if (!why && rename(temp, path)) why = errno;
    if (why) {
        unlink(temp);
        return err_set(e, ERR_IO, "%s: cannot be written: %s", path, strerror(why));
    }
    if (sync && sync_directory(path))
        return err_set(e, ERR_IO, "%s: its directory cannot be flushed: %s", path, strerror(errno));
    return 0;
}

static int write_text(const char *path, const char *text, size_t len, bool sync, struct err *e)
{
    char temp[PATH_MAX];
    int fd = open_temporary(temp, sizeof temp, path, e);
    if (fd < 0) return -1;
    int why = write_all(fd, text, len) || (sync && fsync(fd)) ? errno : 0;
    if (close(fd) && !why) why = errno;
    return settle(temp, path, sync, why, e);
}

int io_write_text(const char *path, const char *text, size_t len, struct err *e)
{
    return write_text(path, text, len, true, e);
}

int io_put_text(const char *path, const char *text, size_t len, struct err *e)
{
    return write_text(path, text, len, false, e);
}

int io_flush(const char *folder, struct err *e)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int why = fd < 0 || syncfs(fd) ? errno : 0;
    if (fd >= 0) close(fd);
    return why ? err_set(e, ERR_IO, "%s: cannot be flushed: %s", folder, strerror(why)) : 0;
}

int io_stream_begin(struct io_stream *s, const char *path, struct err *e)
{
    *s = (struct io_stream){0};
    if (io_path(s->path, sizeof s->path, e, "%s", path)) return -1;
    int fd = open_temporary(s->temp, sizeof s->temp, path, e);
    if (fd < 0) return -1;
    if ((s->file = fdopen(fd, "w"))) return 0;
    close(fd);
    unlink(s->temp);
    return err_set(e, ERR_FAILED, "%s: out of memory", path);
}

int io_stream_end(struct io_stream *s, bool keep, struct err *e)
{
    if (!s->file) return 0;
    errno = 0;
    bool failed = keep && (fflush(s->file) || ferror(s->file) || fsync(fileno(s->file)));
    int why = failed ? (errno ? errno : EIO) : 0;
    if (fclose(s->file) && !why) why = errno;
    s->file = NULL;
    if (keep) return settle(s->temp, s->path, true, why, e);
    unlink(s->temp);
    return 0;
}

int io_rename(const char *from, const char *to, struct err *e)
{
    if (rename(from, to))
        return err_set(e, ERR_IO, "%s: cannot be put in place: %s", to, strerror(errno));
    if (sync_directory(to))
        return err_set(e, ERR_IO, "%s: its directory cannot be flushed: %s", to, strerror(errno));
    return 0;
}

static char *read_all(int fd, const char *path, size_t max, size_t *len, struct err *e)
{
    char *text = mem_new(max + 1, 1, e); /* one more: a byte beyond `max` shows the file grew */
    if (!text) return NULL;
    size_t n = 0;
    for (;;) {
        ssize_t got = read(fd, text + n, max + 1 - n);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            err_set(e, ERR_NOINPUT, "%s: cannot be read: %s", path, strerror(errno));
            break;
        }
        n += (size_t)got;
        if (n > max) {
            err_set(e, ERR_DATA, "%s: larger than %zu bytes, or growing", path, max);
            break;
        }
        if (got == 0) {
            text[n] = '\0';
            *len = n;
            return text;
        }
    }
    mem_free(text);
    return NULL;
}

char *io_read_text(const char *path, size_t max, size_t *len, struct err *e)
{
    struct stat st;
    char *text = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* a FIFO must not block */
    if (fd < 0) {
        err_set(e, ERR_NOINPUT, "%s: cannot be opened: %s", path, strerror(errno));
    } else if (fstat(fd, &st) != 0) {
        err_set(e, ERR_NOINPUT, "%s: cannot be read: %s", path, strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        err_set(e, ERR_NOINPUT, "%s: is %s, not a regular file", path,
                S_ISDIR(st.st_mode) ? "a directory" : "a device, pipe or socket");
    } else if ((unsigned long long)st.st_size > max) {
        err_set(e, ERR_DATA, "%s: %lld bytes, more than the %zu allowed", path,
                (long long)st.st_size, max);
    } else {
        /* Room for the file, not for the most it may have; /proc's say they have nothing. */
        size_t size = (size_t)st.st_size;
        text = read_all(fd, path, size > 0 && size < max ? size : max, len, e);
    }
    if (fd >= 0) close(fd);
    return text;
}

int io_mkdirs(const char *path, struct err *e)
{
    char part[PATH_MAX];
    if (!*path) return err_set(e, ERR_IO, "the name of a directory is empty");
    if (io_path(part, sizeof part, e, "%s", path)) return -1;
    for (char *p = part + 1;; p++) {
        if (*p && *p != '/') continue;
        char end = *p;
        *p = '\0';
        struct stat st;
        if (mkdir(part, 0777) != 0) {
            int why = errno; /* EROFS or EACCES come before EEXIST on some systems: look first */
            if (stat(part, &st) != 0)
                return err_set(e, ERR_IO, "directory %s: '%s' cannot be made: %s", path, part,
                               strerror(why));
            if (!S_ISDIR(st.st_mode))
                return err_set(e, ERR_IO, "directory %s: '%s' is a file", path, part);
        }
        *p = end;
        if (!end) return 0;
    }
}

int io_path(char *out, size_t size, struct err *e, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(out, size, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < size) return 0;
    if (size) out[0] = '\0';
    return err_set(e, ERR_IO, "a path of %d characters is too long", n);
}

bool io_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}
