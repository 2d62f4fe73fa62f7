#include "data/scan.h"

#include "base/h5.h"
#include "base/io.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_SIDE = 1 << 15, MAX_SLICES = 1 << 20 };
enum { MAX_SAMPLES = 1 << 28 }; /* of a slice, all coils: 2 GiB */

/* ---- Probing one file -------------------------------------------------------------------- */

struct listing {
    char text[1024];
    size_t used;
};

static int list_dataset(void *ctx, const char *name, const struct h5_info *info)
{
    (void)info;
    struct listing *l = ctx;
    int n =
        snprintf(l->text + l->used, sizeof l->text - l->used, "%s'%s'", l->used ? ", " : "", name);
    l->used += n < 0 ? 0 : (size_t)n;
    return l->used >= sizeof l->text - 1; /* full: enough has been said */
}

static int missing_kspace(const struct h5 *f, struct err *e)
{
    struct listing l = {0};
    if (h5_each(f, list_dataset, &l, e)) return -1;
    err_set(e, ERR_DATA, "%s: dataset 'kspace' is missing", h5_path(f));
    if (l.used)
        return err_hint(e, "the file has %.400s; a scan needs raw k-space named 'kspace'", l.text);
    return err_hint(e, "the file has no datasets at all");
}

static int in_range(const char *path, const char *what, int64_t n, int64_t max, struct err *e)
{
    if (n >= 1 && n <= max) return 0;
    if (n < 1)
        err_set(e, ERR_DATA, "%s: dataset 'kspace' has no %s", path, what);
    else
        err_set(e, ERR_DATA, "%s: dataset 'kspace' has %lld %s, at most %lld are supported", path,
                (long long)n, what, (long long)max);
    return err_hint(e, "expected (slice, coil, readout, phase), none of them zero");
}

static int probe_kspace(struct scan *s, const struct h5 *f, struct err *e)
{
    struct h5_info k;
    if (!h5_has(f, "kspace")) return missing_kspace(f, e);
    s->undersampled = h5_has(f, "mask") || h5_has(f, "mask2d");
    if (h5_describe(f, "kspace", &k, e)) return -1;
    if (k.rank != 3 && k.rank != 4) {
        err_set(e, ERR_DATA, "%s: dataset 'kspace' has %d dimensions, expected 4 or 3", s->path,
                k.rank);
        return err_hint(e, "expected (slice, coil, readout, phase), or (slice, readout, phase) "
                           "for one coil");
    }
    if (k.type != H5_C64) {
        err_set(e, ERR_DATA, "%s: dataset 'kspace' is not complex", s->path);
        return err_hint(e, "expected complex64, stored as pairs 'r', 'i' of float32; magnitudes "
                           "are not k-space");
    }
    const int64_t *d = k.dim + (k.rank == 4 ? 2 : 1);
    int64_t coils = k.rank == 4 ? k.dim[1] : 1;
    if (in_range(s->path, "slices", k.dim[0], MAX_SLICES, e) ||
        in_range(s->path, "coils", coils, SCAN_MAX_COILS, e) ||
        in_range(s->path, "readout samples", d[0], MAX_SIDE, e) ||
        in_range(s->path, "phase encodes", d[1], MAX_SIDE, e))
        return -1;
    if (coils * d[0] * d[1] > MAX_SAMPLES)
        return err_set(
            e, ERR_DATA,
            "%s: a slice of dataset 'kspace' would have %lld x %lld x %lld samples, more than "
            "any scan has",
            s->path, (long long)coils, (long long)d[0], (long long)d[1]);
    s->slices = (int)k.dim[0];
    s->coils = (int)coils;
    s->readout = (int)d[0];
    s->phase = (int)d[1];
    s->has_coil_axis = k.rank == 4;
    return 0;
}

/* The number between <tag> and </tag> in [at, end): 1 found, 0 absent, -1 not a usable size. */
static int xml_size(const char *at, const char *end, const char *tag, int *out)
{
    char open[16];
    snprintf(open, sizeof open, "<%s>", tag);
    const char *p = strstr(at, open);
    if (!p || p >= end) return 0;
    char *stop;
    errno = 0;
    long v = strtol(p + strlen(open), &stop, 10);
    if (errno || stop == p + strlen(open) || *stop != '<' || v < 1 || v > MAX_SIDE) return -1;
    *out = (int)v;
    return 1;
}

