#include "data/zerofill.h"

#include "base/mem.h"
#include "data/maps_file.h"

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
    return (z->fft = fft2_new(s->height, s->width, e)) ? 0 : -1;
}

static int read_maps(struct zerofill *z, const struct scan *s, int slice, struct err *e)
{
    struct maps_file f;
    int rc = maps_open(&f, z->conf.maps, s, e) || maps_read(&f, s, slice, z->maps, e) ? -1 : 0;
    maps_close(&f);
    return rc;
}

int zerofill_slice(struct zerofill *z, const struct scan *scan, const struct refcache *cache,
                   int slice, const float *keep, float complex *out, struct err *e)
{
    struct reference *r = &z->of;
    if (prepare(z, scan, e)) return -1;
    struct scan_file *f = scan_open(scan, e);
    int bad = !f || scan_read_kspace(scan, f, slice, z->raw, e) ||
              (z->maps ? read_maps(z, scan, slice, e)
                       : refcache_read_kernels(cache, slice, r->kernels, e));
    scan_close(f);
    if (bad) return -1;
    reference_images(r, z->raw);
    size_t pixels = (size_t)r->height * (size_t)r->width;
    for (size_t c = 0; c < (size_t)r->coils; c++) {
        float complex *coil = r->images + c * pixels;
        fft2_forward(z->fft, coil);
        for (size_t i = 0; i < pixels; i++)
            coil[i] *= keep[i];
        fft2_inverse(z->fft, coil);
    }
    if (z->maps)
        coils_combine(z->maps, r->images, r->coils, r->height, r->width, out);
    else
        jsense_combine(r->jsense, r->kernels, r->images, out, NULL);
    return 0;
}

void zerofill_release(struct zerofill *z)
{
    reference_release(&z->of);
    fft2_free(z->fft);
    mem_free(z->raw);
    mem_free(z->maps);
    z->fft = NULL;
    z->raw = z->maps = NULL;
}
