/* What every study of reconstructions says of its scores: the tables, and the common members of the
 * summary. */
#include "base/cli.h"
#include "base/mem.h"
#include "eval/pairs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static char *column_names(const struct pairs *p, struct err *e)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (out) {
        fputs("$scan,slice,$contrast,$method", out);
        for (int m = 0; m < p->scorers.n; m++)
            fprintf(out, ",%s", p->scorers.list[m].name);
        if (fclose(out) == 0) return text;
    }
    free(text);
    err_set(e, ERR_FAILED, "out of memory");
    return NULL;
}

static int write_scores(const struct pairs *p, struct err *e)
{
    char *names = column_names(p, e);
    struct table *t = names ? table_new(names, e) : NULL;
    int rc = t ? 0 : -1;
    for (int i = 0; i < p->images && rc == 0; i++)
        for (int k = 0; k < p->methods && rc == 0; k++) {
            const char *text[] = {images_name(p->env->images, i),
                                  contrast_names[pairs_contrast(p, i)], p->method[k].name};
            double number[1 + SCORERS_MAX] = {(double)p->env->images->list[i].slice};
            for (int m = 0; m < p->scorers.n; m++) {
                double v = pairs_at(p, i, k, m);
                number[1 + m] = isfinite(v) ? v : NAN;
            }
            rc = table_add_arrays(t, text, number, e);
        }
    if (rc == 0) rc = study_write_table(p->env, t, "scores.csv", e);
    table_free(t);
    free(names);
    return rc;
}

/* Finite scores, and the scans they are of. */
struct column {
    double *x;
    int *scan, n;
};

static int column_new(struct column *c, const struct pairs *p, struct err *e)
{
    c->x = mem_new((size_t)p->images, sizeof *c->x, e);
    c->scan = mem_new((size_t)p->images, sizeof *c->scan, e);
    return c->x && c->scan ? 0 : -1;
}

static void column_free(struct column *c)
{
    mem_free(c->x);
    mem_free(c->scan);
}

/* Of method k by metric m, or their differences from the first method's. */
static void collect(struct column *c, const struct pairs *p, int k, int m, bool difference)
{
    c->n = 0;
    for (int i = 0; i < p->images; i++) {
        double v = pairs_at(p, i, k, m);
        if (difference) v -= pairs_at(p, i, 0, m);
        if (!isfinite(v)) continue;
        c->scan[c->n] = p->env->images->list[i].scan;
        c->x[c->n++] = v;
    }
}

static struct interval mean_of(const struct column *c)
{
    return c->n > 0 ? stat_mean_ci95(c->x, c->scan, c->n) : (struct interval){NAN, NAN, NAN, 0};
}

/* Of the paired t test: that the differences have mean 0. */
static double p_of(const struct column *c)
{
    return c->n > 0 ? stat_mean_p(c->x, c->scan, c->n) : NAN;
}

static int write_methods(const struct pairs *p, struct err *e)
{
    struct table *t = table_new("$method,$metric,n,mean,ci_low,ci_high,difference_from_first,"
                                "difference_ci_low,difference_ci_high,difference_p",
                                e);
    struct column c = {0};
    int rc = t ? column_new(&c, p, e) : -1;
    for (int k = 0; k < p->methods && rc == 0; k++)
        for (int m = 0; m < p->scorers.n && rc == 0; m++) {
            collect(&c, p, k, m, false);
            struct interval v = mean_of(&c);
            if (k > 0)
                collect(&c, p, k, m, true);
            else
                c.n = 0; /* it has no difference from itself */
            struct interval d = mean_of(&c);
            rc = table_add(t, e, p->method[k].name, p->scorers.list[m].name, (double)v.n, v.mean,
                           v.low, v.high, d.mean, d.low, d.high, p_of(&c));
        }
    if (rc == 0) rc = study_write_table(p->env, t, "methods.csv", e);
    table_free(t);
    column_free(&c);
    return rc;
}

int pairs_tables(const struct pairs *p, struct err *e)
{
    return write_scores(p, e) || write_methods(p, e) ? -1 : 0;
}

static json_t *describe_method(const struct pairs *p, int k, struct column *c)
{
    json_t *means = json_object(), *differences = json_object();
    fprintf(p->env->out, "method %s (%s):", p->method[k].name, p->method[k].text);
    for (int m = 0; m < p->scorers.n; m++) {
        const struct scorer *s = &p->scorers.list[m];
        collect(c, p, k, m, false);
        struct interval v = mean_of(c);
        json_object_set_new(means, s->name, study_interval(v));
        fprintf(p->env->out, "%s %s %.5g [%.5g, %.5g]%s%s", m ? "," : "", s->name, v.mean, v.low,
                v.high, s->metric->unit[0] ? " " : "", s->metric->unit);
        if (k == 0) continue;
        collect(c, p, k, m, true);
        json_t *d = study_interval(mean_of(c));
        json_object_set_new(d, "p", study_number(p_of(c)));
        json_object_set_new(differences, s->name, d);
    }
    fputc('\n', p->env->out);
    return json_pack("{s:s, s:s, s:o, s:o}", "name", p->method[k].name, "source", p->method[k].text,
                     "means", means, "differences_from_first", differences);
}

/* Whose references the reconstructions are compared with: their own scans' (null), or paths. */
static json_t *describe_references(const struct pairs *p)
{
    if (p->reference != &p->twins) return json_null();
    json_t *paths = json_array();
    for (int i = 0; i < p->twins.conf.scans.n; i++)
        json_array_append_new(paths, json_string(p->twins.conf.scans.v[i]));
    return paths;
}

void pairs_summary(const struct pairs *p, const char *study, json_t *summary)
{
    const struct images *im = p->env->images;
    struct column c;
    json_t *methods = json_array();
    int count[3] = {0};
    for (int i = 0; i < p->images; i++)
        count[pairs_contrast(p, i)]++;
    fprintf(p->env->out, "images: %d of %d scans, %s, %dx%d; FS %d, non-FS %d, unknown %d\n", im->n,
            im->scans.n, im->whole_scans ? "all slices" : "centre slice", im->height, im->width,
            count[CONTRAST_FS], count[CONTRAST_NON_FS], count[CONTRAST_UNKNOWN]);
    bool room = column_new(&c, p, NULL) == 0;
    for (int k = 0; k < p->methods && room; k++)
        json_array_append_new(methods, describe_method(p, k, &c));
    column_free(&c);
    json_t *head = json_pack(
        "{s:s, s:s, s:i, s:i, s:i, s:s, s:[i,i], s:{s:i,s:i,s:i}, s:o, s:o, s:o, s:o, s:s}",
        "study", study, "version", cli_version(), "scans", im->scans.n, "scans_skipped",
        im->scans.nbad, "images", im->n, "slices", im->whole_scans ? "all" : "centre", "size",
        im->height, im->width, "contrasts", "FS", count[CONTRAST_FS], "non-FS",
        count[CONTRAST_NON_FS], "unknown", count[CONTRAST_UNKNOWN], "references",
        describe_references(p), "metrics", scorers_describe(&p->scorers), "left_out",
        scorers_left_out(&p->scorers), "methods", methods, "intervals",
        im->whole_scans
            ? "95 %; of means by Student's t, the images of a scan as a cluster; of other numbers "
              "by "
              "bootstrap over scans"
            : "95 %; of means by Student's t over scans, of other numbers by bootstrap over scans");
    json_object_update(summary, head);
    json_decref(head);
}
