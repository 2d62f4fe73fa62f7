/* A simulated receive array: circular loops on a cylinder around the leg, in one to three rings,
 * facing its axis, each with a field of its own by the law of Biot and Savart. The sensitivity is
 * the transverse field Bx - i By, where x, y span the plane across the static field, which points
 * along z, head to foot. No coupling between the loops and no losses in tissue. The array is scaled
 * to unit root-sum-of-squares at the origin. Coordinates in mm, as in knee.h. */
#pragma once

#include "base/err.h"
#include "data/knee.h"

#include <complex.h>

enum { COILS_SIM_MAX = 64, COILS_SIM_SEGMENTS = 24 };

struct coil {
    struct vec3 at;
    float angle, radius;
    float complex gain;
};
struct coil_array {
    int n;
    struct coil coil[COILS_SIM_MAX];
    float cos[COILS_SIM_SEGMENTS], sin[COILS_SIM_SEGMENTS]; /* of the corners of a loop */
};

/* n in [1, COILS_SIM_MAX]; positions and gains vary with the stream. */
void coil_array_draw(struct coil_array *a, int n, struct rng r);

/* Sensitivity of coil i at p. */
float complex coil_at(const struct coil_array *a, int i, struct vec3 p);

/* Sensitivity of coil i on a grid of the plane `y`: map (h, w), spacing `mm_row` from row to row
 * and `mm_col` along one, row 0 at the head, the origin at (h / 2, w / 2). The field is sampled
 * every few mm and interpolated by cubics. */
int coil_map(const struct coil_array *a, int i, float y, int h, int w, float mm_row, float mm_col,
             float complex *map, struct err *e);
