#include "data/images.h"

#include "base/mem.h"
#include "data/fft.h"
#include "data/normalise.h"

#include <math.h>
#include <string.h>

static const char *const slice_choices[] = {"centre", "all", NULL};

const struct cfg_field images_fields[] = {
    CFG_TEXTS(struct images_conf, scans, NULL,
              "scans: files, or folders of them (fastMRI, ISMRMRD or BART: docs/data.md)"),
    IMAGES_CHOICE_FIELDS,
    CFG_CHOICE(
        struct images_conf, slices, "centre", slice_choices,
        "one image a scan (slice S/2 of S) or all; intervals and p values then take those of "
        "a scan for a cluster"),
    CFG_INT(struct images_conf, height, "0", 0, 4096, "px",
            "references are cropped or zero-padded to this; 0: as they are"),
    CFG_INT(struct images_conf, width, "0", 0, 4096, "px", "see height"),
    CFG_GROUP(struct images_conf, jsense, jsense_fields, "reference images"),
    CFG_END};

static int count_slices(const struct images *im, int scan)
{
    return im->whole_scans ? im->cache[scan].slices : 1;
}

static int list_images(struct images *im, struct err *e)
{
    int n = 0;
    for (int s = 0; s < im->scans.n; s++)
        n += count_slices(im, s);
    if (!(im->list = mem_new((size_t)n, sizeof *im->list, e))) return -1;
    for (int s = 0; s < im->scans.n; s++)
        for (int k = 0; k < count_slices(im, s); k++)
            im->list[im->n++] = (struct image){s, im->whole_scans ? k : im->cache[s].slices / 2};
    return 0;
}

int images_size(struct images *im, struct err *e)
{
    const struct images_conf *c = &im->conf;
    const struct scan *first = im->scans.list;
    im->height = c->height ? c->height : first->height;
    im->width = c->width ? c->width : first->width;
    for (int i = 1; i < im->scans.n; i++) {
        const struct scan *s = &im->scans.list[i];
        bool same = s->height == first->height && s->width == first->width;
        if (same || (c->height && c->width)) continue;
        err_set(e, ERR_DATA, "references differ in size: %s has %dx%d, %s has %dx%d", first->path,
                first->height, first->width, s->path, s->height, s->width);
        return err_hint(e, "give data.height and data.width: references are cropped or padded");
    }
    return 0;
}

void images_adopt(struct images *im, const struct images_conf *c, struct scans *scans)
{
    *im = (struct images){.conf = *c,
                          .height = c->height,
                          .width = c->width,
                          .whole_scans = c->slices == SLICES_ALL,
                          .scans = *scans};
    *scans = (struct scans){0};
}

int images_find(struct images *im, const struct images_conf *c, bool quiet, struct err *e)
{
    const struct scans_query q = {.paths = c->scans, .on_bad = c->on_bad_scan, .quiet = quiet};
    struct scans scans = {0}, *out[PARTS] = {NULL};
    out[c->part] = &scans;
    *im = (struct images){0};
    if (split_scans(&c->split, &q, out, e)) return -1;
    images_adopt(im, c, &scans);
    return 0;
}

/* Closes the gaps that dropped scans leave. */
static int close_gaps(struct images *im, struct err *e)
{
    int n = 0;
    for (int i = 0; i < im->scans.n; i++) {
        if (im->scans.list[i].dropped) continue;
        im->scans.list[n] = im->scans.list[i];
        im->cache[n++] = im->cache[i];
    }
    im->scans.n = n;
    if (n) return 0;
    if (im->scans.nbad == 0) return err_set(e, ERR_DATA, "there are no scans");
    return err_set(e, ERR_DATA, "of %d scans none can be used; the first: %s", im->scans.nbad,
                   im->scans.bad[0].why);
}

int images_missing(const struct images *im, struct err *e)
{
    return refcache_missing(&im->scans, im->conf.cache, &im->conf.jsense, e);
}

int images_prepare(struct images *im, bool quiet, struct err *e)
{
    const struct images_conf *c = &im->conf;
    im->cache = mem_new((size_t)im->scans.n, sizeof *im->cache, e);
    if (!im->cache || refcache_prepare(&im->scans, c->cache, &c->jsense, quiet, im->cache, e))
        return -1;
    if (close_gaps(im, e) || images_size(im, e) || list_images(im, e)) return -1;
    size_t largest = 0;
    for (int s = 0; s < im->scans.n; s++) {
        size_t len = (size_t)im->cache[s].height * (size_t)im->cache[s].width;
        if (len > largest) largest = len;
    }
    im->raw = mem_new(largest, sizeof *im->raw, e);
    im->fitted = mem_new((size_t)im->height * (size_t)im->width, sizeof *im->fitted, e);
    return im->raw && im->fitted ? 0 : -1;
}

void images_release(struct images *im)
{
    scans_release(&im->scans);
    mem_free(im->list);
    mem_free(im->cache);
    mem_free(im->raw);
    mem_free(im->fitted);
    *im = (struct images){0};
}

const struct scan *images_scan(const struct images *im, int i)
{
    return &im->scans.list[im->list[i].scan];
}

const char *images_name(const struct images *im, int i)
{
    return images_scan(im, i)->name;
}

uint32_t images_id(const struct images *im, int i)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (const char *p = images_name(im, i); *p; p++)
        hash = (hash ^ (unsigned char)*p) * 16777619u;
    for (int k = 0; k < 4; k++)
        hash = (hash ^ (uint32_t)(im->list[i].slice >> 8 * k & 255)) * 16777619u;
    return hash;
}

int images_read(struct images *im, int i, float complex *x, struct err *e)
{
    const struct image *it = &im->list[i];
    const struct refcache *r = &im->cache[it->scan];
    if (refcache_read(r, it->slice, im->raw, e)) return -1;
    image_fit(im->raw, r->height, r->width, x, im->height, im->width);
    return 0;
}

int images_read_zscored(struct images *im, int i, float *x, struct err *e)
{
    size_t n = (size_t)im->height * (size_t)im->width;
    if (images_read(im, i, im->fitted, e)) return -1;
    for (size_t k = 0; k < n; k++)
        x[k] = cabsf(im->fitted[k]);
    normalise_zscore(x, n);
    return 0;
}
