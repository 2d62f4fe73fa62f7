/* A simulated knee: a small implicit model of the anatomy around the joint, in three dimensions,
 * drawn from a random stream so that every scan has a knee of its own.
 *
 * A tissue is a pair of amplitudes as a turbo spin echo of TE 30 ms and TR 2800 ms sees them: that
 * of its water, and that of its fat before any suppression: pd (1 - exp(-TR/T1)) exp(-TE/T2), with
 * relaxation times rounded after Gold et al., AJR 183:343, 2004 and Stanisz et al., MRM 54:507,
 * 2005. A contrast is then water + the share of the fat that its suppression leaves, at each point.
 *
 * Structures are signed distances (mm, negative inside), blended over `edge` mm into what was
 * painted before: partial volume for the price of one evaluation. Low-frequency warps make outlines
 * organic, and textures (trabeculae, muscle fibres, fat lobules) are band-limited random fields of
 * physical scale.
 *
 * Coordinates in mm. World: x along the columns of a coronal image, y through the slices (front
 * positive), z along the rows (head positive), the origin at the centre of the stack. Anatomy: x
 * medial, y front, z up, 0 in the joint space. knee_at and knee_to_world change from
 * one to the other. */
#pragma once

#include "base/rng.h"

#include <stdint.h>

/* Of the sequence, in the middle of fastMRI's knees. */
static const double KNEE_TE_MS = 30, KNEE_TR_MS = 2800;

struct vec3 {
    float x, y, z;
};
struct amplitude {
    float water, fat;
};
struct capsule {
    struct vec3 a, b;
    float radius;
};

enum tissue {
    T_FAT,
    T_MARROW,
    T_RED_MARROW,
    T_MUSCLE,
    T_CARTILAGE,
    T_FLUID,
    T_MENISCUS,
    T_LIGAMENT,
    T_CORTEX,
    T_SKIN,
    T_VEIN,
    T_ARTERY,
    T_SYNOVIUM,
    T_SEPTUM,
    T_OEDEMA,
    T_COUNT
};
enum { KNEE_VEINS = 8 };

enum lesion_kind { LESION_CYST, LESION_OEDEMA, LESION_TEAR, LESION_CARTILAGE, LESION_KINDS };
struct lesion {
    enum lesion_kind kind;
    struct vec3 at; /* anatomy */
    float radius;   /* mm; 0: none */
};

struct knee {
    struct amplitude tissue[T_COUNT];
    /* pose: world = scale rotate(anatomy, x mirrored in left knees) + offset */
    float mirror, scale, rot[9];
    struct vec3 offset;
    float flexion, valgus; /* slopes of the bends at the joint */
    /* bone: mm, or factors of a typical adult's */
    float femur_width, condyle[2], notch, lean, patella, gap, tilt, spine, cortex;
    float scar_femur, scar_tibia, scar, trabeculae, red_marrow;
    /* soft tissue */
    float cartilage, meniscus, limb, fat, fat_medial, bulk, effusion, streaks;
    struct capsule vein[KNEE_VEINS];
    struct lesion lesion;
    float texture; /* contrast of all textures: 0 smooth, 1 as in life */
    uint32_t key;  /* of all random fields of this knee */
};

/* The knee of the stream `r`; `texture` scales the contrast of all textures. */
void knee_draw(struct knee *k, struct rng r, double texture);

/* Amplitudes at a point of the world; `edge` (mm) is the width of a boundary, about the sampling
 * distance. Air is 0, 0. Safe from any thread. */
struct amplitude knee_at(const struct knee *k, struct vec3 world, float edge);

/* A lesion of the kind at a place where it can be, its size drawn as well. */
struct lesion knee_lesion_draw(const struct knee *k, enum lesion_kind kind, struct rng *r);
const char *knee_lesion_place(const struct lesion *l); /* "cyst, medial tibia" */
/* Where a point of the anatomy is in the world. */
struct vec3 knee_to_world(const struct knee *k, struct vec3 anatomy);

/* A smooth random field of unit lattice spacing, zero mean, within [-1, 1]; `key` names it. */
float knee_field(uint32_t key, float x, float y, float z);
