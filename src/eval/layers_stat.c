#include "base/mem.h"
#include "eval/layers.h"

#include <math.h>

const char *const layers_group_names[] = {"all", "FS", "non-FS"};

/* Numbers of a layer that are resampled, in the order of the vector. */
enum { PEARSON, SPEARMAN = PEARSON + GROUPS, PARTIAL = SPEARMAN + GROUPS, APART, SILHOUETTE, EACH };

struct sample { /* of one method: images with all scores finite */
    const struct layers *l;
    int method, n, *image;
    double *x, *y, *fs; /* the scores of a group of a resample, and 1 where fat-suppressed */
    int *in_fs, *scan;
};

static bool belongs(const struct layers *l, int image, int group)
{
    enum contrast c = pairs_contrast(&l->pairs, image);
    return group == GROUP_ALL || c == (group == GROUP_FS ? CONTRAST_FS : CONTRAST_NON_FS);
}

/* Gathers the group's scores of these items; how many. */
static int gather(struct sample *s, const int *item, int count, int layer, int group)
{
    const struct layers *l = s->l;
    int n = 0;
    for (int i = 0; i < count; i++) {
        int image = s->image[item[i]];
        if (!belongs(l, image, group)) continue;
        s->x[n] = pairs_at(&l->pairs, image, s->method, layer);
        s->y[n] = pairs_at(&l->pairs, image, s->method, l->against);
        s->fs[n] = s->in_fs[n] = belongs(l, image, GROUP_FS);
        s->scan[n] = l->pairs.env->images->list[image].scan;
        n++;
    }
    return n;
}

/* Groups of FS and non-FS only: images of unknown contrast are in neither. */
static int measure_apart(struct sample *s, const int *item, int count, int layer, double *apart,
                         double *silhouette, double *p, struct err *e)
{
    struct two_groups g;
    int n = 0;
    for (int i = 0; i < count; i++) {
        int image = s->image[item[i]];
        if (pairs_contrast(&s->l->pairs, image) == CONTRAST_UNKNOWN) continue;
        s->x[n] = pairs_at(&s->l->pairs, image, s->method, layer);
        s->scan[n] = s->l->pairs.env->images->list[image].scan;
        s->in_fs[n++] = belongs(s->l, image, GROUP_FS);
    }
    if (stat_mann_whitney(s->x, s->in_fs, s->scan, n, &g, e) ||
        stat_silhouette(s->x, s->in_fs, n, silhouette, e))
        return -1;
    *apart = fabs(2.0 * g.auc - 1.0);
    *p = g.p;
    return 0;
}

static int measure_layer(struct sample *s, const int *item, int count, int layer, double *v,
                         struct err *e)
{
    for (int g = 0; g < GROUPS; g++) {
        struct assoc a;
        int n = gather(s, item, count, layer, g);
        v[PEARSON + g] = stat_pearson(s->x, s->y, NULL, n).r;
        if (stat_spearman(s->x, s->y, NULL, n, &a, e)) return -1;
        v[SPEARMAN + g] = a.r;
        if (g != GROUP_ALL) continue;
        if (stat_partial(s->x, s->y, s->fs, NULL, n, &a, e)) return -1;
        v[PARTIAL] = a.r;
    }
    double p;
    return measure_apart(s, item, count, layer, &v[APART], &v[SILHOUETTE], &p, e);
}

static int statistic(void *ctx, const int *item, int count, double *value, struct err *e)
{
    struct sample *s = ctx;
    const int layers = s->l->layers;
    for (int k = 0; k < layers; k++)
        if (measure_layer(s, item, count, k, value + k * EACH, e)) return -1;
    const double *first = value, *last = value + (layers - 1) * EACH;
    value[layers * EACH] = fabs(first[SPEARMAN]) - fabs(last[SPEARMAN]);
    value[layers * EACH + 1] = first[SILHOUETTE] - last[SILHOUETTE];
    double least = INFINITY;
    for (int k = 1; k < layers; k++) {
        double fall = fabs(value[(k - 1) * EACH + SPEARMAN]) - fabs(value[k * EACH + SPEARMAN]);
        if (isnan(least) || !(fall >= least)) least = isnan(least) ? NAN : fall;
    }
    value[layers * EACH + 2] = layers > 1 ? least : NAN;
    return 0;
}

