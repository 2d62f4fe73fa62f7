/* Both images of a pair as planes in units of their full scale, and what metrics make of them
 * first: ever smaller copies, or halves inside a frame. */
#pragma once

#include "eval/metric.h"
#include "eval/range.h"
#include "eval/window.h"

enum { PYRAMID_MOST = 5 };

struct pyramid {
    struct windowing *windowing;
    /* Reference and image: scale k has half the sides of k - 1, rounded up, or less. */
    struct plane a[PYRAMID_MOST], b[PYRAMID_MOST];
};
/* For images of h by w; ERR_DATA where one is smaller than least by least. */
struct pyramid *pyramid_new(int h, int w, int scales, int least, struct err *e);
void pyramid_free(void *pyramid); /* or NULL */
/* The first scale, so that the range becomes 0..full. Fails as range_find. */
int pyramid_fill(struct pyramid *p, const struct range_conf *c, const struct metric_pair *pair,
                 double full, struct err *e);

/* Reference and image after 2x2 means, odd sides padded with zeros at their end, inside frames of
 * zeros. */
struct halved {
    struct plane full, frame[2], half[2];
};
int halved_new(struct halved *s, int h, int w, int margin, int least, struct err *e);
void halved_free(struct halved *s);
int halved_fill(struct halved *s, const struct range_conf *c, const struct metric_pair *pair,
                double full, struct err *e);
