#include "base/mem.h"
#include "base/rng.h"
#include "base/stat.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

/* Items in the order of their units; those of unit u are item[first[u]] … item[first[u + 1] - 1].
 */
struct grouped {
    int *item, *first, *pick; /* (items), (units + 1), (units x largest unit) */
    int largest;
    int filled; /* units with items */
};

static int group(struct grouped *g, const struct bootstrap *b, struct err *e)
{
    g->item = mem_new((size_t)b->items, sizeof *g->item, e);
    g->first = mem_new((size_t)b->units + 2, sizeof *g->first, e);
    if (!g->item || !g->first) return -1;
    int *next = g->first + 1; /* filled one ahead: next[u] becomes first[u + 1] */
    for (int i = 0; i < b->items; i++) {
        assert(b->unit[i] >= 0 && b->unit[i] < b->units);
        next[b->unit[i] + 1]++;
    }
    for (int u = 0; u < b->units; u++) {
        if (next[u + 1] > g->largest) g->largest = next[u + 1];
        g->filled += next[u + 1] > 0;
        next[u + 1] += next[u];
    }
    for (int i = 0; i < b->items; i++)
        g->item[next[b->unit[i]]++] = i;
    g->pick = mem_new((size_t)b->units * (size_t)g->largest, sizeof *g->pick, e);
    return g->pick ? 0 : -1;
}

static int draw(const struct grouped *g, int units, struct rng rng)
{
    int n = 0;
    for (int k = 0; k < units; k++) {
        int u = (int)rng_below(&rng, (uint32_t)units), len = g->first[u + 1] - g->first[u];
        memcpy(g->pick + n, g->item + g->first[u], (size_t)len * sizeof *g->pick);
        n += len;
    }
    return n;
}

/* value (resamples, values) and scratch (resamples) -> out (values); no intervals unless `enough`.
 */
static void summarise(const struct bootstrap *b, const double *value, bool enough, double *scratch,
                      struct interval *out)
{
    for (int v = 0; v < b->values; v++) {
        int n = 0;
        for (int r = 0; r < b->resamples; r++) {
            double x = value[(size_t)r * (size_t)b->values + (size_t)v];
            if (!isnan(x)) scratch[n++] = x;
        }
        stat_sort(scratch, n);
        out[v].n = n;
        out[v].low = enough && n > 0 ? stat_quantile(scratch, n, 0.025) : NAN;
        out[v].high = enough && n > 0 ? stat_quantile(scratch, n, 0.975) : NAN;
    }
}

int stat_bootstrap(const struct bootstrap *b, struct interval *out, struct err *e)
{
    assert(b->items >= 1 && b->units >= 1 && b->values >= 1 && b->resamples >= 1);
    struct grouped g = {0};
    int rc = -1;
    double *value = mem_new((size_t)b->resamples * (size_t)b->values, sizeof *value, e);
    double *scratch = mem_new((size_t)b->resamples + (size_t)b->values, sizeof *scratch, e);
    if (!value || !scratch || group(&g, b, e)) goto out;
    if (b->statistic(b->ctx, g.item, b->items, scratch, e)) goto out;
    for (int v = 0; v < b->values; v++)
        out[v] = (struct interval){.mean = scratch[v]};
    for (int r = 0; r < b->resamples; r++) {
        int n = draw(&g, b->units, rng_make(b->seed, RNG_BOOTSTRAP, 0, (uint32_t)r));
        if (b->statistic(b->ctx, g.pick, n, value + (size_t)r * (size_t)b->values, e)) goto out;
    }
    summarise(b, value, g.filled >= BOOTSTRAP_UNITS, scratch, out);
    rc = 0;
out:
    mem_free(value);
    mem_free(scratch);
    mem_free(g.item);
    mem_free(g.first);
    mem_free(g.pick);
    return rc;
}
