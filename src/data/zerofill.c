#include "data/zerofill.h"

#include "base/mem.h"
#include "data/maps_file.h"

#include <stdbool.h>
#include <string.h>

const char *const mask_on_choices[] = {"cropped", "acquired", NULL};

void zerofill_mask_size(int mask_on, const struct scan *s, int *h, int *w)
{
    *h = mask_on == MASK_ACQUIRED ? s->readout : s->height;
    *w = mask_on == MASK_ACQUIRED ? s->phase : s->width;
}

static int prepare(struct zerofill *z, const struct scan *s, struct err *e)
{
    const struct reference *r = &z->of;
    if (z->fft && r->coils == s->coils && r->readout == s->readout && r->phase == s->phase &&
        r->height == s->height && r->width == s->width)
        return 0;
    zerofill_release(z);
    const size_t coils = (size_t)s->coils, one = sizeof(float complex);
    if (reference_init(&z->of, s, &z->conf, e) ||
        !(z->raw = mem_new(coils * (size_t)s->readout * (size_t)s->phase, one, e)) ||
        (jsense_given(&z->conf) &&
         !(z->maps = mem_new(coils * (size_t)s->height * (size_t)s->width, one, e))))
        return -1;
    return (z->fft = fft2_new(s->height, s->width, e)) && (z->columns = fft_mask_new(s->width, e))
               ? 0
               : -1;
}

static int read_maps(struct zerofill *z, const struct scan *s, int slice, struct err *e)
{
    struct maps_file f;
    int rc = maps_open(&f, z->conf.maps, s, e) || maps_read(&f, s, slice, z->maps, e) ? -1 : 0;
    maps_close(&f);
    return rc;
}

static bool same_rows(const float *keep, int h, int w)
{
    for (int y = 1; y < h; y++)
        if (memcmp(keep, keep + (size_t)y * (size_t)w, (size_t)w * sizeof *keep)) return false;
    return true;
}

/* Images of what a mask leaves that is drawn on what the scanner acquired. */
static void mask_acquired(struct zerofill *z, const struct scan *s, const float *keep)
{
    size_t samples = (size_t)s->readout * (size_t)s->phase;
    if (same_rows(keep, s->readout, s->phase)) {
        reference_images_kept(&z->of, keep, z->raw);
        return;
    }
    for (size_t c = 0; c < (size_t)s->coils; c++)
        for (size_t i = 0; i < samples; i++)
            z->raw[c * samples + i] *= keep[i];
    reference_images(&z->of, z->raw);
}

/* And of what one leaves that is drawn on the k-space of the cropped images. */
static void mask_cropped(struct zerofill *z, const float *keep)
{
    struct reference *r = &z->of;
    size_t pixels = (size_t)r->height * (size_t)r->width;
    if (same_rows(keep, r->height, r->width)) {
        reference_images_masked(r, z->columns, keep, z->raw);
        return;
    }
    reference_images(r, z->raw);
    for (size_t c = 0; c < (size_t)r->coils; c++) {
        float complex *coil = r->images + c * pixels;
        fft2_forward(z->fft, coil);
        for (size_t i = 0; i < pixels; i++)
            coil[i] *= keep[i];
        fft2_inverse(z->fft, coil);
    }
}

/* k-space, and what combines its coils. */
static int read_slice(struct zerofill *z, const struct scan *s, const struct refcache *cache,
                      int slice, struct err *e)
{
    if (refcache_check_source(cache, e)) return -1;
    struct scan_file *f = scan_open(s, e);
    int bad = !f || scan_read_kspace(s, f, slice, z->raw, e) ||
              (z->maps ? read_maps(z, s, slice, e)
                       : refcache_read_kernels(cache, slice, z->of.kernels, e));
    scan_close(f);
    return bad ? -1 : 0;
}

int zerofill_slice(struct zerofill *z, const struct scan *scan, const struct refcache *cache,
                   int slice, const float *keep, float complex *out, struct err *e)
{
    struct reference *r = &z->of;
    if (prepare(z, scan, e) || read_slice(z, scan, cache, slice, e)) return -1;
    if (z->mask_on == MASK_ACQUIRED)
        mask_acquired(z, scan, keep);
    else
        mask_cropped(z, keep);
    if (z->maps)
        coils_combine(z->maps, r->images, r->coils, r->height, r->width, out);
    else
        jsense_combine(r->jsense, r->kernels, r->images, out, NULL);
    return 0;
}

const float complex *zerofill_maps(struct zerofill *z)
{
    struct reference *r = &z->of;
    if (z->maps) return z->maps;
    jsense_maps(r->jsense, r->kernels, r->images); /* the coils' images are combined already */
    return r->images;
}

void zerofill_release(struct zerofill *z)
{
    reference_release(&z->of);
    fft2_free(z->fft);
    fft_mask_free(z->columns);
    mem_free(z->raw);
    mem_free(z->maps);
    z->fft = NULL;
    z->columns = NULL;
    z->raw = z->maps = NULL;
}
