/* What the parts of the simulated knee share: a point being painted, distances, the bones. */
#pragma once

#include "data/knee.h"

#include <math.h>
#include <stdbool.h>

struct brush { /* a point being painted */
    const struct knee *k;
    struct vec3 p, q; /* anatomy (mm): warped for outlines, unwarped for textures */
    float edge;
    struct amplitude s;
};

/* Distances to the bones, negative inside; `plateau` is the height of the tibial joint surface
 * below or above p. Far from a bone its distance is only a lower bound. */
struct bones {
    float femur, tibia, fibula, patella, nearest, plateau;
};

/* Low-frequency displacements that make outlines organic are taken from p; fields from q. */
struct bones bones_at(const struct knee *k, struct vec3 p);
/* Cartilage, cortex and marrow, over what is there. */
void bones_paint(struct brush *b, const struct bones *d);

/* Muscles and their fat planes; `fascia` is the distance to the deep fascia. They are found first,
 * so that what they cover need not be painted. */
struct muscle {
    float distance;
    int belly;
};
struct muscle muscle_at(const struct brush *b, float fascia);
void muscle_paint(struct brush *b, struct muscle m);
/* Menisci, ligaments, tendons and retinacula: what is dark and tense. */
void bands_paint(struct brush *b, const struct bones *d);
/* Popliteal artery, vein and nerve, and small veins; `bone` is the distance to the nearest bone. */
void vessels_paint(struct brush *b, float bone);

/* The lesion of the knee, if it is in what is being painted: marrow at a depth, a meniscus and the
 * femoral cartilage as far as their distances reach. */
void lesion_paint_marrow(struct brush *b, float depth);
void lesion_paint_meniscus(struct brush *b, float wedge);
void lesion_paint_cartilage(struct brush *b, float femur, float thickness);
bool lesion_is(const struct knee *k, enum lesion_kind kind);

/* Three independent fields of one lattice (knee_field). */
struct vec3 knee_field3(uint32_t key, float x, float y, float z);

/* Blends a tissue, scaled by `gain`, over the point as far as `distance` < 0. */
void brush_tissue(struct brush *b, enum tissue t, float gain, float distance);
/* The same by a share in [0, 1]. */
void brush_blend(struct brush *b, enum tissue t, float gain, float share);
/* The random field of feature sizes sx, sy, sz (mm) number `salt` of this knee, times its texture.
 */
float brush_field(const struct brush *b, uint32_t salt, float sx, float sy, float sz);

/* ---- distances, inline: they are most of the work ---- */

static inline float minf(float a, float b)
{
    return a < b ? a : b;
}

static inline float maxf(float a, float b)
{
    return a > b ? a : b;
}

static inline float clampf(float x, float lo, float hi)
{
    return x < lo ? lo : x > hi ? hi : x;
}

/* 0 at lo, 1 at hi; lo > hi is legal. */
static inline float smoothstep(float lo, float hi, float x)
{
    float t = clampf((x - lo) / (hi - lo), 0, 1);
    return t * t * (3 - 2 * t);
}

/* Union, rounded over k. */
static inline float smooth_min(float a, float b, float k)
{
    float h = clampf(0.5f + 0.5f * (b - a) / k, 0, 1);
    return b + (a - b) * h - k * h * (1 - h);
}

static inline float smooth_max(float a, float b, float k)
{
    return -smooth_min(-a, -b, k);
}

/* First-order distance to f = 1 for f = |p / r|: (f - 1) / |grad f|. */
static inline float ellipsoid(struct vec3 p, float cx, float cy, float cz, float rx, float ry,
                              float rz)
{
    float x = (p.x - cx) / rx, y = (p.y - cy) / ry, z = (p.z - cz) / rz;
    float f = sqrtf(x * x + y * y + z * z) + 1e-6f;
    float gx = x / rx, gy = y / ry, gz = z / rz;
    return (f - 1) * f / (sqrtf(gx * gx + gy * gy + gz * gz) + 1e-6f);
}

/* 1 on the zero crossing of a field of [-1, 1], which is a sheet, falling to 0 over `width`. */
static inline float ridge(float field, float width)
{
    return maxf(1 - fabsf(field) / width, 0);
}

/* Elliptic, endless along z. */
static inline float cylinder(float x, float y, float rx, float ry)
{
    return ellipsoid((struct vec3){x, y, 0}, 0, 0, 0, rx, ry, 1);
}

static inline float capsule(struct vec3 p, struct vec3 a, struct vec3 b, float radius)
{
    float dx = b.x - a.x, dy = b.y - a.y, dz = b.z - a.z;
    float px = p.x - a.x, py = p.y - a.y, pz = p.z - a.z;
    float t = clampf((px * dx + py * dy + pz * dz) / (dx * dx + dy * dy + dz * dz), 0, 1);
    px -= t * dx;
    py -= t * dy;
    pz -= t * dz;
    return sqrtf(px * px + py * py + pz * pz) - radius;
}
