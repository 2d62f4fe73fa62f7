/* fit-ssfd: weights of SSFD's layers from scores of readers. */
#include "base/cli.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/stat.h"
#include "eval/csv.h"
#include "eval/fit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BETTER_HIGHER, BETTER_LOWER };
static const char *const betters[] = {"higher", "lower", NULL};

struct fit_conf {
    const char *out, *distances, *scores, *key, *score, *prefix;
    struct cfg_texts layers;
    int better;
};

static const struct cfg_field fields[] = {
    CFG_TEXT(struct fit_conf, out, NULL, "YAML file of the fitted `layers` and `weights`"),
    CFG_TEXT(struct fit_conf, distances, NULL,
             "CSV with a column of SSFD for each layer and one that names the scan"),
    CFG_TEXT(struct fit_conf, scores, NULL,
             "CSV with a column of reader scores and one that names the scan"),
    CFG_TEXTS(struct fit_conf, layers, "[conv3, conv5, conv7, conv9]", "layers to combine"),
    CFG_TEXT(struct fit_conf, prefix, "", "what precedes a layer in the names of columns: ssfd_"),
    CFG_TEXT(struct fit_conf, key, "scan", "column of both tables that names the scan"),
    CFG_TEXT(struct fit_conf, score, "score", "column of the reader scores"),
    CFG_CHOICE(struct fit_conf, better, "higher", betters, "which scores are good ones"),
    CFG_END};

/* What is fitted: scans that are in both tables, the mean where a table has several lines. */
struct data {
    int rows, n;
    double *x, *y, *prediction, *column;
};

static int number(const struct csv *t, const char *path, int row, int column, double *v,
                  struct err *e)
{
    if (num_real(csv_cell(t, row, column), v)) return 0;
    return err_set(e, ERR_DATA, "%s: line %d, column '%s': '%.40s' is not a number", path,
                   t->line[1 + row], t->cell[column], csv_cell(t, row, column));
}

static int find_column(const struct csv *t, const char *path, const char *prefix, const char *name,
                       int *column, struct err *e)
{
    char full[256];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    if ((*column = csv_column(t, full)) >= 0) return 0;
    err_set(e, ERR_DATA, "%s: there is no column '%s'", path, full);
    char list[400] = "";
    for (int c = 0; c < t->columns && strlen(list) + strlen(t->cell[c]) + 3 < sizeof list; c++)
        strcat(strcat(list, c ? ", " : ""), t->cell[c]);
    return err_hint(e, "its columns are: %s", list);
}

/* Mean of a column over the rows of a scan; *lines: how many there are. */
static int mean_of(const struct csv *t, const char *path, int key, const char *scan, int column,
                   double *mean, int *lines, struct err *e)
{
    double sum = 0.0, v;
    *lines = 0;
    for (int i = 0; i < t->rows; i++) {
        if (strcmp(csv_cell(t, i, key), scan) != 0) continue;
        if (number(t, path, i, column, &v, e)) return -1;
        sum += v;
        ++*lines;
    }
    *mean = *lines ? sum / *lines : NAN;
    return 0;
}

static int is_first(const struct csv *t, int key, int row)
{
    for (int i = 0; i < row; i++)
        if (strcmp(csv_cell(t, i, key), csv_cell(t, row, key)) == 0) return 0;
    return 1;
}

/* Joins the two tables. Scans of one only are counted on stderr. */
static int join(const struct fit_conf *c, const struct csv *distances, const struct csv *scores,
                struct data *d, struct err *e)
{
    int key, other, score, column[FIT_MOST], lines, alone = 0;
    if (find_column(distances, c->distances, "", c->key, &key, e) ||
        find_column(scores, c->scores, "", c->key, &other, e) ||
        find_column(scores, c->scores, "", c->score, &score, e))
        return -1;
    for (int k = 0; k < d->n; k++)
        if (find_column(distances, c->distances, c->prefix, c->layers.v[k], &column[k], e))
            return -1;
    for (int i = 0; i < distances->rows; i++) {
        const char *scan = csv_cell(distances, i, key);
        double *y = &d->y[d->rows], *x = d->x + d->rows * d->n;
        if (!is_first(distances, key, i)) continue;
        if (mean_of(scores, c->scores, other, scan, score, y, &lines, e)) return -1;
        if (lines == 0) {
            alone++;
            continue;
        }
        for (int k = 0; k < d->n; k++)
            if (mean_of(distances, c->distances, key, scan, column[k], &x[k], &lines, e)) return -1;
        d->rows++;
    }
    if (alone) fprintf(stderr, "%d scans of %s have no score\n", alone, c->distances);
    if (d->rows >= d->n + 2 && d->rows >= 3) return 0;
    err_set(e, ERR_DATA, "%d scans have distances and a score; %d layers need at least %d", d->rows,
            d->n, d->n + 2 > 3 ? d->n + 2 : 3);
    return err_hint(e, "the scans must have the same names in both tables; is --key right?");
}

/* ---- How good it is ---------------------------------------------------------------------- */

static int say(const char *what, const struct data *d, const double *prediction, struct err *e)
{
    struct assoc spearman;
    double square = 0.0;
    for (int i = 0; i < d->rows; i++)
        square += (prediction[i] - d->y[i]) * (prediction[i] - d->y[i]) / d->rows;
    if (stat_spearman(prediction, d->y, NULL, d->rows, &spearman, e)) return -1;
    printf("%-28s %9.4f %9.4f %12.5g\n", what, stat_pearson(prediction, d->y, NULL, d->rows).r,
           spearman.r, sqrt(square));
    return 0;
}

