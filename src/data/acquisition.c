#include "data/acquisition.h"

#include "base/mem.h"
#include "data/fft.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

enum { OUTSIDE = -1 };

struct acquisition {
    int coils, widths;
    struct width { /* of k-space */
        int n;
        struct fft_mask *fft;
    } * width; /* (widths), all different */
};

/* The part of an axis that k-space knows, in an image of `size`: `n` samples, or those of them that
 * the crops to the reference's size and to the image's have left. */
struct span {
    int first, n;
};

/* image_fit of an axis. */
static struct span fitted(struct span s, int from, int to)
{
    int first = s.first - (from > to ? (from - to) / 2 : -((to - from) / 2)), end = first + s.n;
    if (first < 0) first = 0;
    if (end > to) end = to;
    return (struct span){first, end - first};
}

static struct span span_of(int samples, int reference, int image)
{
    return fitted(fitted((struct span){0, samples}, samples, reference), reference, image);
}

/* ---- the operator ------------------------------------------------------------------------- */

static const struct fft_mask *fft_of(const struct acquisition *a, int n)
{
    for (int i = 0; i < a->widths; i++)
        if (a->width[i].n == n) return a->width[i].fft;
    return NULL;
}

static int add_width(struct acquisition *a, int n, struct err *e)
{
    if (fft_of(a, n)) return 0;
    struct width *w = &a->width[a->widths];
    *w = (struct width){n, fft_mask_new(n, e)};
    a->widths += w->fft != NULL;
    return w->fft ? 0 : -1;
}

static struct acquisition *make(int coils, int widths, struct err *e)
{
    struct acquisition *a = mem_new(1, sizeof *a, e);
    if (!a) return NULL;
    a->coils = coils;
    if ((a->width = mem_new((size_t)widths, sizeof *a->width, e))) return a;
    acquisition_free(a);
    return NULL;
}

static int admit(struct acquisition *a, struct masks *masks, int mask_on, const struct scan *s,
                 int width, struct err *e)
{
    int h, w;
    zerofill_mask_size(mask_on, s, &h, &w);
    const struct mask_plan *p = masks_plan(masks, h, w, e);
    if (!p) return -1;
    if (p->of != w) {
        err_set(e, ERR_CONFIG, "data consistency needs a mask of columns; this one drops points");
        return err_hint(e, "choose a mask that drops columns, as random or fastmri");
    }
    if (w > s->width || s->width > width) {
        err_set(e, ERR_CONFIG,
                "data consistency is not defined: of %d columns of the masked k-space the image "
                "keeps %d, and what is cut off is aliased into them",
                w, s->width < width ? s->width : width);
        if (w > s->width) return err_hint(e, "set mask_on to cropped");
        return err_hint(e, "set data.width to at least %d", s->width);
    }
    if (s->coils > a->coils) a->coils = s->coils;
    return add_width(a, w, e);
}

struct acquisition *acquisition_new(struct undersample_conf c, const struct images *const *sets,
                                    int n, struct err *e)
{
    int scans = 0;
    for (int k = 0; k < n; k++)
        scans += sets[k]->scans.n;
    struct acquisition *a = make(0, scans, e);
    struct masks *masks = a ? masks_new(c.mask, e) : NULL;
    bool ok = masks != NULL;
    for (int k = 0; k < n; k++)
        for (int i = 0; i < sets[k]->scans.n && ok; i++) {
            const struct scan *s = &sets[k]->scans.list[i];
            ok = !admit(a, masks, c.mask_on, s, sets[k]->width, e);
            if (!ok) err_wrap(e, "%s", s->path);
        }
    masks_free(masks);
    if (ok) return a;
    acquisition_free(a);
    return NULL;
}

struct acquisition *acquisition_example(int coils, int width, struct err *e)
{
    struct acquisition *a = make(coils, 1, e);
    if (a && !add_width(a, width, e)) return a;
    acquisition_free(a);
    return NULL;
}

void acquisition_free(struct acquisition *a)
{
    if (!a) return;
    for (int i = 0; i < a->widths; i++)
        fft_mask_free(a->width[i].fft);
    mem_free(a->width);
    mem_free(a);
}

