#include "eval/undersample.h"

#include "base/mem.h"
#include "data/fft.h"

#include <string.h>

const struct cfg_field undersample_fields[] = {
    CFG_PICK(struct undersample_conf, mask, "random", mask_kinds, "undersampling"),
    CFG_CHOICE(struct undersample_conf, mask_on, "cropped", mask_on_choices,
               "as in the training of the network: see train-recon"),
    CFG_U64(struct undersample_conf, seed, "1",
            "of the masks: each is a function of this and the name of the scan's file"),
    CFG_END};

int undersample_init(struct undersample *u, const struct undersample_conf *c, struct images *im,
                     struct err *e)
{
    *u = (struct undersample){
        .conf = c, .images = im, .zerofill = {.conf = im->conf.jsense, .mask_on = c->mask_on}};
    size_t largest = 0, masked = 0;
    if (!(u->masks = masks_new(c->mask, e))) return -1;
    for (int s = 0; s < im->scans.n; s++) {
        const struct scan *scan = &im->scans.list[s];
        size_t pixels = (size_t)scan->height * (size_t)scan->width;
        if (pixels > largest) largest = pixels;
        int h, w;
        zerofill_mask_size(c->mask_on, scan, &h, &w);
        if ((size_t)h * (size_t)w > masked) masked = (size_t)h * (size_t)w;
        if (!masks_plan(u->masks, h, w, e)) return err_wrap(e, "%s", scan->path);
    }
    u->keep = mem_new(masked, sizeof *u->keep, e);
    u->raw = mem_new(largest, sizeof *u->raw, e);
    return u->keep && u->raw ? 0 : -1;
}

void undersample_release(struct undersample *u)
{
    zerofill_release(&u->zerofill);
    masks_free(u->masks);
    mem_free(u->keep);
    mem_free(u->raw);
    *u = (struct undersample){0};
}

int undersample_read(struct undersample *u, int i, float complex *x, struct err *e)
{
    struct images *im = u->images;
    const struct image at = im->list[i];
    const struct scan *scan = &im->scans.list[at.scan];
    struct mask_key key = mask_key_of_file(u->conf->seed, scan->path);
    int h, w;
    zerofill_mask_size(u->conf->mask_on, scan, &h, &w);
    if (masks_draw(u->masks, key, h, w, u->keep, e) ||
        zerofill_slice(&u->zerofill, scan, &im->cache[at.scan], at.slice, u->keep, u->raw, e))
        return -1;
    image_fit(u->raw, scan->height, scan->width, x, im->height, im->width);
    return 0;
}
