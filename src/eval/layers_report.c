/* The numbers of the layer study: a table, the summary, and the paper's claims. */
#include "eval/claims.h"
#include "eval/layers.h"

#include <math.h>

static int add(struct table *t, const struct layers *l, int method, int layer, const char *group,
               const char *statistic, struct interval v, double p, int n, struct err *e)
{
    return table_add(t, e, l->pairs.method[method].name, l->conf->layers.v[layer], group, statistic,
                     (double)n, v.mean, v.low, v.high, p);
}

static struct interval alone(double v)
{
    return (struct interval){v, NAN, NAN, 0};
}

static int add_layer(struct table *t, const struct layers *l, int method, int k, struct err *e)
{
    const struct layers_result *r = &l->result[method];
    const struct layer_stats *s = &r->layer[k];
    for (int g = 0; g < GROUPS; g++) {
        const char *name = layers_group_names[g];
        int n = r->of_group[g];
        if (add(t, l, method, k, name, "pearson", s->pearson[g], s->pearson_p[g], n, e) ||
            add(t, l, method, k, name, "spearman", s->spearman[g], s->spearman_p[g], n, e) ||
            add(t, l, method, k, name, "kendall", alone(s->kendall[g]), NAN, n, e))
            return -1;
    }
    return add(t, l, method, k, "all", "pearson, contrast held fixed", s->partial, s->partial_p,
               r->n, e) ||
                   add(t, l, method, k, "FS against non-FS", "|2 AUC - 1|", s->apart, s->apart_p,
                       r->n, e) ||
                   add(t, l, method, k, "FS against non-FS", "silhouette", s->silhouette, NAN, r->n,
                       e)
               ? -1
               : 0;
}

int layers_tables(const struct layers *l, struct err *e)
{
    struct table *t = table_new("$method,$layer,$group,$statistic,n,value,ci_low,ci_high,p", e);
    int rc = t ? 0 : -1;
    for (int m = 0; m < l->pairs.methods && rc == 0; m++)
        for (int k = 0; k < l->layers && rc == 0; k++)
            rc = add_layer(t, l, m, k, e);
    if (rc == 0) rc = study_write_table(l->pairs.env, t, "correlations.csv", e);
    table_free(t);
    return rc;
}

static json_t *with_p(struct interval v, double p)
{
    json_t *j = study_interval(v);
    json_object_set_new(j, "p", study_number(p));
    return j;
}

static json_t *describe_layer(const struct layers_result *r, int k)
{
    const struct layer_stats *s = &r->layer[k];
    json_t *groups = json_object();
    for (int g = 0; g < GROUPS; g++)
        json_object_set_new(groups, layers_group_names[g],
                            json_pack("{s:i, s:o, s:o, s:o}", "images", r->of_group[g], "pearson",
                                      with_p(s->pearson[g], s->pearson_p[g]), "spearman",
                                      with_p(s->spearman[g], s->spearman_p[g]), "kendall",
                                      study_number(s->kendall[g])));
    return json_pack("{s:o, s:o, s:o, s:o}", "groups", groups, "pearson_contrast_held_fixed",
                     with_p(s->partial, s->partial_p), "contrasts_apart",
                     with_p(s->apart, s->apart_p), "contrasts_silhouette",
                     study_interval(s->silhouette));
}

static void print_method(const struct layers *l, int method, FILE *out)
{
    const struct layers_result *r = &l->result[method];
    for (int k = 0; k < l->layers; k++) {
        const struct layer_stats *s = &r->layer[k];
        fprintf(out,
                "%s %s: with %s Pearson %.3f [%.3f, %.3f], Spearman %.3f [%.3f, %.3f]; FS apart "
                "from non-FS %.3f, silhouette %.3f\n",
                l->pairs.method[method].name, l->conf->layers.v[k],
                l->pairs.scorers.list[l->against].label, s->pearson[0].mean, s->pearson[0].low,
                s->pearson[0].high, s->spearman[0].mean, s->spearman[0].low, s->spearman[0].high,
                s->apart.mean, s->silhouette.mean);
    }
}

static void claim_all(const struct layers *l, json_t *claims)
{
    const struct layers_result *r = &l->result[0];
    FILE *out = l->pairs.env->out;
    claims_add(claims, out,
               &(struct claim){
                   .id = "early-layers-follow-ssim",
                   .source = "section 3, Fig. 2",
                   .statement = "SSFD of early layers correlates more closely with SSIM than that "
                                "of late ones",
                   .quantity = "|Spearman| at the first layer minus at the last",
                   .criterion = "95 % interval above 0",
                   .measured = r->spearman_drop,
                   .held = claim_above(r->spearman_drop, 0.0)});
    claims_add(
        claims, out,
        &(struct claim){.id = "correlation-falls-with-depth",
                        .source = "section 3, Fig. 2",
                        .statement = "the correlation with SSIM becomes weaker from layer to layer",
                        .quantity = "the smallest fall of |Spearman| from a layer to the next",
                        .criterion = "95 % interval above 0",
                        .measured = r->least_step,
                        .held = claim_above(r->least_step, 0.0)});
    const struct layer_stats *first = &r->layer[0];
    claims_add(claims, out,
               &(struct claim){.id = "contrasts-differ",
                               .source = "section 2.3",
                               .statement = "SSFD of FS and of non-FS scans differs",
                               .quantity = "|2 AUC - 1| of FS against non-FS at the first layer",
                               .criterion = "Mann and Whitney's p below 0.05",
                               .measured = first->apart,
                               /* no evidence of a difference is not evidence of none */
                               .held = first->apart_p < 0.05 ? HELD_YES : HELD_OPEN});
    claims_add(claims, out,
               &(struct claim){
                   .id = "contrasts-cluster-early",
                   .source = "section 3, Fig. 2",
                   .statement = "FS and non-FS scans form clearer clusters in SSFD of early layers",
                   .quantity = "silhouette of the two contrasts at the first layer minus at the "
                               "last",
                   .criterion = "95 % interval above 0",
                   .measured = r->silhouette_drop,
                   .held = claim_above(r->silhouette_drop, 0.0)});
}

json_t *layers_summary(const struct layers *l)
{
    json_t *summary = json_object(), *methods = json_object(), *claims = json_array();
    pairs_summary(&l->pairs, "layers", summary);
    for (int m = 0; m < l->pairs.methods; m++) {
        json_t *list = json_object();
        for (int k = 0; k < l->layers; k++)
            json_object_set_new(list, l->conf->layers.v[k], describe_layer(&l->result[m], k));
        json_object_set_new(methods, l->pairs.method[m].name, list);
        print_method(l, m, l->pairs.env->out);
    }
    claim_all(l, claims);
    json_object_set_new(summary, "against", json_string(l->pairs.scorers.list[l->against].name));
    json_object_set_new(summary, "resamples", json_integer(l->conf->resamples));
    json_object_set_new(summary, "layers", methods);
    json_object_set_new(summary, "claims", claims);
    return summary;
}