int acquisition_planes(const struct acquisition *a)
{
    return 1 + 2 * a->coils;
}

static bool all_zero(const float *x, int n)
{
    for (int j = 0; j < n; j++)
        if (x[j] != 0.0f) return false;
    return true;
}

/* Complex numbers as pairs: what the compiler makes of a product of complex ones looks for
 * infinities. */
static void multiply(const float *s, const float *x, int n, float *y)
{
    for (int j = 0; j < 2 * n; j += 2) {
        y[j] = s[j] * x[j] - s[j + 1] * x[j + 1];
        y[j + 1] = s[j] * x[j + 1] + s[j + 1] * x[j];
    }
}

static void add_conjugate(const float *s, const float *x, int n, float *y)
{
    for (int j = 0; j < 2 * n; j += 2) {
        y[j] += s[j] * x[j] + s[j + 1] * x[j + 1];
        y[j + 1] += s[j] * x[j + 1] - s[j + 1] * x[j];
    }
}

void acquisition_row(const void *ctx, const float *acquisition, int h, int w, int i, const float *x,
                     float *y, float *line)
{
    const struct acquisition *a = ctx;
    const size_t plane = (size_t)h * (size_t)w;
    const float *keep = acquisition + (size_t)i * (size_t)w;
    int first = 0, end = w;
    while (first < end && keep[first] < 0.0f)
        first++;
    while (end > first && keep[end - 1] < 0.0f)
        end--;
    const int n = end - first;
    memset(y, 0, 2 * (size_t)w * sizeof *y);
    if (n == 0) return;
    const struct fft_mask *fft = fft_of(a, n);
    assert(fft);
    for (int c = 0; c < a->coils; c++) {
        const float *s = acquisition + plane + 2 * ((size_t)c * plane + (size_t)(i * w + first));
        if (all_zero(s, 2 * n)) continue;
        multiply(s, x + 2 * first, n, line);
        fft_mask_line(fft, keep + first, (float complex *)line);
        add_conjugate(s, line, n, y + 2 * first);
    }
}

/* ---- its description ---------------------------------------------------------------------- */

/* A mirror image has the frequencies of the other sign: n / 2 is 0. */
static int mirrored(int frequency, int n)
{
    return (2 * (n / 2) - frequency + n) % n;
}

static void describe_mask(const struct undersample *u, const struct scan *s,
                          const struct augment *how, float *plane)
{
    const int height = u->images->height, width = u->images->width;
    int h, w;
    zerofill_mask_size(u->conf.mask_on, s, &h, &w);
    struct span rows = span_of(h, s->height, height), columns = span_of(w, s->width, width);
    assert(columns.n == w);
    if (how->flip_y) rows.first = height - rows.first - rows.n;
    if (how->flip_x) columns.first = width - columns.first - columns.n;
    for (int i = 0; i < height; i++)
        for (int j = 0; j < width; j++) {
            const int f = j - columns.first;
            const bool inside = i >= rows.first && i < rows.first + rows.n && f >= 0 && f < w;
            *plane++ = inside ? u->keep[how->flip_x ? mirrored(f, w) : f] : OUTSIDE;
        }
}

void acquisition_describe(const struct acquisition *a, struct undersample *u, int scan,
                          const struct augment *how, float *acquisition)
{
    const int h = u->images->height, w = u->images->width;
    const size_t plane = (size_t)h * (size_t)w;
    const struct scan *s = &u->images->scans.list[scan];
    const size_t pixels = (size_t)s->height * (size_t)s->width;
    const float complex *maps = zerofill_maps(&u->zerofill);
    const struct augment flips = {.flip_y = how->flip_y, .flip_x = how->flip_x, .factor = 1.0f};
    assert(how->turns == 0 && s->coils <= a->coils);
    describe_mask(u, s, how, acquisition);
    float *to = acquisition + plane;
    for (int c = 0; c < s->coils; c++, to += 2 * plane) {
        image_fit(maps + (size_t)c * pixels, s->height, s->width, u->raw, h, w);
        augment_apply(&flips, (const float *)u->raw, h, w, 2, to);
    }
    memset(to, 0, 2 * plane * (size_t)(a->coils - s->coils) * sizeof *to);
}