/* reconSpace/matrixSize of the ISMRMRD header: x is the readout's size, y that of the phase axis.
 * 1 found, 0 the header has none, -1 nonsense. */
static int header_matrix(const char *xml, int *height, int *width)
{
    const char *space = strstr(xml, "<reconSpace>");
    const char *end = space ? strstr(space, "</reconSpace>") : NULL;
    const char *matrix = end ? strstr(space, "<matrixSize>") : NULL;
    if (!matrix || matrix >= end) return 0;
    const char *stop = strstr(matrix, "</matrixSize>");
    if (!stop || stop >= end) return -1;
    int x = xml_size(matrix, stop, "x", height), y = xml_size(matrix, stop, "y", width);
    return x == 0 && y == 0 ? 0 : x == 1 && y == 1 ? 1 : -1;
}

static int probe_header(struct scan *s, const struct h5 *f, struct err *e)
{
    char *xml = h5_read_text(f, "ismrmrd_header", e);
    if (!xml) return -1;
    int found = header_matrix(xml, &s->height, &s->width);
    mem_free(xml);
    if (found >= 0) return 0;
    err_set(e, ERR_DATA, "%s: dataset 'ismrmrd_header': the matrix size of reconSpace is unusable",
            s->path);
    return err_hint(e, "expected two whole numbers from 1 to %d: <x>320</x><y>320</y>", MAX_SIDE);
}

/* Sets the size of the references, in the order that scan.h promises. */
static int probe_size(struct scan *s, const struct h5 *f, struct err *e)
{
    static const char *const names[] = {"reconstruction_rss", "reconstruction_esc"};
    s->height = s->readout;
    s->width = s->phase;
    for (int i = 0; i < 2 && !s->has_target; i++) {
        if (!h5_has(f, names[i])) continue;
        struct h5_info r;
        if (h5_describe(f, names[i], &r, e)) return -1;
        bool real = r.type == H5_F32 || r.type == H5_F64;
        if (!real || r.rank != 3 || r.dim[0] != s->slices || r.dim[1] < 1 || r.dim[2] < 1 ||
            r.dim[1] > MAX_SIDE || r.dim[2] > MAX_SIDE) {
            err_set(e, ERR_DATA, "%s: dataset '%s' does not fit to 'kspace'", s->path, names[i]);
            return err_hint(e, "expected real numbers of the shape (%d, height, width)", s->slices);
        }
        s->height = (int)r.dim[1];
        s->width = (int)r.dim[2];
        s->has_target = true;
    }
    if (!s->has_target && h5_has(f, "ismrmrd_header")) return probe_header(s, f, e);
    return 0;
}

/* fastMRI's two knee protocols; of others the contrast is unknown. */
static void probe_contrast(struct scan *s, const struct h5 *f)
{
    char *text = NULL;
    if (h5_attr_has(f, "/", "acquisition")) text = h5_attr_text(f, "/", "acquisition", NULL);
    if (!text) return;
    snprintf(s->acquisition, sizeof s->acquisition, "%s", text);
    mem_free(text);
    if (strcmp(s->acquisition, "CORPDFS_FBK") == 0) s->contrast = CONTRAST_FS;
    if (strcmp(s->acquisition, "CORPD_FBK") == 0) s->contrast = CONTRAST_NON_FS;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n > m && strcmp(text + n - m, end) == 0;
}

static int set_names(struct scan *s, const char *path, struct err *e)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    if (io_path(s->path, sizeof s->path, e, "%s", path) ||
        io_path(s->name, sizeof s->name, e, "%s", base))
        return -1;
    if (ends_with(s->name, ".h5")) s->name[strlen(s->name) - 3] = '\0';
    return 0;
}

int scan_probe(struct scan *s, const char *path, struct err *e)
{
    *s = (struct scan){0};
    if (set_names(s, path, e)) return -1;
    struct h5 *f = h5_open(path, e);
    if (!f) return -1;
    int rc = -1;
    if (probe_kspace(s, f, e) == 0 && probe_size(s, f, e) == 0) {
        probe_contrast(s, f);
        rc = 0;
    }
    h5_close(f);
    return rc;
}

/* ---- Samples ----------------------------------------------------------------------------- */

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

