/* What is dark and tense in a knee, menisci, ligaments, tendons and retinacula, and the vessels. */
#include "data/knee_paint.h"

/* Wedges between condyle and plateau: the gap itself gives them their shape. */
static void paint_menisci(struct brush *b, const struct bones *d)
{
    const struct knee *k = b->k;
    const struct vec3 p = b->p;
    if (p.z > 16 || p.z < -10) return;
    float s = p.x > 0 ? 1.0f : -1.0f, w = k->femur_width;
    /* distance from the outer rim of each plateau, inwards */
    float x = (p.x - s * 17 * w) / (20 * w), y = (p.y + 3) / 25;
    float inward = (1 - sqrtf(x * x + y * y)) * 20;
    float inner = inward - k->meniscus, outer = -0.2f - inward - 0.5f * brush_field(b, 81, 3, 3, 2);
    float above = 0.85f * (p.z - d->plateau - 0.9f * k->cartilage - 7 * (1 - inward / k->meniscus));
    float bone = maxf(0.7f * k->cartilage - d->femur, 0.7f * k->cartilage - d->tibia);
    float below = d->plateau - 0.5f - p.z;
    float wedge = smooth_max(smooth_max(inner, outer, 1.5f), maxf(above, bone), 0.7f);
    wedge = smooth_max(wedge, below, 1.5f);
    wedge = smooth_max(wedge, maxf(9 - fabsf(p.x), fabsf(p.y + 3) - 22), 2);
    /* myxoid change inside: greyer towards the rim */
    float inside = smoothstep(0.5f, 3, -wedge) * (0.5f + 1.5f * brush_field(b, 85, 3, 5, 1.5f));
    brush_tissue(b, T_MENISCUS, 1 + 0.6f * brush_field(b, 80, 1.5f, 4, 1.2f) + maxf(inside, 0),
                 wedge);
    lesion_paint_meniscus(b, wedge);
}

/* A band from a to c, elliptic across: `wide` along x and `thick` along y, half of each, in mm. */
static void paint_band(struct brush *b, uint32_t salt, struct vec3 a, struct vec3 c, float wide,
                       float thick, float gain)
{
    const float flat = wide / thick;
    struct vec3 q = b->p;
    q.y = a.y + (q.y - a.y) * flat;
    c.y = a.y + (c.y - a.y) * flat;
    float d = capsule(q, a, c, wide);
    if (d > 3 * flat) return;
    d = d / flat + 0.12f * thick * brush_field(b, salt, 4, 4, 12);
    /* fibres along the band, fat between them near its ends */
    float t = (b->p.z - a.z) / (c.z - a.z), lean = (c.x - a.x) / (c.z - a.z);
    struct brush along = {.k = b->k, .q = {b->q.x - lean * b->q.z, b->q.y, b->q.z}};
    float fibre = brush_field(&along, salt + 1, 0.9f, 2, 8);
    float fan = 0.5f * smoothstep(0.3f, 0, minf(t, 1 - t)) * maxf(fibre, 0);
    brush_tissue(b, T_LIGAMENT, gain * (1 + 0.7f * fibre), d);
    brush_blend(b, T_FAT, 0.8f, fan * clampf(0.5f - d / b->edge, 0, 1));
}

/* A sheet between two points, `tall` along z (half, mm). */
static void paint_sheet(struct brush *b, struct vec3 a, struct vec3 c, float tall, float thick)
{
    struct vec3 q = b->p;
    q.z = a.z + (q.z - a.z) * (thick / tall);
    c.z = a.z + (c.z - a.z) * (thick / tall);
    float wave = brush_field(b, 88, 5, 5, 7);
    float d = capsule(q, a, c, thick) + 0.9f * wave;
    float fade = clampf(0.6f + 0.8f * wave, 0, 1) * clampf(0.5f - d / b->edge, 0, 1);
    brush_blend(b, T_LIGAMENT, 2.5f + 2 * brush_field(b, 89, 1.2f, 1.2f, 4), fade);
}

/* The collaterals: the medial one spans the hollow between the bones, the lateral one is a cord. */
static void paint_collaterals(struct brush *b, const struct bones *d)
{
    const float w = b->k->femur_width;
    const struct vec3 p = b->p;
    if (p.x > 20 && p.z < 30 && p.z > -50) {
        float span = smooth_min(d->femur, d->tibia, 18) - 1.6f;
        float ends = maxf(fabsf(p.y - 1) - 8, maxf(p.z - 28, -46 - p.z));
        float fibre = brush_field(b, 83, 0.9f, 3, 8), wave = 0.4f * brush_field(b, 84, 3, 4, 9);
        brush_tissue(b, T_LIGAMENT, 1.3f + 0.9f * fibre,
                     maxf(fabsf(span + wave) - 0.8f * smoothstep(5, -6, ends), ends));
    }
    if (p.x < -20 && p.z < 32 && p.z > -22)
        paint_band(b, 100, (struct vec3){-42 * w, -5, 27}, (struct vec3){-37 * w, -17, -16}, 1.5f,
                   1.9f, 1.3f);
}

