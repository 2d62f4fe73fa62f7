#include "data/reference.h"

#include "base/mem.h"

#include <math.h>
#include <string.h>

int reference_init(struct reference *r, const struct scan *s, const struct jsense_conf *c,
                   struct err *e)
{
    size_t coils = (size_t)s->coils, k = (size_t)c->kernel;
    size_t pixels = (size_t)s->height * (size_t)s->width;
    *r = (struct reference){.coils = s->coils,
                            .readout = s->readout,
                            .phase = s->phase,
                            .height = s->height,
                            .width = s->width};
    size_t one = sizeof(float complex);
    if ((r->jsense = jsense_new(c, s->coils, s->height, s->width, e)) &&
        (r->raw_fft = fft2_new(s->readout, s->phase, e)) &&
        (r->fft = fft2_new(s->height, s->width, e)) &&
        (r->raw = mem_new(coils * (size_t)s->readout * (size_t)s->phase, one, e)) &&
        (r->images = mem_new(coils * pixels, one, e)) &&
        (r->kspace = mem_new(coils * pixels, one, e)) &&
        (r->maps = mem_new(coils * pixels, one, e)) &&
        (r->kernels = mem_new(coils * k * k, one, e)) && (r->image = mem_new(pixels, one, e)) &&
        (r->rss = mem_new(pixels, sizeof *r->rss, e)))
        return 0;
    reference_release(r);
    return -1;
}

void reference_release(struct reference *r)
{
    jsense_free(r->jsense);
    fft2_free(r->raw_fft);
    fft2_free(r->fft);
    void *const all[] = {r->raw, r->images, r->kspace, r->maps, r->kernels, r->image, r->rss};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        mem_free(all[i]);
    *r = (struct reference){0};
}

void reference_images(struct reference *r)
{
    size_t raw = (size_t)r->readout * (size_t)r->phase;
    size_t pixels = (size_t)r->height * (size_t)r->width, coils = (size_t)r->coils;
    bool same = r->readout == r->height && r->phase == r->width;
    if (same) memcpy(r->kspace, r->raw, coils * raw * sizeof *r->raw);
    for (size_t c = 0; c < coils; c++) {
        float complex *image = r->images + c * pixels, *kspace = r->kspace + c * pixels;
        fft2_inverse(r->raw_fft, r->raw + c * raw);
        image_fit(r->raw + c * raw, r->readout, r->phase, image, r->height, r->width);
        if (same) continue; /* there and back again would only add rounding errors */
        memcpy(kspace, image, pixels * sizeof *kspace);
        fft2_forward(r->fft, kspace);
    }
}

int reference_make(struct reference *r, struct err *e)
{
    reference_images(r);
    if (jsense_kernels(r->jsense, r->kspace, r->kernels, e)) return -1;
    jsense_maps(r->jsense, r->kernels, r->maps);
    coils_combine(r->maps, r->images, r->coils, r->height, r->width, r->image);
    coils_rss(r->images, r->coils, r->height, r->width, r->rss);
    for (size_t i = 0, n = (size_t)r->height * (size_t)r->width; i < n; i++)
        if (!isfinite(r->rss[i]) || !isfinite(crealf(r->image[i])) ||
            !isfinite(cimagf(r->image[i])))
            return err_set(e, ERR_DATA, "its values are too large: the reference overflows");
    return 0;
}
