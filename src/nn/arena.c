#include "nn/arena.h"

#include <stdbool.h>

static size_t round_up(size_t bytes)
{
    return (bytes + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
}

static bool before(const struct span *a, const struct span *b)
{
    return a->bytes != b->bytes ? a->bytes > b->bytes : a->from < b->from;
}

static bool alive_together(const struct span *a, const struct span *b)
{
    return a->from <= b->to && b->from <= a->to;
}

/* The lowest offset at which s meets none of the `placed` spans: try 0 and every end of one. */
static size_t lowest(const struct span *all, const int *placed, int n, const struct span *s)
{
    size_t at = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (int i = 0; i < n; i++) {
            const struct span *p = &all[placed[i]];
            if (!alive_together(p, s) || !p->bytes) continue;
            if (at < p->offset + round_up(p->bytes) && p->offset < at + round_up(s->bytes)) {
                at = p->offset + round_up(p->bytes);
                moved = true;
            }
        }
    }
    return at;
}

size_t arena_place(struct span *s, int n, int *order)
{
    for (int i = 0; i < n;
         i++) { /* insertion sort: a few hundred spans, once per plan, and stable */
        int k = i;
        for (; k > 0 && before(&s[i], &s[order[k - 1]]); k--)
            order[k] = order[k - 1];
        order[k] = i;
    }
    size_t total = 0;
    for (int i = 0; i < n; i++) {
        struct span *x = &s[order[i]];
        x->offset = lowest(s, order, i, x);
        const size_t end = x->offset + round_up(x->bytes);
        if (end > total) total = end;
    }
    return total;
}
