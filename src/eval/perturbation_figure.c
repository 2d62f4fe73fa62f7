/* The figure of the study, laid out like the paper's: a column a perturbation; on top an example at
 * half the extent, below it a row a metric, all of a row on one scale so that columns compare. */
#include "base/io.h"
#include "base/mem.h"
#include "base/png.h"
#include "eval/figure.h"
#include "eval/perturbation.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* The 50th percentile of a perturbation: half its extent. Its noise is that of the middle level,
 * where there is one. */
static int apply_half(const struct perturbation *s, int p, int image, const float *x, float *y,
                      struct err *e)
{
    return perturbation_apply(s, p, s->extent[p] / 2.0, s->levels % 2 ? s->levels / 2 : KEY_EXAMPLE,
                              images_id(s->env->images, image), x, y, e);
}

/* One picture a perturbation. x, y, sorted are (h, w). */
static int write_examples(const struct perturbation *s, int image, float *x, float *y,
                          float *sorted, struct err *e)
{
    int h = s->env->images->height, w = s->env->images->width;
    size_t n = (size_t)h * (size_t)w, top = (n - 1) * 995 / 1000;
    char path[PATH_MAX];
    if (images_read_zscored(s->env->images, image, x, e)) return -1;
    memcpy(sorted, x, n * sizeof *x);
    qsort(sorted, n, sizeof *sorted, ascending);
    float low = sorted[0], high = sorted[top]; /* the brightest 0.5 % would darken all others */
    for (int p = 0; p < s->perturbations; p++) {
        if (apply_half(s, p, image, x, y, e)) return -1;
        float from = low, to = high;
        if (perturb_at(s, p)->difference) {
            for (size_t i = 0; i < n; i++) {
                y[i] -= x[i];
                sorted[i] = fabsf(y[i]);
            }
            qsort(sorted, n, sizeof *sorted, ascending);
            to = sorted[top];
            from = -to;
        }
        if (io_path(path, sizeof path, e, "%s/example_%s.png", s->env->output,
                    perturb_at(s, p)->kind.name) ||
            png_write_gray(path, y, h, w, from, to, e))
            return -1;
    }
    return 0;
}

enum {
    LEFT = 76,
    RIGHT = 20,
    TOP = 34,
    BOTTOM = 74,
    CELL = 250,
    GAP = 30,
    PLOT = 150,
    PLOT_GAP = 18,
    PICTURE_GAP = 18
};

struct layout {
    int columns, rows, width, height;
    int picture, picture_width; /* of the examples */
};

static struct layout lay_out(const struct perturbation *s)
{
    int h = s->env->images->height, w = s->env->images->width;
    struct layout l = {.columns = s->perturbations, .rows = s->metrics};
    double picture = CELL * (double)h / w;
    l.picture = (int)(picture < CELL / 2.0    ? CELL / 2.0
                      : picture > CELL * 1.25 ? CELL * 1.25
                                              : picture);
    l.picture_width = picture > l.picture ? (int)(l.picture * (double)w / h) : CELL;
    l.width = LEFT + l.columns * (CELL + GAP) - GAP + RIGHT;
    l.height = TOP + l.picture + PICTURE_GAP + l.rows * (PLOT + PLOT_GAP) - PLOT_GAP + BOTTOM;
    return l;
}

static void put_example(struct figure *g, const struct layout *l, const struct perturbation *s,
                        int p)
{
    const struct perturb *perturb = perturb_at(s, p);
    char path[128], title[256];
    snprintf(path, sizeof path, "example_%s.png", perturb->kind.name);
    perturbation_example_title(s, p, title, sizeof title);
    figure_place(g, LEFT + p * (CELL + GAP) + (CELL - l->picture_width) / 2,
                 l->height - TOP - l->picture, l->picture_width, l->picture);
    figure_picture(g, path, title, "");
}

