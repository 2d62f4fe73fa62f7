#include "eval/pairs.h"

#include "base/io.h"
#include "base/mem.h"
#include "base/png.h"
#include "data/normalise.h"
#include "eval/work.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *const contrast_names[] = {"unknown", "non-FS", "FS"};

static const double WHITE_SHARE = 0.001; /* of the pixels, the brightest, are white */

static size_t pixels(const struct pairs *p)
{
    return (size_t)p->env->images->height * (size_t)p->env->images->width;
}

static int values(const struct pairs *p)
{
    return 1 + p->methods * (1 + p->scorers.n);
}

static const double *row_of(const struct pairs *p, int image)
{
    return p->value + (size_t)image * (size_t)values(p);
}

double pairs_at(const struct pairs *p, int image, int method, int metric)
{
    return row_of(p, image)[1 + method * (1 + p->scorers.n) + 1 + metric];
}

double pairs_white(const struct pairs *p, int image)
{
    return row_of(p, image)[0];
}

double pairs_span(const struct pairs *p, int image, int method)
{
    return row_of(p, image)[1 + method * (1 + p->scorers.n)];
}

enum contrast pairs_contrast(const struct pairs *p, int image)
{
    const struct images *im = p->env->images;
    return im->scans.list[im->list[image].scan].contrast;
}

int pairs_picture(const struct pairs *p, int image, int method, enum picture what, char *path,
                  size_t size, struct err *e)
{
    const struct images *im = p->env->images;
    const char *name = images_name(im, image);
    int slice = im->list[image].slice;
    if (what == PICTURE_REFERENCE)
        return io_path(path, size, e, "pictures/%s_%03d_reference.png", name, slice);
    return io_path(path, size, e, "pictures/%s_%03d_%s%s.png", name, slice, p->method[method].name,
                   what == PICTURE_DIFFERENCE ? "_difference" : "");
}

void pairs_range(const struct pairs *p, int method, int metric, double *low, double *high)
{
    *low = INFINITY;
    *high = -INFINITY;
    for (int i = 0; i < p->images; i++) {
        double v = pairs_at(p, i, method, metric);
        if (!isfinite(v)) continue;
        *low = fmin(*low, v);
        *high = fmax(*high, v);
    }
}

int pairs_select(const struct pairs *p, int method, int contrast, int *image)
{
    int n = 0;
    for (int i = 0; i < p->images; i++) {
        bool finite = contrast < 0 || (int)pairs_contrast(p, i) == contrast;
        for (int m = 0; m < p->scorers.n && finite; m++)
            finite = isfinite(pairs_at(p, i, method, m));
        if (finite) image[n++] = i;
    }
    return n;
}

/* ---- methods ---- */

/* Lists the methods of a configuration; returns how many, or -1. */
static int list_methods(const struct cfg_picks *reconstructions, struct method *list, struct err *e)
{
    int n = 0;
    for (int s = 0; s < reconstructions->n; s++) {
        const struct source *source =
            (const struct source *)(const void *)reconstructions->v[s].kind;
        const void *conf = reconstructions->v[s].conf;
        for (int k = 0; k < source->methods(conf); k++) {
            if (n == METHODS_MAX)
                return err_set(e, ERR_CONFIG, "study.reconstructions: more than %d methods",
                               METHODS_MAX);
            struct method *m = &list[n++];
            *m = (struct method){.source = source, .conf = conf, .k = k};
            source->name(conf, k, m->name, sizeof m->name);
            source->describe(conf, k, m->text, sizeof m->text);
            for (int other = 0; other < n - 1; other++)
                if (strcmp(list[other].name, m->name) == 0) {
                    err_set(e, ERR_CONFIG,
                            "study.reconstructions: two methods are called '%s': %s, and %s",
                            m->name, list[other].text, m->text);
                    return err_hint(e, "methods are named after their folders: a link to one of "
                                       "them gives it another name");
                }
        }
    }
    return n > 0 ? n : err_set(e, ERR_CONFIG, "study.reconstructions: give at least one method");
}

