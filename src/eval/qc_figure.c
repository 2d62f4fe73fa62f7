/* Figures of quality control, laid out like the paper's Fig. 3 and 6: on the left every metric
 * against the one of the figure, on the right two examples with reference, reconstruction and
 * difference. And the receiver operating characteristics, where there is a truth. */
#include "eval/figure.h"
#include "eval/qc.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    LEFT = 76,
    RIGHT = 14,
    TOP = 40,
    BOTTOM = 86,
    PLOT = 230,
    GAP = 66,
    PICTURE = 190,
    STRIP = 64
};
enum { FIRST_SCORE = 5 /* column of the first metric in scores.csv */, ROWS_MOST = 3 };
static const char POOR[] = "#0072b2", GOOD[] = "#e69f00"; /* blue and orange, as in the paper */

static const struct scorer *metric_of(const struct qc *q, int m)
{
    return &q->pairs.scorers.list[m];
}

static double score_of(const struct qc *q, int point, int m)
{
    return pairs_at(&q->pairs, q->point[point].image, q->point[point].method, m);
}

/* One example as a point of the scatter plot. */
static void put_mark(FILE *f, const struct qc *q, int point, int x, int y, const char *colour)
{
    if (point < 0) return;
    fprintf(
        f,
        ", \\\n        \"scores.csv\" skip 1 every ::0::0 using (%.12g):(%.12g) with points pt 7 "
        "ps 1.1 lc rgb \"%s\"",
        score_of(q, point, x), score_of(q, point, y), colour);
}

static void put_scatter(struct figure *g, const struct qc *q, int x, int y)
{
    char xlabel[96], ylabel[96];
    const struct scorer *a = metric_of(q, x), *b = metric_of(q, y);
    snprintf(xlabel, sizeof xlabel, "%s%s%s%s", a->label, a->metric->unit[0] ? " (" : "",
             a->metric->unit, a->metric->unit[0] ? ")" : "");
    snprintf(ylabel, sizeof ylabel, "%s%s%s%s", b->label, b->metric->unit[0] ? " (" : "",
             b->metric->unit, b->metric->unit[0] ? ")" : "");
    figure_axes(g, xlabel, ylabel);
    const int xy[2] = {x, y};
    for (int k = 0; k < 2; k++) {
        double low, high;
        pairs_range(&q->pairs, 0, xy[k], &low, &high);
        figure_scale(g, "xy"[k], low, high);
    }
    fputs("plot ", g->f);
    for (int c = CONTRAST_UNKNOWN; c <= CONTRAST_FS; c++) {
        fprintf(g->f, "%s\"scores.csv\" skip 1 using (strcol(3) eq \"%s\" && strcol(4) eq ",
                c ? ", \\\n        " : "", contrast_names[c]);
        figure_quote(g->f, q->pairs.method[0].name);
        fprintf(g->f, " ? column(%d) : NaN):%d with points pt %d ps 0.55 lc rgb \"#909090\"",
                FIRST_SCORE + x, FIRST_SCORE + y, figure_contrast_shapes[c]);
    }
    put_mark(g->f, q, q->poor, x, y, POOR);
    put_mark(g->f, q, q->good, x, y, GOOD);
    fputs("\nunset label\n", g->f);
}

static void describe_scores(const struct qc *q, int point, char *text, size_t size)
{
    text[0] = '\0';
    for (int m = 0; m < q->pairs.scorers.n; m++) {
        size_t used = strlen(text);
        const struct scorer *s = metric_of(q, m);
        snprintf(text + used, size - used, "%s%s %.3g%s%s", m ? "   " : "", s->label,
                 score_of(q, point, m), s->metric->unit[0] ? " " : "", s->metric->unit);
    }
}

static int put_example(struct figure *g, const struct qc *q, int point, const char *colour,
                       int left, int bottom, int high, struct err *e)
{
    char titles[][64] = {"reference", "reconstruction", "difference"};
    const struct pairs *p = &q->pairs;
    char path[PATH_MAX], text[512], how[64];
    if (point < 0) return 0;
    const struct qc_point *at = &q->point[point];
    snprintf(titles[2], sizeof titles[2], "difference, \u00b1 %.0f %% of white",
             100.0 * pairs_span(p, at->image, at->method) / pairs_white(p, at->image));
    describe_scores(q, point, text, sizeof text);
    snprintf(how, sizeof how, "left textcolor rgb \"%s\"", colour);
    figure_text(g, left, bottom - 14, how, "%s", text);
    char defects[256];
    qc_defects(q, point, defects, sizeof defects);
    figure_text(g, left, bottom - 30, "left textcolor rgb \"#606060\"", "%s, slice %d, %s%s%s",
                images_name(p->env->images, at->image), p->env->images->list[at->image].slice,
                contrast_names[pairs_contrast(p, at->image)], defects[0] ? "; defect: " : "",
                defects);
    for (int k = PICTURE_REFERENCE; k <= PICTURE_DIFFERENCE; k++) {
        if (pairs_picture(p, at->image, at->method, (enum picture)k, path, sizeof path, e))
            return -1;
        figure_place(g, left + k * (PICTURE + 8), bottom, PICTURE, high);
        figure_picture(g, path, titles[k], k == 0 ? colour : "");
        fputs("unset label\n", g->f);
    }
    return 0;
}

