#include "data/knee_paint.h"

#include <math.h>

/* "lowbias32" of C. Wellons' search of 32-bit hashes. */
static inline uint32_t mix(uint32_t h)
{
    h ^= h >> 16;
    h *= 0x7feb352du;
    h ^= h >> 15;
    h *= 0x846ca68bu;
    return h ^ h >> 16;
}

static inline float fade(float t)
{
    return t * t * t * (t * (t * 6 - 15) + 10);
}

/* The eight corners of a cell, each with a value from its hash, blended by quintics: twice
 * continuously differentiable. Written as loops over the corners for the vector unit. */
struct corners {
    uint32_t hash[8];
    float weight[8];
};

static inline struct corners corners_of(uint32_t key, float x, float y, float z)
{
    const float fx = floorf(x), fy = floorf(y), fz = floorf(z);
    const float tx = fade(x - fx), ty = fade(y - fy), tz = fade(z - fz);
    const uint32_t ix = (uint32_t)(int32_t)fx, iy = (uint32_t)(int32_t)fy;
    const uint32_t iz = (uint32_t)(int32_t)fz;
    struct corners q;
    for (uint32_t c = 0; c < 8; c++) {
        const uint32_t i = c & 1, j = c >> 1 & 1, k = c >> 2;
        q.hash[c] =
            mix(key + (ix + i) * 0x9e3779b1u + (iy + j) * 0x85ebca77u + (iz + k) * 0xc2b2ae3du);
        q.weight[c] = (i ? tx : 1 - tx) * (j ? ty : 1 - ty) * (k ? tz : 1 - tz);
    }
    return q;
}

static inline float blend(const float v[8])
{
    return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]));
}

float knee_field(uint32_t key, float x, float y, float z)
{
    const struct corners q = corners_of(key, x, y, z);
    float v[8];
    for (int c = 0; c < 8; c++)
        v[c] = (float)(int32_t)q.hash[c] * 0x1p-31f * q.weight[c];
    return blend(v);
}

/* Three independent fields for the price of one hash: ten or eleven of its bits each. */
struct vec3 knee_field3(uint32_t key, float x, float y, float z)
{
    const struct corners q = corners_of(key, x, y, z);
    float v[3][8];
    for (int c = 0; c < 8; c++) {
        v[0][c] = (float)(int32_t)q.hash[c] * 0x1p-31f * q.weight[c];
        v[1][c] = (float)(int32_t)(q.hash[c] << 11) * 0x1p-31f * q.weight[c];
        v[2][c] = (float)(int32_t)(q.hash[c] << 22) * 0x1p-31f * q.weight[c];
    }
    return (struct vec3){blend(v[0]), blend(v[1]), blend(v[2])};
}

void brush_blend(struct brush *b, enum tissue t, float gain, float share)
{
    b->s.water += (b->k->tissue[t].water * gain - b->s.water) * share;
    b->s.fat += (b->k->tissue[t].fat * gain - b->s.fat) * share;
}

void brush_tissue(struct brush *b, enum tissue t, float gain, float distance)
{
    float a = clampf(0.5f - distance / b->edge, 0, 1);
    if (a > 0) brush_blend(b, t, gain, a);
}

/* The lattice is turned about z and sheared, so that its planes do not show in coronal slices. */
float brush_field(const struct brush *b, uint32_t salt, float sx, float sy, float sz)
{
    const float x = b->q.x / sx, y = b->q.y / sy;
    const float u = 0.8f * x - 0.6f * y, v = 0.6f * x + 0.8f * y;
    const float w = b->q.z / sz + 0.37f * u + 0.29f * v;
    return b->k->texture * knee_field(b->k->key + salt * 0x9e3779b9u, u, v, w);
}

/* ---- bones ---- */

/* 1 near the joint, decaying beyond it: the share of a metaphysis in the width of a bone. */
static float flare_at(float t, float length)
{
    t = maxf(t, 0);
    return expf(-t * t / ((t + 14) * length));
}

/* Shaft flaring into two condyles, with the intercondylar notch between them at the back and the
 * shallow trochlea in front. */