/* Of the fit with all layers, and with each alone: to all scans, and to those left out. */
static int report(const struct fit_conf *c, const struct data *d, const struct fit *all,
                  struct err *e)
{
    printf("%d scans, %d layers\n%-28s %9s %9s %12s\n", d->rows, d->n, "", "Pearson", "Spearman",
           "RMS error");
    for (int i = 0; i < d->rows; i++)
        d->prediction[i] = fit_predict(all, d->x + i * d->n, d->n);
    if (say("combined, fitted", d, d->prediction, e)) return -1;
    fit_leave_one_out(d->x, d->y, d->rows, d->n, d->prediction);
    if (say("combined, left out", d, d->prediction, e)) return -1;
    for (int k = 0; k < d->n; k++) {
        char what[64];
        for (int i = 0; i < d->rows; i++)
            d->column[i] = d->x[i * d->n + k];
        fit_leave_one_out(d->column, d->y, d->rows, 1, d->prediction);
        snprintf(what, sizeof what, "%.32s alone, left out", c->layers.v[k]);
        if (say(what, d, d->prediction, e)) return -1;
    }
    printf("(of the %s; left out: each scan predicted from a fit to all others)\n",
           c->better == BETTER_HIGHER ? "negated scores" : "scores");
    return 0;
}

static int write_weights(const struct fit_conf *c, const struct data *d, const struct fit *f,
                         struct err *e)
{
    char text[FIT_MOST * 96 + 512], digits[NUM_TEXT];
    int at = snprintf(text, sizeof text,
                      "# fit-ssfd: keys of the metric ssfd, from %d scans\nlayers: [", d->rows);
    for (int k = 0; k < d->n; k++)
        at +=
            snprintf(text + at, sizeof text - (size_t)at, "%s%.40s", k ? ", " : "", c->layers.v[k]);
    at += snprintf(text + at, sizeof text - (size_t)at, "]\nweights: [");
    for (int k = 0; k < d->n; k++)
        at += snprintf(text + at, sizeof text - (size_t)at, "%s%s", k ? ", " : "",
                       num_text(digits, f->weight[k], 9));
    at += snprintf(text + at, sizeof text - (size_t)at, "]\n");
    fputs(text, stdout);
    return io_write_text(c->out, text, (size_t)at, e);
}

static int fit(const struct fit_conf *c, struct data *d, const struct csv *distances,
               const struct csv *scores, struct err *e)
{
    struct fit all;
    size_t most = (size_t)distances->rows;
    d->x = mem_new(most * (size_t)d->n, sizeof *d->x, e);
    d->y = mem_new(most, sizeof *d->y, e);
    d->prediction = mem_new(most, sizeof *d->prediction, e);
    d->column = mem_new(most, sizeof *d->column, e);
    if (!d->x || !d->y || !d->prediction || !d->column || join(c, distances, scores, d, e))
        return -1;
    for (int i = 0; i < d->rows && c->better == BETTER_HIGHER; i++)
        d->y[i] = -d->y[i]; /* a distance grows as images get worse */
    fit_nonnegative(d->x, d->y, d->rows, d->n, -1, &all);
    if (report(c, d, &all, e)) return -1;
    double sum = 0.0;
    for (int k = 0; k < d->n; k++)
        sum += all.weight[k];
    if (!(sum > 0.0)) {
        err_set(e, ERR_DATA,
                "no layer's distance grows as the scores get worse: all weights are 0");
        return err_hint(e, "if low scores are good ones, say --better lower");
    }
    return write_weights(c, d, &all, e);
}

static int check(const void *conf, const struct cli *cli, struct err *e)
{
    const struct fit_conf *c = conf;
    (void)cli;
    if (c->layers.n >= 1 && c->layers.n <= FIT_MOST) return 0;
    return err_set(e, ERR_CONFIG, "%d layers; 1 to %d are possible", c->layers.n, FIT_MOST);
}

static int run(const void *conf, const struct cli *cli, struct err *e)
{
    const struct fit_conf *c = conf;
    struct data d = {.n = c->layers.n};
    struct csv distances = {0}, scores = {0};
    int rc = -1;
    (void)cli;
    if (csv_read(&distances, c->distances, e) == 0 && csv_read(&scores, c->scores, e) == 0)
        rc = fit(c, &d, &distances, &scores, e);
    mem_free(d.x);
    mem_free(d.y);
    mem_free(d.prediction);
    mem_free(d.column);
    csv_free(&distances);
    csv_free(&scores);
    return rc;
}

static const struct command command = {
    .name = "fit-ssfd",
    .summary = "Find weights of SSFD's layers that follow the scores of readers",
    .text =
        "Reads the distance of every scan at several layers and what readers said of the scans,\n"
        "fits weights that are not negative by least squares, and says how well they predict\n"
        "scans that were left out of the fit, beside each layer alone. Where a table has several\n"
        "lines for a scan (readers, slices), their mean counts. The weights go to OUT as the keys\n"
        "'layers' and 'weights' of the metric ssfd.\n"
        "\n"
        "    fit-ssfd weights.yaml --distances layers.csv --scores readers.csv --prefix ssfd_\n",
    .fields = fields,
    .conf_size = sizeof(struct fit_conf),
    .positional = "out",
    .check = check,
    .run = run,
};

int main(int argc, char **argv)
{
    return cli_main(&command, argc, argv);
}