/* The other metrics of a figure: the focus last, at most so many. */
static int other_metrics(const struct qc *q, int against, int other[ROWS_MOST])
{
    int n = 0;
    for (int m = 0; m < q->pairs.scorers.n && n < ROWS_MOST - 1; m++) {
        bool pixelwise = false; /* of figures of its own */
        for (int k = 0; k < q->conf->against.n; k++)
            pixelwise |= strcmp(q->conf->against.v[k], metric_of(q, m)->name) == 0;
        if (m != q->focus && m != against && !pixelwise) other[n++] = m;
    }
    if (q->focus != against) other[n++] = q->focus;
    return n;
}

static int draw_against(const struct qc *q, int against, struct err *e)
{
    const struct images *im = q->pairs.env->images;
    int other[ROWS_MOST], rows = other_metrics(q, against, other);
    int high = PICTURE * im->height / im->width;
    int pictures = 2 * (high + STRIP) + 20, plots = rows * (PLOT + GAP) - GAP;
    int body = pictures > plots ? pictures : plots, right = LEFT + PLOT + 50;
    struct figure g;
    char name[80];
    snprintf(name, sizeof name, "qc_%s", metric_of(q, against)->name);
    if (figure_begin(&g, q->pairs.env, name, "scores.csv and pictures/",
                     right + 3 * (PICTURE + 8) + RIGHT, BOTTOM + body + TOP, e))
        return -1;
    figure_text(&g, LEFT, 14, "left textcolor rgb \"#606060\"",
                "%s FS   %s non-FS   method %s, %d images", figure_contrast_marks[CONTRAST_FS],
                figure_contrast_marks[CONTRAST_NON_FS], q->pairs.method[0].name, q->pairs.images);
    for (int r = 0; r < rows; r++) {
        figure_place(&g, LEFT, BOTTOM + body - (r + 1) * PLOT - r * GAP, PLOT, PLOT);
        put_scatter(&g, q, against, other[r]);
    }
    if (put_example(&g, q, q->poor, POOR, right, BOTTOM + body - high, high, e) ||
        put_example(&g, q, q->good, GOOD, right, BOTTOM + body - 2 * high - STRIP - 20, high, e)) {
        figure_drop(&g);
        return -1;
    }
    return figure_end(&g, e);
}

static int draw_roc(const struct qc *q, struct err *e)
{
    static const char *const colour[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                         "#e69f00", "#56b4e9", "#000000", "#999999"};
    struct figure g;
    int lines = 0;
    if (figure_begin(&g, q->pairs.env, "roc", "roc.csv", LEFT + 300 + RIGHT, BOTTOM + 300 + TOP, e))
        return -1;
    figure_place(&g, LEFT, BOTTOM, 300, 300);
    figure_text(&g, LEFT + 150, BOTTOM + 316, "center", "any defect, %s", q->pairs.method[0].name);
    for (int r = 0; r < q->rocs; r++)
        if (q->roc[r].kind < 0) {
            char how[64];
            snprintf(how, sizeof how, "right textcolor rgb \"%s\"", colour[q->roc[r].metric % 8]);
            figure_text(&g, LEFT + 292, BOTTOM + 14 + 17 * lines++, how, "%s %.2f [%.2f, %.2f]",
                        metric_of(q, q->roc[r].metric)->label, q->roc[r].auc.mean,
                        q->roc[r].auc.low, q->roc[r].auc.high);
        }
    figure_axes(&g, "false positive rate", "true positive rate");
    fputs("set offsets; set xrange [0:1]; set yrange [0:1]\n"
          "plot x with lines lc rgb \"#c0c0c0\" dt 2",
          g.f);
    for (int r = 0; r < q->rocs; r++)
        if (q->roc[r].kind < 0)
            fprintf(g.f,
                    ", \\\n        \"roc.csv\" skip 1 using (strcol(1) eq \"%s\" && strcol(2) eq "
                    "\"any\" ? column(3) : 1/0):4 with lines lw 1.5 lc rgb \"%s\"",
                    metric_of(q, q->roc[r].metric)->name, colour[q->roc[r].metric % 8]);
    fputs("\nunset label\n", g.f);
    return figure_end(&g, e);
}

int qc_figures(const struct qc *q, struct err *e)
{
    static const char *const old[] = {"roc.gp", "roc.png", "roc.svg"};
    for (int k = 0; k < q->conf->against.n; k++) {
        int against = scorers_find(&q->pairs.scorers, q->conf->against.v[k]);
        if (against >= 0 && draw_against(q, against, e))
            return -1; /* one that was left out: none */
    }
    if (q->rocs > 0) return draw_roc(q, e);
    for (size_t i = 0; i < sizeof old / sizeof *old; i++)
        if (study_remove(q->pairs.env, old[i], e)) return -1;
    return 0;
}
