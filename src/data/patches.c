#include "data/patches.h"

#include "base/mem.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { TRIES = 50, TRIAL_DRAWS = 20 };

const struct cfg_field patches_fields[] = {
    CFG_INT(struct patches_conf, side, "16", 1, 256, "px", "side of a square patch"),
    CFG_REAL(struct patches_conf, coverage, "0.25", 0.001, 0.5, "",
             "share of the image area that patches cover"),
    CFG_END};

struct patches {
    int side, wanted, h, w;
    int rows, cols;  /* of positions of the top left corner, numbered row * cols + column */
    int reach;       /* positions fewer rows than this apart can be too close */
    int *half;       /* (reach): at so many rows away, columns up to this are too close */
    uint8_t *taken;  /* (rows, cols): too close to a patch that was accepted */
    uint32_t *order; /* (rows, cols) positions in the order of their trial, accepted ones first */
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
    p->rows = h - c->side + 1;
    p->cols = w - c->side + 1;
    const int near = 2 * c->side * c->side; /* squared distances below this */
    p->reach = (int)ceil(sqrt(near));
    size_t positions = (size_t)p->rows * (size_t)p->cols;
    float *keep = mem_new((size_t)h * (size_t)w, sizeof *keep, e);
    p->half = mem_new((size_t)p->reach, sizeof *p->half, e);
    p->taken = mem_new(positions, sizeof *p->taken, e);
    p->order = mem_new(positions, sizeof *p->order, e);
    bool ok = keep && p->half && p->taken && p->order;
    for (int dy = 0; ok && dy < p->reach; dy++)
        p->half[dy] = (int)ceil(sqrt(near - dy * dy)) - 1;
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
    mem_free(p->half);
    mem_free(p->taken);
    mem_free(p->order);
    mem_free(p);
}

int patches_count(const struct patches *p)
{
    return p->wanted;
}

/* What a patch at (y, x) leaves no room for: less than side * sqrt(2) away. */
static void take(struct patches *p, int y, int x)
{
    for (int i = y - p->reach + 1; i < y + p->reach; i++) {
        if (i < 0 || i >= p->rows) continue;
        int half = p->half[abs(i - y)], from = x > half ? x - half : 0;
        int to = x + half < p->cols ? x + half : p->cols - 1;
        memset(p->taken + (size_t)i * (size_t)p->cols + from, 1, (size_t)(to - from + 1));
    }
}

/* One saturated sampling: every position is tried once, in random order. Returns the number
 * accepted, which come to the front of p->order. */
static int saturate(struct patches *p, struct rng *rng)
{
    int n = 0;
    uint32_t positions = (uint32_t)p->rows * (uint32_t)p->cols;
    memset(p->taken, 0, positions);
    for (uint32_t i = 0; i < positions; i++)
        p->order[i] = i;
    for (uint32_t i = 0; i < positions; i++) {
        uint32_t j = i + rng_below(rng, positions - i), at = p->order[j];
        p->order[j] = p->order[i];
        if (p->taken[at]) continue;
        take(p, (int)at / p->cols, (int)at % p->cols);
        p->order[n++] = at;
    }
    return n;
}

int patches_draw(struct patches *p, struct rng rng, float *keep, struct err *e)
{
    int n = 0, most = 0;
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
    rng_shuffle(&rng, p->order, (size_t)n);
    for (size_t i = 0; i < (size_t)p->h * (size_t)p->w; i++)
        keep[i] = 1.0f;
    for (int k = 0; k < p->wanted; k++) {
        float *corner = keep + (int)p->order[k] / p->cols * p->w + (int)p->order[k] % p->cols;
        for (int y = 0; y < p->side; y++)
            memset(corner + (size_t)y * (size_t)p->w, 0, (size_t)p->side * sizeof *corner);
    }
    return 0;
}
