/* The numbers of the perturbation study: tables, the summary, the paper's claims. */
#include "base/cli.h"
#include "eval/claims.h"
#include "eval/perturbation.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct scorer *metric_of(const struct perturbation *s, int m)
{
    return &s->scorers.list[m];
}

static const struct curve_stats *curve_of(const struct perturbation *s, int p, int m)
{
    return &s->curve[p * s->metrics + m];
}

/* ---- tables ---- */

static int add_scores(struct table *t, const struct perturbation *s, int p, int m, int k,
                      struct err *e)
{
    const struct images *im = s->env->images;
    for (int i = 0; i < s->images; i++) {
        double v = score_at(s, p, m, k, i);
        if (table_add(t, e, images_name(im, i), (double)im->list[i].slice,
                      perturb_at(s, p)->kind.name, level_at(s, p, k), metric_of(s, m)->name,
                      isfinite(v) ? v : NAN, images_scan(im, i)->acquisition))
            return -1;
    }
    return 0;
}

static int add_mean(struct table *t, const struct perturbation *s, int p, int m, int k,
                    struct err *e)
{
    struct interval v = perturbation_mean(s, p, m, k);
    return table_add(t, e, perturb_at(s, p)->kind.name, level_at(s, p, k), perturb_at(s, p)->unit,
                     metric_of(s, m)->name, (double)v.n, v.mean, v.low, v.high);
}

int perturbation_tables(const struct perturbation *s, struct err *e)
{
    struct table *scores =
        table_new("$scan,slice,$perturbation,level,$metric,score,$acquisition", e);
    struct table *curves = table_new("$perturbation,level,$unit,$metric,n,mean,ci_low,ci_high", e);
    int rc = scores && curves ? 0 : -1;
    for (int p = 0; p < s->perturbations; p++)
        for (int m = 0; m < s->metrics; m++)
            for (int k = 0; k < s->levels && rc == 0; k++)
                rc = add_scores(scores, s, p, m, k, e) || add_mean(curves, s, p, m, k, e) ? -1 : 0;
    if (rc == 0) rc = study_write_table(s->env, scores, "scores.csv", e);
    if (rc == 0) rc = study_write_table(s->env, curves, "curves.csv", e);
    table_free(scores);
    table_free(curves);
    return rc;
}

/* ---- the summary ---- */

static json_t *summarise_curve(const struct perturbation *s, int p, int m)
{
    const struct perturb *perturb = perturb_at(s, p);
    const struct metric *metric = metric_of(s, m)->metric;
    const struct curve_stats *c = curve_of(s, p, m);
    struct interval end = perturbation_mean(s, p, m, s->levels - 1);
    bool mean_worsens = perturbation_worsens(s, p, m, -1);
    int images = 0;
    for (int i = 0; i < s->images; i++)
        images += perturbation_worsens(s, p, m, i);
    fprintf(s->env->out,
            "%s %s: %.6g [%.6g, %.6g]%s%s at %g%s%s; %s at every level: %s; straight line R2 %.4f, "
            "AICc "
            "%.1f, exponential R2 %.4f, AICc %.1f\n",
            perturb->kind.name, metric_of(s, m)->name, end.mean, end.low, end.high,
            metric->unit[0] ? " " : "", metric->unit, s->extent[p], perturb->unit[0] ? " " : "",
            perturb->unit, metric->better < 0 ? "rises" : "falls", mean_worsens ? "yes" : "no",
            c->line.fit.r2, c->line.fit.aicc, c->decay.fit.r2, c->decay.fit.aicc);
    return json_pack(
        "{s:{s:o,s:o,s:o,s:i}, s:s, s:b, s:i, s:{s:f,s:f,s:f,s:o,s:o,s:i}, "
        "s:{s:o,s:o,s:o,s:o,s:o}, s:o}",
        "at_extent", "mean", study_number(end.mean), "ci_low", study_number(end.low), "ci_high",
        study_number(end.high), "n", end.n, "expected", metric->better < 0 ? "rises" : "falls",
        "at_every_level", mean_worsens, "images_at_every_level", images, "line", "slope",
        c->line.slope, "intercept", c->line.intercept, "r2", c->line.fit.r2, "aicc",
        study_number(c->line.fit.aicc), "largest_distance", study_interval(c->off_line), "levels",
        c->line.n, "exponential", "rate", study_number(c->decay.rate), "fall",
        study_number(c->decay.fall), "end", study_number(c->decay.end), "r2",
        study_number(c->decay.fit.r2), "aicc", study_number(c->decay.fit.aicc),
        "share_at_half_extent", study_interval(c->half));
}

static json_t *summarise_perturbation(const struct perturbation *s, int p)
{
    json_t *curves = json_object();
    for (int m = 0; m < s->metrics; m++)
        json_object_set_new(curves, metric_of(s, m)->name, summarise_curve(s, p, m));
    const char *how = s->conf->extent == EXTENT_GIVEN ? "given"
                      : s->extent_reaches[p]          ? "the mean of ssim is the target"
                                             : "95 % of the possible fall of ssim; the target is "
                                               "out of reach";
    return json_pack("{s:f, s:s, s:s, s:o, s:i, s:o}", "extent", s->extent[p], "unit",
                     perturb_at(s, p)->unit, "extent_is", how, "ssim_at_searched_extent",
                     study_number(s->extent_ssim[p]), "levels", s->levels, "metrics", curves);
}