int scan_read_kspace(const struct scan *s, struct h5 *f, int slice, float complex *kspace,
                     struct err *e)
{
    const int64_t start4[4] = {slice, 0, 0, 0}, count4[4] = {1, s->coils, s->readout, s->phase};
    const int64_t start3[3] = {slice, 0, 0}, count3[3] = {1, s->readout, s->phase};
    if (s->has_coil_axis ? h5_read_c64(f, "kspace", 4, start4, count4, kspace, e)
                         : h5_read_c64(f, "kspace", 3, start3, count3, kspace, e))
        return err_wrap(e, "slice %d", slice);

    const float *x = (const float *)kspace;
    size_t row = 2 * (size_t)s->phase, rows = (size_t)s->coils * (size_t)s->readout;
    if (all_finite(x, rows * row)) return 0;
    size_t at = 0;
    while (all_finite(x + at, 1))
        at++;
    err_set(e, ERR_DATA,
            "%s: dataset 'kspace' holds NaN or infinity at slice %d, coil %zu, row %zu, column %zu",
            s->path, slice, at / row / (size_t)s->readout, at / row % (size_t)s->readout,
            at % row / 2);
    return err_hint(e, "the file was damaged or its conversion failed; convert it again or leave "
                       "it out");
}

/* ---- Many files -------------------------------------------------------------------------- */

static int add_scan(struct scans *s, const char *path, struct err *e)
{
    if ((s->n & (s->n - 1)) == 0) { /* full at every power of two */
        size_t room = s->n ? 2 * (size_t)s->n : 1;
        struct scan *list = mem_new(room, sizeof *list, e);
        if (!list) return -1;
        if (s->n) memcpy(list, s->list, (size_t)s->n * sizeof *list);
        mem_free(s->list);
        s->list = list;
    }
    if (scan_probe(s->list + s->n, path, e)) return -1;
    s->n++;
    return 0;
}

static int visible_h5(const struct dirent *d)
{
    return d->d_name[0] != '.' && ends_with(d->d_name, ".h5");
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int add_folder(struct scans *s, const char *folder, struct err *e)
{
    struct dirent **entry = NULL;
    int n = scandir(folder, &entry, visible_h5, by_name), rc = 0;
    if (n < 0) return err_set(e, ERR_NOINPUT, "%s: %s", folder, strerror(errno));
    if (n == 0) {
        rc = err_set(e, ERR_NOINPUT, "%s: the folder holds no scans", folder);
        err_hint(e, "expected files named *.h5 in fastMRI's layout, directly inside it");
    }
    for (int i = 0; i < n; i++) {
        char path[1024];
        if (rc == 0) rc = io_path(path, sizeof path, e, "%s/%s", folder, entry[i]->d_name);
        if (rc == 0) rc = add_scan(s, path, e);
        free(entry[i]);
    }
    free(entry);
    return rc;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp((*(const struct scan *const *)a)->name, (*(const struct scan *const *)b)->name);
}

/* Names are the keys of splits, caches and tables. */
static int refuse_duplicates(const struct scans *s, struct err *e)
{
    if (s->n < 2) return 0;
    const struct scan **order = mem_new((size_t)s->n, sizeof *order, e);
    if (!order) return -1;
    for (int i = 0; i < s->n; i++)
        order[i] = s->list + i;
    qsort(order, (size_t)s->n, sizeof *order, compare_names);
    int rc = 0;
    for (int i = 1; i < s->n && rc == 0; i++) {
        if (compare_names(order + i - 1, order + i)) continue;
        rc = err_set(e, ERR_DATA, "two scans have the name '%s': %s and %s", order[i]->name,
                     order[i - 1]->path, order[i]->path);
        err_hint(e, "names tell scans apart in caches and tables; rename one or list it once");
    }
    mem_free(order);
    return rc;
}

int scans_find(struct scans *s, const char *const *paths, int n, struct err *e)
{
    *s = (struct scans){0};
    int rc = 0;
    for (int i = 0; i < n && rc == 0; i++) {
        struct stat st;
        if (stat(paths[i], &st))
            rc = err_set(e, ERR_NOINPUT, "%s: %s", paths[i], strerror(errno));
        else if (S_ISDIR(st.st_mode))
            rc = add_folder(s, paths[i], e);
        else
            rc = add_scan(s, paths[i], e);
    }
    if (rc == 0) rc = refuse_duplicates(s, e);
    if (rc) scans_release(s);
    return rc;
}

void scans_release(struct scans *s)
{
    mem_free(s->list);
    *s = (struct scans){0};
}
