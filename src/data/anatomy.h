/* A volume of the user's as the anatomy of simulated scans: any NIfTI-1 or -2 file of one
 * three-dimensional image of numbers. anatomy.c alone includes the NIfTI library.
 *
 * Slices are cut across its coarsest axis, so that a stack of thick slices keeps its resolution in
 * plane; the other two axes are turned and mirrored by the file's orientation so that head (or, in
 * axial volumes, front) is up and right is left, as radiologists look at images. What is not air
 * is brought to the size of a knee. Intensities become amplitudes of water by their 99th
 * percentile, so that what suppresses fat has nothing to act upon. */
#pragma once

#include "base/err.h"
#include "base/rng.h"
#include "data/knee.h"

#include <stdint.h>

struct anatomy; /* immutable once loaded */

struct anatomy *anatomy_load(const char *path, struct err *e);
void anatomy_free(struct anatomy *a);           /* NULL is legal */
uint64_t anatomy_hash(const struct anatomy *a); /* of what was read */

/* How a scan looks at it: shifted, turned a little in the plane, mirrored or not. */
struct anatomy_pose {
    float mirror, cos, sin;
    float scale, deep; /* mm of the volume to one of the world, in the plane and through slices */
    struct vec3 offset;
};
/* A pose that brings the volume into `fov_mm`, and its depth into slices over `depth_mm`. */
struct anatomy_pose anatomy_pose(const struct anatomy *a, double fov_mm, double depth_mm,
                                 struct rng r);
/* Amplitude at a point of the world (knee.h): trilinear, air outside. Safe from any thread. */
struct amplitude anatomy_at(const struct anatomy *a, const struct anatomy_pose *pose,
                            struct vec3 world);