static json_t *summarise_ratios(const struct perturbation *s)
{
    json_t *anchors = json_object();
    for (int a = 0; a < s->metrics; a++) {
        if (a == s->focus) continue;
        json_t *list = json_object();
        for (int p = 1; p < s->perturbations; p++)
            json_object_set_new(list, perturb_at(s, p)->kind.name,
                                study_interval(s->ratio[a * s->perturbations + p]));
        json_object_set_new(
            anchors, metric_of(s, a)->name,
            json_pack("{s:o, s:o}", "at", study_number(s->anchor_at[a]), "relative_to", list));
    }
    return json_pack("{s:s, s:s, s:o}", "of", metric_of(s, s->focus)->name, "perturbation",
                     perturb_at(s, 0)->kind.name, "equal", anchors);
}

/* ---- claims ---- */

/* What "about" means of a shape: a tenth of the change. */
#define ABOUT 0.1

/* Whether an exponential describes a curve better than a line does: -1 where that is not known. */
static int bends(const struct curve_stats *c)
{
    const double line = c->line.fit.aicc, decay = c->decay.fit.aicc;
    return isnan(line) || isnan(decay) ? -1 : decay < line;
}

static void claim_linear(const struct perturbation *s, int p, json_t *claims)
{
    char id[96], statement[256], quantity[256];
    const struct curve_stats *c = curve_of(s, p, s->focus);
    const int bend = bends(c);
    snprintf(id, sizeof id, "linear-under-%s", perturb_at(s, p)->kind.name);
    snprintf(statement, sizeof statement, "%s rises about linearly under %s",
             metric_of(s, s->focus)->label, perturb_at(s, p)->kind.name);
    snprintf(quantity, sizeof quantity,
             "largest distance of a mean from a straight line, as a share of the change%s",
             bend > 0    ? "; by AICc an exponential describes the means better"
             : bend == 0 ? "; by AICc no exponential describes the means better"
                         : "");
    claims_add(claims, s->env->out,
               &(struct claim){.id = id,
                               .source = "section 3, Fig. 1",
                               .statement = statement,
                               .quantity = quantity,
                               .criterion = "95 % interval below 0.1",
                               .measured = c->off_line,
                               .held = claim_below(c->off_line, ABOUT)});
}

static void claim_decays(const struct perturbation *s, int p, int ssim, json_t *claims)
{
    char id[96], statement[256];
    const struct curve_stats *c = curve_of(s, p, ssim);
    snprintf(id, sizeof id, "ssim-decays-under-%s", perturb_at(s, p)->kind.name);
    snprintf(statement, sizeof statement, "SSIM falls about as a decaying exponential under %s",
             perturb_at(s, p)->kind.name);
    enum held held = claim_above(c->half, 0.5);
    if (held == HELD_YES && bends(c) < 0) held = HELD_OPEN;
    if (held == HELD_YES && !(bends(c) > 0 && c->decay.rate > 0.0)) held = HELD_NO;
    claims_add(claims, s->env->out,
               &(struct claim){.id = id,
                               .source = "section 3, Fig. 1",
                               .statement = statement,
                               .quantity = "share of the fall that is done at half the extent",
                               .criterion = "95 % interval above 0.5, and by AICc a decaying "
                                            "exponential describes the means better than a "
                                            "straight line",
                               .measured = c->half,
                               .held = held});
}

static void claim_insensitive(const struct perturbation *s, int anchor, int p, json_t *claims)
{
    char id[128], statement[256], quantity[512];
    const struct interval ratio = s->ratio[anchor * s->perturbations + p];
    const char *first = perturb_at(s, 0)->kind.name, *other = perturb_at(s, p)->kind.name;
    const char *focus = metric_of(s, s->focus)->label, *at = metric_of(s, anchor)->label;
    snprintf(id, sizeof id, "less-sensitive-to-%s-than-%s-at-equal-%s", first, other,
             metric_of(s, anchor)->name);
    snprintf(statement, sizeof statement, "%s is less sensitive to %s than to %s at equal %s",
             focus, first, other, at);
    int n = snprintf(quantity, sizeof quantity, "%s under %s over %s under %s, ", focus, first,
                     focus, other);
    if (isfinite(s->anchor_at[anchor]))
        snprintf(quantity + n, sizeof quantity - (size_t)n, "where the mean %s is %.3g", at,
                 s->anchor_at[anchor]);
    else
        snprintf(quantity + n, sizeof quantity - (size_t)n,
                 "but no mean %s is common to all perturbations at the levels given", at);
    claims_add(claims, s->env->out,
               &(struct claim){.id = id,
                               .source = strcmp(metric_of(s, anchor)->name, "psnr") == 0
                                             ? "section 5.3, Fig. 5"
                                             : "section 3, Fig. 1",
                               .statement = statement,
                               .quantity = quantity,
                               .criterion = "95 % interval below 1",
                               .measured = ratio,
                               .held = claim_below(ratio, 1.0)});
}

