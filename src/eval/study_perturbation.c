/* How metrics respond to known perturbations (paper section 2.3, Fig. 1 and 5): every image is
 * z-scored, perturbed at levels from nothing to the extent, and compared with itself as it was. */
#include "base/mem.h"
#include "base/progress.h"
#include "base/stop.h"
#include "eval/perturbation.h"

#include <stdio.h>

static const struct cfg_field fields[] = {
    CFG_PICKS(struct perturbation_conf, metrics, NULL, metric_kinds, "metrics, in figure order"),
    CFG_PICKS(struct perturbation_conf, perturbations, "{shift: {}, blur: {}, noise: {}}",
              perturb_kinds, "perturbations, in figure order"),
    CFG_INT(struct perturbation_conf, levels, "11", 2, 1001, "",
            "levels, evenly from 0 to the extent of each perturbation"),
    CFG_END};

static int check(const void *conf, struct err *e)
{
    const struct perturbation_conf *c = conf;
    if (c->metrics.n == 0) return err_set(e, ERR_CONFIG, "study.metrics: give at least one metric");
    if (c->perturbations.n == 0)
        return err_set(e, ERR_CONFIG, "study.perturbations: give at least one perturbation");
    return 0;
}

static void explain(const void *conf, FILE *out)
{
    const struct perturbation_conf *c = conf;
    fprintf(out, "scores an image: %d perturbations x %d levels x %d metrics = %d\n",
            c->perturbations.n, c->levels, c->metrics.n,
            c->perturbations.n * c->levels * c->metrics.n);
    for (int p = 0; p < c->perturbations.n; p++)
        fprintf(out, "%s: %s 0 to %g %s\n", perturb_at(c, p)->kind.name, perturb_at(c, p)->label,
                level_at(c, p, c->levels - 1), perturb_at(c, p)->unit);
    for (int m = 0; m < c->metrics.n; m++) {
        char text[1024];
        metric_at(c, m)->variant(c->metrics.v[m].conf, text, sizeof text);
        fprintf(out, "%s: %s\n", metric_at(c, m)->kind.name, text);
    }
}

int perturbation_apply(const struct perturbation_conf *c, int p, int k, uint64_t seed,
                       uint32_t image, const float *x, int h, int w, float *y, struct err *e)
{
    const struct cfg_kind *kind = c->perturbations.v[p].kind;
    uint32_t place = 0; /* in the table: the noise does not depend on what else is configured */
    while (perturb_kinds[place] != kind)
        place++;
    struct rng rng = rng_make(seed, RNG_PERTURB, place << 16 | (uint32_t)k, image);
    return perturb_at(c, p)->apply(c->perturbations.v[p].conf, level_at(c, p, k), rng, x, h, w, y,
                                   e);
}

/* Every score of image i. x and y are (h, w). */
static int score_image(const struct scores *s, const struct study_env *env, void *const *state,
                       int i, float *x, float *y, struct err *e)
{
    const struct perturbation_conf *c = s->conf;
    struct images *im = env->images;
    if (images_read_zscored(im, i, x, e)) return -1;
    for (int p = 0; p < c->perturbations.n; p++)
        for (int k = 0; k < c->levels; k++) {
            if (perturbation_apply(c, p, k, env->seed, images_id(im, i), x, im->height, im->width,
                                   y, e))
                return -1;
            for (int m = 0; m < c->metrics.n; m++)
                if (metric_at(c, m)->score(state[m], c->metrics.v[m].conf, x, y, im->height,
                                           im->width, &scores_at(s, p, m, k)[i], e))
                    return err_wrap(e, "scan %s, slice %d: %s at %s %g", images_name(im, i),
                                    im->list[i].slice, metric_at(c, m)->kind.name,
                                    perturb_at(c, p)->kind.name, level_at(c, p, k));
        }
    return 0;
}

static int score_all(const struct scores *s, const struct study_env *env, void *const *state,
                     struct err *e)
{
    struct images *im = env->images;
    size_t n = (size_t)im->height * (size_t)im->width;
    float *x = mem_new(n, sizeof *x, e), *y = mem_new(n, sizeof *y, e);
    int rc = x && y ? 0 : -1;
    struct progress progress = progress_begin("perturbation study", 0, im->n, env->quiet);
    for (int i = 0; i < im->n && rc == 0; i++) {
        if (stop_requested())
            rc = err_set(e, ERR_STOPPED, "stopped by %s after %d of %d images: nothing is written",
                         stop_signal(), i, im->n);
        else
            rc = score_image(s, env, state, i, x, y, e);
        progress_at(&progress, i + 1, "");
    }
    progress_end(&progress, "");
    mem_free(x);
    mem_free(y);
    return rc;
}

static int write_results(const struct scores *s, const struct study_env *env, struct err *e)
{
    if (study_open_output(env, e) || perturbation_tables(s, env, e) ||
        perturbation_figure(s, env, e))
        return -1;
    return study_close_output(env, perturbation_summary(s, env), e);
}

static int run(const void *conf, const struct study_env *env, struct err *e)
{
    const struct perturbation_conf *c = conf;
    const struct images *im = env->images;
    size_t curves = (size_t)c->perturbations.n * (size_t)c->metrics.n * (size_t)c->levels;
    struct scores s = {.conf = c, .images = im->n};
    int rc = -1;
    void **state = mem_new((size_t)c->metrics.n, sizeof *state, e);
    s.value = mem_new(curves * (size_t)im->n, sizeof *s.value, e);
    s.scratch = mem_new((size_t)im->n, sizeof *s.scratch, e);
    if (!state || !s.value || !s.scratch) goto out;
    for (int m = 0; m < c->metrics.n; m++) {
        const struct metric *metric = metric_at(c, m);
        if (!metric->open) continue;
        if (!(state[m] = metric->open(c->metrics.v[m].conf, im->height, im->width, e))) {
            err_wrap(e, "metric %s", metric->kind.name);
            goto out;
        }
    }
    if (score_all(&s, env, state, e) || write_results(&s, env, e)) goto out;
    rc = 0;
out:
    for (int m = 0; state && m < c->metrics.n; m++)
        if (metric_at(c, m)->close) metric_at(c, m)->close(state[m]);
    mem_free(state);
    mem_free(s.value);
    mem_free(s.scratch);
    return rc;
}

const struct study study_perturbation = {
    .kind = {"perturbation", "metrics under pixel shift, blur and noise (paper Fig. 1 and 5)",
             fields, sizeof(struct perturbation_conf)},
    .check = check,
    .explain = explain,
    .run = run,
};
