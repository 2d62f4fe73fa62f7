/* Figures of the layer study: a scatter plot a layer, laid out like the paper's Fig. 2; and one
 * scan with, one without fat suppression, like its Fig. 7. */
#include "base/mem.h"
#include "eval/figure.h"
#include "eval/layers.h"

#include <limits.h>
#include <stdio.h>

enum { LEFT = 74, RIGHT = 16, TOP = 50, BOTTOM = 84, CELL = 214, PLOT = 190, GAP = 82, ROW = 102 };
enum { ACROSS = 4, FIRST_SCORE = 5 /* column of the first metric in scores.csv */ };

static void put_cell(struct figure *g, const struct layers *l, int k, int rows)
{
    const struct pairs *p = &l->pairs;
    const struct layer_stats *s = &l->result[0].layer[k];
    int left = LEFT + k % ACROSS * (CELL + GAP);
    int bottom = BOTTOM + (rows - 1 - k / ACROSS) * (PLOT + ROW);
    figure_place(g, left, bottom, CELL, PLOT);
    figure_axes(g, p->scorers.list[l->against].label, p->scorers.list[k].label);
    const int xy[2] = {l->against, k};
    for (int a = 0; a < 2; a++) {
        double low, high;
        pairs_range(p, 0, xy[a], &low, &high);
        figure_scale(g, "xy"[a], low, high);
    }
    figure_text(g, left + CELL / 2, bottom + PLOT + 32, "center", "Pearson %.2f [%.2f, %.2f]",
                s->pearson[0].mean, s->pearson[0].low, s->pearson[0].high);
    figure_text(g, left + CELL / 2, bottom + PLOT + 13, "center", "Spearman %.2f [%.2f, %.2f]",
                s->spearman[0].mean, s->spearman[0].low, s->spearman[0].high);
    fputs("plot ", g->f);
    for (int c = CONTRAST_UNKNOWN; c <= CONTRAST_FS; c++) {
        fprintf(g->f, "%s\"scores.csv\" skip 1 using (strcol(3) eq \"%s\" && strcol(4) eq ",
                c ? ", \\\n        " : "", contrast_names[c]);
        figure_quote(g->f, p->method[0].name);
        fprintf(g->f, " ? column(%d) : NaN):%d with points pt %d ps 0.6 lc rgb \"%s\"",
                FIRST_SCORE + l->against, FIRST_SCORE + k, figure_contrast_shapes[c],
                figure_contrast_colours[c]);
    }
    fputs("\nunset label\n", g->f);
}

static int draw_layers(const struct layers *l, struct err *e)
{
    const struct layers_result *r = &l->result[0];
    int rows = (l->layers + ACROSS - 1) / ACROSS, across = l->layers < ACROSS ? l->layers : ACROSS;
    struct figure g;
    if (figure_begin(&g, l->pairs.env, "layers", "scores.csv",
                     LEFT + across * (CELL + GAP) - GAP + RIGHT,
                     BOTTOM + rows * (PLOT + ROW) - ROW + TOP, e))
        return -1;
    for (int k = 0; k < l->layers; k++) {
        if (k == 0) {
            figure_text(&g, LEFT, 14, "left textcolor rgb \"#0072b2\"", "%s fat-suppressed (%d)",
                        figure_contrast_marks[CONTRAST_FS], r->of_group[GROUP_FS]);
            figure_text(&g, LEFT + 170, 14, "left textcolor rgb \"#d55e00\"",
                        "%s not fat-suppressed (%d)", figure_contrast_marks[CONTRAST_NON_FS],
                        r->of_group[GROUP_NON_FS]);
            figure_text(&g, g.width - RIGHT, 14, "right textcolor rgb \"#606060\"",
                        across > 1 ? "method %s; 95 %% bootstrap intervals" : "%s",
                        l->pairs.method[0].name);
        }
        put_cell(&g, l, k, rows);
    }
    return figure_end(&g, e);
}

/* Of the images of a contrast, the one whose score by the other metric is the median. */
static int typical(const struct layers *l, int contrast, struct err *e)
{
    const struct pairs *p = &l->pairs;
    int *image = mem_new((size_t)p->images, sizeof *image, e), found = -1;
    double *score = mem_new(2 * (size_t)p->images, sizeof *score, e);
    if (image && score) {
        int n = pairs_select(p, 0, contrast, image);
        for (int i = 0; i < n; i++)
            score[i] = score[p->images + i] = pairs_at(p, image[i], 0, l->against);
        stat_sort(score, n);
        for (int i = 0; i < n && found < 0; i++)
            if (score[p->images + i] == score[n / 2]) found = image[i];
    }
    mem_free(image);
    mem_free(score);
    return found;
}

static int draw_contrasts(const struct layers *l, struct err *e)
{
    enum { PICTURE = 320, EDGE = 12, STRIP = 30 };
    const struct pairs *p = &l->pairs;
    const struct images *im = p->env->images;
    int image[2] = {typical(l, CONTRAST_NON_FS, e), typical(l, CONTRAST_FS, e)};
    int high = PICTURE * im->height / im->width;
    struct figure g;
    if (figure_begin(&g, p->env, "contrasts", "pictures/", 2 * PICTURE + 3 * EDGE,
                     high + STRIP + EDGE, e))
        return -1;
    for (int k = 0; k < 2; k++) {
        char path[PATH_MAX], title[128];
        if (image[k] < 0) continue;
        if (pairs_picture(p, image[k], 0, PICTURE_REFERENCE, path, sizeof path, e)) {
            figure_drop(&g);
            return -1;
        }
        snprintf(title, sizeof title, "%s", k ? "fat-suppressed" : "not fat-suppressed");
        figure_place(&g, EDGE + k * (PICTURE + EDGE), EDGE, PICTURE, high);
        figure_picture(&g, path, title, "");
    }
    return figure_end(&g, e);
}

int layers_figures(const struct layers *l, struct err *e)
{
    if (draw_layers(l, e)) return -1;
    if (l->result[0].of_group[GROUP_FS] + l->result[0].of_group[GROUP_NON_FS] == 0) return 0;
    return draw_contrasts(l, e);
}
