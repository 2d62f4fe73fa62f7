/* Reconstructions of any method, as fastMRI's challenge files hold them: in the folder a file a
 * scan, of the scan's name, with
 *
 *     reconstruction   float32 (slice, h, w), magnitude; or complex (slice, h, w)
 *
 * Centre-cropped or zero-padded to the size of the references. */
#include "base/h5.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/progress.h"
#include "data/fft.h"
#include "eval/source.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>

enum { SCALE_AS_IS, SCALE_LEAST_SQUARES };
static const char *const scales[] = {"as-is", "least-squares", NULL};
enum { LARGEST = 8192 }; /* px a side: more is taken for a damaged file */

struct folder_conf {
    struct cfg_texts paths;
    int scale;
};

static const struct cfg_field fields[] = {
    CFG_TEXTS(struct folder_conf, paths, NULL,
              "folders of files with a dataset 'reconstruction', one file a scan; each folder is a "
              "method, named after it"),
    CFG_CHOICE(struct folder_conf, scale, "as-is", scales,
               "least-squares: each image is multiplied by what brings it closest to the "
               "reference, for methods with a scale of their own"),
    CFG_END};

struct folder {
    const char *path;
    int scale;
    struct images *images;
    float complex *raw; /* as in the file; grows */
    size_t room;
    bool real;             /* the file's numbers are: negative ones stay so */
    float complex *fitted; /* (h, w) */
};

static int methods(const void *conf)
{
    return ((const struct folder_conf *)conf)->paths.n;
}

static void name(const void *conf, int k, char *text, int size)
{
    source_name_of_path(((const struct folder_conf *)conf)->paths.v[k], false, text, size);
}

static void describe(const void *conf, int k, char *text, int size)
{
    const struct folder_conf *c = conf;
    snprintf(text, (size_t)size, "folder %s, scale %s", c->paths.v[k], scales[c->scale]);
}

static void close_folder(void *state)
{
    struct folder *f = state;
    if (!f) return;
    mem_free(f->raw);
    mem_free(f->fitted);
    mem_free(f);
}

/* The file of a scan, opened and checked; its shape in *info. */
static struct h5 *open_file(const char *folder, const struct scan *scan, struct h5_info *info,
                            struct err *e)
{
    char path[PATH_MAX];
    if (io_path(path, sizeof path, e, "%s/%s.h5", folder, scan->name)) return NULL;
    struct h5 *file = h5_open(path, e);
    if (!file) {
        err_hint(e, "the folder needs a file for every scan, of the scan's name");
        return NULL;
    }
    int bad = h5_describe(file, "reconstruction", info, e);
    if (!bad && (info->rank != 3 || info->dim[0] != scan->slices))
        bad = err_set(e, ERR_DATA,
                      "%s: 'reconstruction' has %d dimensions, the first of %lld; the scan has %d "
                      "slices, so (%d, height, width) is needed",
                      path, info->rank, info->rank > 0 ? (long long)info->dim[0] : 0LL,
                      scan->slices, scan->slices);
    if (!bad &&
        (info->dim[1] < 1 || info->dim[1] > LARGEST || info->dim[2] < 1 || info->dim[2] > LARGEST))
        bad = err_set(e, ERR_DATA,
                      "%s: 'reconstruction' has images of %lldx%lld; 1 to %d a side "
                      "are possible",
                      path, (long long)info->dim[1], (long long)info->dim[2], LARGEST);
    if (!bad) return file;
    h5_close(file);
    return NULL;
}

/* A file for every scan; where bad scans are left out, one that lacks its file may turn out to be
 * one of them, and `read` tells if it is not. Images that were made larger or smaller than the
 * references are possible, but hardly meant. */
