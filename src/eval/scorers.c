#include "eval/scorers.h"

#include "base/mem.h"
#include "base/par.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static struct scorer *append(struct scorers *s, const struct cfg_kind *kind, const void *conf,
                             struct err *e)
{
    if (s->n == SCORERS_MAX) {
        err_set(e, ERR_CONFIG, "more than %d metrics", SCORERS_MAX);
        return NULL;
    }
    struct scorer *x = &s->list[s->n++];
    *x = (struct scorer){.metric = (const struct metric *)(const void *)kind, .conf = conf};
    snprintf(x->name, sizeof x->name, "%s", kind->name);
    snprintf(x->label, sizeof x->label, "%s", x->metric->label);
    x->metric->variant(conf, x->variant, sizeof x->variant);
    return x;
}

int scorers_place(const struct cfg_picks *metrics, const char *name)
{
    for (int i = 0; i < metrics->n; i++)
        if (strcmp(metrics->v[i].kind->name, name) == 0) return i;
    return -1;
}

int scorers_add_one(struct scorers *s, const struct cfg_pick *metric, struct err *e)
{
    return append(s, metric->kind, metric->conf, e) ? 0 : -1;
}

int scorers_add(struct scorers *s, const struct cfg_picks *metrics, int first, struct err *e)
{
    if (first >= 0 && scorers_add_one(s, &metrics->v[first], e)) return -1;
    for (int i = 0; i < metrics->n; i++)
        if (i != first && scorers_add_one(s, &metrics->v[i], e)) return -1;
    return 0;
}

/* The configuration of a pick with one key set anew: written out and read back. */
static struct cfg *vary(const struct cfg_pick *pick, const char *set, void **conf, struct err *e)
{
    char *text = NULL;
    size_t len = 0;
    struct cfg *cfg = NULL;
    FILE *out = open_memstream(&text, &len);
    int bad = !out || cfg_write(pick->kind->fields, pick->conf, out);
    if (out) bad |= fclose(out) != 0;
    *conf = mem_new(1, pick->kind->size, e);
    if (bad)
        err_set(e, ERR_FAILED, "out of memory");
    else if (*conf)
        cfg = cfg_parse(pick->kind->fields, *conf, pick->kind->name, text, len, &set, 1, e);
    free(text);
    if (cfg) return cfg;
    mem_free(*conf);
    return NULL;
}

static int add_one(struct scorers *s, const struct cfg_pick *pick, const char *key,
                   const char *value, struct err *e)
{
    char set[512];
    void *conf;
    snprintf(set, sizeof set, "%s=%s", key, value);
    struct cfg *owner = vary(pick, set, &conf, e);
    if (!owner) return -1;
    struct scorer *x = append(s, pick->kind, conf, e);
    if (!x) {
        cfg_free(owner);
        mem_free(conf);
        return -1;
    }
    x->owner = owner;
    size_t used = strlen(x->name);
    snprintf(x->name + used, sizeof x->name - used, "_%.30s", value);
    for (char *p = x->name + used + 1; *p; p++)
        if (!isalnum((unsigned char)*p)) *p = '_';
    used = strlen(x->label);
    snprintf(x->label + used, sizeof x->label - used, " %.40s", value);
    return 0;
}

int scorers_add_varied(struct scorers *s, const struct cfg_pick *pick, const char *key,
                       const struct cfg_texts *values, struct err *e)
{
    for (int i = 0; i < values->n; i++)
        if (add_one(s, pick, key, values->v[i], e)) return -1;
    return 0;
}

static void drop(struct scorer *x)
{
    if (!x->owner) return;
    cfg_free(x->owner);
    mem_free((void *)x->conf);
}

