#include "base/cli.h"
#include "base/io.h"
#include "base/table.h"
#include "eval/perturbation.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>

struct interval scores_interval(const struct scores *s, int p, int m, int k)
{
    const double *v = scores_at(s, p, m, k);
    int n = 0;
    for (int i = 0; i < s->images; i++)
        if (isfinite(v[i])) s->scratch[n++] = v[i];
    return n > 0 ? stat_mean_ci95(s->scratch, n) : (struct interval){NAN, NAN, NAN, 0};
}

static int write_table(const struct table *t, const struct study_env *env, const char *name,
                       struct err *e)
{
    char path[PATH_MAX];
    if (io_path(path, sizeof path, e, "%s/%s", env->output, name)) return -1;
    return table_write_csv(t, path, e);
}

static int add_scores(struct table *t, const struct scores *s, const struct images *im, int p,
                      int m, int k, struct err *e)
{
    const struct perturbation_conf *c = s->conf;
    for (int i = 0; i < s->images; i++) {
        double v = scores_at(s, p, m, k)[i];
        if (table_add(t, e, images_name(im, i), (double)im->list[i].slice,
                      perturb_at(c, p)->kind.name, level_at(c, p, k), metric_at(c, m)->kind.name,
                      isfinite(v) ? v : NAN, images_scan(im, i)->acquisition))
            return -1;
    }
    return 0;
}

static int add_interval(struct table *t, const struct scores *s, int p, int m, int k, struct err *e)
{
    const struct perturbation_conf *c = s->conf;
    struct interval v = scores_interval(s, p, m, k);
    return table_add(t, e, perturb_at(c, p)->kind.name, level_at(c, p, k), perturb_at(c, p)->unit,
                     metric_at(c, m)->kind.name, (double)v.n, v.mean, v.low, v.high);
}

int perturbation_tables(const struct scores *s, const struct study_env *env, struct err *e)
{
    const struct perturbation_conf *c = s->conf;
    struct table *scores =
        table_new("$scan,slice,$perturbation,level,$metric,score,$acquisition", e);
    struct table *curves = table_new("$perturbation,level,$unit,$metric,n,mean,ci_low,ci_high", e);
    int rc = scores && curves ? 0 : -1;
    for (int p = 0; p < c->perturbations.n; p++)
        for (int m = 0; m < c->metrics.n; m++)
            for (int k = 0; k < c->levels && rc == 0; k++)
                rc = add_scores(scores, s, env->images, p, m, k, e) ||
                             add_interval(curves, s, p, m, k, e)
                         ? -1
                         : 0;
    if (rc == 0) rc = write_table(scores, env, "scores.csv", e);
    if (rc == 0) rc = write_table(curves, env, "curves.csv", e);
    table_free(scores);
    table_free(curves);
    return rc;
}

/* Least squares mean = intercept + slope level over the levels with a finite mean. */
struct line {
    int n;
    double slope, intercept, r2;
};

static struct line fit_line(const struct scores *s, int p, int m)
{
    double sx = 0, sy = 0, sxx = 0, sxy = 0, syy = 0;
    struct line f = {0};
    for (int pass = 0; pass < 2; pass++) /* the means, then the moments about them */
        for (int k = 0; k < s->conf->levels; k++) {
            double x = level_at(s->conf, p, k), y = scores_interval(s, p, m, k).mean;
            if (!isfinite(y)) continue;
            if (pass == 0) {
                f.n++;
                sx += x;
                sy += y;
            } else {
                x -= sx / f.n;
                y -= sy / f.n;
                sxx += x * x;
                sxy += x * y;
                syy += y * y;
            }
        }
    f.slope = sxx > 0 ? sxy / sxx : 0;
    f.intercept = f.n > 0 ? sy / f.n - f.slope * sx / f.n : 0;
    f.r2 = sxx > 0 && syy > 0 ? sxy * sxy / (sxx * syy) : 0;
    return f;
}

/* Whether the score gets worse from each level to the next: of the mean (i < 0) or of image i. */
static bool worsens(const struct scores *s, int p, int m, int i)
{
    double last = NAN;
    for (int k = 0; k < s->conf->levels; k++) {
        double v = i < 0 ? scores_interval(s, p, m, k).mean : scores_at(s, p, m, k)[i];
        if (!isfinite(v)) continue;
        if (isfinite(last) && !((v - last) * metric_at(s->conf, m)->better < 0)) return false;
        last = v;
    }
    return true;
}

