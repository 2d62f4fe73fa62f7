#include "data/undersample.h"

#include "base/mem.h"
#include "data/fft.h"
#include "data/normalise.h"

static const double TOP_SHARE = 0.05;

const struct cfg_field undersample_fields[] = {
    CFG_PICK(struct undersample_conf, mask, "random", mask_kinds, "undersampling"),
    CFG_CHOICE(struct undersample_conf, mask_on, "cropped", mask_on_choices,
               "as in the training of the network: see train-recon"),
    CFG_U64(struct undersample_conf, seed, "1",
            "of the masks: each is a function of this and the name of the scan's file"),
    CFG_END};

int undersample_init(struct undersample *u, struct undersample_conf c, const struct images *im,
                     struct err *e)
{
    const size_t n = (size_t)im->height * (size_t)im->width;
    size_t largest = n, masked = 0;
    *u = (struct undersample){
        .conf = c, .images = im, .zerofill = {.conf = im->conf.jsense, .mask_on = c.mask_on}};
    if (!(u->masks = masks_new(c.mask, e))) return -1;
    for (int i = 0; i < im->scans.n; i++) {
        const struct scan *s = &im->scans.list[i];
        const struct mask_plan *p = undersample_plan(u, s, e);
        if (!p) return err_wrap(e, "%s", s->path);
        const size_t pixels = (size_t)s->height * (size_t)s->width;
        const size_t samples = (size_t)p->h * (size_t)p->w;
        if (pixels > largest) largest = pixels;
        if (samples > masked) masked = samples;
    }
    u->keep = mem_new(masked, sizeof *u->keep, e);
    u->raw = mem_new(largest, sizeof *u->raw, e);
    u->scratch = mem_new(n, sizeof *u->scratch, e);
    return u->keep && u->raw && u->scratch ? 0 : -1;
}

void undersample_release(struct undersample *u)
{
    zerofill_release(&u->zerofill);
    masks_free(u->masks);
    mem_free(u->keep);
    mem_free(u->raw);
    mem_free(u->scratch);
    *u = (struct undersample){0};
}

const struct mask_plan *undersample_plan(struct undersample *u, const struct scan *s, struct err *e)
{
    int h, w;
    zerofill_mask_size(u->conf.mask_on, s, &h, &w);
    return masks_plan(u->masks, h, w, e);
}

struct mask_key undersample_own_mask(const struct undersample *u, int scan)
{
    return mask_key_of_file(u->conf.seed, u->images->scans.list[scan].path);
}

int undersample_slice(struct undersample *u, int scan, int slice, struct mask_key key,
                      float complex *zero, struct err *e)
{
    const struct images *im = u->images;
    const struct scan *s = &im->scans.list[scan];
    int h, w;
    zerofill_mask_size(u->conf.mask_on, s, &h, &w);
    if (masks_draw(u->masks, key, h, w, u->keep, e) ||
        zerofill_slice(&u->zerofill, s, &im->cache[scan], slice, u->keep, u->raw, e))
        return -1;
    image_fit(u->raw, s->height, s->width, zero, im->height, im->width);
    return 0;
}

double undersample_scale(struct undersample *u, const float complex *zero)
{
    const size_t n = (size_t)u->images->height * (size_t)u->images->width;
    return normalise_top_magnitude(zero, n, TOP_SHARE, u->scratch);
}
