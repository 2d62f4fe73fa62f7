#include "data/patches.h"

#include "base/mem.h"

#include <stdbool.h>
#include <string.h>

enum { TRIES = 50, TRIAL_DRAWS = 20 };

const struct cfg_field patches_fields[] = {
    CFG_INT(struct patches_conf, side, "16", 1, 256, "px", "side of a square patch"),
    CFG_REAL(struct patches_conf, coverage, "0.25", 0.001, 0.5, "",
             "share of the image area that patches cover"),
    CFG_END};

struct patches {
    int side, wanted, h, w;
    int rows,
        cols;  /* of the cell grid; a cell has the patch's side, so it holds one patch at most */
    int *cell; /* index into place, or -1 */
    uint32_t *order; /* candidate positions of the top left corner, row * (w - side + 1) + column */
    uint32_t *place; /* accepted positions */
};

struct patches *patches_new(const struct patches_conf *c, int h, int w, struct err *e)
{
    int wanted = (int)(c->coverage * h * w / ((double)c->side * c->side) + 1e-9);
    if (h < c->side || w < c->side || wanted < 1) {
        err_set(e, ERR_CONFIG, "patches of %d px cannot cover %g of a %d x %d image", c->side,
                c->coverage, h, w);
        err_hint(e, "choose smaller patches, more coverage or larger images");
        return NULL;
    }
    struct patches *p = mem_new(1, sizeof *p, e);
    if (!p) return NULL;
    *p = (struct patches){.side = c->side, .wanted = wanted, .h = h, .w = w};
    p->rows = h / c->side + 1;
    p->cols = w / c->side + 1;
    size_t candidates = (size_t)(h - c->side + 1) * (size_t)(w - c->side + 1);
    size_t cells = (size_t)p->rows * (size_t)p->cols;
    float *keep = mem_new((size_t)h * (size_t)w, sizeof *keep, e);
    p->cell = mem_new(cells, sizeof *p->cell, e);
    p->order = mem_new(candidates, sizeof *p->order, e);
    p->place = mem_new(cells, sizeof *p->place, e);
    bool ok = keep && p->cell && p->order && p->place;
    for (uint32_t i = 0; ok && i < TRIAL_DRAWS; i++)
        ok = patches_draw(p, rng_make(0, RNG_PATCHES, 0, i), keep, e) == 0;
    mem_free(keep);
    if (ok) return p;
    patches_free(p);
    return NULL;
}

void patches_free(struct patches *p)
{
    if (!p) return;
    mem_free(p->cell);
    mem_free(p->order);
    mem_free(p->place);
    mem_free(p);
}

int patches_count(const struct patches *p)
{
    return p->wanted;
}

/* Is every accepted patch at least side * sqrt(2) away from one at (y, x)? Within the two
 * neighbouring cells on each side, since 2 * side > side * sqrt(2). */
static bool is_free(const struct patches *p, int y, int x)
{
    int span = p->w - p->side + 1, cy = y / p->side, cx = x / p->side;
    for (int i = cy > 2 ? cy - 2 : 0; i <= cy + 2 && i < p->rows; i++)
        for (int j = cx > 2 ? cx - 2 : 0; j <= cx + 2 && j < p->cols; j++) {
            int k = p->cell[i * p->cols + j];
            if (k < 0) continue;
            int dy = (int)(p->place[k] / (uint32_t)span) - y;
            int dx = (int)(p->place[k] % (uint32_t)span) - x;
            if (dy * dy + dx * dx < 2 * p->side * p->side) return false;
        }
    return true;
}

/* One saturated sampling: every position is tried once, in random order. Returns the number
 * accepted. */
static int saturate(struct patches *p, struct rng *rng)
{
    int span = p->w - p->side + 1, n = 0;
    uint32_t candidates = (uint32_t)(p->h - p->side + 1) * (uint32_t)span;
    for (int i = 0; i < p->rows * p->cols; i++)
        p->cell[i] = -1;
    for (uint32_t i = 0; i < candidates; i++)
        p->order[i] = i;
    for (uint32_t i = 0; i < candidates; i++) {
        uint32_t j = i + rng_below(rng, candidates - i), at = p->order[j];
        p->order[j] = p->order[i];
        int y = (int)at / span, x = (int)at % span;
        if (!is_free(p, y, x)) continue;
        p->cell[y / p->side * p->cols + x / p->side] = n;
        p->place[n++] = at;
    }
    return n;
}

int patches_draw(struct patches *p, struct rng rng, float *keep, struct err *e)
{
    int n = 0, most = 0, span = p->w - p->side + 1;
    for (int i = 0; n < p->wanted; i++) {
        if (i == TRIES) {
            err_set(e, ERR_CONFIG,
                    "%d Poisson-disc patches of %d px do not fit a %d x %d image (at most %d of %d "
                    "draws)",
                    p->wanted, p->side, p->h, p->w, most, TRIES);
            return err_hint(e, "lower patches.coverage or patches.side");
        }
        n = saturate(p, &rng);
        if (n > most) most = n;
    }
    rng_shuffle(&rng, p->place, (size_t)n);
    for (size_t i = 0; i < (size_t)p->h * (size_t)p->w; i++)
        keep[i] = 1.0f;
    for (int k = 0; k < p->wanted; k++) {
        float *corner = keep + (int)p->place[k] / span * p->w + (int)p->place[k] % span;
        for (int y = 0; y < p->side; y++)
            memset(corner + (size_t)y * (size_t)p->w, 0, (size_t)p->side * sizeof *corner);
    }
    return 0;
}
