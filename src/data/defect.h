/* Known defects for simulated scans, so that quality control can be scored against the truth. A
 * scan has one or none; what it is follows from the seed and the number of the scan, and everything
 * else about the scan is as it would be without.
 *
 *     motion     the leg is at rest, then moves once to three times between the shots of a range of
 *                slices: shifts and turns in the plane. Severity: mm of the largest shift.
 *     wrap       the other leg is close by, partly excited, and folds in from beyond the field of
 *                view. Severity: mm over which the excitation fades outside.
 *     spike      single samples of k-space, in all coils, one to four in different slices.
 *                Severity: over the largest sample of the coil.
 *     dead-coil  a coil without signal, in all slices. Severity: 1.
 *     lesion     a cyst, an oedema, a tear of a meniscus or a hole in the cartilage.
 *                Severity: radius in mm. */
#pragma once

#include "base/err.h"
#include "base/rng.h"
#include "data/knee.h"

struct phantom_shape;

enum defect_kind {
    DEFECT_NONE,
    DEFECT_MOTION,
    DEFECT_WRAP,
    DEFECT_SPIKE,
    DEFECT_DEAD_COIL,
    DEFECT_LESION,
    DEFECT_KINDS
};
enum { DEFECT_POSES = 4, DEFECT_SPIKES = 4 };

struct pose { /* in the plane of a slice: turned by `angle` (rad), then shifted (mm) */
    float dx, dz, angle;
};
struct spike {
    int slice, row, col;
    double over, phase; /* of the largest sample of the coil; rad */
};

struct defect {
    enum defect_kind kind;
    int first, last; /* slices, both included */
    double severity;
    /* motion: pose i from shot from[i] on; pose 0 is rest. Shot s takes every columns k with
     * k mod shots = s, counted from the first acquired one. */
    int shots, poses, from[DEFECT_POSES];
    struct pose pose[DEFECT_POSES];
    float separation_mm; /* wrap: from leg to leg */
    int spikes;
    struct spike spike[DEFECT_SPIKES];
    int coil;             /* dead */
    struct lesion lesion; /* with row and column of its centre in the reference image */
    int row, col;
};

/* The set of kinds (bit 1 << kind) that `names` has, separated by commas; "" means all. */
int defect_kinds(const char *names, unsigned *kinds, struct err *e);
/* Draws a defect of one of `kinds`, none with probability 1 - share; a lesion is put in the knee.
 */
void defect_draw(struct defect *d, unsigned kinds, double share, const struct phantom_shape *s,
                 struct knee *k, struct rng r);
/* The pose that the shot of an acquired column (counted from the first) belongs to. */
int defect_pose_of(const struct defect *d, int column);

/* The truth as lines of CSV without the name of the scan, under these columns: one line for a scan
 * without defect or with one, one for every spike. */
#define DEFECT_COLUMNS "contrast,kind,first_slice,last_slice,severity,unit,coil,row,column,location"
enum { DEFECT_TEXT = 1024 };
void defect_tell(const struct defect *d, const char *contrast, char text[DEFECT_TEXT]);
