#include "data/zerofill.h"

static int prepare(struct zerofill *z, const struct scan *s, struct err *e)
{
    const struct reference *r = &z->of;
    if (z->fft && r->coils == s->coils && r->readout == s->readout && r->phase == s->phase &&
        r->height == s->height && r->width == s->width)
        return 0;
    zerofill_release(z);
    if (reference_init(&z->of, s, &z->conf, e)) return -1;
    return (z->fft = fft2_new(s->height, s->width, e)) ? 0 : -1;
}

int zerofill_slice(struct zerofill *z, const struct scan *scan, const struct refcache *cache,
                   int slice, const float *keep, float complex *out, struct err *e)
{
    struct reference *r = &z->of;
    if (prepare(z, scan, e)) return -1;
    struct scan_file *f = scan_open(scan, e);
    int bad = !f || scan_read_kspace(scan, f, slice, r->raw, e) ||
              refcache_read_kernels(cache, slice, r->kernels, e);
    scan_close(f);
    if (bad) return -1;
    reference_images(r);
    size_t pixels = (size_t)r->height * (size_t)r->width;
    for (size_t c = 0; c < (size_t)r->coils; c++) {
        float complex *coil = r->images + c * pixels;
        fft2_forward(z->fft, coil);
        for (size_t i = 0; i < pixels; i++)
            coil[i] *= keep[i];
        fft2_inverse(z->fft, coil);
    }
    jsense_combine(r->jsense, r->kernels, r->images, out, NULL);
    return 0;
}

void zerofill_release(struct zerofill *z)
{
    reference_release(&z->of);
    fft2_free(z->fft);
    z->fft = NULL;
}
