#include "train/validate.h"

#include "base/mem.h"
#include "base/png.h"
#include "data/normalise.h"

#include <string.h>

struct validation {
    const struct task *task;
    struct plan *plan;
    int pictures;
    float **tile; /* pictures x ntiles images (h, w) */
    float *pixels;
    float *low, *high; /* grey window of each tile */
    const char **title;
    float *scratch; /* one tile */
};

struct validation *validation_new(const struct task *t, const struct graph *g, struct params *p,
                                  struct plan_conf shape, int pictures, struct err *e)
{
    struct validation *v = mem_new(1, sizeof *v, e);
    if (!v) return NULL;
    v->task = t;
    int samples = (int)t->validation.samples;
    v->pictures = pictures < samples ? pictures : samples;
    size_t tiles = (size_t)v->pictures * (size_t)t->ntiles;
    size_t pixels = (size_t)t->height * (size_t)t->width;
    v->tile = mem_new(tiles, sizeof *v->tile, e);
    v->pixels = mem_new(tiles * pixels, sizeof *v->pixels, e);
    v->low = mem_new(tiles, sizeof *v->low, e);
    v->high = mem_new(tiles, sizeof *v->high, e);
    v->title = mem_new(tiles, sizeof *v->title, e);
    v->scratch = mem_new(pixels, sizeof *v->scratch, e);
    v->plan = plan_new(g, p, shape, e);
    if (!v->tile || !v->pixels || !v->low || !v->high || !v->title || !v->scratch || !v->plan) {
        validation_free(v);
        return NULL;
    }
    for (size_t i = 0; i < tiles; i++) {
        v->tile[i] = v->pixels + i * pixels;
        v->title[i] = i < (size_t)t->ntiles ? t->tile_names[i] : NULL;
    }
    return v;
}

void validation_free(struct validation *v)
{
    if (!v) return;
    plan_free(v->plan);
    mem_free(v->tile);
    mem_free(v->pixels);
    mem_free(v->low);
    mem_free(v->high);
    mem_free(v->title);
    mem_free(v->scratch);
    mem_free(v);
}

/* The row of samples.png that shows validation sample `index`, or -1: rows are spread over the set.
 */
static int picture_row(const struct validation *v, uint32_t index)
{
    for (int row = 0; row < v->pictures; row++)
        if (index == (uint32_t)((double)row * v->task->validation.samples / v->pictures))
            return row;
    return -1;
}

/* Every tile of a row is shown in the grey window of its first tile, the reference: from its
 * minimum to what 1 % of its pixels exceed. */
static int write_picture(struct validation *v, const char *path, struct err *e)
{
    const struct task *t = v->task;
    size_t pixels = (size_t)t->height * (size_t)t->width;
    if (v->pictures == 0) return 0;
    for (int i = 0; i < v->pictures * t->ntiles; i++) {
        const int first = i / t->ntiles * t->ntiles;
        if (i == first) {
            memcpy(v->scratch, v->tile[i], pixels * sizeof *v->scratch);
            v->high[i] = normalise_top(v->scratch, pixels, 0.01);
            v->low[i] = normalise_top(v->scratch, pixels, 1.0);
        } else {
            v->low[i] = v->low[first];
            v->high[i] = v->high[first];
        }
    }
    return png_write_panel(path, (const float *const *)v->tile, v->title, v->pictures, t->ntiles,
                           t->height, t->width, v->low, v->high, e);
}

int validation_run(struct validation *v, const char *picture, double *scores, struct err *e)
{
    const struct task *t = v->task;
    const struct sample_source *s = &t->validation;
    double sums[TASK_MAX_SCORES] = {0};
    struct shape shape;
    const float *output = plan_output(v->plan, "output", &shape);
    size_t out_len = shape_len(shape) / (size_t)shape.n;
    struct loader *l = loader_new(*s, (struct loader_conf){.size = shape.n, .ahead = 1}, e);
    if (!l) return -1;
    const struct batch *b;
    int bad;
    while (!(bad = loader_next(l, &b, e)) && b) {
        size_t n = (size_t)shape.n;
        memcpy(plan_input(v->plan, "input"), b->input, n * s->input_len * sizeof(float));
        memcpy(plan_input(v->plan, "target"), b->target, n * s->target_len * sizeof(float));
        plan_forward(v->plan, (struct step_key){0});
        for (size_t i = 0; i < (size_t)b->n; i++) {
            const float *in = b->input + i * s->input_len, *target = b->target + i * s->target_len;
            t->measure(t, in, output + i * out_len, target, b->mask + i * s->mask_len, sums);
            int row = picture_row(v, b->index[i]);
            if (row >= 0) t->tiles(t, in, output + i * out_len, target, v->tile + row * t->ntiles);
        }
    }
    loader_free(l);
    if (bad) return -1;
    t->summarise(sums, (int)s->samples, scores);
    return write_picture(v, picture, e);
}
