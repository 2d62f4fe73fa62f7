/* A figure: a gnuplot script NAME.gp in the output folder, drawn there as NAME.png and NAME.svg
 * where gnuplot is installed. Its data and pictures are files of the same folder. Places are in
 * pixels of the SVG (the PNG has twice as many); the origin is at the lower left. */
#pragma once

#include "eval/study.h"

struct figure {
    const struct study_env *env;
    char name[64];
    int width, height;
    FILE *f; /* the script being written */
    char *text;
    size_t len;
};

/* `data`: what it is drawn from, for the script's first line. */
int figure_begin(struct figure *g, const struct study_env *env, const char *name, const char *data,
                 int width, int height, struct err *e);
/* Where what is plotted next has its axes. */
void figure_place(struct figure *g, int left, int bottom, int width, int height);
/* A picture file, framed in this colour ("" for none); `title` above it. */
void figure_picture(struct figure *g, const char *path, const char *title, const char *colour);
/* Axes ready for data: tics, grid, labels. */
void figure_axes(struct figure *g, const char *xlabel, const char *ylabel);
/* A range to draw an axis over: none becomes 0 to 1, and one so narrow that an axis cannot tell its
 * ends apart, as of reconstructions that equal the references, gets room on both sides. */
void figure_widen(double *low, double *high);
/* After figure_axes: one of them ('x' or 'y') from low to high with some air, and few round tics.
 */
void figure_scale(struct figure *g, char axis, double low, double high);
/* The tics alone, for an axis as long as that. */
void figure_tics(struct figure *g, char axis, double length);
/* Text at a place; `how`: "left", "center" or "right", and any further attribute of a label. */
void figure_text(struct figure *g, int x, int y, const char *how, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
void figure_quote(FILE *f, const char *text); /* as a string of gnuplot's */
/* Writes the script and draws it; without gnuplot there is a remark on env->notes. Releases g. */
int figure_end(struct figure *g, struct err *e);
/* What a figure that will not be drawn leaves behind: nothing. */
void figure_drop(struct figure *g);

/* "#0072b2" for fat-suppressed, … by enum contrast, and the points' shapes. */
extern const char *const figure_contrast_colours[];
extern const int figure_contrast_shapes[];
extern const char *const figure_contrast_marks[]; /* the same as letters, for legends */