int pairs_check(const struct cfg_picks *reconstructions, struct err *e)
{
    struct method list[METHODS_MAX];
    return list_methods(reconstructions, list, e) < 0 ? -1 : 0;
}

void pairs_explain(const struct cfg_picks *reconstructions, FILE *out)
{
    struct method list[METHODS_MAX];
    int n = list_methods(reconstructions, list, NULL);
    for (int k = 0; k < n; k++)
        fprintf(out, "method %s: %s\n", list[k].name, list[k].text);
}

/* ---- references ---- */

static const struct scan *find_scan(const struct scans *of, const char *name)
{
    for (int i = 0; i < of->n; i++)
        if (strcmp(of->list[i].name, name) == 0) return &of->list[i];
    return NULL;
}

static bool both_and_differ(const char *a, const char *b)
{
    return a[0] && b[0] && strcmp(a, b) != 0;
}

/* What a name alone does not promise: that two scans are of one examination. */
static int check_twin(const struct scan *s, const struct scan *twin, struct err *e)
{
    int rc = 0;
    if (twin->slices != s->slices)
        rc = err_set(e, ERR_DATA, "%s has %d slices, and %s has %d", twin->path, twin->slices,
                     s->path, s->slices);
    else if (twin->height != s->height || twin->width != s->width)
        rc = err_set(e, ERR_DATA, "%s has images of %dx%d, and %s of %dx%d", twin->path,
                     twin->height, twin->width, s->path, s->height, s->width);
    else if (both_and_differ(twin->acquisition, s->acquisition))
        rc = err_set(e, ERR_DATA, "%s is of acquisition %s, and %s of %s", twin->path,
                     twin->acquisition, s->path, s->acquisition);
    else if (both_and_differ(twin->patient, s->patient))
        rc = err_set(e, ERR_DATA, "%s and %s are of two patients", twin->path, s->path);
    if (rc)
        err_hint(e, "a scan and its twin of the same name must show the same slices of the same "
                    "body");
    return rc;
}

static int find_twins(struct pairs *p, const struct cfg_texts *paths, struct err *e)
{
    const struct images *im = p->env->images;
    struct images_conf conf = im->conf;
    conf.scans = *paths;
    conf.height = im->height;
    conf.width = im->width;
    p->reference = &p->twins;
    if (images_find(&p->twins, &conf, p->env->quiet, e)) return -1;
    for (int i = 0; i < im->scans.n; i++) {
        const struct scan *s = &im->scans.list[i], *twin = find_scan(&p->twins.scans, s->name);
        if (twin && check_twin(s, twin, e)) return -1;
        if (twin) continue;
        err_set(e, ERR_DATA, "there is no scan '%s' in %s", s->name, paths->v[0]);
        return err_hint(e, "every scan of data.scans needs one of its name");
    }
    return 0;
}

int pairs_open(struct pairs *p, const struct study_env *env,
               const struct cfg_picks *reconstructions, const struct cfg_texts *references,
               struct err *e)
{
    struct images *im = env->images;
    p->env = env;
    p->reference = im;
    const int n = list_methods(reconstructions, p->method, e);
    if (n < 0) return -1;
    if (references->n && find_twins(p, references, e)) return err_wrap(e, "study.references");
    for (; p->methods < n; p->methods++) {
        struct method *m = &p->method[p->methods];
        if (!(m->state = m->source->open(m->conf, m->k, im, e)))
            return err_wrap(e, "method %s", m->name);
    }
    return scorers_open(&p->scorers, im->height, im->width, work_lanes(), env->notes, e);
}

/* ---- images, when there are references ---- */

