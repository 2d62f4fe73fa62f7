#include "eval/figure.h"

#include "base/gnuplot.h"
#include "base/io.h"

#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Okabe and Ito's colours, told apart by most colour-blind people. */
const char *const figure_contrast_colours[] = {"#666666", "#d55e00", "#0072b2"};
const int figure_contrast_shapes[] = {5, 7, 9};
const char *const figure_contrast_marks[] = {"\u25a0", "\u25cf", "\u25b2"};

int figure_begin(struct figure *g, const struct study_env *env, const char *name, const char *data,
                 int width, int height, struct err *e)
{
    *g = (struct figure){.env = env, .width = width, .height = height};
    snprintf(g->name, sizeof g->name, "%s", name);
    g->f = open_memstream(&g->text, &g->len);
    if (!g->f) return err_set(e, ERR_FAILED, "out of memory");
    fprintf(g->f,
            "# Draws %s.png and %s.svg from %s:\n"
            "#     gnuplot -d %s.gp\n"
            "set encoding utf8\n"
            "set datafile separator comma\n"
            "if (!exists(\"kind\")) kind = \"png\" # then, by its last line, once more as SVG\n"
            "if (kind eq \"png\") set terminal pngcairo noenhanced size %d,%d font \"Liberation "
            "Sans,22\" linewidth 2 pointscale 2 background \"white\"\n"
            "if (kind eq \"svg\") set terminal svg noenhanced size %d,%d font \"Arial,13\" "
            "background \"white\"\n"
            "set output \"%s.\".kind\n"
            "set multiplot\n"
            "unset key\n",
            name, name, data, name, 2 * width, 2 * height, width, height, name);
    return 0;
}

void figure_place(struct figure *g, int left, int bottom, int width, int height)
{
    fprintf(g->f,
            "set lmargin at screen %.5f; set rmargin at screen %.5f\n"
            "set bmargin at screen %.5f; set tmargin at screen %.5f\n",
            (double)left / g->width, (double)(left + width) / g->width, (double)bottom / g->height,
            (double)(bottom + height) / g->height);
}

void figure_quote(FILE *f, const char *text)
{
    fputc('\'', f);
    for (; *text; text++) {
        if (*text == '\'') fputc('\'', f); /* doubled; nothing else is special in single quotes */
        fputc(*text == '\n' ? ' ' : *text, f);
    }
    fputc('\'', f);
}

void figure_picture(struct figure *g, const char *path, const char *title, const char *colour)
{
    fputs("unset tics; unset grid; unset xlabel; unset ylabel; set size ratio -1\n"
          "set xrange [*:*]; set yrange [*:*]; set autoscale xfix; set autoscale yfix\n"
          "set offsets\nset title ",
          g->f);
    figure_quote(g->f, title);
    fputs(" offset 0,-0.4\n", g->f);
    if (colour[0])
        fprintf(g->f, "set border 15 lc rgb \"%s\" lw 2.5\n", colour);
    else
        fputs("unset border\n", g->f);
    fputs("plot ", g->f);
    figure_quote(g->f, path);
    fputs(" binary filetype=png with rgbimage\n"
          "unset title; set size noratio; set border 3 lc rgb \"#404040\" lw 1\n",
          g->f);
}

void figure_axes(struct figure *g, const char *xlabel, const char *ylabel)
{
    fputs("set border 3 lc rgb \"#404040\" lw 1; set size noratio\n"
          "set autoscale x; set autoscale y; set offsets graph 0.04, graph 0.04, graph 0.06, "
          "graph 0.06\n"
          "set format x \"%g\"; set format y \"%g\"\n"
          "set xtics nomirror out scale 0.6 textcolor rgb \"black\" autofreq\n"
          "set ytics nomirror out scale 0.6 textcolor rgb \"black\" autofreq\n"
          "set grid lc rgb \"#e0e0e0\" lw 0.7 lt 1\nset xlabel ",
          g->f);
    figure_quote(g->f, xlabel);
    fputs(" offset 0,0.2\nset ylabel ", g->f);
    figure_quote(g->f, ylabel);
    fputs(" offset 0,0\n", g->f);
}

void figure_tics(struct figure *g, char axis, double length)
{
    const double least = length / 5.0, unit = pow(10.0, floor(log10(least))), times = least / unit;
    const double step = unit * (times <= 1.0   ? 1.0
                                : times <= 2.0 ? 2.0
                                : times <= 5.0 ? 5.0
                                               : 10.0);
    if (isfinite(step) && step > 0.0) fprintf(g->f, "set %ctics %.9g\n", axis, step);
}

void figure_widen(double *low, double *high)
{
    if (!(*low <= *high)) *low = 0.0, *high = 1.0;
    const double largest = fmax(fabs(*low), fabs(*high));
    if (*high - *low > 1e-6 * largest) return;
    const double half = fmax(0.5, 1e-3 * largest);
    *low -= half;
    *high += half;
}

void figure_scale(struct figure *g, char axis, double low, double high)
{
    figure_widen(&low, &high);
    const double air = 0.05 * (high - low);
    fprintf(g->f, "set offsets; set %crange [%.9g:%.9g]\n", axis, low - air, high + air);
    figure_tics(g, axis, high - low);
}

void figure_text(struct figure *g, int x, int y, const char *how, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    fputs("set label ", g->f);
    figure_quote(g->f, text);
    fprintf(g->f, " at screen %.5f, screen %.5f %s\n", (double)x / g->width, (double)y / g->height,
            how);
}

void figure_drop(struct figure *g)
{
    if (g->f) fclose(g->f);
    free(g->text);
    g->f = NULL;
    g->text = NULL;
}

/* A figure of an earlier run must not stand beside the tables of this one. */
static int remove_old(const struct figure *g, struct err *e)
{
    char name[80];
    static const char *const ends[] = {"png", "svg"};
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%s.%s", g->name, ends[i]);
        if (study_remove(g->env, name, e)) return -1;
    }
    return 0;
}

int figure_end(struct figure *g, struct err *e)
{
    char path[PATH_MAX], script[80];
    bool drawn = false;
    fprintf(g->f,
            "unset multiplot; unset output; reset\n"
            "if (kind eq \"png\") kind = \"svg\"; load \"%s.gp\"\n",
            g->name);
    bool whole = fclose(g->f) == 0;
    g->f = NULL;
    snprintf(script, sizeof script, "%s.gp", g->name);
    int rc = whole ? remove_old(g, e) : err_set(e, ERR_FAILED, "%s: out of memory", script);
    if (rc == 0) rc = io_path(path, sizeof path, e, "%s/%s", g->env->output, script);
    if (rc == 0) rc = io_write_text(path, g->text, g->len, e);
    if (rc == 0) rc = gnuplot_run(g->env->output, script, &drawn, e);
    if (rc == 0 && !drawn)
        fprintf(g->env->notes,
                "gnuplot is not installed: no figure drawn; later: cd %s && gnuplot -d %s\n",
                g->env->output, script);
    figure_drop(g);
    return rc;
}
