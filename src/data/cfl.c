#include "data/cfl.h"

#include "base/io.h"
#include "base/mem.h"
#include "base/num.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_HEADER = 1 << 20 };

static const char *find_sizes(const char *text)
{
    static const char title[] = "# Dimensions";
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, title, sizeof title - 1) != 0) continue;
        const char *next = strchr(line, '\n');
        return next ? next + 1 : NULL;
    }
    return NULL;
}

/* The sizes in the line at `text`; missing ones are 1. */
static int parse_sizes(char *text, int64_t dim[CFL_DIMS], struct err *e)
{
    char *end = strchr(text, '\n'), *rest = NULL;
    if (end) *end = '\0';
    int n = 0;
    for (int i = 0; i < CFL_DIMS; i++)
        dim[i] = 1;
    for (char *t = strtok_r(text, " \t\r", &rest); t; t = strtok_r(NULL, " \t\r", &rest), n++) {
        if (n == CFL_DIMS) return err_set(e, ERR_DATA, "there are more than %d sizes", CFL_DIMS);
        if (!num_whole(t, &dim[n]) || dim[n] < 1)
            return err_set(e, ERR_DATA, "size %d is '%.40s', not a whole number from 1", n, t);
    }
    return n ? 0 : err_set(e, ERR_DATA, "the line of sizes is empty");
}

static int read_header(const char *path, int64_t dim[CFL_DIMS], struct err *e)
{
    size_t len;
    char *text = io_read_text(path, MAX_HEADER, &len, e);
    if (!text) return err_hint(e, "BART's data are two files, NAME.hdr and NAME.cfl");
    const char *sizes = find_sizes(text);
    int rc = sizes ? parse_sizes(text + (sizes - text), dim, e)
                   : err_set(e, ERR_DATA, "there is no line '# Dimensions'");
    if (rc) err_wrap(e, "%s", path);
    if (rc) err_hint(e, "expected BART's header: '# Dimensions' and below it, e.g., '320 320 1 8'");
    mem_free(text);
    return rc;
}

/* The .cfl has exactly what the header promises. */
static int check_length(const char *path, const int64_t dim[CFL_DIMS], struct err *e)
{
    struct stat st;
    int64_t want = (int64_t)sizeof(float complex);
    for (int i = 0; i < CFL_DIMS; i++)
        if (__builtin_mul_overflow(want, dim[i], &want))
            return err_set(e, ERR_DATA,
                           "%s: the sizes in its header multiply to an impossible "
                           "number of bytes",
                           path);
    if (stat(path, &st)) return err_set(e, ERR_NOINPUT, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode)) return err_set(e, ERR_NOINPUT, "%s: is not a regular file", path);
    if ((int64_t)st.st_size == want) return 0;
    err_set(e, ERR_DATA, "%s: the file has %lld bytes, its header promises %lld", path,
            (long long)st.st_size, (long long)want);
    return err_hint(e, "a copy was cut off, or the .hdr belongs to another .cfl");
}

int cfl_sizes(const char *path, int64_t dim[CFL_DIMS], struct err *e)
{
    char header[1024];
    const int stem = (int)strlen(path) - (int)strlen(".cfl");
    return io_path(header, sizeof header, e, "%.*s.hdr", stem, path) ||
                   read_header(header, dim, e) || check_length(path, dim, e)
               ? -1
               : 0;
}

int cfl_open(const char *path, struct err *e)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) err_set(e, ERR_NOINPUT, "%s: %s", path, strerror(errno));
    return fd;
}

int cfl_read(int fd, const char *path, size_t at, float complex *x, size_t n, struct err *e)
{
    char *out = (char *)x;
    off_t from = (off_t)(at * sizeof *x);
    for (size_t left = n * sizeof *x; left;) {
        ssize_t got = pread(fd, out, left, from);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return err_set(e, ERR_DATA, "%s: cannot be read: %s", path, strerror(errno));
        if (got == 0) {
            err_set(e, ERR_DATA, "%s: the file ends too early", path);
            return err_hint(e, "it was shortened while it was read; copy it again");
        }
        out += got;
        left -= (size_t)got;
        from += got;
    }
    return 0;
}