/* The twin of image i, or -1. */
static int find_twin(const struct pairs *p, int i)
{
    const struct images *im = p->env->images, *of = p->reference;
    for (int k = 0; k < of->n; k++)
        if (of->list[k].slice == im->list[i].slice &&
            strcmp(images_name(of, k), images_name(im, i)) == 0)
            return k;
    return -1;
}

static int pair_images(struct pairs *p, struct err *e)
{
    const struct images *im = p->env->images;
    p->images = im->n;
    if (!(p->twin = mem_new((size_t)im->n, sizeof *p->twin, e))) return -1;
    if (p->reference == &p->twins && images_prepare(&p->twins, p->env->quiet, e))
        return err_wrap(e, "study.references");
    for (int i = 0; i < im->n; i++) {
        p->twin[i] = p->reference == im ? i : find_twin(p, i);
        if (p->twin[i] < 0) /* it was found, and then left out as a bad one */
            return err_set(e, ERR_DATA,
                           "study.references: there is no reference of slice %d of scan '%s'",
                           im->list[i].slice, images_name(im, i));
    }
    return 0;
}

static int prepare(struct pairs *p, struct err *e)
{
    struct images *im = p->env->images;
    if (pair_images(p, e)) return -1;
    const size_t pictures = 1 + (size_t)p->methods;
    p->value = mem_new((size_t)im->n * (size_t)values(p), sizeof *p->value, e);
    p->seat = mem_new((size_t)work_seats() * pictures * pixels(p), sizeof *p->seat, e);
    p->work = mem_new((size_t)work_lanes() * pixels(p), sizeof *p->work, e);
    if (!p->value || !p->seat || !p->work) return -1;
    if (!scorers_want_scans(&p->scorers)) return 0;
    p->volume = mem_new((size_t)p->reference->scans.n, sizeof *p->volume, e);
    return p->volume ? 0 : -1;
}

void pairs_release(struct pairs *p)
{
    for (int m = 0; m < p->methods; m++)
        p->method[m].source->close(p->method[m].state);
    scorers_release(&p->scorers);
    images_release(&p->twins);
    mem_free(p->twin);
    mem_free(p->value);
    mem_free(p->seat);
    mem_free(p->work);
    mem_free(p->volume);
    *p = (struct pairs){0};
}

/* ---- one image ---- */

static float *seat_of(const struct pairs *p, int seat, int which)
{
    return p->seat + ((size_t)seat * (size_t)(1 + p->methods) + (size_t)which) * pixels(p);
}

static int wrap_image(const struct pairs *p, int image, struct err *e)
{
    const struct images *im = p->env->images;
    return err_wrap(e, "scan %s, slice %d", images_name(im, image), im->list[image].slice);
}

/* The maximum over all slices of a reference scan, as they are stored; once a scan. */
static int find_volume(struct pairs *p, int scan, struct err *e)
{
    struct images *im = p->reference;
    const struct refcache *r = &im->cache[scan];
    size_t n = (size_t)r->height * (size_t)r->width;
    if (!p->volume || p->volume[scan] > 0.0) return 0;
    for (int k = 0; k < r->slices; k++) {
        if (refcache_read(r, k, im->raw, e)) return -1;
        for (size_t i = 0; i < n; i++)
            p->volume[scan] = fmax(p->volume[scan], (double)cabsf(im->raw[i]));
    }
    return 0;
}

static int fetch(void *ctx, int image, int seat, struct err *e)
{
    struct pairs *p = ctx;
    struct images *of = p->reference;
    const int twin = p->twin[image];
    float *reference = seat_of(p, seat, 0);
    if (images_read(of, twin, of->fitted, e) || find_volume(p, of->list[twin].scan, e))
        return wrap_image(p, image, e);
    for (size_t i = 0; i < pixels(p); i++)
        reference[i] = cabsf(of->fitted[i]);
    for (int m = 0; m < p->methods; m++)
        if (p->method[m].source->read(p->method[m].state, image, reference, seat_of(p, seat, 1 + m),
                                      e)) {
            err_wrap(e, "method %s", p->method[m].name);
            return wrap_image(p, image, e);
        }
    return 0;
}

