/* SSFD at several layers of the encoder against another metric (paper section 2.3, Fig. 2), and two
 * scans with and without fat suppression (Fig. 7). */
#include "eval/layers.h"
#include "eval/report.h"

#include <stdio.h>
#include <string.h>

static const char VARIED[] = "ssfd", KEY[] = "layer";

static const struct cfg_field fields[] = {
    PAIRS_FIELDS(struct layers_conf),
    CFG_PICKS(struct layers_conf, metrics, NULL, metric_kinds,
              "metrics; ssfd, which is computed at every layer, and others"),
    CFG_TEXTS(struct layers_conf, layers, "[conv3, conv5, conv7, conv9]",
              "layers of ssfd, from early to late (see ssfd's layer)"),
    CFG_TEXT(struct layers_conf, against, "ssim", "the metric that the layers are held against"),
    CFG_INT(struct layers_conf, resamples, "2000", 100, 1000000, "", "of the bootstrap"),
    CFG_END};

static int check(const void *conf, struct err *e)
{
    const struct layers_conf *c = conf;
    if (c->layers.n < 1) return err_set(e, ERR_CONFIG, "study.layers: give at least one layer");
    if (scorers_place(&c->metrics, VARIED) < 0)
        return err_set(e, ERR_CONFIG, "study.metrics: %s is missing, whose layers are studied",
                       VARIED);
    if (scorers_place(&c->metrics, c->against) < 0 || strcmp(c->against, VARIED) == 0)
        return err_set(e, ERR_CONFIG, "study.against: '%s' is not among the other metrics",
                       c->against);
    return pairs_check(&c->reconstructions, e);
}

static void explain(const void *conf, FILE *out)
{
    const struct layers_conf *c = conf;
    fprintf(out, "ssfd at %d layers against %s; %d bootstrap resamples\n", c->layers.n, c->against,
            c->resamples);
    pairs_explain(&c->reconstructions, out);
}

/* The layers first, then the other metrics. */
static int list_metrics(struct layers *l, struct err *e)
{
    const struct cfg_picks *all = &l->conf->metrics;
    const int varied = scorers_place(all, VARIED);
    if (scorers_add_varied(&l->pairs.scorers, &all->v[varied], KEY, &l->conf->layers, e)) return -1;
    for (int i = 0; i < all->n; i++)
        if (i != varied && scorers_add_one(&l->pairs.scorers, &all->v[i], e)) return -1;
    return 0;
}

static int open_study(void *state, const void *conf, const struct study_env *env, struct err *e)
{
    struct layers *l = state;
    l->conf = conf;
    l->layers = l->conf->layers.n;
    if (list_metrics(l, e) ||
        pairs_open(&l->pairs, env, &l->conf->reconstructions, &l->conf->references, e))
        return -1;
    l->against = scorers_find(&l->pairs.scorers, l->conf->against);
    if (l->against >= 0) return 0;
    return err_set(e, ERR_NOINPUT, "metric %s, which the layers are held against, is not to be had",
                   l->conf->against);
}

static int score(void *state, struct err *e)
{
    return pairs_score(&((struct layers *)state)->pairs, e);
}

static int write_results(void *state, struct err *e)
{
    struct layers *l = state;
    const struct study_env *env = l->pairs.env;
    const struct report_extra extra = {0};
    json_t *summary = NULL;
    int failed = layers_measure(l, env->seed, e) || pairs_tables(&l->pairs, e) ||
                 layers_tables(l, e) || layers_figures(l, e);
    if (!failed) {
        summary = layers_summary(l);
        failed = report_pairs(&l->pairs, "SSFD by encoder layer", &extra, summary, e);
    }
    return study_close_output(env, failed, summary, e);
}

static void release(void *state)
{
    pairs_release(&((struct layers *)state)->pairs);
}

const struct study study_layers = {
    .kind = {"layers", "SSFD at several encoder layers against SSIM (paper Fig. 2 and 7)", fields,
             sizeof(struct layers_conf)},
    .size = sizeof(struct layers),
    .check = check,
    .explain = explain,
    .open = open_study,
    .score = score,
    .write = write_results,
    .release = release,
};
