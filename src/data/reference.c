#include "data/reference.h"

#include "base/mem.h"

#include <math.h>
#include <string.h>

int reference_init(struct reference *r, const struct scan *s, const struct jsense_conf *c,
                   struct err *e)
{
    const size_t coils = (size_t)s->coils, k = (size_t)c->kernel, one = sizeof(float complex);
    const size_t pixels = (size_t)s->height * (size_t)s->width;
    *r = (struct reference){.coils = s->coils,
                            .readout = s->readout,
                            .phase = s->phase,
                            .height = s->height,
                            .width = s->width};
    /* There and back again would only add rounding errors. */
    const bool same = s->readout == s->height && s->phase == s->width;
    if ((r->inverse = fft_fit_new(s->readout, s->phase, s->height, s->width, e)) &&
        (r->images = mem_new(coils * pixels, one, e)) && (r->image = mem_new(pixels, one, e)) &&
        (r->rss = mem_new(pixels, sizeof *r->rss, e)) &&
        (jsense_given(c) ||
         ((r->jsense = jsense_new(c, s->coils, s->height, s->width, e)) &&
          (same ||
           (r->centre = dft_new(s->height, s->width, r->jsense->rows, r->jsense->cols, e))) &&
          (r->square =
               mem_new(coils * (size_t)r->jsense->rows * (size_t)r->jsense->cols, one, e)) &&
          (r->kernels = mem_new(coils * k * k, one, e)))))
        return 0;
    reference_release(r);
    return -1;
}

void reference_release(struct reference *r)
{
    jsense_free(r->jsense);
    fft_fit_free(r->inverse);
    dft_free(r->centre);
    void *const all[] = {r->images, r->square, r->kernels, r->image, r->rss};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        mem_free(all[i]);
    *r = (struct reference){0};
}

void reference_images(struct reference *r, const float complex *raw)
{
    const size_t samples = (size_t)r->readout * (size_t)r->phase;
    const size_t pixels = (size_t)r->height * (size_t)r->width;
    for (size_t c = 0; c < (size_t)r->coils; c++)
        fft_fit_inverse(r->inverse, raw + c * samples, r->images + c * pixels);
}

void reference_images_kept(struct reference *r, const float *keep, const float complex *raw)
{
    const size_t samples = (size_t)r->readout * (size_t)r->phase;
    const size_t pixels = (size_t)r->height * (size_t)r->width;
    for (size_t c = 0; c < (size_t)r->coils; c++)
        fft_fit_inverse_kept(r->inverse, keep, raw + c * samples, r->images + c * pixels);
}

void reference_images_masked(struct reference *r, const struct fft_mask *mask, const float *keep,
                             const float complex *raw)
{
    const size_t samples = (size_t)r->readout * (size_t)r->phase;
    const size_t pixels = (size_t)r->height * (size_t)r->width;
    for (size_t c = 0; c < (size_t)r->coils; c++)
        fft_fit_inverse_masked(r->inverse, mask, keep, raw + c * samples, r->images + c * pixels);
}

static int check_result(const struct reference *r, bool calibrated, struct err *e)
{
    bool empty = true, finite = true;
    for (size_t i = 0, n = (size_t)r->height * (size_t)r->width; i < n; i++) {
        empty &= r->rss[i] == 0.0f;
        finite &=
            isfinite(r->rss[i]) && isfinite(crealf(r->image[i])) && isfinite(cimagf(r->image[i]));
    }
    if (!finite) return err_set(e, ERR_DATA, "its values are too large: the reference overflows");
    if (calibrated || empty) return 0;
    err_set(e, ERR_DATA, "the centre of k-space, %d by %d samples, holds only zeros",
            r->jsense->rows, r->jsense->cols);
    return err_hint(e, "is the k-space stored with its centre in the corner, or masked?");
}

/* False when there is nothing to calibrate with. */
static bool estimate(struct reference *r, const float complex *raw)
{
    const size_t pixels = (size_t)r->height * (size_t)r->width;
    const size_t square = (size_t)r->jsense->rows * (size_t)r->jsense->cols;
    if (r->centre)
        for (size_t c = 0; c < (size_t)r->coils; c++)
            dft_centre(r->centre, r->images + c * pixels, r->square + c * square);
    else
        jsense_square(r->jsense, raw, r->square);
    return jsense_kernels(r->jsense, r->square, r->kernels);
}

int reference_make(struct reference *r, const float complex *raw, const float complex *maps,
                   struct err *e)
{
    bool calibrated = true;
    reference_images(r, raw);
    if (maps) {
        coils_combine(maps, r->images, r->coils, r->height, r->width, r->image);
        coils_rss(r->images, r->coils, r->height, r->width, r->rss);
    } else {
        calibrated = estimate(r, raw);
        jsense_combine(r->jsense, r->kernels, r->images, r->image, r->rss);
    }
    return check_result(r, calibrated, e);
}
