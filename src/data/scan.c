#include "data/scan.h"

#include "base/io.h"
#include "base/mem.h"
#include "data/scan_format.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_SLICES = 1 << 20 };
enum { MAX_SAMPLES = 1 << 28 }; /* of a slice, all coils: 2 GiB */

/* ---- Shapes, the same for all formats ------------------------------------------------------ */

static int in_range(const struct scan *s, const char *what, const char *axis, int64_t n,
                    int64_t max, struct err *e)
{
    if (n >= 1 && n <= max) return 0;
    if (n < 1) return err_set(e, ERR_DATA, "%s: %s has no %s", s->path, what, axis);
    return err_set(e, ERR_DATA, "%s: %s has %lld %s, at most %lld are supported", s->path, what,
                   (long long)n, axis, (long long)max);
}

static int check_samples(const struct scan *s, const char *what, int64_t coils, int64_t h,
                         int64_t w, struct err *e)
{
    if (coils * h * w <= MAX_SAMPLES) return 0;
    return err_set(
        e, ERR_DATA,
        "%s: a slice of %s would have %lld x %lld x %lld samples, more than any scan has", s->path,
        what, (long long)coils, (long long)h, (long long)w);
}

int scan_set_shape(struct scan *s, const char *what, int64_t slices, int64_t coils, int64_t readout,
                   int64_t phase, struct err *e)
{
    if (in_range(s, what, "slices", slices, MAX_SLICES, e) ||
        in_range(s, what, "coils", coils, SCAN_MAX_COILS, e) ||
        in_range(s, what, "readout samples", readout, SCAN_MAX_SIDE, e) ||
        in_range(s, what, "phase encodes", phase, SCAN_MAX_SIDE, e) ||
        check_samples(s, what, coils, readout, phase, e))
        return err_hint(e, "expected (slice, coil, readout, phase), in this order, none of them "
                           "zero");
    s->slices = (int)slices;
    s->coils = (int)coils;
    s->readout = s->height = (int)readout;
    s->phase = s->width = (int)phase;
    s->first_column = 0;
    s->end_column = s->phase;
    return 0;
}

int scan_set_image(struct scan *s, const char *what, int64_t height, int64_t width, struct err *e)
{
    if (in_range(s, what, "rows", height, SCAN_MAX_SIDE, e) ||
        in_range(s, what, "columns", width, SCAN_MAX_SIDE, e) ||
        check_samples(s, what, s->coils, height, width, e))
        return err_hint(e, "the size of the images is expected there; the file is damaged");
    s->height = (int)height;
    s->width = (int)width;
    return 0;
}

/* ---- One file ----------------------------------------------------------------------------- */

static int set_names(struct scan *s, const char *path, struct err *e)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    if (io_path(s->path, sizeof s->path, e, "%s", path) ||
        io_path(s->name, sizeof s->name, e, "%s", base))
        return -1;
    char *dot = strrchr(s->name, '.');
    if (dot && dot > s->name) *dot = '\0';
    return 0;
}

static int unknown_format(const char *path, struct err *e)
{
    char list[256];
    size_t n = 0;
    for (int i = 0; scan_formats[i]; i++)
        for (int k = 0; scan_formats[i]->endings[k] && n < sizeof list; k++)
            n += (size_t)snprintf(list + n, sizeof list - n, "%s%s (%s)", n ? ", " : "",
                                  scan_formats[i]->endings[k], scan_formats[i]->name);
    err_set(e, ERR_DATA, "%s: no format of scans has files with such a name", path);
    return err_hint(e, "known are %s", list);
}

int scan_probe(struct scan *s, const char *path, struct err *e)
{
    struct stat st;
    *s = (struct scan){0};
    if (set_names(s, path, e)) return -1;
    if (stat(path, &st)) return err_set(e, ERR_NOINPUT, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) /* opening a pipe would wait for ever */
        return err_set(e, ERR_DATA, "%s: is not a regular file", path);
    s->format = scan_format_of(path);
    if (!s->format) return unknown_format(path, e);
    return s->format->probe(s, e);
}

int scan_check_reference(const struct scan *s, struct err *e)
{
    if (!s->undersampled) return 0;
    err_set(e, ERR_DATA, "%s: the scan is undersampled: %s", s->path, s->sampling);
    return err_hint(e, "references need all of k-space, as in fastMRI's train and val folders; its "
                       "test and challenge files have neither that nor a target: leave them out, "
                       "or set data.on_bad_scan=skip");
}

/* ---- Samples ----------------------------------------------------------------------------- */

struct scan_file {
    const struct scan_format *format;
    void *file;
};

struct scan_file *scan_open(const struct scan *s, struct err *e)
{
    struct scan_file *f = mem_new(1, sizeof *f, e);
    if (!f) return NULL;
    f->format = s->format;
    f->file = s->format->open(s, e);
    if (f->file) return f;
    mem_free(f);
    return NULL;
}

void scan_close(struct scan_file *f)
{
    if (!f) return;
    f->format->close(f->file);
    mem_free(f);
}

/* Infinity and NaN have every bit of the exponent set. */
static bool all_finite(const float *x, size_t n)
{
    unsigned bad = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        bad |= (bits & 0x7f800000u) == 0x7f800000u;
    }
    return !bad;
}

int scan_read_kspace(const struct scan *s, struct scan_file *f, int slice, float complex *kspace,
                     struct err *e)
{
    if (f->format->read(s, f->file, slice, kspace, e)) return err_wrap(e, "slice %d", slice);
    const float *x = (const float *)kspace;
    size_t row = 2 * (size_t)s->phase, rows = (size_t)s->coils * (size_t)s->readout;
    if (all_finite(x, rows * row)) return 0;
    size_t at = 0;
    while (all_finite(x + at, 1))
        at++;
    err_set(e, ERR_DATA,
            "%s: k-space holds NaN or infinity at slice %d, coil %zu, row %zu, column %zu", s->path,
            slice, at / row / (size_t)s->readout, at / row % (size_t)s->readout, at % row / 2);
    return err_hint(e, "the file was damaged or its conversion failed; convert it again or leave "
                       "it out");
}

/* ---- Samples ------------------------------------------------------------------------------ */

/* Which columns hold anything; stops as soon as all do, mostly after one row. */
static int mark_columns(const struct scan *s, const float complex *kspace, bool *marked)
{
    const size_t rows = (size_t)s->coils * (size_t)s->readout, w = (size_t)s->phase;
    int left = s->end_column - s->first_column;
    for (size_t y = 0; y < rows && left > 0; y++)
        for (int x = s->first_column; x < s->end_column; x++)
            if (!marked[x] && kspace[y * w + (size_t)x] != 0.0f) {
                marked[x] = true;
                left--;
            }
    return left;
}

int scan_check_samples(const struct scan *s, const float complex *kspace, bool *empty,
                       struct err *e)
{
    bool marked[SCAN_MAX_SIDE] = {false};
    const int holes = mark_columns(s, kspace, marked);
    int first = s->first_column, end = s->end_column, inside = 0;
    while (first < end && !marked[first])
        first++;
    while (end > first && !marked[end - 1])
        end--;
    *empty = first == end;
    for (int x = first; holes && x < end; x++)
        inside += !marked[x];
    if (inside == 0) return 0; /* empty columns at the edges: a partial or padded acquisition */
    err_set(e, ERR_DATA,
            "%d of the columns %d to %d hold only zeros: k-space is undersampled, though the file "
            "has no 'mask'",
            inside, first, end - 1);
    return err_hint(e, "references need fully sampled scans; reconstruct this one elsewhere");
}
