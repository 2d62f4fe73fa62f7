/* Lesions: where they can be, and their pictures. Cysts and oedemas are painted into marrow, tears
 * into menisci, holes into the femoral cartilage, by the painters of these. */
#include "data/knee_paint.h"

#include <assert.h>

static float between(struct rng *r, double lo, double hi)
{
    return (float)(lo + (hi - lo) * rng_uniform(r));
}

struct lesion knee_lesion_draw(const struct knee *k, enum lesion_kind kind, struct rng *r)
{
    assert(kind >= 0 && kind < LESION_KINDS);
    const float side = rng_below(r, 2) ? 1 : -1, w = k->femur_width;
    const bool tibia = rng_below(r, 2);
    struct lesion l = {.kind = kind};
    switch (kind) {
    case LESION_CYST:
        l.radius = between(r, 2, 5);
        l.at = (struct vec3){side * between(r, 14, 28), between(r, -12, 12),
                             tibia ? -k->gap - 3 - 1.4f * l.radius : k->gap + 4 + 1.4f * l.radius};
        break;
    case LESION_OEDEMA:
        l.radius = between(r, 6, 13);
        l.at = (struct vec3){side * between(r, 14, 28), between(r, -12, 12),
                             (tibia ? -1.0f : 1.0f) * between(r, 6, 14)};
        break;
    case LESION_TEAR:
        l.radius = between(r, 4, 7);
        l.at = (struct vec3){side * w * between(r, 29, 33), between(r, -12, 4), 1};
        break;
    default: /* on the load-bearing part of a condyle: the nearest bone is there at z = gap */
        l.radius = between(r, 2.5, 5);
        l.at = (struct vec3){side * w * between(r, 17, 25), between(r, -14, 4), k->gap - 1};
    }
    return l;
}

const char *knee_lesion_place(const struct lesion *l)
{
    static const char *const place[LESION_KINDS][2][2] = {
        {{"cyst, lateral tibia", "cyst, lateral femur"},
         {"cyst, medial tibia", "cyst, medial femur"}},
        {{"marrow oedema, lateral tibia", "marrow oedema, lateral femur"},
         {"marrow oedema, medial tibia", "marrow oedema, medial femur"}},
        {{"tear of the lateral meniscus", "tear of the lateral meniscus"},
         {"tear of the medial meniscus", "tear of the medial meniscus"}},
        {{"cartilage, lateral condyle", "cartilage, lateral condyle"},
         {"cartilage, medial condyle", "cartilage, medial condyle"}},
    };
    return place[l->kind][l->at.x > 0][l->at.z > 0];
}

static float distance_to(const struct brush *b)
{
    const struct vec3 c = b->k->lesion.at;
    float dx = b->p.x - c.x, dy = b->p.y - c.y, dz = b->p.z - c.z;
    return sqrtf(dx * dx + dy * dy + dz * dz);
}

bool lesion_is(const struct knee *k, enum lesion_kind kind)
{
    return k->lesion.radius > 0 && k->lesion.kind == kind;
}

void lesion_paint_marrow(struct brush *b, float depth)
{
    const struct knee *k = b->k;
    if (k->lesion.radius <= 0 || depth < 0) return;
    const float radius = k->lesion.radius, d = distance_to(b);
    if (lesion_is(k, LESION_OEDEMA)) {
        float ragged = maxf(0.5f * brush_field(b, 3, 4.5f, 4.5f, 6), 0);
        brush_blend(b, T_OEDEMA, 1, 0.85f * smoothstep(1, 0.3f, d / radius + ragged));
    } else if (lesion_is(k, LESION_CYST)) {
        float edge = d - radius + 0.5f * brush_field(b, 8, 2, 2, 2);
        brush_tissue(b, T_CORTEX, 1.5f, edge - 0.5f); /* its sclerotic rim */
        brush_tissue(b, T_FLUID, 1, edge);
    }
}

/* A cleft through the wedge, standing obliquely. */
void lesion_paint_meniscus(struct brush *b, float wedge)
{
    const struct knee *k = b->k;
    if (!lesion_is(k, LESION_TEAR)) return;
    const struct vec3 c = k->lesion.at;
    float s = c.x > 0 ? 1.0f : -1.0f;
    float cleft = fabsf(0.6f * s * (b->p.x - c.x) + 0.8f * (b->p.z - c.z)) - 0.55f;
    brush_tissue(b, T_FLUID, 0.9f, maxf(maxf(cleft, wedge), distance_to(b) - k->lesion.radius));
}

void lesion_paint_cartilage(struct brush *b, float femur, float thickness)
{
    const struct knee *k = b->k;
    if (!lesion_is(k, LESION_CARTILAGE)) return;
    brush_tissue(b, T_FLUID, 1, maxf(femur - thickness, distance_to(b) - k->lesion.radius));
}
