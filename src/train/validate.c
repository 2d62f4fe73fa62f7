#include "train/validate.h"

#include "base/mem.h"
#include "base/png.h"
#include "base/stop.h"
#include "data/normalise.h"
#include "train/blame.h"
#include "train/samples.h"

#include <stdio.h>
#include <string.h>

struct validation {
    const struct task *task;
    struct named_source source;
    struct plan *plan; /* of one image: its loss is that image's, whatever the last batch holds */
    struct loss_parts *parts;
    char part_name[LOSS_PARTS][PART_NAME + 4]; /* "val_loss_l2" */
    int pictures;
    float **tile; /* pictures x ntiles images (h, w) */
    float *pixels;
    float *low, *high; /* grey window of each tile */
    const char **title;
    float *scratch; /* one tile */
};

const char *const *validation_titles(const struct task *t)
{
    for (int i = 0; i < t->ntiles; i++)
        if (t->short_names[i] && !png_title_fits(t->tile_names[i], t->width)) return t->short_names;
    return t->tile_names;
}

struct validation *validation_new(const struct task *t, const struct graph *g, struct params *p,
                                  struct loss_parts *parts, enum nn_precision precision,
                                  int pictures, struct err *e)
{
    struct validation *v = mem_new(1, sizeof *v, e);
    if (!v) return NULL;
    v->task = t;
    v->parts = parts;
    for (int i = 0; i < parts->n; i++)
        snprintf(v->part_name[i], sizeof v->part_name[i], "val_%s", parts->list[i].name);
    v->source = (struct named_source){t, true};
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
    v->plan =
        plan_new(g, p,
                 (struct plan_conf){
                     .batch = 1, .height = t->height, .width = t->width, .precision = precision},
                 e);
    if (!v->tile || !v->pixels || !v->low || !v->high || !v->title || !v->scratch || !v->plan) {
        validation_free(v);
        return NULL;
    }
    for (size_t i = 0; i < tiles; i++) {
        v->tile[i] = v->pixels + i * pixels;
        v->title[i] = i < (size_t)t->ntiles ? validation_titles(t)[i] : NULL;
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

int validation_scores(const struct validation *v)
{
    return v->task->nscores + v->parts->n;
}

const char *validation_score(const struct validation *v, int i)
{
    return i < v->task->nscores ? v->task->scores[i] : v->part_name[i - v->task->nscores];
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

/* One image: adds to the sums and to *loss. */
static void add_image(struct validation *v, const struct batch *b, double *sums, double *loss)
{
    const struct task *t = v->task;
    const float *output = plan_output(v->plan, "output", NULL);
    samples_copy(&t->validation, b, 1, plan_input(v->plan, "input"), plan_input(v->plan, "target"),
                 plan_input(v->plan, "acquisition"));
    plan_forward(v->plan, (struct step_key){0});
    *loss += plan_loss(v->plan);
    t->measure(t, b->input, output, b->target, b->mask, sums);
    const int row = picture_row(v, b->index[0]);
    if (row >= 0) t->tiles(t, b->input, output, b->target, v->tile + row * t->ntiles);
}

int validation_run(struct validation *v, const char *picture, double *scores, bool *stopped,
                   struct err *e)
{
    const struct task *t = v->task;
    const struct sample_source source = blame_source(&v->source);
    struct loss_parts *parts = v->parts;
    double sums[TASK_MAX_SCORES] = {0}, loss = 0.0;
    for (int i = 0; i < parts->n; i++)
        parts->list[i].validation = (struct part_sum){0};
    const struct batch *b;
    int bad;
    struct loader *l = loader_new(source, (struct loader_conf){.size = 1, .ahead = 4}, e);
    if (!l) return -1;
    while (!(bad = loader_next(l, &b, e)) && b && !(*stopped = stop_requested()))
        add_image(v, b, sums, &loss);
    loader_free(l);
    if (bad) return -1;
    if (*stopped) return 0;
    t->summarise(sums, (int)source.samples, scores);
    scores[0] = loss / source.samples;
    for (int i = 0; i < parts->n; i++)
        scores[t->nscores + i] = part_mean(parts->list[i].validation);
    return write_picture(v, picture, e);
}
