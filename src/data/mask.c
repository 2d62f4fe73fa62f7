#include "data/mask.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

extern const struct mask mask_random, mask_equispaced, mask_poisson, mask_fastmri;

const struct cfg_kind *const mask_kinds[] = {&mask_random.kind, &mask_equispaced.kind,
                                             &mask_poisson.kind, &mask_fastmri.kind, NULL};

/* Epochs count up from 0; a scan's own mask is drawn from one that no training reaches. */
static const uint32_t FILE_EPOCH = UINT32_MAX;

struct mask_key mask_key_of_file(uint64_t seed, const char *path)
{
    const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path;
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (const char *p = file; *p; p++)
        hash = (hash ^ (unsigned char)*p) * 16777619u;
    return (struct mask_key){rng_make(seed, RNG_MASK, FILE_EPOCH, hash), file};
}

struct mask_key mask_key_of_sample(uint64_t seed, uint32_t epoch, uint32_t sample)
{
    return (struct mask_key){rng_make(seed, RNG_MASK, epoch, sample), NULL};
}

struct masks {
    const struct mask *kind;
    const void *conf;
    struct sized {
        struct mask_plan plan;
        struct sized *next;
    } * sizes;
};

struct masks *masks_new(struct cfg_pick mask, struct err *e)
{
    struct masks *m = mem_new(1, sizeof *m, e);
    if (!m) return NULL;
    m->kind = (const struct mask *)(const void *)mask.kind;
    m->conf = mask.conf;
    return m;
}

static void sized_free(struct sized *s)
{
    if (!s) return;
    mem_free(s->plan.order);
    mem_free(s->plan.reserve);
    mem_free(s);
}

void masks_free(struct masks *m)
{
    if (!m) return;
    for (struct sized *s = m->sizes, *next; s; s = next) {
        next = s->next;
        sized_free(s);
    }
    mem_free(m);
}

const struct mask_plan *masks_plan(struct masks *m, int h, int w, struct err *e)
{
    for (struct sized *s = m->sizes; s; s = s->next)
        if (s->plan.h == h && s->plan.w == w) return &s->plan;
    struct sized *s = mem_new(1, sizeof *s, e);
    if (!s) return NULL;
    s->plan = (struct mask_plan){.h = h, .w = w};
    size_t points = m->kind->needs_order ? (size_t)h * (size_t)w : 0;
    s->plan.order = mem_new(points, sizeof *s->plan.order, e);
    s->plan.reserve = mem_new(points, sizeof *s->plan.reserve, e);
    if (!s->plan.order || !s->plan.reserve || m->kind->plan(m->conf, &s->plan, e)) {
        sized_free(s);
        return NULL;
    }
    s->next = m->sizes;
    m->sizes = s;
    return &s->plan;
}

int masks_draw(struct masks *m, struct mask_key key, int h, int w, float *keep, struct err *e)
{
    const struct mask_plan *p = masks_plan(m, h, w, e);
    if (!p) return -1;
    m->kind->draw(m->conf, p, key, keep);
    return 0;
}

void masks_describe(const struct masks *m, const struct mask_plan *p, char *text, size_t size)
{
    char centre[64];
    if (p->of == p->w)
        snprintf(centre, sizeof centre, "%d", p->centre_w);
    else
        snprintf(centre, sizeof centre, "%d x %d", p->centre_h, p->centre_w);
    snprintf(text, size, "%s: %d of %d %s, %s of them central: acceleration %.2f",
             m->kind->kind.name, p->kept, p->of, p->of == p->w ? "columns" : "points", centre,
             (double)p->of / p->kept);
}
