#include "data/undersample.h"

#include "base/mem.h"
#include "data/fft.h"
#include "data/normalise.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double TOP_SHARE = 0.05;

const struct cfg_field undersample_fields[] = {
    CFG_PICK(struct undersample_conf, mask, "random", mask_kinds, "undersampling"),
    CFG_CHOICE(struct undersample_conf, mask_on, "cropped", mask_on_choices,
               "as in the training of the network: see train-recon"),
    CFG_U64(struct undersample_conf, seed, "1",
            "of the masks: each is a function of this and the name of the scan's file"),
    CFG_END};

/* The dump of a configuration, free(). NULL: out of memory. */
static char *dump(const struct undersample_conf *c)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    const bool bad = !f || cfg_write(undersample_fields, c, f);
    if (f && !fclose(f) && !bad) return text;
    free(text);
    return NULL;
}

int undersample_write(const struct undersample_conf *c, char *text, size_t size, struct err *e)
{
    char *all = dump(c);
    if (!all) return err_set(e, ERR_FAILED, "out of memory");
    const bool fits = strlen(all) < size;
    if (fits) memcpy(text, all, strlen(all) + 1);
    free(all);
    return fits ? 0
                : err_set(e, ERR_CONFIG,
                          "mask: its description is longer than the %zu bytes a checkpoint has for "
                          "it",
                          size - 1);
}

/* Lines "key: value" of two dumps of the same table and kind of mask, which differ in values alone.
 */
static void list_differences(const char *was, const char *is, char *what, size_t size)
{
    for (size_t at = 0; *was && *is;) {
        const int a = (int)strcspn(was, "\n"), b = (int)strcspn(is, "\n");
        const int indent = (int)strspn(was, " "), value = (int)strcspn(was, ":") + 2;
        if ((a != b || memcmp(was, is, (size_t)a) != 0) && at < size)
            at += (size_t)snprintf(what + at, size - at, "%s%.*s was %.*s, is %.*s", at ? "; " : "",
                                   value - 2 - indent, was + indent, a - value, was + value,
                                   b - value, is + value);
        was += a + (was[a] != '\0');
        is += b + (is[b] != '\0');
    }
}

bool undersample_differs(const char *record, const struct undersample_conf *is, char *what,
                         size_t size)
{
    struct undersample_conf was = {0};
    struct cfg *cfg =
        cfg_parse(undersample_fields, &was, "", record, strlen(record), NULL, 0, NULL);
    *what = '\0';
    if (!cfg)
        snprintf(what, size, "its record of them cannot be read by this version");
    else if (was.mask.kind != is->mask.kind)
        snprintf(what, size, "mask was %s, is %s", was.mask.kind->name, is->mask.kind->name);
    else {
        /* Today's dump of the record: keys that have come since have their defaults. */
        char *a = dump(&was), *b = dump(is);
        if (a && b) list_differences(a, b, what, size);
        free(a);
        free(b);
    }
    cfg_free(cfg);
    return *what != '\0';
}

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
