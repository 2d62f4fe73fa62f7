/* What the parts of the simulated knee share: a point being painted, distances, the bones. */
#pragma once

#include "data/knee.h"

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

struct bones bones_at(const struct knee *k, struct vec3 p);
/* Cartilage, cortex and marrow, over what is there. */
void bones_paint(struct brush *b, const struct bones *d);

/* Blends a tissue, scaled by `gain`, over the point as far as `distance` < 0. */
void brush_tissue(struct brush *b, enum tissue t, float gain, float distance);
/* The random field of feature sizes sx, sy, sz (mm) number `salt` of this knee, times its texture.
 */
float brush_field(const struct brush *b, uint32_t salt, float sx, float sy, float sz);

float clampf(float x, float lo, float hi);
float smoothstep(float lo, float hi, float x); /* 0 at lo, 1 at hi; lo > hi is legal */
float smooth_min(float a, float b, float k);   /* union, rounded over k */
float smooth_max(float a, float b, float k);   /* intersection */
float ellipsoid(struct vec3 p, float cx, float cy, float cz, float rx, float ry, float rz);
float cylinder(float x, float y, float rx, float ry); /* elliptic, endless */
float capsule(struct vec3 p, struct vec3 a, struct vec3 b, float radius);
