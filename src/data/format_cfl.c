/* BART's pair of files (https://mrirecon.github.io/bart): NAME.hdr, text in which a line
 * "# Dimensions" is followed by up to 16 sizes; and NAME.cfl, complex64 in the byte order of this
 * machine, the first dimension fastest. Of BART's dimensions
 *
 *     0 READ -> readout   1 PHS1 -> phase   3 COIL -> coil   13 SLICE -> slice
 *
 * are used; all others must be 1. A three-dimensional k-space (2 PHS2 > 1) is to be transformed
 * along PHS2 and moved to SLICE before. There is no header that says more: all columns count as
 * acquired, references have the size of k-space. Slices are read one by one; the file is never in
 * memory as a whole. */
#include "base/io.h"
#include "base/mem.h"
#include "base/num.h"
#include "data/scan_format.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DIMS = 16, READ = 0, PHS1 = 1, PHS2 = 2, COIL = 3, MAPS = 4, SLICE = 13 };
enum { MAX_HEADER = 1 << 20 };

/* ---- NAME.hdr ------------------------------------------------------------------------------ */

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
static int parse_sizes(char *text, int64_t dim[DIMS], struct err *e)
{
    char *end = strchr(text, '\n'), *rest = NULL;
    if (end) *end = '\0';
    int n = 0;
    for (int i = 0; i < DIMS; i++)
        dim[i] = 1;
    for (char *t = strtok_r(text, " \t\r", &rest); t; t = strtok_r(NULL, " \t\r", &rest), n++) {
        if (n == DIMS) return err_set(e, ERR_DATA, "there are more than %d sizes", DIMS);
        if (!num_whole(t, &dim[n]) || dim[n] < 1)
            return err_set(e, ERR_DATA, "size %d is '%.40s', not a whole number from 1", n, t);
    }
    return n ? 0 : err_set(e, ERR_DATA, "the line of sizes is empty");
}

static int read_header(const char *path, int64_t dim[DIMS], struct err *e)
{
    size_t len;
    char *text = io_read_text(path, MAX_HEADER, &len, e);
    if (!text) return err_hint(e, "BART's scans are two files, NAME.hdr and NAME.cfl");
    const char *sizes = find_sizes(text);
    int rc = sizes ? parse_sizes(text + (sizes - text), dim, e)
                   : err_set(e, ERR_DATA, "there is no line '# Dimensions'");
    if (rc) err_wrap(e, "%s", path);
    if (rc) err_hint(e, "expected BART's header: '# Dimensions' and below it, e.g., '320 320 1 8'");
    mem_free(text);
    return rc;
}

/* ---- What the sizes mean ------------------------------------------------------------------- */

static int check_unused(const struct scan *s, const int64_t dim[DIMS], struct err *e)
{
    for (int i = 0; i < DIMS; i++) {
        if (dim[i] == 1 || i == READ || i == PHS1 || i == COIL || i == SLICE) continue;
        err_set(e, ERR_DATA,
                "%s: dimension %d has size %lld, only READ (0), PHS1 (1), COIL (3) and "
                "SLICE (13) may have more than 1",
                s->path, i, (long long)dim[i]);
        if (i == PHS2)
            return err_hint(e, "of a 3-D scan make slices: 'bart fft -iu 4', then 'bart transpose "
                               "2 13'");
        if (i == MAPS) return err_hint(e, "coil sensitivities of 'bart ecalib' are not k-space");
        return err_hint(e, "take one of them with 'bart slice %d 0'", i);
    }
    return 0;
}

/* The .cfl has exactly what the header promises. */
static int check_length(const struct scan *s, const int64_t dim[DIMS], struct err *e)
{
    struct stat st;
    int64_t want = (int64_t)sizeof(float complex);
    for (int i = 0; i < DIMS; i++)
        if (__builtin_mul_overflow(want, dim[i], &want))
            return err_set(e, ERR_DATA,
                           "%s: the sizes in its header multiply to an impossible "
                           "number of bytes",
                           s->path);
    if (stat(s->path, &st)) return err_set(e, ERR_NOINPUT, "%s: %s", s->path, strerror(errno));
    if (!S_ISREG(st.st_mode)) return err_set(e, ERR_NOINPUT, "%s: is not a regular file", s->path);
    if ((int64_t)st.st_size == want) return 0;
    err_set(e, ERR_DATA, "%s: the file has %lld bytes, its header promises %lld", s->path,
            (long long)st.st_size, (long long)want);
    return err_hint(e, "a copy was cut off, or the .hdr belongs to another .cfl");
}

static int probe(struct scan *s, struct err *e)
{
    char path[sizeof s->path];
    int64_t dim[DIMS];
    int stem = (int)strlen(s->path) - (int)strlen(".cfl");
    if (io_path(path, sizeof path, e, "%.*s.hdr", stem, s->path) || read_header(path, dim, e) ||
        check_length(s, dim, e) || check_unused(s, dim, e))
        return -1;
    s->has_coil_axis = true;
    return scan_set_shape(s, "its header", dim[SLICE], dim[COIL], dim[READ], dim[PHS1], e);
}

/* ---- Samples ------------------------------------------------------------------------------- */

struct cfl {
    int fd;
    float complex *slice; /* (coil, phase, readout), as in the file */
};

static void close_file(void *file)
{
    struct cfl *c = file;
    if (!c) return;
    if (c->fd >= 0) close(c->fd);
    mem_free(c->slice);
    mem_free(c);
}

static void *open_file(const struct scan *s, struct err *e)
{
    struct cfl *c = mem_new(1, sizeof *c, e);
    if (!c) return NULL;
    c->fd = open(s->path, O_RDONLY | O_CLOEXEC);
    c->slice =
        mem_new((size_t)s->coils * (size_t)s->readout * (size_t)s->phase, sizeof *c->slice, e);
    if (c->fd < 0) err_set(e, ERR_NOINPUT, "%s: %s", s->path, strerror(errno));
    if (c->fd >= 0 && c->slice) return c;
    close_file(c);
    return NULL;
}

static int read_bytes(const struct scan *s, int fd, char *out, size_t n, off_t at, struct err *e)
{
    while (n) {
        ssize_t got = pread(fd, out, n, at);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0)
            return err_set(e, ERR_DATA, "%s: cannot be read: %s", s->path, strerror(errno));
        if (got == 0) {
            err_set(e, ERR_DATA, "%s: the file ends too early", s->path);
            return err_hint(e, "it was shortened while it was read; copy it again");
        }
        out += got;
        n -= (size_t)got;
        at += got;
    }
    return 0;
}

static int read_slice(const struct scan *s, void *file, int slice, float complex *kspace,
                      struct err *e)
{
    struct cfl *c = file;
    size_t coils = (size_t)s->coils, h = (size_t)s->readout, w = (size_t)s->phase;
    size_t bytes = coils * h * w * sizeof *c->slice;
    if (read_bytes(s, c->fd, (char *)c->slice, bytes, (off_t)bytes * slice, e)) return -1;
    for (size_t k = 0; k < coils; k++)
        for (size_t y = 0; y < h; y++)
            for (size_t x = 0; x < w; x++)
                kspace[(k * h + y) * w + x] = c->slice[(k * w + x) * h + y];
    return 0;
}

static const char *const endings[] = {".cfl", NULL};

const struct scan_format format_cfl = {
    .name = "BART",
    .endings = endings,
    .probe = probe,
    .open = open_file,
    .read = read_slice,
    .close = close_file,
};
