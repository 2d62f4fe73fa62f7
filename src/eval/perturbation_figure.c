/* The figure of the study, laid out like the paper's: a column a perturbation; on top an example at
 * half the extent, below it a row a metric, all of a row on one scale so that columns compare. */
#include "base/gnuplot.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/png.h"
#include "eval/perturbation.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* One picture a perturbation, of the first image at the middle level. x, y, sorted are (h, w). */
static int write_examples(const struct scores *s, const struct study_env *env, float *x, float *y,
                          float *sorted, struct err *e)
{
    const struct perturbation_conf *c = s->conf;
    int h = env->images->height, w = env->images->width;
    size_t n = (size_t)h * (size_t)w, top = (n - 1) * 995 / 1000;
    char path[PATH_MAX];
    if (images_read_zscored(env->images, 0, x, e)) return -1;
    memcpy(sorted, x, n * sizeof *x);
    qsort(sorted, n, sizeof *sorted, ascending);
    float low = sorted[0], high = sorted[top]; /* the brightest 0.5 % would darken all others */
    for (int p = 0; p < c->perturbations.n; p++) {
        if (perturbation_apply(c, p, c->levels / 2, env->seed, images_id(env->images, 0), x, h, w,
                               y, e))
            return -1;
        float from = low, to = high;
        if (perturb_at(c, p)->difference) {
            for (size_t i = 0; i < n; i++) {
                y[i] -= x[i];
                sorted[i] = fabsf(y[i]);
            }
            qsort(sorted, n, sizeof *sorted, ascending);
            to = sorted[top];
            from = -to;
        }
        if (io_path(path, sizeof path, e, "%s/example_%s.png", env->output,
                    perturb_at(c, p)->kind.name) ||
            png_write_gray(path, y, h, w, from, to, e))
            return -1;
    }
    return 0;
}

/* Sizes in pixels of the SVG; the PNG has twice as many. The origin is at the lower left. */
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

static struct layout lay_out(const struct perturbation_conf *c, int h, int w)
{
    struct layout l = {.columns = c->perturbations.n, .rows = c->metrics.n};
    double picture = CELL * (double)h / w;
    l.picture = (int)(picture < CELL / 2.0    ? CELL / 2.0
                      : picture > CELL * 1.25 ? CELL * 1.25
                                              : picture);
    l.picture_width = picture > l.picture ? (int)(l.picture * (double)w / h) : CELL;
    l.width = LEFT + l.columns * (CELL + GAP) - GAP + RIGHT;
    l.height = TOP + l.picture + PICTURE_GAP + l.rows * (PLOT + PLOT_GAP) - PLOT_GAP + BOTTOM;
    return l;
}

static void put_margins(FILE *f, const struct layout *l, int column, int bottom, int width,
                        int height)
{
    int left = LEFT + column * (CELL + GAP) + (CELL - width) / 2;
    fprintf(f,
            "    set lmargin at screen %.5f; set rmargin at screen %.5f\n"
            "    set bmargin at screen %.5f; set tmargin at screen %.5f\n",
            (double)left / l->width, (double)(left + width) / l->width, (double)bottom / l->height,
            (double)(bottom + height) / l->height);
}

static void put_example(FILE *f, const struct layout *l, const struct perturbation_conf *c, int p)
{
    const struct perturb *perturb = perturb_at(c, p);
    put_margins(f, l, p, l->height - TOP - l->picture, l->picture_width, l->picture);
    fprintf(f,
            "    set title \"%s %.3g%s%s%s\" offset 0,-0.4\n"
            "    plot \"example_%s.png\" binary filetype=png with rgbimage\n",
            perturb->label, level_at(c, p, c->levels / 2), perturb->unit[0] ? " " : "",
            perturb->unit, perturb->difference ? " (difference)" : "", perturb->kind.name);
}

/* The scale of a row: all its intervals, with some air, and with zero where that is not far. */
static void put_scale(FILE *f, const struct scores *s, int m)
{
    double low = INFINITY, high = -INFINITY;
    for (int p = 0; p < s->conf->perturbations.n; p++)
        for (int k = 0; k < s->conf->levels; k++) {
            struct interval v = scores_interval(s, p, m, k);
            if (v.n == 0) continue;
            low = fmin(low, v.low);
            high = fmax(high, v.high);
        }
    if (!(low <= high)) low = 0.0, high = 1.0;
    if (low == high) low -= 0.5, high += 0.5;
    double air = 0.06 * (high - low);
    low = low >= 0.0 && low < 0.4 * high ? 0.0 : low - air;
    fprintf(f, "    set yrange [%.9g:%.9g]\n", low, high + air);
}