static int save_picture(const struct pairs *p, int image, int method, enum picture what,
                        const float *x, float low, float high, struct err *e)
{
    char name[PATH_MAX], path[PATH_MAX];
    const struct images *im = p->env->images;
    return pairs_picture(p, image, method, what, name, sizeof name, e) ||
                   io_path(path, sizeof path, e, "%s/%s", p->env->output, name) ||
                   png_write_gray(path, x, im->height, im->width, low, high, e)
               ? -1
               : 0;
}

/* Pictures of one method; the largest difference into *span. */
static int save_method(const struct pairs *p, int image, int method, const float *reference,
                       const float *x, float white, float *scratch, double *span, struct err *e)
{
    float largest = 0.0f;
    for (size_t i = 0; i < pixels(p); i++) {
        scratch[i] = x[i] - reference[i];
        largest = fmaxf(largest, fabsf(scratch[i]));
    }
    if (!(largest > 0.0f)) largest = white > 0.0f ? white : 1.0f;
    *span = (double)largest;
    return save_picture(p, image, method, PICTURE_RECONSTRUCTION, x, 0.0f, white, e) ||
                   save_picture(p, image, method, PICTURE_DIFFERENCE, scratch,
                                -largest * 128.0f / 127.0f, largest, e)
               ? -1
               : 0;
}

static int compute(void *ctx, int image, int seat, int lane, double *value, struct err *e)
{
    struct pairs *p = ctx;
    const float *reference = seat_of(p, seat, 0);
    float *scratch = p->work + (size_t)lane * pixels(p);
    if (p->volume)
        scorers_scan(&p->scorers, lane,
                     &(struct metric_scan){p->volume[p->reference->list[p->twin[image]].scan]});
    for (int m = 0; m < p->methods; m++)
        if (scorers_score(&p->scorers, lane, reference, seat_of(p, seat, 1 + m),
                          value + 1 + m * (1 + p->scorers.n) + 1, e)) {
            err_wrap(e, "method %s", p->method[m].name);
            return wrap_image(p, image, e);
        }
    memcpy(scratch, reference, pixels(p) * sizeof *scratch);
    float white = normalise_top(scratch, pixels(p), WHITE_SHARE);
    value[0] = (double)white;
    if (save_picture(p, image, 0, PICTURE_REFERENCE, reference, 0.0f, white, e)) return -1;
    for (int m = 0; m < p->methods; m++)
        if (save_method(p, image, m, reference, seat_of(p, seat, 1 + m), white, scratch,
                        &value[1 + m * (1 + p->scorers.n)], e))
            return -1;
    return 0;
}

/* After a power cut, pictures may not be there that the journal says were written. */
static bool kept(void *ctx, int image)
{
    const struct pairs *p = ctx;
    char name[PATH_MAX], path[PATH_MAX];
    for (int m = 0; m < p->methods; m++)
        for (int what = PICTURE_REFERENCE; what <= PICTURE_DIFFERENCE; what++)
            if (pairs_picture(p, image, m, (enum picture)what, name, sizeof name, NULL) ||
                io_path(path, sizeof path, NULL, "%s/%s", p->env->output, name) ||
                !png_is_whole(path))
                return false;
    return true;
}

int pairs_score(struct pairs *p, struct err *e)
{
    char folder[PATH_MAX];
    if (prepare(p, e) || io_path(folder, sizeof folder, e, "%s/pictures", p->env->output) ||
        io_mkdirs(folder, e))
        return -1;
    struct work w = {.what = "scoring reconstructions",
                     .jobs = p->images,
                     .values = values(p),
                     .lanes = work_lanes(),
                     .seats = work_seats(),
                     .fetch = fetch,
                     .compute = compute,
                     .kept = kept,
                     .ctx = p};
    return work_run(&w, p->env, p->value, e);
}