static float femur_at(const struct knee *k, struct vec3 p)
{
    float z = p.z - k->gap;
    float x = p.x + 0.11f * (z - 25); /* the shaft leans laterally going up */
    float flare = flare_at(z - 24, 22);
    float w = k->femur_width;
    float shaft = cylinder(x, p.y - 9 + 4 * flare, 14 + (27 * w - 1) * flare, 14 + 10 * flare);
    float d = smooth_max(shaft, 22 - z, 8);
    for (int side = 0; side < 2; side++) {
        float s = side ? -1.0f : 1.0f, r = k->condyle[side];
        float c = ellipsoid(p, s * 21.5f * w, side ? -5 : -8, 20.5f * r + k->gap, 15.5f * w * r,
                            30 * r, 20.5f * r);
        d = smooth_min(d, c, 6);
        d = smooth_min(d, ellipsoid(p, s * 36 * w, -2, 27 + k->gap, 5.5f, 11, 10),
                       6); /* epicondyle */
    }
    /* an arch: narrower towards its roof, and turned a little */
    float roof = 1 + 0.028f * maxf(z - 3, 0);
    float notch = capsule((struct vec3){(p.x - 0.06f * z * k->lean) * roof, p.y * 0.55f, z},
                          (struct vec3){0, -30, 4}, (struct vec3){0, 1, 9}, k->notch);
    float trochlea = capsule((struct vec3){p.x * 0.7f, p.y, z}, (struct vec3){0, 37, 60},
                             (struct vec3){0, 34, -10}, 11);
    d = smooth_max(d, -notch, 7);
    return smooth_max(d, -trochlea, 6);
}

static float plateau_at(const struct knee *k, struct vec3 p)
{
    float m = (p.x - 21) / 13, l = (p.x + 21) / 13, y = p.y / 22;
    float z = -1.6f * expf(-m * m - y * y) - 0.4f * expf(-l * l - y * y); /* hollows */
    float s1 = (p.x - 5.5f) / 3.2f, s2 = (p.x + 4.5f) / 3.2f, yy = (p.y + 2) / 9;
    z += k->spine * (expf(-s1 * s1 - yy * yy) + 0.85f * expf(-s2 * s2 - yy * yy));
    return -k->gap + z + k->tilt * p.y - 0.0022f * p.x * p.x;
}

static float tibial_flare(float t, float length)
{
    t = maxf(t, 0);
    return expf(-t * t / ((t + 6) * length));
}

/* Below the plateau the sides fall in, the lateral one sooner: there the head of the fibula is. In
 * front, the tuberosity, where the patellar tendon ends. */
static float tibia_at(const struct knee *k, struct vec3 p, float plateau)
{
    float w = k->femur_width, t = -5 - p.z, medial = smoothstep(-10, 10, p.x);
    float flare = medial * tibial_flare(t, 21) + (1 - medial) * tibial_flare(t - 1, 15);
    float deep = tibial_flare(t, 20);
    float side = cylinder(p.x - 1.5f * deep + 2 * (1 - deep), p.y + 3 - 7 * (1 - deep),
                          14.5f + 24 * w * flare, 15.5f + 9.5f * deep);
    side = smooth_min(side, ellipsoid(p, -5, 19, -42, 10, 8, 17), 8);
    return smooth_max(side, 0.95f * (p.z - plateau), 4);
}

struct bones bones_at(const struct knee *k, struct vec3 p)
{
    const float far = 60;
    struct bones d = {far, far, far, far, far, plateau_at(k, p)};
    if (p.z > -8) d.femur = femur_at(k, p);
    if (p.z < 14) d.tibia = tibia_at(k, p, d.plateau);
    if (p.z < 0 && p.x < -8) {
        struct vec3 a = {-33, -17, -22}, b = {-29, -14, -260};
        d.fibula = smooth_min(capsule(p, a, b, 5.5f), ellipsoid(p, -33, -17, -20, 9, 9, 11), 6);
    }
    if (p.y > 18) d.patella = ellipsoid(p, 1.5f * k->lean, 38, k->patella, 21, 9, 21);
    d.nearest = minf(minf(d.femur, d.tibia), minf(d.fibula, d.patella));
    return d;
}

/* Fatty marrow: trabeculae from one millimetre up, islands of red marrow, the scar of the growth
 * plate. `depth` is positive, from the surface. */