static void put_plot(FILE *f, const struct layout *l, const struct scores *s, int p, int m)
{
    static const char *const colour[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7"};
    const struct perturbation_conf *c = s->conf;
    const char *rgb = colour[m % 4];
    int bottom = BOTTOM + (l->rows - 1 - m) * (PLOT + PLOT_GAP);
    put_margins(f, l, p, bottom, CELL, PLOT);
    fprintf(f, "    set xrange [0:%.9g]\n", level_at(c, p, c->levels - 1));
    fprintf(f, "    set format y \"%s\"\n", p == 0 ? "%g" : "");
    if (m == l->rows - 1)
        fprintf(f, "    set format x \"%%g\"; set xlabel \"%s%s%s%s\" offset 0,0.2\n",
                perturb_at(c, p)->label, perturb_at(c, p)->unit[0] ? " (" : "",
                perturb_at(c, p)->unit, perturb_at(c, p)->unit[0] ? ")" : "");
    else
        fputs("    set format x \"\"; unset xlabel\n", f);
    if (p == 0)
        fprintf(f, "    set label 1 \"%s%s%s%s\" at screen %.5f, screen %.5f center rotate by 90\n",
                metric_at(c, m)->label, metric_at(c, m)->unit[0] ? " (" : "", metric_at(c, m)->unit,
                metric_at(c, m)->unit[0] ? ")" : "", 14.0 / l->width,
                (bottom + PLOT / 2.0) / l->height);
    else
        fputs("    unset label 1\n", f);
    fprintf(f,
            "    pick(c) = strcol(1) eq \"%s\" && strcol(4) eq \"%s\" ? column(c) : NaN\n"
            "    plot \"curves.csv\" skip 1 using (pick(2)):(pick(7)):(pick(8)) with filledcurves "
            "fc rgb \"%s\" fs transparent solid 0.22 noborder, \\\n"
            "        \"\" skip 1 using (pick(2)):(pick(6)) with linespoints lc rgb \"%s\" lw 1.5 "
            "pt 7 ps 0.45\n",
            perturb_at(c, p)->kind.name, metric_at(c, m)->kind.name, rgb, rgb);
}

static void put_script(FILE *f, const struct scores *s, const struct study_env *env)
{
    const struct perturbation_conf *c = s->conf;
    const struct images *im = env->images;
    struct layout l = lay_out(c, im->height, im->width);
    fprintf(f,
            "# Draws perturbations.png and perturbations.svg from curves.csv and example_*.png:\n"
            "#     gnuplot -d perturbations.gp\n"
            "set encoding utf8\n"
            "set datafile separator comma\n"
            "do for [kind in \"png svg\"] {\n"
            "    if (kind eq \"png\") {\n"
            "        set terminal pngcairo size %d,%d font \"Liberation Sans,22\" linewidth 2 "
            "pointscale 2 background \"white\"\n"
            "    } else {\n"
            "        set terminal svg size %d,%d font \"Arial,13\" background \"white\"\n"
            "    }\n"
            "    set output \"perturbations.\".kind\n"
            "    set multiplot\n"
            "    unset key; unset tics; unset border; set autoscale xfix; set autoscale yfix\n"
            "    set size ratio -1\n",
            2 * l.width, 2 * l.height, l.width, l.height);
    for (int p = 0; p < l.columns; p++)
        put_example(f, &l, c, p);
    fprintf(f,
            "    unset title; set size noratio\n"
            "    set border 3 lc rgb \"#404040\"\n"
            "    set xtics nomirror out scale 0.6 textcolor rgb \"black\"\n"
            "    set ytics nomirror out scale 0.6 textcolor rgb \"black\"\n"
            "    set grid lc rgb \"#e0e0e0\" lw 0.7 lt 1\n"
            "    set label 2 \"%s%d %s%s\" at screen %.5f, screen "
            "%.5f right textcolor rgb \"#606060\"\n",
            im->n > 1 ? "mean and 95 % confidence band, " : "", im->n,
            im->whole_scans ? "image" : "scan", im->n == 1 ? "" : "s",
            1.0 - (double)RIGHT / l.width, 12.0 / l.height);
    for (int m = 0; m < l.rows; m++) {
        put_scale(f, s, m);
        for (int p = 0; p < l.columns; p++) {
            put_plot(f, &l, s, p, m);
            if (m == 0 && p == 0) fputs("    unset label 2\n", f);
        }
    }
    fputs("    unset multiplot; reset\n}\nunset output\n", f);
}

/* A figure of an earlier run must not stand beside the tables of this one. */
static int remove_old(const struct study_env *env, const char *name, struct err *e)
{
    char path[PATH_MAX];
    if (io_path(path, sizeof path, e, "%s/%s", env->output, name)) return -1;
    if (unlink(path) == 0 || errno == ENOENT) return 0;
    return err_set(e, ERR_IO, "%s: cannot be removed: %s", path, strerror(errno));
}

static int draw(const struct scores *s, const struct study_env *env, struct err *e)
{
    char path[PATH_MAX], *text = NULL;
    size_t len = 0;
    bool drawn = false;
    if (remove_old(env, "perturbations.png", e) || remove_old(env, "perturbations.svg", e) ||
        io_path(path, sizeof path, e, "%s/perturbations.gp", env->output))
        return -1;
    FILE *f = open_memstream(&text, &len);
    if (!f) return err_set(e, ERR_FAILED, "out of memory");
    put_script(f, s, env);
    int rc = fclose(f) == 0 ? io_write_text(path, text, len, e)
                            : err_set(e, ERR_FAILED, "%s: out of memory", path);
    free(text);
    if (rc == 0) rc = gnuplot_run(env->output, "perturbations.gp", &drawn, e);
    if (rc == 0 && !drawn)
        fprintf(env->notes,
                "gnuplot is not installed: no figure drawn; later: cd %s && gnuplot -d "
                "perturbations.gp\n",
                env->output);
    return rc;
}

int perturbation_figure(const struct scores *s, const struct study_env *env, struct err *e)
{
    size_t n = (size_t)env->images->height * (size_t)env->images->width;
    float *x = mem_new(n, sizeof *x, e), *y = mem_new(n, sizeof *y, e);
    float *sorted = mem_new(n, sizeof *sorted, e);
    int rc = x && y && sorted ? write_examples(s, env, x, y, sorted, e) : -1;
    if (rc == 0) rc = draw(s, env, e);
    mem_free(x);
    mem_free(y);
    mem_free(sorted);
    return rc;
}