/* What can be opened once can be opened again: the state of lane 0 decides. */
static int keep_what_opens(struct scorers *s, FILE *notes, struct err *e)
{
    int kept = 0;
    for (int m = 0; m < s->n; m++) {
        struct scorer *x = &s->list[m];
        struct err why = {0};
        void *state = x->metric->open ? x->metric->open(x->conf, s->height, s->width, &why) : NULL;
        if (x->metric->open && !state) {
            bool needed = m == 0 || why.code != ERR_NOINPUT || s->n == 1;
            if (needed) {
                *e = why;
                err_wrap(e, "metric %s", x->name);
                while (m < s->n) /* what follows moves up, to be released */
                    s->list[kept++] = s->list[m++];
                s->n = kept;
                return -1;
            }
            fprintf(notes, "metric %s is left out: %s\n", x->name, why.text);
            snprintf(s->left_out[s->absent].name, sizeof s->left_out[0].name, "%s", x->name);
            snprintf(s->left_out[s->absent++].why, sizeof s->left_out[0].why, "%.500s", why.text);
            drop(x);
            continue;
        }
        s->state[kept] = state;
        s->list[kept++] = *x;
    }
    s->n = kept;
    return 0;
}

/* States are made for one thread each: several run side by side. */
int scorers_open(struct scorers *s, int h, int w, int lanes, FILE *notes, struct err *e)
{
    const int threads = par_threads();
    s->height = h;
    s->width = w;
    s->lanes = lanes;
    s->state = mem_new((size_t)lanes * (size_t)s->n, sizeof *s->state, e);
    s->scan = mem_new((size_t)lanes, sizeof *s->scan, e);
    if (!s->state || !s->scan) return -1;
    par_set_threads(1);
    int rc = keep_what_opens(s, notes, e);
    for (int l = 1; l < lanes && rc == 0; l++)
        for (int m = 0; m < s->n && rc == 0; m++) {
            const struct scorer *x = &s->list[m];
            if (x->metric->open && !(s->state[l * s->n + m] = x->metric->open(x->conf, h, w, e)))
                rc = err_wrap(e, "metric %s", x->name);
        }
    par_set_threads(threads);
    return rc;
}

void scorers_release(struct scorers *s)
{
    for (int l = 0; s->state && l < s->lanes; l++)
        for (int m = 0; m < s->n; m++)
            if (s->list[m].metric->close) s->list[m].metric->close(s->state[l * s->n + m]);
    mem_free(s->state);
    mem_free(s->scan);
    for (int m = 0; m < s->n; m++)
        drop(&s->list[m]);
    *s = (struct scorers){0};
}

bool scorers_want_scans(const struct scorers *s)
{
    for (int m = 0; m < s->n; m++)
        if (s->list[m].metric->wants_scan && s->list[m].metric->wants_scan(s->list[m].conf))
            return true;
    return false;
}

void scorers_scan(const struct scorers *s, int lane, const struct metric_scan *scan)
{
    s->scan[lane] = *scan;
}

int scorers_score_one(const struct scorers *s, int lane, int m, const float *reference,
                      const float *image, double *score, struct err *e)
{
    const struct scorer *x = &s->list[m];
    const struct metric_pair pair = {reference, image, s->height, s->width, s->scan[lane]};
    if (x->metric->score(s->state[lane * s->n + m], x->conf, &pair, score, e))
        return err_wrap(e, "%s", x->name);
    return 0;
}

int scorers_score(const struct scorers *s, int lane, const float *reference, const float *image,
                  double *score, struct err *e)
{
    for (int m = 0; m < s->n; m++)
        if (scorers_score_one(s, lane, m, reference, image, &score[m], e)) return -1;
    return 0;
}

int scorers_find(const struct scorers *s, const char *name)
{
    for (int m = 0; m < s->n; m++)
        if (strcmp(s->list[m].name, name) == 0) return m;
    return -1;
}

json_t *scorers_describe(const struct scorers *s)
{
    json_t *all = json_object();
    for (int m = 0; m < s->n; m++) {
        const struct scorer *x = &s->list[m];
        json_object_set_new(all, x->name,
                            json_pack("{s:s, s:s, s:s, s:s}", "label", x->label, "variant",
                                      x->variant, "unit", x->metric->unit, "better",
                                      x->metric->better > 0 ? "higher" : "lower"));
    }
    return all;
}

json_t *scorers_left_out(const struct scorers *s)
{
    json_t *all = json_object();
    for (int i = 0; i < s->absent; i++)
        json_object_set_new(all, s->left_out[i].name, json_string(s->left_out[i].why));
    return all;
}