static int check_files(const char *folder, const struct images *im, struct err *e)
{
    const bool may_lack = im->scans.on_bad == BAD_SCAN_SKIP && io_exists(folder);
    int others = 0;
    const struct scan *last = NULL;
    struct h5_info info, other = {0};
    for (int i = 0; i < im->scans.n; i++) {
        const struct scan *s = &im->scans.list[i];
        struct err why = {0};
        struct h5 *file = open_file(folder, s, &info, &why);
        if (!file && why.code == ERR_NOINPUT && may_lack) continue;
        if (!file) {
            if (e) *e = why;
            return -1;
        }
        h5_close(file);
        if (info.dim[1] == s->height && info.dim[2] == s->width) continue;
        others++;
        last = s;
        other = info;
    }
    if (others)
        progress_warn("%s: %d of %d files have images of another size than the references, as "
                      "%s.h5: %lldx%lld, not %dx%d; they are cropped or padded about their centre",
                      folder, others, im->scans.n, last->name, (long long)other.dim[1],
                      (long long)other.dim[2], last->height, last->width);
    return 0;
}

static void *open_folder(const void *conf, int k, struct images *im, struct err *e)
{
    const struct folder_conf *c = conf;
    size_t pixels = (size_t)im->height * (size_t)im->width;
    struct folder *f = mem_new(1, sizeof *f, e);
    if (!f) return NULL;
    f->path = c->paths.v[k];
    f->scale = c->scale;
    f->images = im;
    f->fitted = mem_new(pixels, sizeof *f->fitted, e);
    if (f->fitted && !check_files(f->path, im, e)) return f;
    close_folder(f);
    return NULL;
}

/* One slice into f->raw. */
static int read_slice(struct folder *f, const struct h5 *file, const struct h5_info *info,
                      int slice, struct err *e)
{
    const int64_t start[] = {slice, 0, 0}, count[] = {1, info->dim[1], info->dim[2]};
    size_t n = (size_t)info->dim[1] * (size_t)info->dim[2];
    if (n > f->room) {
        mem_free(f->raw);
        f->room = 0;
        if (!(f->raw = mem_new(n, sizeof *f->raw, e))) return -1;
        f->room = n;
    }
    f->real = info->type != H5_C64;
    if (!f->real) return h5_read_c64(file, "reconstruction", 3, start, count, f->raw, e);
    float *real = mem_new(n, sizeof *real, e);
    int rc = real ? h5_read_f32(file, "reconstruction", 3, start, count, real, e) : -1;
    for (size_t i = 0; i < n && rc == 0; i++) {
        f->raw[i] = real[i];
        if (!isfinite(real[i]))
            rc = err_set(e, ERR_DATA, "%s: 'reconstruction' is %g in slice %d, row %zu, column %zu",
                         h5_path(file), (double)real[i], slice, i / (size_t)info->dim[2],
                         i % (size_t)info->dim[2]);
    }
    mem_free(real);
    return rc;
}

/* sum(x r) / sum(x x): of all multiples of x the closest to r. */
static float closest_scale(const float *x, const float *reference, size_t n)
{
    double xr = 0.0, xx = 0.0;
    for (size_t i = 0; i < n; i++) {
        xr += (double)x[i] * (double)reference[i];
        xx += (double)x[i] * (double)x[i];
    }
    return xx > 0.0 && xr > 0.0 ? (float)(xr / xx) : 1.0f;
}

static int read(void *state, int i, const float *reference, float *magnitude, struct err *e)
{
    struct folder *f = state;
    struct images *im = f->images;
    const struct image at = im->list[i];
    struct h5_info info;
    struct h5 *file = open_file(f->path, &im->scans.list[at.scan], &info, e);
    int rc = file ? read_slice(f, file, &info, at.slice, e) : -1;
    h5_close(file);
    if (rc) return -1;
    size_t n = (size_t)im->height * (size_t)im->width;
    image_fit(f->raw, (int)info.dim[1], (int)info.dim[2], f->fitted, im->height, im->width);
    for (size_t p = 0; p < n; p++)
        magnitude[p] = f->real ? crealf(f->fitted[p]) : cabsf(f->fitted[p]);
    if (f->scale == SCALE_AS_IS) return 0;
    float scale = closest_scale(magnitude, reference, n);
    for (size_t p = 0; p < n; p++)
        magnitude[p] *= scale;
    return 0;
}

const struct source source_folder = {
    .kind = {"folder", "files of any method with a dataset 'reconstruction' (slice, h, w)", fields,
             sizeof(struct folder_conf)},
    .methods = methods,
    .name = name,
    .describe = describe,
    .open = open_folder,
    .close = close_folder,
    .read = read,
};