/* The scale of a row: all its intervals, with some air, and with zero where that is not far. */
static void put_scale(FILE *f, const struct perturbation *s, int m)
{
    double low = INFINITY, high = -INFINITY;
    for (int p = 0; p < s->perturbations; p++)
        for (int k = 0; k < s->levels; k++) {
            struct interval v = perturbation_mean(s, p, m, k);
            if (v.n == 0) continue;
            low = fmin(low, isnan(v.low) ? v.mean : v.low);
            high = fmax(high, isnan(v.high) ? v.mean : v.high);
        }
    figure_widen(&low, &high);
    double air = 0.06 * (high - low);
    low = low >= 0.0 && low < 0.4 * high ? 0.0 : low - air;
    fprintf(f, "set yrange [%.9g:%.9g]\n", low, high + air);
}

static void put_plot(struct figure *g, const struct layout *l, const struct perturbation *s, int p,
                     int m)
{
    static const char *const colour[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7"};
    const char *rgb = colour[m % 4];
    const struct perturb *perturb = perturb_at(s, p);
    const struct scorer *metric = &s->scorers.list[m];
    const char *unit = metric->metric->unit;
    char xlabel[256] = "";
    if (m == l->rows - 1)
        snprintf(xlabel, sizeof xlabel, "%s%s%s%s", perturb->label, perturb->unit[0] ? " (" : "",
                 perturb->unit, perturb->unit[0] ? ")" : "");
    int bottom = BOTTOM + (l->rows - 1 - m) * (PLOT + PLOT_GAP);
    figure_place(g, LEFT + p * (CELL + GAP), bottom, CELL, PLOT);
    figure_axes(g, xlabel, "");
    put_scale(g->f, s, m);
    figure_tics(g, 'x', s->extent[p]);
    fprintf(g->f, "set offsets; set xrange [0:%.9g]\nset format y \"%s\"\n", s->extent[p],
            p == 0 ? "%g" : "");
    if (m != l->rows - 1) fputs("set format x \"\"\n", g->f);
    if (p == 0)
        figure_text(g, 14, bottom + PLOT / 2, "center rotate by 90", "%s%s%s%s", metric->label,
                    unit[0] ? " (" : "", unit, unit[0] ? ")" : "");
    fprintf(g->f,
            "pick(c) = strcol(1) eq \"%s\" && strcol(4) eq \"%s\" ? column(c) : NaN\n"
            "plot \"curves.csv\" skip 1 using (pick(2)):(pick(7)):(pick(8)) with filledcurves "
            "fc rgb \"%s\" fs transparent solid 0.22 noborder, \\\n"
            "        \"\" skip 1 using (pick(2)):(pick(6)) with linespoints lc rgb \"%s\" lw 1.5 "
            "pt 7 ps 0.45\n"
            "unset label\n",
            perturb->kind.name, metric->name, rgb, rgb);
}

static int draw(const struct perturbation *s, struct err *e)
{
    const struct images *im = s->env->images;
    struct layout l = lay_out(s);
    struct figure g;
    if (figure_begin(&g, s->env, "perturbations", "curves.csv and example_*.png", l.width, l.height,
                     e))
        return -1;
    for (int p = 0; p < l.columns; p++)
        put_example(&g, &l, s, p);
    figure_text(&g, l.width - RIGHT, 12, "right textcolor rgb \"#606060\"", "%s%d %s%s",
                im->n > 1 ? "mean and 95 % confidence band, " : "", im->n,
                im->whole_scans ? "image" : "scan", im->n == 1 ? "" : "s");
    for (int m = 0; m < l.rows; m++)
        for (int p = 0; p < l.columns; p++)
            put_plot(&g, &l, s, p, m);
    return figure_end(&g, e);
}

int perturbation_figure(const struct perturbation *s, int example, struct err *e)
{
    size_t n = (size_t)s->env->images->height * (size_t)s->env->images->width;
    float *x = mem_new(n, sizeof *x, e), *y = mem_new(n, sizeof *y, e);
    float *sorted = mem_new(n, sizeof *sorted, e);
    int rc = x && y && sorted ? write_examples(s, example, x, y, sorted, e) : -1;
    if (rc == 0) rc = draw(s, e);
    mem_free(x);
    mem_free(y);
    mem_free(sorted);
    return rc;
}
