/* Between the parts of the study of encoder layers: what was measured (study_layers.c), its
 * statistics (layers_stat.c), and what is made of them (layers_report.c, layers_figure.c). */
#pragma once

#include "eval/pairs.h"

struct layers_conf {
    struct cfg_picks reconstructions, metrics;
    struct cfg_texts references, layers;
    const char *against;
    int resamples;
};

/* Of the distances at one layer and the metric they are held against. Correlations are by group of
 * images: all, fat-suppressed, not fat-suppressed. */
enum layers_group { GROUP_ALL, GROUP_FS, GROUP_NON_FS, GROUPS };
extern const char *const layers_group_names[];

struct layer_stats {
    struct interval pearson[GROUPS], spearman[GROUPS];
    double pearson_p[GROUPS], spearman_p[GROUPS], kendall[GROUPS];
    struct interval partial; /* Pearson over all, the contrast held fixed */
    double partial_p;
    struct interval apart;      /* |2 AUC - 1| of FS against non-FS: 0 mixed, 1 apart */
    struct interval silhouette; /* of the same */
    double apart_p;             /* Mann & Whitney */
};

struct layers_result { /* of one method */
    int n, of_group[GROUPS];
    struct layer_stats layer[SCORERS_MAX];
    /* The first layer minus the last: |Spearman| over all, silhouette. */
    struct interval spearman_drop, silhouette_drop;
    struct interval least_step; /* of |Spearman| from a layer to the next: the smallest fall */
};

struct layers {
    const struct layers_conf *conf;
    struct pairs pairs;
    int layers, against; /* metrics 0 … layers - 1 are the layers in order; place of the other */
    struct layers_result result[METHODS_MAX];
};

int layers_measure(struct layers *l, uint64_t seed, struct err *e); /* fills result */
int layers_tables(const struct layers *l, struct err *e);           /* correlations.csv */
json_t *layers_summary(const struct layers *l);
int layers_figures(const struct layers *l, struct err *e); /* layers, contrasts */
