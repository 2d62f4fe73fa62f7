#include "eval/pyramid.h"

#include "base/mem.h"

void pyramid_free(void *pyramid)
{
    struct pyramid *p = pyramid;
    if (!p) return;
    for (int k = 0; k < PYRAMID_MOST; k++) {
        plane_free(&p->a[k]);
        plane_free(&p->b[k]);
    }
    windowing_free(p->windowing);
    mem_free(p);
}

struct pyramid *pyramid_new(int h, int w, int scales, int least, struct err *e)
{
    struct pyramid *p = images_hold(h, w, least, e) ? NULL : mem_new(1, sizeof *p, e);
    if (!p) return NULL;
    if (!(p->windowing = windowing_new(h, w, e))) goto fail;
    for (int k = 0; k < scales; k++, h = (h + 1) / 2, w = (w + 1) / 2)
        if (plane_new(&p->a[k], h, w, e) || plane_new(&p->b[k], h, w, e)) goto fail;
    return p;
fail:
    pyramid_free(p);
    return NULL;
}

int pyramid_fill(struct pyramid *p, const struct range_conf *c, const struct metric_pair *pair,
                 double full, struct err *e)
{
    struct range range;
    if (range_find(c, pair, &range, e)) return -1;
    plane_fill(&p->a[0], pair->reference, range.low, full / range.width);
    plane_fill(&p->b[0], pair->image, range.low, full / range.width);
    return 0;
}

void halved_free(struct halved *s)
{
    plane_free(&s->full);
    plane_free(&s->frame[0]);
    plane_free(&s->frame[1]);
}

int halved_new(struct halved *s, int h, int w, int margin, int least, struct err *e)
{
    if (images_hold(h, w, least, e) || plane_new(&s->full, h, w, e)) return -1;
    for (int k = 0; k < 2; k++) {
        if (plane_new(&s->frame[k], (h + 1) / 2 + 2 * margin, (w + 1) / 2 + 2 * margin, e))
            return -1;
        s->half[k] = plane_inside(&s->frame[k], margin);
    }
    return 0;
}

int halved_fill(struct halved *s, const struct range_conf *c, const struct metric_pair *pair,
                double full, struct err *e)
{
    struct range range;
    if (range_find(c, pair, &range, e)) return -1;
    for (int k = 0; k < 2; k++) {
        plane_fill(&s->full, k ? pair->image : pair->reference, range.low, full / range.width);
        plane_halve(&s->full, PLANE_PAD_ZERO_END, &s->half[k]);
    }
    return 0;
}
