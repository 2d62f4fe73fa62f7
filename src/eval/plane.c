#include "eval/plane.h"

#include "base/mem.h"
#include "base/par.h"

enum { ROWS = 16 }; /* of a task */

int plane_new(struct plane *p, int h, int w, struct err *e)
{
    *p = (struct plane){.h = h, .w = w};
    p->stride = ((size_t)w + PLANE_SLACK + PLANE_LANES - 1) / PLANE_LANES * PLANE_LANES;
    p->x = mem_new((size_t)h * p->stride + PLANE_SLACK, sizeof *p->x, e);
    return p->x ? 0 : -1;
}

void plane_free(struct plane *p)
{
    mem_free(p->x);
    p->x = NULL;
}

struct fill {
    const struct plane *p;
    const float *x;
    double low, scale;
};

static void fill_rows(void *ctx, int task)
{
    const struct fill *f = ctx;
    int w = f->p->w;
    double low = f->low, scale = f->scale;
    for (int i = task * ROWS; i < (task + 1) * ROWS && i < f->p->h; i++) {
        const float *restrict x = f->x + (size_t)i * (size_t)w;
        double *restrict y = plane_row(f->p, i);
        for (int j = 0; j < w; j++)
            y[j] = ((double)x[j] - low) * scale;
    }
}

void plane_fill(const struct plane *p, const float *x, double low, double scale)
{
    struct fill f = {p, x, low, scale};
    par_for((p->h + ROWS - 1) / ROWS, fill_rows, &f);
}

struct halve {
    const struct plane *p, *q;
    int before; /* rows and columns added at the start */
};

static void halve_rows(void *ctx, int task)
{
    const struct halve *s = ctx;
    const struct plane *p = s->p, *q = s->q;
    for (int i = task * ROWS; i < (task + 1) * ROWS && i < q->h; i++) {
        int top = 2 * i - s->before, below = top + 1;
        const double *a = plane_row(p, top < 0 ? 0 : top);
        const double *b = below < p->h ? plane_row(p, below) : NULL;
        double *y = plane_row(q, i);
        int j = 0, last = p->w / 2; /* blocks that need no padding: [j, last) */
        if (s->before) {
            y[0] = 0.25 * (a[0] + a[0] + b[0] + b[0]);
            j = 1;
            last = (p->w + 1) / 2;
        }
        for (; j < last; j++) {
            int left = 2 * j - s->before;
            y[j] = 0.25 * (a[left] + a[left + 1] + (b ? b[left] + b[left + 1] : 0.0));
        }
        for (; j < q->w; j++) /* the last column and a zero */
            y[j] = 0.25 * (a[2 * j] + (b ? b[2 * j] : 0.0));
    }
}

void plane_halve(const struct plane *p, enum plane_pad pad, struct plane *q)
{
    int odd = p->h % 2 || p->w % 2;
    q->h = (p->h + odd) / 2;
    q->w = (p->w + odd) / 2;
    struct halve s = {p, q, pad == PLANE_PAD_EDGE_START ? odd : 0};
    par_for((q->h + ROWS - 1) / ROWS, halve_rows, &s);
}
