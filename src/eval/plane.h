/* Images as the metrics compute with them: double precision, rows padded with zeros so that
 * vectors of eight may be read past their ends. */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum { PLANE_LANES = 8, PLANE_SLACK = 32 }; /* doubles a vector; that may be read behind a row */

/* A vector of eight doubles, for locals only: it has no calling convention everywhere. */
typedef double plane_lanes __attribute__((vector_size(PLANE_LANES * sizeof(double))));

struct plane {
    int h, w;
    size_t stride; /* doubles from row to row */
    double *x;
};

/* Room for h by w, all zero. */
int plane_new(struct plane *p, int h, int w, struct err *e);
void plane_free(struct plane *p);
static inline double *plane_row(const struct plane *p, int i)
{
    return p->x + (size_t)i * p->stride;
}

/* p = (x - low) scale, for x (p->h, p->w). */
void plane_fill(const struct plane *p, const float *x, double low, double scale);

/* What an odd side is padded with before 2x2 means: if either side is odd, one row and one column
 * are added, and a side that was even loses them again (as piq does). */
enum plane_pad {
    PLANE_PAD_ZERO_END,   /* zeros below and to the right */
    PLANE_PAD_EDGE_START, /* the first row above, the first column to the left */
};
/* Means of 2x2 blocks of p into q of (h + 1) / 2 by (w + 1) / 2 at most; sets the size of q. */
void plane_halve(const struct plane *p, enum plane_pad pad, struct plane *q);
/* The inside of a frame of zeros, `margin` wide on every side: for filters that look outside. */
static inline struct plane plane_inside(const struct plane *frame, int margin)
{
    struct plane p = *frame;
    p.h -= 2 * margin;
    p.w -= 2 * margin;
    p.x += (size_t)margin * p.stride + (size_t)margin;
    return p;
}