static void paint_tendons(struct brush *b)
{
    const struct knee *k = b->k;
    const struct vec3 p = b->p;
    if (p.y < 16) return;
    if (p.z > 36)
        paint_band(b, 102, (struct vec3){0, 42, k->patella + 16}, (struct vec3){0, 39, 150}, 15,
                   3.6f, 1.3f);
    if (p.z < 22 && p.z > -56)
        paint_band(b, 104, (struct vec3){0, 43, k->patella - 18}, (struct vec3){-4, 30, -42}, 12.5f,
                   2.4f, 1.1f);
    for (int side = -1; side <= 1; side += 2)
        paint_sheet(b, (struct vec3){(float)side * 18, 40, 30},
                    (struct vec3){(float)side * 42, 16, 26}, 16, 0.9f);
}

void bands_paint(struct brush *b, const struct bones *d)
{
    const struct vec3 p = b->p;
    paint_menisci(b, d);
    paint_collaterals(b, d);
    paint_tendons(b);
    if (fabsf(p.x) < 20 && p.z < 30 && p.z > -16 && p.y > -34 && p.y < 16) {
        /* anterior cruciate: two bundles; posterior cruciate: darker, thicker */
        paint_band(b, 106, (struct vec3){-8, -15, 20}, (struct vec3){2, 8, 2}, 2.6f, 2.4f, 3);
        paint_band(b, 108, (struct vec3){-6, -12, 17}, (struct vec3){4, 3, 1}, 2.4f, 2.2f, 3.6f);
        paint_band(b, 110, (struct vec3){7, 0, 16}, (struct vec3){1, -24, -6}, 4.2f, 4.6f, 1.6f);
    }
}

/* ---- vessels ---- */

static void paint_bundle(struct brush *b, struct vec3 q)
{
    static const struct {
        struct vec3 a, b;
        float radius;
        enum tissue tissue;
        float gain;
    } tube[] = {
        {{-3, -42, 120}, {-1, -38, -120}, 4.2f, T_VEIN, 1},
        {{3, -35, 120}, {2, -31, -120}, 3.1f, T_ARTERY, 1},
        {{-8, -46, 120}, {-9, -45, -120}, 2.8f, T_MUSCLE, 1.25f}, /* the tibial nerve */
        {{-6, -44, 8}, {-15, -47, -90}, 1.5f, T_VEIN, 1},         /* sural */
        {{4, -42, 2}, {17, -47, -90}, 1.4f, T_VEIN, 1},
    };
    for (int i = 0; i < (int)(sizeof tube / sizeof *tube); i++) {
        float d =
            capsule(q, tube[i].a, tube[i].b, tube[i].radius) + 0.4f * brush_field(b, 94, 4, 4, 9);
        if (d > 0.8f + b->edge) continue;
        brush_tissue(b, T_SEPTUM, 0.8f, d - 0.6f); /* the wall */
        brush_tissue(b, tube[i].tissue,
                     tube[i].gain * (1 + 0.15f * brush_field(b, 95, 1.2f, 1.2f, 6)), d);
    }
}

void vessels_paint(struct brush *b, float bone)
{
    const struct knee *k = b->k;
    const struct vec3 p = b->p;
    if (bone < 1) return;
    float sway = 3 * knee_field(k->key + 90, p.z / 27, p.x / 40, 0);
    if (p.y < -18) paint_bundle(b, (struct vec3){p.x - sway, p.y + 0.5f * sway, p.z});
    for (int i = 0; i < KNEE_VEINS; i++) {
        struct vec3 q = {p.x + sway, p.y - sway, p.z};
        if (q.z < minf(k->vein[i].a.z, k->vein[i].b.z) - 3 ||
            q.z > maxf(k->vein[i].a.z, k->vein[i].b.z) + 3)
            continue;
        float d = capsule(q, k->vein[i].a, k->vein[i].b, k->vein[i].radius);
        if (d > 1 + b->edge) continue;
        brush_tissue(b, T_SEPTUM, 0.8f, d - 0.5f);
        brush_tissue(b, T_VEIN, 1, d);
    }
}