static json_t *number_or_null(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static json_t *summarise_curve(const struct scores *s, int p, int m, FILE *out)
{
    const struct perturbation_conf *c = s->conf;
    const struct perturb *perturb = perturb_at(c, p);
    const struct metric *metric = metric_at(c, m);
    struct interval end = scores_interval(s, p, m, c->levels - 1);
    struct line f = fit_line(s, p, m);
    bool mean_worsens = worsens(s, p, m, -1);
    int images = 0;
    for (int i = 0; i < s->images; i++)
        images += worsens(s, p, m, i);
    fprintf(
        out,
        "%s %s: %.6g [%.6g, %.6g]%s%s at %g%s%s; %s at every level: %s; straight line R2 %.4f\n",
        perturb->kind.name, metric->kind.name, end.mean, end.low, end.high,
        metric->unit[0] ? " " : "", metric->unit, level_at(c, p, c->levels - 1),
        perturb->unit[0] ? " " : "", perturb->unit, metric->better < 0 ? "rises" : "falls",
        mean_worsens ? "yes" : "no", f.r2);
    return json_pack("{s:{s:o,s:o,s:o,s:i}, s:s, s:b, s:i, s:{s:f,s:f,s:f,s:i}}", "at_extent",
                     "mean", number_or_null(end.mean), "ci_low", number_or_null(end.low), "ci_high",
                     number_or_null(end.high), "n", end.n, "expected",
                     metric->better < 0 ? "rises" : "falls", "at_every_level", mean_worsens,
                     "images_at_every_level", images, "line", "slope", f.slope, "intercept",
                     f.intercept, "r2", f.r2, "levels", f.n);
}

static json_t *summarise_perturbation(const struct scores *s, int p, FILE *out)
{
    const struct perturbation_conf *c = s->conf;
    json_t *curves = json_object();
    for (int m = 0; m < c->metrics.n; m++)
        json_object_set_new(curves, metric_at(c, m)->kind.name, summarise_curve(s, p, m, out));
    return json_pack("{s:f, s:s, s:i, s:o}", "extent", level_at(c, p, c->levels - 1), "unit",
                     perturb_at(c, p)->unit, "levels", c->levels, "metrics", curves);
}

json_t *perturbation_summary(const struct scores *s, const struct study_env *env)
{
    const struct perturbation_conf *c = s->conf;
    const struct images *im = env->images;
    json_t *metrics = json_object(), *perturbations = json_object();
    for (int m = 0; m < c->metrics.n; m++) {
        char text[1024];
        metric_at(c, m)->variant(c->metrics.v[m].conf, text, sizeof text);
        json_object_set_new(
            metrics, metric_at(c, m)->kind.name,
            json_pack("{s:s, s:s}", "variant", text, "unit", metric_at(c, m)->unit));
    }
    const char *slices = im->whole_scans ? "all" : "centre";
    const char *interval =
        im->whole_scans ? "95 %, Student t over images; images of one scan are not independent"
                        : "95 %, Student t over scans (one image each)";
    fprintf(env->out, "images: %d of %d scans, %s slice%s, %dx%d; confidence interval: %s\n", im->n,
            im->scans.n, slices, im->whole_scans ? "s" : "", im->height, im->width, interval);
    for (int p = 0; p < c->perturbations.n; p++)
        json_object_set_new(perturbations, perturb_at(c, p)->kind.name,
                            summarise_perturbation(s, p, env->out));
    return json_pack(
        "{s:s, s:s, s:i, s:i, s:i, s:s, s:[i,i], s:s, s:{s:s,s:i}, s:s, s:o, s:o}", "study",
        "perturbation", "version", cli_version(), "scans", im->scans.n, "scans_skipped",
        im->scans.nbad, "images", im->n, "slices", slices, "size", im->height, im->width,
        "interval", interval, "example", "scan", images_name(im, 0), "slice", im->list[0].slice,
        "not_finite",
        "scores that are infinite (PSNR of an unperturbed image) are empty in the tables and left "
        "out of means and fits",
        "metrics", metrics, "perturbations", perturbations);
}