static json_t *claim_all(const struct perturbation *s)
{
    static const char *const anchors[] = {"ssim", "psnr"};
    json_t *claims = json_array();
    int ssim = scorers_find(&s->scorers, "ssim");
    bool of_ssfd = strcmp(metric_of(s, s->focus)->name, "ssfd") == 0;
    for (int p = 0; p < s->perturbations && of_ssfd; p++)
        if (strcmp(perturb_at(s, p)->kind.name, "shift") != 0) claim_linear(s, p, claims);
    for (int p = 0; p < s->perturbations && ssim >= 0; p++)
        claim_decays(s, p, ssim, claims);
    bool from_shift = strcmp(perturb_at(s, 0)->kind.name, "shift") == 0;
    for (int k = 0; k < 2 && of_ssfd && from_shift; k++) {
        int anchor = scorers_find(&s->scorers, anchors[k]);
        for (int p = 1; p < s->perturbations && anchor >= 0; p++)
            claim_insensitive(s, anchor, p, claims);
    }
    return claims;
}

json_t *perturbation_summary(const struct perturbation *s, int example)
{
    const struct images *im = s->env->images;
    json_t *perturbations = json_object();
    const char *slices = im->whole_scans ? "all" : "centre";
    const char *interval = im->whole_scans ? "95 %, Student t, the images of a scan as a cluster"
                                           : "95 %, Student t over scans (one image each)";
    fprintf(s->env->out, "images: %d of %d scans, %s slice%s, %dx%d; confidence interval: %s\n",
            im->n, im->scans.n, slices, im->whole_scans ? "s" : "", im->height, im->width,
            interval);
    for (int p = 0; p < s->perturbations; p++)
        json_object_set_new(perturbations, perturb_at(s, p)->kind.name,
                            summarise_perturbation(s, p));
    return json_pack(
        "{s:s, s:s, s:i, s:i, s:i, s:s, s:[i,i], s:s, s:{s:s,s:i}, s:s, s:o, s:o, s:o, s:o, s:i, "
        "s:o}",
        "study", "perturbation", "version", cli_version(), "scans", im->scans.n, "scans_skipped",
        im->scans.nbad, "images", im->n, "slices", slices, "size", im->height, im->width,
        "interval", interval, "example", "scan", images_name(im, example), "slice",
        im->list[example].slice, "not_finite",
        "scores that are infinite (PSNR of an unperturbed image) are empty in the tables and left "
        "out of means and fits",
        "metrics", scorers_describe(&s->scorers), "left_out", scorers_left_out(&s->scorers),
        "perturbations", perturbations, "sensitivity", summarise_ratios(s), "resamples",
        s->conf->resamples, "claims", claim_all(s));
}

/* A chart a metric and perturbation, as report.html draws them. */
json_t *perturbation_curves(const struct perturbation *s)
{
    json_t *charts = json_array();
    for (int m = 0; m < s->metrics; m++)
        for (int p = 0; p < s->perturbations; p++) {
            const struct perturb *perturb = perturb_at(s, p);
            char xlabel[128], title[160];
            json_t *points = json_array();
            for (int k = 0; k < s->levels; k++) {
                struct interval v = perturbation_mean(s, p, m, k);
                json_array_append_new(points, json_pack("[f,o,o,o]", level_at(s, p, k),
                                                        study_number(v.mean), study_number(v.low),
                                                        study_number(v.high)));
            }
            snprintf(xlabel, sizeof xlabel, "%s%s%s%s", perturb->label,
                     perturb->unit[0] ? " (" : "", perturb->unit, perturb->unit[0] ? ")" : "");
            snprintf(title, sizeof title, "%s under %s", metric_of(s, m)->label,
                     perturb->kind.name);
            json_array_append_new(charts, json_pack("{s:s, s:s, s:s, s:[{s:s, s:o}]}", "title",
                                                    title, "xlabel", xlabel, "ylabel",
                                                    metric_of(s, m)->label, "lines", "name",
                                                    metric_of(s, m)->label, "points", points));
        }
    return charts;
}

void perturbation_example_title(const struct perturbation *s, int p, char *text, size_t size)
{
    const struct perturb *perturb = perturb_at(s, p);
    snprintf(text, size, "%s %.3g%s%s%s", perturb->label, s->extent[p] / 2.0,
             perturb->unit[0] ? " " : "", perturb->unit,
             perturb->difference ? " (difference)" : "");
}

json_t *perturbation_examples(const struct perturbation *s)
{
    json_t *list = json_array();
    for (int p = 0; p < s->perturbations; p++) {
        char title[256], file[128], id[32];
        perturbation_example_title(s, p, title, sizeof title);
        snprintf(file, sizeof file, "example_%s.png", perturb_at(s, p)->kind.name);
        snprintf(id, sizeof id, "example%d", p);
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:s}", "title", title, "file", file, "id", id));
    }
    return list;
}