static void paint_marrow(struct brush *b, float depth, float scar_z, float cortex)
{
    const struct knee *k = b->k;
    float fine = brush_field(b, 1, 0.9f, 1.0f, 1.3f), along = brush_field(b, 2, 1.5f, 1.7f, 3.2f);
    float broad = brush_field(b, 3, 4.5f, 4.5f, 6), vast = brush_field(b, 6, 13, 13, 17);
    float gain = 1 + k->trabeculae * (0.10f * fine + 0.11f * along + 0.08f * broad + 0.08f * vast);
    float near = expf(-depth / 4); /* denser bone below the surface */
    brush_tissue(b, T_MARROW, gain * (1 - 0.16f * near), cortex - depth);
    float away = smoothstep(2, 16, fabsf(b->p.z - scar_z)); /* red marrow stays in the metaphysis */
    float red = brush_field(b, 7, 9, 9, 13) + 0.4f * broad + 0.25f * along;
    float share = k->red_marrow * smoothstep(-0.1f, 0.7f, red) * smoothstep(3, 9, depth) * away;
    brush_blend(b, T_RED_MARROW, gain, share);
    float wave = knee_field(k->key + 78, b->p.x / 9, b->p.y / 9, 0) + 0.3f * along;
    float scar = fabsf(b->p.z - scar_z - 2.2f * wave - 0.004f * b->p.x * b->p.x) - 0.4f;
    float dark = k->scar * clampf(0.5f - scar / (b->edge + 0.6f), 0, 1) * smoothstep(0, 3, depth) *
                 clampf(0.75f + 0.9f * broad, 0.1f, 1);
    b->s.water *= 1 - dark;
    b->s.fat *= 1 - dark;
    lesion_paint_marrow(b, depth - cortex);
}

static void paint_cartilage(struct brush *b, float distance, float thickness)
{
    if (thickness < 0.3f) return;
    float layer = smoothstep(0, thickness, distance); /* brighter towards the surface: longer T2 */
    float gain = 0.86f + 0.26f * layer + 0.08f * brush_field(b, 4, 2, 2, 2);
    brush_tissue(b, T_CARTILAGE, gain, distance - thickness);
}

/* Over the condyles, the trochlea and the plateau, and behind the patella. */
static void paint_cartilages(struct brush *b, const struct bones *d)
{
    const struct knee *k = b->k;
    const struct vec3 p = b->p;
    float thick = k->cartilage * (1 + 0.35f * knee_field(k->key + 79, p.x / 8, p.y / 8, p.z / 8));
    float front = smoothstep(10, 30, p.y), side = fabsf(p.x);
    float femoral = thick * smoothstep(19 + 25 * front, 12 + 25 * front, p.z) *
                    maxf(smoothstep(6, 10, side), front);
    float tibial = thick * smoothstep(34 * k->femur_width, 29 * k->femur_width, side) *
                   smoothstep(3, 8, side) * smoothstep(d->plateau - 2.5f, d->plateau, p.z);
    float patellar = thick * 1.2f * smoothstep(38, 33, p.y) * smoothstep(20, 15, side);
    /* where they meet, each has half of the room, less a film of fluid */
    float half = 0.5f * (d->femur + d->tibia) - 0.2f;
    femoral = minf(femoral, minf(half, 0.5f * (d->femur + d->patella) - 0.1f));
    paint_cartilage(b, d->femur, femoral);
    lesion_paint_cartilage(b, d->femur, femoral);
    paint_cartilage(b, d->tibia, minf(tibial, half));
    paint_cartilage(b, d->patella, minf(patellar, 0.5f * (d->femur + d->patella) - 0.1f));
}

void bones_paint(struct brush *b, const struct bones *d)
{
    const struct knee *k = b->k;
    const struct vec3 p = b->p;
    const float reach = b->edge;
    if (d->nearest > 4 + reach) return;
    paint_cartilages(b, d);
    float uneven = 1 + 0.5f * knee_field(k->key + 76, p.x / 6, p.y / 6, p.z / 9);
    float shaft = smoothstep(30, 95, fabsf(p.z));
    float shell = k->cortex * (0.7f + 3.2f * shaft) * uneven;
    if (p.z < 2 && p.z > d->plateau - 4) shell *= 1.5f; /* the subchondral plate of the tibia */
    const struct {
        float distance, scar;
    } bone[4] = {{d->femur, k->scar_femur},
                 {d->tibia, k->scar_tibia},
                 {d->fibula, -1000},
                 {d->patella, -1000}};
    for (int i = 0; i < 4; i++) {
        if (bone[i].distance > reach) continue;
        float gain = 1 + 0.8f * brush_field(b, 5, 1.5f, 1.5f, 5);
        brush_tissue(b, T_CORTEX, gain, bone[i].distance);
        if (bone[i].distance < reach - shell)
            paint_marrow(b, -bone[i].distance, bone[i].scar, shell);
    }
}