/* What is not resampled: Kendall's tau, and the p values. */
static int measure_once(struct sample *s, const int *item, int layer, struct layer_stats *out,
                        struct err *e)
{
    for (int g = 0; g < GROUPS; g++) {
        struct assoc a;
        int n = gather(s, item, s->n, layer, g);
        if (stat_spearman(s->x, s->y, s->scan, n, &a, e)) return -1;
        out->spearman_p[g] = a.p;
        out->pearson_p[g] = stat_pearson(s->x, s->y, s->scan, n).p;
        out->kendall[g] = stat_kendall(s->x, s->y, n);
        if (g != GROUP_ALL) continue;
        if (stat_partial(s->x, s->y, s->fs, s->scan, n, &a, e)) return -1;
        out->partial_p = a.p;
    }
    double apart, silhouette;
    return measure_apart(s, item, s->n, layer, &apart, &silhouette, &out->apart_p, e);
}

static void unpack(const struct interval *v, struct layer_stats *out)
{
    for (int g = 0; g < GROUPS; g++) {
        out->pearson[g] = v[PEARSON + g];
        out->spearman[g] = v[SPEARMAN + g];
    }
    out->partial = v[PARTIAL];
    out->apart = v[APART];
    out->silhouette = v[SILHOUETTE];
}

static int resample(struct sample *s, const int *unit, uint64_t seed, struct layers_result *r,
                    struct err *e)
{
    const struct layers *l = s->l;
    int values = l->layers * EACH + 3;
    struct interval *v = mem_new((size_t)values, sizeof *v, e);
    struct bootstrap b = {.items = s->n,
                          .units = l->pairs.env->images->scans.n,
                          .unit = unit,
                          .values = values,
                          .resamples = l->conf->resamples,
                          .seed = seed,
                          .statistic = statistic,
                          .ctx = s};
    int rc = v ? stat_bootstrap(&b, v, e) : -1;
    for (int k = 0; k < l->layers && rc == 0; k++)
        unpack(v + k * EACH, &r->layer[k]);
    if (rc == 0) {
        r->spearman_drop = v[l->layers * EACH];
        r->silhouette_drop = v[l->layers * EACH + 1];
        r->least_step = v[l->layers * EACH + 2];
    }
    mem_free(v);
    return rc;
}

static int measure_method(struct layers *l, int method, uint64_t seed, struct err *e)
{
    struct layers_result *r = &l->result[method];
    const struct images *im = l->pairs.env->images;
    size_t n = (size_t)im->n;
    struct sample s = {.l = l, .method = method};
    double *numbers = mem_new(3 * n, sizeof *numbers, e);
    int *whole = mem_new(5 * n, sizeof *whole, e), *unit = whole ? whole + n : NULL, rc = -1;
    if (!numbers || !whole) goto out;
    s.x = numbers;
    s.y = numbers + n;
    s.fs = numbers + 2 * n;
    s.image = whole + 2 * n;
    s.in_fs = whole + 3 * n;
    s.scan = whole + 4 * n;
    r->n = s.n = pairs_select(&l->pairs, method, -1, s.image);
    for (int i = 0; i < s.n; i++) {
        whole[i] = i;
        unit[i] = im->list[s.image[i]].scan;
        for (int g = 0; g < GROUPS; g++)
            r->of_group[g] += belongs(l, s.image[i], g);
    }
    if (s.n == 0) {
        rc = err_set(e, ERR_DATA, "method %s: no image has finite scores by all metrics",
                     l->pairs.method[method].name);
        goto out;
    }
    rc = resample(&s, unit, seed, r, e);
    for (int k = 0; k < l->layers && rc == 0; k++)
        rc = measure_once(&s, whole, k, &r->layer[k], e);
out:
    mem_free(numbers);
    mem_free(whole);
    return rc;
}

int layers_measure(struct layers *l, uint64_t seed, struct err *e)
{
    for (int m = 0; m < l->pairs.methods; m++)
        if (measure_method(l, m, seed, e)) return -1;
    return 0;
}
